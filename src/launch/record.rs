//! What is written down about a background process, so that any later command finds it again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{LaunchError, SessionState, Tags};
use crate::sys::{fs, running};

/// The files of one session in the launcher's directory.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The record, as JSON.
    pub record: PathBuf,
    /// The number of the first process, written by itself before it starts the program.
    pub pid: PathBuf,
    /// The exit code, written when the program has ended.
    pub exit: PathBuf,
    /// What the program reads as its standard input.
    pub stdin: PathBuf,
    /// Held while the session is started or stopped.
    pub lock: PathBuf,
}

impl Files {
    pub fn of(dir: &Path, name: &str) -> Self {
        let file = |ending: &str| dir.join(format!("{name}.{ending}"));
        let (record, pid, exit) = (file("json"), file("pid"), file("exit"));
        Self { record, pid, exit, stdin: file("stdin"), lock: file("lock") }
    }

    /// Removes all but the lock, whose file must stay.
    pub fn remove(&self) -> Result<(), LaunchError> {
        for file in [&self.record, &self.pid, &self.exit, &self.stdin] {
            fs::remove_file(file).map_err(LaunchError::Io)?;
        }
        Ok(())
    }
}

/// A background process. It is written before the start without a number, and with it right after: a crash in between
/// leaves a record whose number is in the file that the process wrote itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub pid: Option<u32>,
    /// In clock ticks since boot, to tell the process from a later one with its number.
    pub start_time: Option<u64>,
    pub boot_id: String,
    pub argv: Vec<String>,
    pub log: PathBuf,
    /// Where in the log this session begins; before it is what an earlier one of the same name said.
    pub log_from: u64,
    /// Milliseconds since the Unix epoch.
    pub started: i64,
    pub tags: Tags,
}

impl Record {
    /// The record of a session; `None` where there is none.
    pub fn read(files: &Files) -> Result<Option<Self>, LaunchError> {
        let Some(bytes) = fs::read_if_there(&files.record).map_err(LaunchError::Io)? else { return Ok(None) };
        let mut record: Self = serde_json::from_slice(&bytes)
            .map_err(|e| LaunchError::Record { file: files.record.clone(), why: e.to_string() })?;
        if record.pid.is_none() {
            record.pid = number(&files.pid)?;
        }
        Ok(Some(record))
    }

    /// After a crash the file holds the old record or the new one.
    pub fn write(&self, files: &Files) -> Result<(), LaunchError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| LaunchError::Record { file: files.record.clone(), why: e.to_string() })?;
        fs::replace_durably(&files.record, text.as_bytes()).map_err(LaunchError::Io)
    }

    /// The number of the process, if it still is the one that was started.
    pub fn running(&self) -> Option<u32> {
        let pid = self.pid.filter(|&p| running::alive(p))?;
        let same_start = self.start_time.is_none_or(|t| running::start_time(pid) == Some(t));
        (same_start && self.boot_id == fs::boot_id()).then_some(pid)
    }

    pub fn state(&self, files: &Files) -> Result<SessionState, LaunchError> {
        // The code is looked for after the process: one that ends in between has written it.
        let running = self.running();
        let code = number(&files.exit)?;
        Ok(match (running, code) {
            (Some(pid), None) => SessionState::Running { pid },
            (_, code) => SessionState::Exited { code },
        })
    }
}

/// A number in a file of its own; `None` where there is no file or not yet a whole line.
fn number<T: std::str::FromStr>(file: &Path) -> Result<Option<T>, LaunchError> {
    let bytes = fs::read_if_there(file).map_err(LaunchError::Io)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).strip_suffix('\n').and_then(|t| t.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Record {
        let pid = running::id();
        Record { pid: Some(pid), start_time: running::start_time(pid), boot_id: fs::boot_id(), ..Record::default() }
    }

    #[test]
    fn a_process_is_known_by_number_start_and_boot_together() {
        assert_eq!(ours().running(), Some(running::id()));
        assert_eq!(Record { start_time: Some(1), ..ours() }.running(), None);
        assert_eq!(Record { boot_id: "another".to_owned(), ..ours() }.running(), None);
        assert_eq!(Record { pid: None, ..ours() }.running(), None);
    }

    #[test]
    fn a_start_that_was_cut_short_is_found_by_what_the_process_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path(), "a");
        Record { pid: None, start_time: None, ..ours() }.write(&files).unwrap();
        assert_eq!(Record::read(&files).unwrap().unwrap().state(&files).unwrap(), SessionState::Exited { code: None });
        fs::replace(&files.pid, format!("{}\n", running::id()).as_bytes()).unwrap();
        let state = Record::read(&files).unwrap().unwrap().state(&files).unwrap();
        assert_eq!(state, SessionState::Running { pid: running::id() });
    }

    #[test]
    fn a_code_that_is_not_yet_written_whole_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        assert_eq!(number::<i32>(&file).unwrap(), None);
        for (text, code) in [("", None), ("12", None), ("12\n", Some(12)), ("x\n", None)] {
            fs::replace(&file, text.as_bytes()).unwrap();
            assert_eq!(number::<i32>(&file).unwrap(), code, "{text:?}");
        }
    }
}
