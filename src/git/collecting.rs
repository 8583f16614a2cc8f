//! Whether `git gc` is at work in a repository, as git itself tells it.

use std::path::Path;
use std::time::Duration;

use crate::sys::{clock, fs, running};

/// A note that is older was left: git does not heed it either.
const STALE_AFTER: Duration = Duration::from_secs(12 * 3600);

/// Whether a `git gc` runs on a repository: its note names a process that lives, or one of another machine, and is not
/// older than git believes.
pub(super) fn is_at_work(common_dir: &Path) -> bool {
    let note = common_dir.join("gc.pid");
    let Some(stamp) = fs::Stamp::of(&note) else { return false };
    let age = clock::now_millis() - stamp.mtime_ns / 1_000_000;
    if u128::try_from(age).is_ok_and(|age| age > STALE_AFTER.as_millis()) {
        return false;
    }
    let text = fs::read_if_there(&note).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_whitespace();
    let (Some(pid), Some(host)) = (words.next().and_then(|w| w.parse().ok()), words.next()) else { return false };
    host != running::host_name() || running::alive(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_young_note_of_a_living_process_or_of_another_machine_counts() {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("gc.pid");
        let (me, here) = (running::id(), running::host_name());
        let says = |text: &str| {
            fs::replace(&note, text.as_bytes()).unwrap();
            is_at_work(dir.path())
        };
        assert!(!is_at_work(dir.path()));
        assert!(says(&format!("{me} {here}\n")));
        assert!(says("4194399 another-machine.example"));
        for text in [format!("4194399 {here}"), me.to_string(), String::new(), "nonsense here".to_owned()] {
            assert!(!says(&text), "{text}");
        }
        assert!(says(&format!("{me} {here}")));
        let old = std::time::UNIX_EPOCH + Duration::from_secs(3600);
        fs::open_append(&note).unwrap().set_modified(old).unwrap();
        assert!(!is_at_work(dir.path()));
    }
}
