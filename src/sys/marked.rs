//! Processes known by a variable in their environment: whatever a command started, and what that started in turn, however
//! far it went from our own process group.
//!
//! Only where the system shows environments under `/proc`; elsewhere there are none to be found.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::clock::{Deadline, sleep};
use super::{fs, running};

/// How long a process may take to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// The running processes, other than ours, that were started with this variable set to this value.
pub fn find(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let has_it = |pid: &u32| {
        let file = Path::new("/proc").join(pid.to_string()).join("environ");
        // Another user's process cannot be read, and is none of ours.
        fs::read(&file).is_ok_and(|bytes| bytes.split(|b| *b == 0).any(|v| v == wanted.as_bytes()))
    };
    let numbers = fs::list(Path::new("/proc")).unwrap_or_default();
    let pids = numbers.iter().filter_map(|n| n.parse().ok()).filter(|pid| *pid != running::id());
    pids.filter(has_it).collect()
}

/// Ends them: a request first, and after two seconds by force. What they start meanwhile is ended, too.
pub fn end(name: &str, value: &str) {
    let (by_itself, at_all) = (Deadline::after(GRACE), Deadline::after(GRACE * 2));
    let mut asked: Vec<u32> = Vec::new();
    loop {
        let left = find(name, value);
        if left.is_empty() || at_all.passed() {
            return;
        }
        for pid in left {
            if by_itself.passed() {
                signal(pid, Signal::KILL);
            } else if !asked.contains(&pid) {
                signal(pid, Signal::TERM);
                asked.push(pid);
            }
        }
        sleep(PAUSE);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::Cmd;

    #[test]
    fn what_was_started_is_found_and_ended_with_what_it_started() {
        let top = tempfile::tempdir().unwrap();
        let value = top.path().to_string_lossy().into_owned();
        let cmd = Cmd::new("sh").args(["-c", "trap '' HUP; sleep 60 & sleep 60"]).env("VERMAS_MARK", &value);
        cmd.spawn_detached(&top.path().join("log")).unwrap();
        let deadline = Deadline::after(GRACE);
        while find("VERMAS_MARK", &value).len() < 3 && !deadline.passed() {
            sleep(PAUSE);
        }
        assert_eq!(find("VERMAS_MARK", &value).len(), 3);
        end("VERMAS_MARK", &value);
        assert!(find("VERMAS_MARK", &value).is_empty());
    }
}
