//! Sessions as background processes with a log, where tmux is missing or not wanted.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::record::{Files, Record};
use super::{Kind, Launch, LaunchError, Launcher, Listed, SessionState, Started, log};
use crate::sys::process::Cmd;
use crate::sys::{clock, env, fs, lock, running};

/// How long another start or stop of the same session is waited for.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(10);
/// How much of the log is shown first when a session is attached.
const SHOWN_FIRST: u64 = 16 * 1024;

/// The first process of a session. It writes its number, runs the program as the words after the two file names, and
/// writes the exit code. It reads none of the words, and outlives a request to end that reaches the whole group, so that
/// the program's own answer to it is what is recorded.
const WRAPPER: &str = r#"trap : HUP INT QUIT TERM; echo $$ >"$1"; exit=$2; shift 2; "$@"; echo $? >"$exit""#;

/// Runs sessions as background processes, with their records in a directory.
#[derive(Debug, Clone)]
pub struct ProcessLauncher {
    /// A private directory, made when it is needed.
    pub dir: PathBuf,
}

impl ProcessLauncher {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn files(&self, name: &str) -> Result<Files, LaunchError> {
        super::check_name(name)?;
        Ok(Files::of(&self.dir, name))
    }

    fn locked(&self, files: &Files, name: &str) -> Result<lock::FileLock, LaunchError> {
        fs::create_private_dir(&self.dir).map_err(LaunchError::Io)?;
        let lock = lock::acquire(&files.lock, WAIT_FOR_LOCK).map_err(LaunchError::Io)?;
        lock.ok_or_else(|| LaunchError::Busy { name: name.to_owned() })
    }

    fn record(&self, name: &str) -> Result<Option<(Files, Record)>, LaunchError> {
        let files = self.files(name)?;
        Ok(Record::read(&files)?.map(|record| (files, record)))
    }
}

impl Launcher for ProcessLauncher {
    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn start(&self, launch: &Launch) -> Result<Started, LaunchError> {
        super::check(launch)?;
        let files = self.files(&launch.name)?;
        let _lock = self.locked(&files, &launch.name)?;
        if let SessionState::Running { .. } = self.state(&launch.name)? {
            return Err(LaunchError::Running { name: launch.name.clone() });
        }
        files.remove()?;
        let argv = super::with_stdin(launch, &self.dir)?;
        let mut record = Record {
            boot_id: fs::boot_id(),
            argv: launch.argv.clone(),
            log: launch.log.clone(),
            log_from: fs::metadata(&launch.log).map_or(0, |m| m.len()),
            started: clock::now_millis(),
            tags: launch.tags.clone(),
            ..Record::default()
        };
        record.write(&files)?;
        let mut cmd = Cmd::new("/bin/sh").args(["-c", WRAPPER, "sh"]).arg(&files.pid).arg(&files.exit).args(&argv);
        let present = env::names();
        for name in launch.env.names_to_unset(present.iter().map(String::as_str)) {
            cmd = cmd.env_remove(name);
        }
        for (name, value) in &launch.env.set {
            cmd = cmd.env(name, value);
        }
        let pid = match cmd.cwd(&launch.cwd).spawn_detached(&launch.log) {
            Ok(pid) => pid,
            Err(e) => {
                files.remove()?;
                return Err(e.into());
            }
        };
        record.pid = Some(pid);
        record.start_time = running::start_time(pid);
        record.write(&files)?;
        Ok(Started { name: launch.name.clone(), kind: Kind::Process, pid })
    }

    fn state(&self, name: &str) -> Result<SessionState, LaunchError> {
        match self.record(name)? {
            Some((files, record)) => record.state(&files),
            None => Ok(SessionState::Gone),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, LaunchError> {
        let mut list = Vec::new();
        for file in fs::list(&self.dir).map_err(LaunchError::Io)? {
            let Some(name) = file.strip_suffix(".json").filter(|n| n.starts_with(prefix)) else { continue };
            // A file that is not one of ours has no name of ours.
            if super::check_name(name).is_err() {
                continue;
            }
            if let Some((files, record)) = self.record(name)? {
                let state = record.state(&files)?;
                let Record { tags, started, .. } = record;
                list.push(Listed { name: name.to_owned(), state, tags, started, attached: 0 });
            }
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn tail(&self, name: &str, lines: usize) -> Result<Vec<String>, LaunchError> {
        match self.record(name)? {
            Some((_, record)) => log::tail(&record.log, record.log_from, lines).map_err(LaunchError::Show),
            None => Ok(Vec::new()),
        }
    }

    fn stop(&self, name: &str) -> Result<bool, LaunchError> {
        let files = self.files(name)?;
        let _lock = self.locked(&files, name)?;
        let Some(record) = Record::read(&files)? else { return Ok(false) };
        if let Some(pid) = record.running() {
            running::end_group(pid);
        }
        files.remove()?;
        Ok(true)
    }

    /// Follows the log, as `tail -f` does, until the session has ended; leaving is Ctrl-C.
    fn attach(&self, name: &str, out: &mut dyn Write) -> Result<(), LaunchError> {
        let (_, record) = self.record(name)?.ok_or_else(|| LaunchError::NoSession { name: name.to_owned() })?;
        let size = fs::metadata(&record.log).map_err(LaunchError::Show)?.len();
        let ended = || match self.state(name) {
            Ok(SessionState::Running { .. }) => Ok(false),
            Ok(_) => Ok(true),
            Err(e) => Err(Following(e)),
        };
        log::follow(&record.log, record.log_from.max(size.saturating_sub(SHOWN_FIRST)), out, ended)
            .map_err(|e: Following| e.0)
    }

    fn deliver(&self, name: &str, _text: &str) -> Result<(), LaunchError> {
        match self.state(name)? {
            SessionState::Gone => Err(LaunchError::NoSession { name: name.to_owned() }),
            _ => Err(LaunchError::NotTold { name: name.to_owned() }),
        }
    }
}

/// An error while a log is followed, where one of the system is about showing it.
struct Following(LaunchError);

impl From<std::io::Error> for Following {
    fn from(e: std::io::Error) -> Self {
        Self(LaunchError::Show(e))
    }
}
