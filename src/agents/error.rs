//! What can go wrong before an agent is started, in sentences that name the setting to mend.

use std::io;
use std::path::PathBuf;

/// Why there is no command to start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("{name:?} cannot be the name of an agent: letters, digits, `.`, `_` and `-` only")]
    BadName { name: String },
    #[error("there is no agent named {name}; `git config vermas.agent.{name}.command` would make one")]
    Unknown { name: String },
    #[error("{key}: {why}")]
    Setting { key: String, why: String },
    #[error("{name} cannot take up a session again: `git config vermas.agent.{name}.resume` is not set")]
    NoResume { name: String },
    #[error("{name} has no way to run without a terminal: `git config vermas.agent.{name}.headless` is not set")]
    NoHeadless { name: String },
    #[error("{name} takes its prompt from a file, but none was named")]
    NoPromptFile { name: String },
    #[error("an argument for {name} has {len} bytes, more than one argument can hold")]
    TooLong { name: String, len: usize },
    #[error("Claude Code has not been told to trust {}: start `claude` once there and accept", root.display())]
    Untrusted { root: PathBuf },
    #[error("cannot read whether Claude Code trusts this repository: {}: {why}", file.display())]
    TrustUnreadable { file: PathBuf, why: String },
    #[error("cannot make {}: {source}", path.display())]
    Shim { path: PathBuf, source: io::Error },
}
