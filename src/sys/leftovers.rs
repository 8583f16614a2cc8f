//! Temporary files that a killed command left: those that [`super::fs::replace`] names, which carry the process that made
//! them.

use std::io;
use std::path::Path;

use super::{clock, fs, running};

/// A younger one may be in use by a process that we cannot see: in another container, or on another machine.
const AGE_MS: i64 = 60_000;

/// Removes those in a folder whose process is gone and that nobody has written for a minute.
pub fn remove(dir: &Path) -> io::Result<()> {
    for name in fs::list(dir)? {
        let path = dir.join(&name);
        let Some(pid) = maker(&name) else { continue };
        let age = |s: fs::Stamp| clock::now_millis() - s.mtime_ns / 1_000_000;
        if fs::Stamp::of(&path).is_some_and(|s| age(s) > AGE_MS) && !running::alive(pid) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The process in a name of the form `.NAME.PID.HEX.tmp`.
fn maker(name: &str) -> Option<u32> {
    let mut words = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplitn(3, '.');
    let (chance, pid, _) = (words.next()?, words.next()?, words.next()?);
    u64::from_str_radix(chance, 16).ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_a_while_ago_goes() {
        let dir = tempfile::tempdir().unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(3600);
        let put = |name: &str, time| {
            let file = fs::open_append(&dir.path().join(name)).unwrap();
            if let Some(t) = time {
                file.set_modified(t).unwrap();
            }
        };
        let mine = format!(".a.{}.ff.tmp", running::id());
        for name in [".work_orders.jsonl.4194399.2b9377.tmp", &mine, ".notes.tmp", "a.4194399.ff.tmp"] {
            put(name, Some(old));
        }
        put(".young.4194399.ff.tmp", None);
        remove(dir.path()).unwrap();
        assert_eq!(fs::list(dir.path()).unwrap(), [&*mine, ".notes.tmp", ".young.4194399.ff.tmp", "a.4194399.ff.tmp"]);
    }
}
