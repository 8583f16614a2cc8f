//! Sessions in tmux.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::{Kind, Launch, LaunchError, Launcher, Listed, SessionState, Started};
use crate::agents::visible;
use crate::sys::clock::{Deadline, sleep};
use crate::sys::{env, running};
use crate::tmux::{NewSession, PaneState, Server, Session};

/// How long a program may take to end after its terminal is gone.
const AFTER_HANGUP: Duration = Duration::from_millis(1000);
const PAUSE: Duration = Duration::from_millis(10);

/// Runs sessions on a tmux server.
#[derive(Debug, Clone)]
pub struct TmuxLauncher {
    pub server: Server,
    /// A private directory for lock files and for what programs read.
    pub dir: PathBuf,
}

impl TmuxLauncher {
    /// A launcher on this server; an error when tmux is missing or too old.
    pub fn new(server: Server, dir: impl Into<PathBuf>) -> Result<Self, LaunchError> {
        server.version()?;
        Ok(Self { server, dir: dir.into() })
    }

    fn found(&self, name: &str) -> Result<Session, LaunchError> {
        self.server.find(name)?.ok_or_else(|| LaunchError::NoSession { name: name.to_owned() })
    }
}

fn state_of(session: &Session) -> SessionState {
    match session.state {
        PaneState::Running { pid } => SessionState::Running { pid },
        PaneState::Dead { code } => SessionState::Exited { code },
    }
}

impl Launcher for TmuxLauncher {
    fn kind(&self) -> Kind {
        Kind::Tmux
    }

    fn start(&self, launch: &Launch) -> Result<Started, LaunchError> {
        super::check(launch)?;
        match self.state(&launch.name)? {
            SessionState::Running { .. } => return Err(LaunchError::Running { name: launch.name.clone() }),
            SessionState::Exited { .. } => {
                self.server.kill_session(&launch.name)?;
            }
            SessionState::Gone => {}
        }
        let argv = super::with_stdin(launch, &self.dir)?;
        // A pane inherits from the server and, where we are the one who starts it, from us.
        let mut present = self.server.environment_names()?;
        present.extend(env::names());
        present.sort();
        present.dedup();
        let unset = launch.env.names_to_unset(present.iter().map(String::as_str));
        let made = self.server.new_session(&NewSession {
            name: &launch.name,
            cwd: &launch.cwd,
            argv: &argv,
            env: &launch.env.set,
            unset: &unset,
            log: Some(&launch.log),
            tags: &launch.tags,
        })?;
        Ok(Started { name: launch.name.clone(), kind: Kind::Tmux, pid: made.pid })
    }

    fn state(&self, name: &str) -> Result<SessionState, LaunchError> {
        super::check_name(name)?;
        Ok(self.server.find(name)?.map_or(SessionState::Gone, |s| state_of(&s)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, LaunchError> {
        let listed = |s: Session| Listed {
            state: state_of(&s),
            name: s.name,
            tags: s.tags,
            started: s.created.saturating_mul(1000),
            attached: s.attached,
        };
        Ok(self.server.list_sessions(prefix)?.into_iter().map(listed).collect())
    }

    fn tail(&self, name: &str, lines: usize) -> Result<Vec<String>, LaunchError> {
        match self.state(name)? {
            SessionState::Gone => Ok(Vec::new()),
            _ => Ok(self.server.capture(name, lines)?),
        }
    }

    fn stop(&self, name: &str) -> Result<bool, LaunchError> {
        let running = match self.state(name)? {
            SessionState::Running { pid } => Some(pid),
            _ => None,
        };
        let was_there = self.server.kill_session(name)?;
        if let Some(pid) = running {
            // The hang-up has reached everything in the pane's group. What does not heed it is ended by force.
            let deadline = Deadline::after(AFTER_HANGUP);
            while running::group_alive(pid) && !deadline.passed() {
                sleep(PAUSE);
            }
            if running::group_alive(pid) {
                running::end_group(pid);
            }
        }
        Ok(was_there)
    }

    fn attach(&self, name: &str, _out: &mut dyn Write) -> Result<(), LaunchError> {
        self.found(name)?;
        Ok(self.server.attach(name)?)
    }

    fn deliver(&self, name: &str, text: &str) -> Result<(), LaunchError> {
        self.found(name)?;
        Ok(self.server.paste(name, &visible(text), &self.dir)?)
    }
}
