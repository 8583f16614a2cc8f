//! Advisory file locks with a deadline.
//!
//! **Invariant:** a lock file is never removed: removing one lets two processes hold two different inodes of one name.
//! The descriptor is close-on-exec, so no child (a tmux server, say) inherits the lock. The kernel drops it when the
//! holder dies, however it dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::clock::{Deadline, Stopwatch, sleep};

/// Between two attempts goes this part of the time waited so far: who has waited for long stands in a crowd, of which
/// another finds the lock free, and all would spend more on looking than on their work.
const PART_OF_WAIT: u32 = 16;
/// How often a lock file that does not stand under its name any more is opened again.
const MOST_REOPENED: usize = 16;
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Held until dropped.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// The same lock for a child to hold as well, as its standard input: it is free when the last holder has ended.
    pub fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

/// Opens (creating it, mode 0600) and takes the lock if it is free; `None` when another process holds it.
pub fn try_acquire(path: &Path) -> io::Result<Option<FileLock>> {
    let mut rounds = 0..MOST_REOPENED;
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) if is_at(path, &file) || rounds.next().is_none() => return Ok(Some(FileLock(file))),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

/// Waits for the lock, polling; `None` when `limit` has passed.
pub fn acquire(path: &Path, limit: Duration) -> io::Result<Option<FileLock>> {
    let (mut file, mut rounds) = (open(path)?, 0..MOST_REOPENED);
    let (deadline, waited) = (Deadline::after(limit), Stopwatch::start());
    loop {
        match file.try_lock() {
            Ok(()) if is_at(path, &file) || rounds.next().is_none() => return Ok(Some(FileLock(file))),
            Ok(()) => file = open(path)?,
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) if deadline.passed() => return Ok(None),
            Err(TryLockError::WouldBlock) => pause(waited, SHORTEST_PAUSE),
        }
    }
}

/// Sleeps between two looks at something that others hold, for `least` or longer: the longer, the longer it was waited for.
/// With chance in it, so that a crowd does not move in step.
pub fn pause(waited: Stopwatch, least: Duration) {
    let mean = (waited.elapsed() / PART_OF_WAIT).min(LONGEST_PAUSE).max(least);
    let mean_us = u64::try_from(mean.as_micros()).unwrap_or(u64::MAX);
    sleep(Duration::from_micros(mean_us / 2 + super::random::bits() % mean_us));
}

/// Whether the file still stands under its name: somebody may have removed it with all that is beside it, and others would
/// lock another one.
fn is_at(path: &Path, file: &File) -> bool {
    let inode = |s: super::fs::Stamp| s.inode;
    let there = super::fs::Stamp::of(path).map(inode);
    there.is_some() && there == super::fs::Stamp::of_file(file).ok().map(inode)
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    super::world::point(super::world::Act::Lock, path)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(super::fs::guarded());
    options.open(path).map_err(|e| super::fs::named(path, &e))
}
