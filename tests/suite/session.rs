//! What tests of real sessions share: patience, and the end of a tmux server of their own.

use std::path::Path;
use std::time::Duration;

use git_vermas::sys::clock::{Deadline, sleep};
use git_vermas::sys::process::Cmd;

/// Asks again and again, up to ten seconds.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(Duration::from_secs(10));
    loop {
        if let Some(t) = ask() {
            return t;
        }
        assert!(!deadline.passed(), "it did not come to pass within ten seconds");
        sleep(Duration::from_millis(10));
    }
}

/// Ends the tmux server whose socket is in this directory, and no other.
pub fn end_server(dir: &Path) {
    let kill = Cmd::new("tmux").arg("kill-server").env("TMUX_TMPDIR", dir);
    let _ = kill.env_remove("TMUX").env_remove("TMUX_PANE").output();
}
