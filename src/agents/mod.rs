//! How each agent program is started, told what to do, and heard.
//!
//! A backend is data: the words of a command line with places for the prompt, the role and the session. The built-in ones
//! ([`PRESETS`]) are data of the same kind, and git config of this machine (`vermas.agent.NAME.*`) replaces or adds some.
//! Nothing here reads git config or starts a program; the caller passes the settings in and takes the argument list out.
//!
//! **Invariant:** nothing that comes with the state branch chooses a command. Titles, orders and mail are values of
//! arguments; they are never split into words, never part of a shell's text, and never begin an option.
//!
//! **Invariant:** what others wrote is shown to an agent behind a [`fence`] with its author and origin.

mod backend;
mod claude;
mod env;
mod error;
mod fence;
mod invocation;
mod line;
mod presets;
mod role;
mod shims;

pub use backend::{Backend, PromptMode, pick_default};
pub use claude::{HOOK_EVENTS, check_trust, settings};
pub use env::{EnvChange, Worker, worker_env};
pub use error::AgentError;
pub use fence::{fence, visible};
pub use invocation::{ARGUMENT_LIMIT, Invocation, Prompt, PromptFile};
pub use presets::PRESETS;
pub use role::{Role, role_text};
pub use shims::{SHIMS, shims};
