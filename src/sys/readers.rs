//! Whether anybody has read a file.
//!
//! A reader that takes a file in pieces must never see a line change between two of them. The kernel notes the first
//! read after a change as the time of access; a file whose time of access stayed behind has no reader in its midst, and
//! may be changed in place. Where the file system keeps no such time (`noatime`), every file counts as read.
//!
//! A reader that leaves no time of access is not seen: one with `O_NOATIME`, or in a container that has the folder
//! read-only. The kernel's own answer would be a write lease (`fcntl`, `F_SETLEASE`), which no safe interface offers.

use std::ffi::OsString;
use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::fs::{canonicalize, metadata, named, read_to_string, write_whole};
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
    metadata(path).map_or(true, |m| accessed(&m) >= changed_ns)
}

fn accessed(m: &Metadata) -> i64 {
    m.atime().saturating_mul(1_000_000_000).saturating_add(m.atime_nsec())
}

/// Like [`open_unnoticed`], to be changed in place.
pub fn open_to_overwrite(path: &Path) -> io::Result<File> {
    world::point(Act::Open, path).map_err(|e| named(path, &e))?;
    let open = |more| OpenOptions::new().read(true).write(true).custom_flags(flags(more)).open(path);
    let file = open(UNNOTICED).or_else(|_| open(OFlags::empty())).map_err(|e| named(path, &e))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// What came of writing over a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwritten {
    /// Nothing was written: the file has another name, is not under its own any more, or somebody reads it.
    No,
    /// Done, and nobody was there.
    Unseen,
    /// Done, and somebody may have begun to read meanwhile.
    Seen,
}

/// Writes bytes over those at an offset of a file that was last changed `changed_ns` after the epoch, each piece in one
/// `write`. After a crash of the process a first part of the pieces is there. Not synced: for what can be rebuilt.
///
/// What is looked at and what is written is the same open file, whatever is put under its name meanwhile.
pub fn overwrite<'a>(
    file: &mut File,
    path: &Path,
    changed_ns: i64,
    pieces: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> io::Result<Overwritten> {
    let write = || -> io::Result<Overwritten> {
        let there = metadata(path)?;
        let now = file.metadata()?;
        let is_ours_alone = now.nlink() == 1 && (now.dev(), now.ino()) == (there.dev(), there.ino());
        if !is_ours_alone || accessed(&now) >= changed_ns {
            return Ok(Overwritten::No);
        }
        for (at, bytes) in pieces {
            file.seek(SeekFrom::Start(at))?;
            write_whole(file, path, bytes)?;
        }
        // The time of change has moved on: who came in between is not to be told from then on.
        Ok(if accessed(&file.metadata()?) >= changed_ns { Overwritten::Seen } else { Overwritten::Unseen })
    };
    write().map_err(|e| named(path, &e))
}

/// Whether the file is shown at another place, too, by a mount that keeps no time of access. Only mounts that this process
/// can see are looked at: not those of another container.
pub fn may_be_read_unseen(path: &Path) -> bool {
    let folder = path.parent().and_then(|p| canonicalize(p).ok());
    let mounts = read_to_string(Path::new("/proc/self/mountinfo"));
    folder.zip(mounts.ok()).is_some_and(|(folder, mounts)| shows_unseen(&mounts, &folder))
}

/// A line of `mountinfo` (see proc(5)).
struct Mount {
    device: String,
    /// Which folder of the file system is shown.
    root: PathBuf,
    at: PathBuf,
    keeps_no_time: bool,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').skip(2);
        let (device, root, at, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let keeps_no_time = options.split(',').any(|o| matches!(o, "ro" | "noatime"));
        Some(Self { device: device.to_owned(), root: unescaped(root), at: unescaped(at), keeps_no_time })
    }
}

fn shows_unseen(mounts: &str, folder: &Path) -> bool {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    // Of two at one place the later covers the earlier.
    let own = mounts.iter().filter(|m| folder.starts_with(&m.at)).max_by_key(|m| m.at.components().count());
    let Some(own) = own else { return false };
    let Ok(below) = folder.strip_prefix(&own.at) else { return false };
    let inside = own.root.join(below);
    mounts.iter().any(|m| m.keeps_no_time && m.device == own.device && inside.starts_with(&m.root))
}

/// A path in which white space and backslashes stand as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = |d: &[u8]| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok();
        if let (b'\\', Some(byte)) = (first, more.get(..3).and_then(code)) {
            bytes.push(byte);
            rest = &more[3..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::{self, Stamp};

    fn times(path: &Path) -> i64 {
        Stamp::of(path).unwrap().mtime_ns
    }

    #[test]
    fn a_reader_is_seen_and_our_own_reading_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::replace(&path, b"text").unwrap();
        let tells = expect_none(&path).unwrap();
        let changed = times(&path);
        if !tells {
            // Mounted without times of access: every file counts as read by whoever asked `expect_none`.
            return;
        }
        let mut file = open_to_overwrite(&path).unwrap();
        fs::read_from(&file, 0).unwrap();
        assert!(!were_there_since(&path, changed));
        assert_eq!(overwrite(&mut file, &path, changed, [(1, b"ex".as_slice())]).unwrap(), Overwritten::Unseen);
        assert!(!were_there_since(&path, times(&path)));
        assert_eq!(fs::read(&path).unwrap(), b"text");
        assert!(were_there_since(&path, times(&path)));
        assert_eq!(overwrite(&mut file, &path, changed, [(1, b"xx".as_slice())]).unwrap(), Overwritten::No);
    }

    #[test]
    fn a_file_with_another_name_or_not_under_its_own_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        fs::replace(&path, b"text").unwrap();
        expect_none(&path).unwrap();
        let mut file = open_to_overwrite(&path).unwrap();
        let mut write = || overwrite(&mut file, &path, i64::MAX, [(0, b"T".as_slice())]).unwrap();
        fs::hard_link(&path, &other).unwrap();
        assert_eq!(write(), Overwritten::No);
        fs::remove_file(&path).unwrap();
        fs::replace(&path, b"theirs").unwrap();
        assert_eq!(write(), Overwritten::No);
        assert_eq!((fs::read(&other).unwrap(), fs::read(&path).unwrap()), (b"text".to_vec(), b"theirs".to_vec()));
    }

    #[test]
    fn another_mount_of_the_same_folder_counts_where_it_keeps_no_time() {
        let own = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n23 22 0:21 / /proc rw - proc proc rw\n";
        let folder = Path::new("/home/a b/.work");
        let with = |line: &str| shows_unseen(&format!("{own}{line}\n"), folder);
        for (line, counts) in [
            ("24 22 254:0 /home/a\\040b /mnt/x ro,relatime - ext4 /dev/vda rw", true),
            ("24 22 254:0 / /mnt/x rw,noatime - ext4 /dev/vda rw", true),
            ("24 22 254:0 /home/a\\040b /mnt/x rw,relatime - ext4 /dev/vda rw", false),
            ("24 22 254:0 /home/c /mnt/x ro - ext4 /dev/vda rw", false),
            ("24 22 254:9 / /mnt/x ro - ext4 /dev/vdb rw", false),
            ("24 22 254:9 / /home ro - ext4 /dev/vdb rw", true),
            ("nonsense", false),
        ] {
            assert_eq!(with(line), counts, "{line}");
        }
    }
}
