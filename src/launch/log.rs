//! Reading the log of a session: its end, and what is added to it.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::sys::clock::sleep;
use crate::sys::fs;

/// How much of the end of a log is looked at for its last lines.
const LOOK_BACK: u64 = 256 * 1024;
/// Between two looks at a log that is followed.
const PAUSE: Duration = Duration::from_millis(100);

/// The last `lines` lines of a log after its first `begin` bytes; none where there is no log. A last line that is not ended yet counts.
pub(super) fn tail(path: &Path, begin: u64, lines: usize) -> io::Result<Vec<String>> {
    let file = match fs::open_read(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(fs::named(path, &e)),
    };
    let from = file.metadata()?.len().saturating_sub(LOOK_BACK).max(begin);
    let bytes = fs::read_from(&file, from)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut all: Vec<&str> = text.lines().map(str::trim_end).collect();
    while all.last().is_some_and(|l| l.is_empty()) {
        all.pop();
    }
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|l| (*l).to_owned()).collect())
}

/// Copies the log from `from` on to `out`, and what is added to it, until `ended` says that nothing more will come. A
/// reader that has left is no error.
pub(super) fn follow<E: From<io::Error>>(
    path: &Path,
    from: u64,
    out: &mut dyn Write,
    mut ended: impl FnMut() -> Result<bool, E>,
) -> Result<(), E> {
    let file = fs::open_read(path).map_err(|e| fs::named(path, &e))?;
    let mut at = from;
    loop {
        // Asked before reading: what was written before the end is then read, too.
        let last = ended()?;
        let bytes = fs::read_from(&file, at)?;
        at += bytes.len() as u64;
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        if last {
            return Ok(());
        }
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_in_a_long_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 0, 3).unwrap(), Vec::<String>::new());
        let long: String = (0..100_000).map(|n| format!("line {n}\r\n")).collect();
        fs::replace(&path, (long + "half\n\n").as_bytes()).unwrap();
        assert_eq!(tail(&path, 0, 2).unwrap(), ["line 99999", "half"]);
        assert_eq!(tail(&path, 0, 0).unwrap(), Vec::<String>::new());
        let end = fs::metadata(&path).unwrap().len();
        assert_eq!(tail(&path, end - 6, 2).unwrap(), ["half"]);
    }

    #[test]
    fn what_was_written_before_the_end_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::replace(&path, b"0123").unwrap();
        let mut out = Vec::new();
        let mut asked = 0;
        let ended = || -> io::Result<bool> {
            asked += 1;
            if asked == 2 {
                fs::append(&mut fs::open_append(&path)?, b"45")?;
            }
            Ok(asked == 2)
        };
        follow(&path, 2, &mut out, ended).unwrap();
        assert_eq!(out, b"2345");
    }
}
