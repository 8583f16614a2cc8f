//! Appending to files that others append to at the same time, knowing no lock.

use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{Result, StoreError};
use crate::sys::fs;

/// Appends whole lines in one `write`, and again with a leading newline where that write was glued to somebody's torn
/// line. Gives the offset at which the lines stand.
///
/// A disk without room for all of them takes none, where the file system can tell. After a crash either all lines are
/// there, or a first part of them; nothing that others wrote is touched.
pub fn lines(path: &Path, bytes: &[u8]) -> Result<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = fs::open_append_shared(path).map_err(StoreError::io(format!("open .work/{name}")))?;
    lines_to(&mut file, &name, bytes)
}

/// The same to a file that is open.
pub fn lines_to(file: &mut File, name: &str, bytes: &[u8]) -> Result<u64> {
    let start = append(file, bytes, name)?;
    if is_line_start(file, start) {
        return Ok(start);
    }
    let mut again = Vec::with_capacity(bytes.len() + 1);
    again.push(b'\n');
    again.extend_from_slice(bytes);
    // The first try stands behind somebody's torn line: of that, readers make what they can.
    append(file, &again, name).map(|start| start + 1).map_err(StoreError::into_unknown)
}

/// One `write` at the end; gives the offset at which it began. Where not even the first line of it arrived, nothing was
/// recorded, and the error says no more than that; where some did, it is not known how much counts.
fn append(file: &mut File, bytes: &[u8], name: &str) -> Result<u64> {
    let before = file.metadata().map_or(0, |m| m.len());
    // One line counts whole or not at all; of several a first part would.
    let several = bytes.iter().filter(|b| **b == b'\n').nth(1).is_some();
    if several {
        fs::make_room(file, before, bytes.len() as u64).map_err(StoreError::io(format!("append to .work/{name}")))?;
    }
    let failed = match fs::append(file, bytes).and_then(|()| file.stream_position()) {
        Ok(end) => return Ok(end.saturating_sub(bytes.len() as u64)),
        Err(e) => StoreError::Io { what: format!("append to .work/{name}"), source: e },
    };
    let first = bytes.split_inclusive(|b| *b == b'\n').find(|l| l.len() > 1).unwrap_or(bytes);
    match fs::read_from(file, before) {
        Ok(since) if !since.windows(first.len()).any(|w| w == first) => Err(failed),
        _ => Err(failed.into_unknown()),
    }
}

/// Whether a line can begin at this offset: at the beginning, or behind a newline.
fn is_line_start(file: &File, offset: u64) -> bool {
    let mut byte = [0_u8];
    offset == 0 || (file.read_exact_at(&mut byte, offset - 1).is_ok() && byte[0] == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_is_made_is_not_seen_by_readers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let many = "a line\n".repeat(10_000);
        assert_eq!(lines(&path, many.as_bytes()).unwrap(), 0);
        let file = fs::open_append_shared(&path).unwrap();
        fs::make_room(&file, many.len() as u64, 1 << 20).unwrap();
        assert_eq!(fs::read(&path).unwrap(), many.as_bytes());
    }

    #[test]
    fn a_line_is_never_glued_to_a_torn_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(lines(&path, b"one\n").unwrap(), 0);
        fs::append(&mut fs::open_append_shared(&path).unwrap(), b"torn").unwrap();
        let at = lines(&path, b"two\n").unwrap();
        let all = fs::read(&path).unwrap();
        assert_eq!(&all[usize::try_from(at).unwrap()..], b"two\n");
        assert_eq!(all, b"one\ntorntwo\n\ntwo\n");
    }
}
