//! Waiting until something changes in a directory.
//!
//! The directory is watched and not a file in it: a file that is replaced, or made again, would be lost. A system that
//! cannot watch (no inotify left, a network disk) is polled, and so is a directory that vanished meanwhile.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How often it is looked at without being told.
const NET: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
pub struct Watch {
    told: Receiver<()>,
    /// `None` where the system gives no word; then there is only the poll.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Begins to watch. What changes from now on ends the next [`Self::wait`].
    pub fn of(dir: &Path) -> Self {
        let (tell, told) = channel();
        let heard = move |event: notify::Result<notify::Event>| {
            // Our own reading raises events, too; those would wake us for ever.
            let matters = event
                .is_ok_and(|e| matches!(e.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)));
            if matters {
                // Nobody listens any more once the watch is dropped.
                let _ = tell.send(());
            }
        };
        let mut watcher = notify::recommended_watcher(heard).ok();
        if let Some(w) = &mut watcher
            && w.watch(dir, RecursiveMode::NonRecursive).is_err()
        {
            watcher = None;
        }
        Self { told, _watcher: watcher }
    }

    /// Waits until something has changed, or for a second at the most.
    pub fn wait(&self) {
        match self.told.recv_timeout(NET) {
            // Several changes are one reason to look.
            Ok(()) => while self.told.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => super::clock::sleep(NET),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    #[test]
    fn a_new_line_in_a_file_of_the_directory_ends_the_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::of(dir.path());
        fs::replace(&dir.path().join("x"), b"line\n").unwrap();
        watch.wait();
        assert!(fs::exists(&dir.path().join("x")));
    }
}
