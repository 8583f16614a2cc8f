//! One session for each worker: in tmux, or as a background process where tmux is missing or not wanted.
//!
//! **Invariant:** a session that ended is told from one that never was: its exit code and its last lines stay until it is
//! stopped or started anew under the same name.
//!
//! **Invariant:** a process is never ended by its number alone. The number counts only together with the boot and the
//! start time it was recorded with, so that a later process with the same number is left alone.
//!
//! What is started, and under which name, is the caller's to say; nothing here knows of work orders.

mod error;
mod log;
mod process;
mod record;
mod tmux;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agents::EnvChange;
use crate::sys::clock::{Deadline, sleep};
use crate::sys::{env, fs};

pub use crate::tmux::Tags;
pub use error::LaunchError;
pub use process::ProcessLauncher;
pub use tmux::TmuxLauncher;

/// How many lines of a session that died at once are shown.
const LAST_LINES: usize = 20;
const WATCH_PAUSE: Duration = Duration::from_millis(20);

/// Which kind of launcher it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Tmux,
    Process,
}

/// What is to be started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// 1 to 200 of `A-Z a-z 0-9 _ -`, not beginning with `-`.
    pub name: String,
    pub cwd: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    pub env: EnvChange,
    /// The file to which the output is appended.
    pub log: PathBuf,
    pub tags: Tags,
    /// What the program reads as its standard input. Without it a program in tmux has the pane's terminal, and one in
    /// the background reads from the null device.
    pub stdin: Option<String>,
}

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub name: String,
    pub kind: Kind,
    /// The first process of the session, which leads its process group.
    pub pid: u32,
}

/// Whether a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    Running {
        pid: u32,
    },
    /// The exit code, or 128 and a signal's number; `None` where nobody was left to record it.
    Exited {
        code: Option<i32>,
    },
    /// There is no session of this name.
    Gone,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub state: SessionState,
    pub tags: Tags,
    /// Milliseconds since the Unix epoch.
    pub started: i64,
    /// How many terminals show the session; always 0 for a background process.
    pub attached: u32,
}

/// A way to run sessions.
pub trait Launcher {
    fn kind(&self) -> Kind;

    /// Starts a session. One of the same name that has ended makes room; one that runs is an error.
    fn start(&self, launch: &Launch) -> Result<Started, LaunchError>;

    fn state(&self, name: &str) -> Result<SessionState, LaunchError>;

    /// The sessions whose name begins with `prefix`, by name.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, LaunchError>;

    /// The last lines of the session's output, oldest first; none where there is no session. Control characters are as
    /// the program wrote them: whoever shows the lines makes them visible.
    fn tail(&self, name: &str, lines: usize) -> Result<Vec<String>, LaunchError>;

    /// Ends a session and everything in it: a hang-up or a request first, then by force. `false` where there was none.
    fn stop(&self, name: &str) -> Result<bool, LaunchError>;

    /// Shows the session until it ends or the person leaves. What is not a terminal of its own goes to `out`.
    fn attach(&self, name: &str, out: &mut dyn Write) -> Result<(), LaunchError>;

    /// Hands text to the running program, as if typed. No receipt: that the program understood is seen elsewhere.
    fn deliver(&self, name: &str, text: &str) -> Result<(), LaunchError>;
}

/// Watches a session that was just started for this long. One that ends with code 0 in that time is done, not dead;
/// any other end is an error that holds its last lines.
pub fn watch_start(launcher: &dyn Launcher, name: &str, watch: Duration) -> Result<SessionState, LaunchError> {
    let deadline = Deadline::after(watch);
    loop {
        let state = launcher.state(name)?;
        match state {
            SessionState::Running { .. } if deadline.passed() => return Ok(state),
            SessionState::Running { .. } => sleep(WATCH_PAUSE.min(deadline.left())),
            SessionState::Exited { code: Some(0) } => return Ok(state),
            SessionState::Exited { code } => {
                let lines = launcher.tail(name, LAST_LINES)?;
                return Err(LaunchError::Died { name: name.to_owned(), code, lines });
            }
            SessionState::Gone => {
                return Err(LaunchError::Died { name: name.to_owned(), code: None, lines: Vec::new() });
            }
        }
    }
}

/// What both launchers look at before a start, so that the error is one sentence and not a dead session.
fn check(launch: &Launch) -> Result<(), LaunchError> {
    check_name(&launch.name)?;
    if !launch.cwd.is_dir() {
        return Err(LaunchError::NoDirectory(launch.cwd.clone()));
    }
    let program = launch.argv.first().filter(|p| !p.is_empty()).ok_or(LaunchError::NoCommand)?;
    if let Some(word) = launch.argv.iter().chain(launch.env.set.iter().map(|(_, v)| v)).find(|w| w.contains('\0')) {
        return Err(LaunchError::Nul(word.replace('\0', "<NUL>")));
    }
    let dirs = match launch.env.get("PATH") {
        Some(path) => std::env::split_paths(path).collect(),
        None => env::path_dirs(),
    };
    let found = if program.contains('/') {
        env::which_in(&launch.cwd.join(program).to_string_lossy(), [])
    } else {
        env::which_in(program, dirs.into_iter().map(|d| launch.cwd.join(d)))
    };
    if found.is_none() {
        return Err(LaunchError::NoProgram { program: program.clone() });
    }
    let directory = launch.log.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(LaunchError::Io)
}

fn check_name(name: &str) -> Result<(), LaunchError> {
    crate::tmux::check_name(name).map_err(|_| LaunchError::BadName { name: name.to_owned() })
}

/// Writes what the program is to read, where only we can read it, and gives the words that start it with that as its
/// standard input. A shell opens the file; it reads none of the words.
fn with_stdin(launch: &Launch, dir: &Path) -> Result<Vec<String>, LaunchError> {
    let Some(text) = &launch.stdin else { return Ok(launch.argv.clone()) };
    fs::create_private_dir(dir).map_err(LaunchError::Io)?;
    let file = dir.join(format!("{}.stdin", launch.name));
    fs::replace_durably(&file, text.as_bytes()).map_err(LaunchError::Io)?;
    let script = r#"file=$1; shift; exec "$@" <"$file""#;
    let mut argv: Vec<String> = ["/bin/sh", "-c", script, "sh", &file.to_string_lossy()].map(str::to_owned).to_vec();
    argv.extend(launch.argv.iter().cloned());
    Ok(argv)
}
