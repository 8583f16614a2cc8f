//! The rules, and nothing else: ids, time, events, what they add up to, and what may be done next.
//!
//! **Invariant:** no I/O, no clock, no randomness, no hash order in here. Two machines that hold the same events hold the
//! same state, byte for byte.

pub mod agent;
pub mod assignment;
pub mod causal;
pub mod crockford;
pub mod decide;
pub mod event;
pub mod glob;
pub mod graph;
pub mod id;
pub mod kinds;
pub mod message;
pub mod order;
pub mod record;
pub mod refusal;
pub mod register;
pub mod secret;
pub mod template;
pub mod text;
pub mod time;

pub use causal::{Fold, Folded, fold};
pub use event::{Draft, Event, Key};
pub use id::{AgentId, OrderId, RefId};
pub use refusal::{Refusal, Why};
pub use time::Timestamp;
