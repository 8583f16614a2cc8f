//! Sessions in tmux: making, listing, reading, ending, and pasting into them. The only room that runs tmux.
//!
//! The argument lists are built with `tmux_interface` and run through [`crate::sys::process::Cmd`], so that deadlines and
//! the scrubbed environment hold here too.
//!
//! **Invariant:** only a session that carries our tags is read, pasted into or ended. After it has been found by its exact
//! name it is addressed by tmux's own ids (`$3`, `%7`), because `-t worker-1` would also hit `worker-10`.
//!
//! **Invariant:** what others wrote reaches tmux as quoted words on its standard input, never as arguments: there a
//! trailing `;` starts another command, and everything together may not exceed 16 KiB. Where tmux would expand a word as
//! a format (start directory, pipe command), `#` is doubled, so `#(touch x)` stays a name.
//!
//! **Invariant:** no global option, no key binding, no `kill-server` but by the owner of a server apart; no key is ever
//! pressed except Enter after a paste.

mod attach;
mod error;
mod list;
mod paste;
mod session;
mod version;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use tmux_interface::{KillServer, Tmux, TmuxCommand};

use crate::sys::env;
use crate::sys::process::{Cmd, Output, ProcessError};
use crate::sys::running::{socket_is_live, user_id};

pub use error::TmuxError;
pub use list::{PaneState, Session};
pub use session::{Made, NewSession};
pub use version::{OLDEST, Version};
pub use words::{Tags, check_name};

/// A call of tmux takes some milliseconds; one that takes this long hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// Which tmux server is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// The name for `-L`; without it the server is the one tmux itself would choose from `TMUX` and `TMUX_TMPDIR`.
    pub socket_name: Option<String>,
    /// A directory for the sockets of a server apart from the person's own (tests, the demonstration). Such a server
    /// reads no configuration file, and it is chosen without looking at `TMUX`.
    pub private_dir: Option<PathBuf>,
}

impl Server {
    /// The person's own server.
    pub fn own() -> Self {
        Self::default()
    }

    /// A server apart, with its socket in `dir`.
    pub fn private(dir: impl Into<PathBuf>) -> Self {
        Self { socket_name: None, private_dir: Some(dir.into()) }
    }

    /// The version of the installed tmux; an error when it is missing or older than [`OLDEST`].
    pub fn version(&self) -> Result<Version, TmuxError> {
        let output = self.program().arg("-V").run().map_err(TmuxError::from)?;
        let version = Version::parse(&output.text());
        if version.is_enough() { Ok(version) } else { Err(TmuxError::TooOld { found: version.text }) }
    }

    /// The `tmux` program in the environment that leads it to this server.
    fn program(&self) -> Cmd {
        let mut cmd = Cmd::new("tmux").timeout(Some(LIMIT));
        if let Some(dir) = &self.private_dir {
            cmd = cmd.env("TMUX_TMPDIR", dir).env_remove("TMUX").env_remove("TMUX_PANE");
        }
        cmd
    }

    /// A call of tmux with these commands, one after the other.
    fn call(&self, commands: &[TmuxCommand<'_>]) -> Cmd {
        let mut tmux = Tmux::new().force_utf8();
        if let Some(path) = self.told() {
            tmux = tmux.socket_path(path);
        } else if let Some(name) = &self.socket_name {
            tmux = tmux.socket_name(name.as_str());
        }
        if self.private_dir.is_some() {
            tmux = tmux.file("/dev/null");
        }
        // The first word of what the builder gives is the program itself.
        let mut cmd = self.program().args(tmux.build().to_vec().iter().skip(1).map(|w| w.as_ref()));
        for (n, command) in commands.iter().enumerate() {
            if n > 0 {
                cmd = cmd.arg(";");
            }
            cmd = cmd.args(command.to_vec().iter().map(|w| words::argument(w)));
        }
        cmd
    }

    fn run(&self, command: impl Into<TmuxCommand<'static>>) -> Result<Output, TmuxError> {
        self.call(&[command.into()]).run().map_err(TmuxError::from)
    }

    /// Runs a question; `None` when there is no server to ask. A server that is there and does not answer is an error:
    /// its sessions must not be taken for gone.
    fn ask(&self, command: impl Into<TmuxCommand<'static>>) -> Result<Option<Output>, TmuxError> {
        match self.call(&[command.into()]).run() {
            Ok(output) => Ok(Some(output)),
            Err(e @ ProcessError::Failed { .. }) => {
                if self.is_running()? {
                    Err(e.into())
                } else {
                    Ok(None)
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Ends a server apart with all its sessions; any other is left alone. One that does not run is no error.
    pub fn end_private(&self) -> Result<(), TmuxError> {
        if self.private_dir.is_some() && self.is_running()? {
            self.ask(KillServer::new().build())?;
        }
        Ok(())
    }

    /// Whether the server runs.
    pub fn is_running(&self) -> Result<bool, TmuxError> {
        socket_is_live(&self.socket()).map_err(TmuxError::Socket)
    }

    /// The socket that a worker was told of, where this is not a server apart.
    fn told(&self) -> Option<String> {
        env::var(env::WORKERS_TMUX).filter(|_| self.private_dir.is_none())
    }

    /// Where the server's socket is: where a worker was told, else found as tmux finds it: `-L` and the private directory
    /// first, then `TMUX`, then `TMUX_TMPDIR` if it is there, then `/tmp`.
    pub fn socket(&self) -> PathBuf {
        if let Some(path) = self.told() {
            return PathBuf::from(path);
        }
        let is_default = self.socket_name.is_none() && self.private_dir.is_none();
        if let Some(path) = words::socket_of(env::var("TMUX").as_deref()).filter(|_| is_default) {
            return path;
        }
        let wanted = self.private_dir.clone().or_else(|| env::var_os("TMUX_TMPDIR").map(PathBuf::from));
        let dir = wanted.filter(|d| d.is_dir()).unwrap_or_else(|| PathBuf::from("/tmp"));
        dir.join(format!("tmux-{}", user_id())).join(self.socket_name.as_deref().unwrap_or("default"))
    }
}
