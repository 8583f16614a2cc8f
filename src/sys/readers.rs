//! Whether anybody has read a file.
//!
//! A reader that takes a file in pieces must never see a line change between two of them. The kernel notes the first
//! read after a change as the time of access; a file whose time of access stayed behind has no reader in its midst, and
//! may be changed in place. Where the file system keeps no such time (`noatime`), every file counts as read.

use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::fs::{metadata, named, write_whole};
use super::world::{self, Act};

/// How far the time of access is set behind the time of change.
const BEHIND: Duration = Duration::from_secs(1);

fn flags(more: OFlags) -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC | more).bits()).unwrap_or_default()
}

#[cfg(target_os = "linux")]
const UNNOTICED: OFlags = OFlags::NOATIME;
#[cfg(not(target_os = "linux"))]
const UNNOTICED: OFlags = OFlags::empty();

/// Opens a regular file so that our own reading is not taken for somebody else's. A file of another owner is read as by
/// anybody.
pub fn open_unnoticed(path: &Path) -> io::Result<File> {
    let open = |more| OpenOptions::new().read(true).custom_flags(flags(more)).open(path);
    let file = open(UNNOTICED).or_else(|_| open(OFlags::empty())).map_err(|e| named(path, &e))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Sets the time of access behind the time of change, so that the next read is seen. False where the file system does
/// not tell: a read of our own is tried.
pub fn expect_none(path: &Path) -> io::Result<bool> {
    world::point(Act::Mark, path)?;
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(flags(OFlags::empty())).open(path)?;
    let changed = file.metadata()?.modified()?;
    let times = FileTimes::new().set_accessed(changed.checked_sub(BEHIND).unwrap_or(changed)).set_modified(changed);
    file.set_times(times)?;
    let mut one = [0_u8];
    let _ = file.read(&mut one)?;
    let tells = file.metadata()?.accessed()? >= changed;
    file.set_times(times)?;
    Ok(tells)
}

/// Whether a file may have been read since it was last changed, `changed_ns` after the epoch.
pub fn were_there_since(path: &Path, changed_ns: i64) -> bool {
    let accessed = |m: std::fs::Metadata| m.atime().saturating_mul(1_000_000_000).saturating_add(m.atime_nsec());
    metadata(path).map_or(true, |m| accessed(m) >= changed_ns)
}

/// Writes bytes over those at an offset, each piece in one `write`. After a crash of the process a first part of the
/// pieces is there. Not synced: for what can be rebuilt.
pub fn overwrite<'a>(path: &Path, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) -> io::Result<()> {
    let write = || -> io::Result<()> {
        world::point(Act::Open, path)?;
        let mut file = OpenOptions::new().write(true).custom_flags(flags(OFlags::empty())).open(path)?;
        for (at, bytes) in pieces {
            file.seek(SeekFrom::Start(at))?;
            write_whole(&mut file, path, bytes)?;
        }
        Ok(())
    };
    write().map_err(|e| named(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::{self, Stamp};

    #[test]
    fn a_reader_is_seen_and_our_own_reading_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::replace(&path, b"text").unwrap();
        let tells = expect_none(&path).unwrap();
        let changed = Stamp::of(&path).unwrap().mtime_ns;
        if !tells {
            // Mounted without times of access: every file counts as read by whoever asked `expect_none`.
            return;
        }
        fs::read_from(&open_unnoticed(&path).unwrap(), 0).unwrap();
        assert!(!were_there_since(&path, changed));
        overwrite(&path, [(1, b"ex".as_slice())]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"text");
        assert!(were_there_since(&path, changed));
    }
}
