//! git's own lock on a worktree's index, held by us: while it is there, no `git add` and no `git commit` of anybody goes
//! through in that worktree.
//!
//! **Invariant:** a lock left by a crash is taken away only if it is provably ours and provably left: it is a second name
//! of a note in `<common dir>/vermas/tmp`, and nobody holds the note's `flock` any more: neither the process that made it
//! nor a git that it started and that outlived it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::index_file::private_dir;
use super::program::{Git, GitError};
use super::status::git_dir;
use crate::sys::clock::{Deadline, sleep};
use crate::sys::fs;
use crate::sys::lock::{FileLock, try_acquire};
use crate::sys::process::Cmd;

const NOTE_PREFIX: &str = "index-lock.";
/// How long another git command may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Held until dropped.
#[derive(Debug)]
pub struct IndexLock {
    lock: PathBuf,
    note: PathBuf,
    held: FileLock,
    /// The lock was found left by a killed process that had taken it for the same purpose.
    pub resumed: bool,
}

impl IndexLock {
    /// A child that keeps the lock from being taken for left, should it outlive us.
    pub(super) fn guard(&self, cmd: Cmd) -> Result<Cmd, GitError> {
        Ok(cmd.stdin_from(self.held.share()?))
    }
}

/// Takes the lock, waiting a little; `None` when another git command keeps it. `purpose` is a word (letters, digits) that
/// tells one undertaking from another.
///
/// After a crash the lock stays until the next call, or [`heal`], finds it left.
pub fn acquire(git: &Git, worktree: &Path, purpose: &str) -> Result<Option<IndexLock>, GitError> {
    let lock = git_dir(git, worktree)?.join("index.lock");
    let notes = private_dir(git)?;
    let deadline = Deadline::after(PATIENCE);
    let mut resumed = false;
    loop {
        let note = notes.join(format!("{NOTE_PREFIX}{:x}.{purpose}", crate::sys::random::bits()));
        // Between its creation and its lock a note may be swept away as left: then there is nothing to link, and we go
        // round again.
        if let Some(held) = try_acquire(&note)? {
            match fs::hard_link(&note, &lock) {
                Ok(()) => return Ok(Some(IndexLock { lock, note, held, resumed })),
                Err(e) if matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                    fs::remove_file(&note)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        let left = heal(git)?;
        resumed |= left.iter().any(|(at, what)| *at == lock && what == purpose);
        if deadline.passed() {
            return Ok(None);
        }
        if left.is_empty() {
            sleep(PAUSE);
        }
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        // The lock first: a note without a lock is only garbage. What cannot be removed now is found by the next heal.
        if !same_file(&self.lock, &self.note) || fs::remove_file(&self.lock).is_ok() {
            let _ = fs::remove_file(&self.note);
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Takes away the index locks that processes of ours left when they were killed, in every worktree; returns them with
/// their purposes.
pub fn heal(git: &Git) -> Result<Vec<(PathBuf, String)>, GitError> {
    let notes = git.common_dir().join("vermas").join("tmp");
    let mut left = Vec::new();
    for name in fs::list(&notes)?.into_iter().filter(|n| n.starts_with(NOTE_PREFIX)) {
        let note = notes.join(&name);
        if !fs::exists(&note) {
            continue;
        }
        let Some(_left) = try_acquire(&note)? else { continue };
        let linked = git.common_dir().join("worktrees");
        let dirs = fs::list(&linked)?.into_iter().map(|n| linked.join(n)).chain([git.common_dir().to_owned()]);
        for lock in dirs.map(|d| d.join("index.lock")).filter(|l| same_file(l, &note)) {
            fs::remove_file(&lock)?;
            left.push((lock, name.rsplit('.').next().unwrap_or_default().to_owned()));
        }
        fs::remove_file(&note)?;
    }
    Ok(left)
}
