//! What a file looks like from outside.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::fs::metadata;

/// What tells one version of a file from another without reading it: inode, size, time of change in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    pub inode: u64,
    pub size: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
}

impl Stamp {
    /// The stamp of a regular file; `None` where there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let m = metadata(path).ok()?;
        m.is_file().then(|| Self::of_metadata(&m))
    }

    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of_metadata(&file.metadata()?))
    }

    /// The stamp of the file at a path, if it is this one and nobody wrote to it since: a new name alone is no change.
    pub fn unchanged_at(&self, path: &Path) -> Option<Self> {
        let content = |s: &Self| (s.inode, s.size, s.mtime_ns);
        Self::of(path).filter(|now| content(now) == content(self))
    }

    fn of_metadata(m: &std::fs::Metadata) -> Self {
        Self {
            inode: m.ino(),
            size: m.len(),
            mtime_ns: m.mtime().saturating_mul(1_000_000_000).saturating_add(m.mtime_nsec()),
            ctime_ns: m.ctime().saturating_mul(1_000_000_000).saturating_add(m.ctime_nsec()),
        }
    }
}
