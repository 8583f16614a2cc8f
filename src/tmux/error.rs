//! What can go wrong with tmux, in sentences for a person.

use std::io;
use std::path::PathBuf;

use super::version::OLDEST;
use crate::sys::process::ProcessError;

/// Why tmux did not do what it was asked. Kinds exist where a caller goes on differently.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    #[error("tmux is not installed, or not on PATH")]
    Missing,
    #[error("tmux {found} is too old: version {}.{} or newer is needed", OLDEST.0, OLDEST.1)]
    TooOld { found: String },
    #[error("{name:?} cannot be the name of a session: 1 to 200 letters, digits, `_` and `-`, not beginning with `-`")]
    BadName { name: String },
    #[error("there is already a tmux session named {name}")]
    Exists { name: String },
    #[error("there is no tmux session named {name}")]
    NoSession { name: String },
    #[error("the tmux session {name} was not made by us, and is left alone")]
    NotOurs { name: String },
    #[error("cannot start in {}: it is not a directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("{what} cannot be handed to tmux: {why}")]
    BadWord { what: String, why: &'static str },
    #[error("somebody is attached to the tmux session {name}: nothing is pasted while a person may be typing")]
    Attached { name: String },
    #[error("nothing runs in the tmux session {name} any more")]
    Dead { name: String },
    #[error("the tmux session {name} is in copy mode, where an Enter would not reach the program")]
    InMode { name: String },
    #[error("another delivery to the tmux session {name} is under way")]
    Busy { name: String },
    #[error("tmux answered with something else than what was asked for: {0:?}")]
    Answer(String),
    #[error("cannot ask the tmux server: {0}")]
    Socket(io::Error),
    #[error("cannot prepare the tmux session: {0}")]
    Io(io::Error),
    #[error(transparent)]
    Process(ProcessError),
}

impl From<ProcessError> for TmuxError {
    fn from(e: ProcessError) -> Self {
        match e {
            ProcessError::NotFound { .. } => Self::Missing,
            e => Self::Process(e),
        }
    }
}
