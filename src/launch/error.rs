//! What can go wrong with a session, in sentences for a person.

use std::io;
use std::path::PathBuf;

use crate::sys::process::ProcessError;
use crate::tmux::TmuxError;

/// Why a session was not started, found, told or ended.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{name:?} cannot be the name of a session: 1 to 200 letters, digits, `_` and `-`, not beginning with `-`")]
    BadName { name: String },
    #[error("there is no command to start")]
    NoCommand,
    #[error("an argument or a variable holds a NUL: {0:?}")]
    Nul(String),
    #[error("{program} is not installed, or not on the worker's PATH")]
    NoProgram { program: String },
    #[error("cannot start in {}: it is not a directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("the session {name} is already running")]
    Running { name: String },
    #[error("there is no session named {name}")]
    NoSession { name: String },
    #[error("the session {name} {}{}", ended(*code), shown(lines))]
    Died { name: String, code: Option<i32>, lines: Vec<String> },
    #[error("the session {name} is a background process, which reads no typed text: send it mail instead")]
    NotTold { name: String },
    #[error("another command is starting or stopping the session {name}")]
    Busy { name: String },
    #[error("cannot read the record of a session, {}: {why}", file.display())]
    Record { file: PathBuf, why: String },
    #[error("cannot prepare the session: {0}")]
    Io(io::Error),
    #[error("cannot show the session: {0}")]
    Show(io::Error),
    #[error(transparent)]
    Tmux(TmuxError),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

fn ended(code: Option<i32>) -> String {
    code.map_or("ended at once".to_owned(), |c| format!("ended at once, with exit code {c}"))
}

fn shown(lines: &[String]) -> String {
    if lines.is_empty() { ", and said nothing".to_owned() } else { format!(":\n{}", lines.join("\n")) }
}

impl From<TmuxError> for LaunchError {
    fn from(e: TmuxError) -> Self {
        match e {
            TmuxError::BadName { name } => Self::BadName { name },
            TmuxError::NoSession { name } => Self::NoSession { name },
            TmuxError::NoDirectory(dir) => Self::NoDirectory(dir),
            e => Self::Tmux(e),
        }
    }
}
