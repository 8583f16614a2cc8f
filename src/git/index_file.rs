//! An index of our own beside a worktree's, so that trees can be built and compared while the real index stays as it is.
//!
//! It lies in `<common dir>/vermas/tmp` and goes when dropped; one left by a crash is garbage that nobody reads.

use std::path::{Path, PathBuf};

use super::program::{Git, GitError};
use super::status::git_dir;
use crate::sys::fs;
use crate::sys::process::Cmd;
use crate::sys::running::id;

/// A temporary index for one worktree.
#[derive(Debug)]
pub struct IndexFile<'a> {
    git: &'a Git,
    worktree: &'a Path,
    file: PathBuf,
}

impl<'a> IndexFile<'a> {
    /// An empty one.
    pub fn empty(git: &'a Git, worktree: &'a Path) -> Result<Self, GitError> {
        let name = format!("index.{}.{:x}", id(), crate::sys::random::bits());
        Ok(Self { git, worktree, file: private_dir(git)?.join(name) })
    }

    /// A copy of the worktree's own index, its time included: entries changed in the same tick stay suspect to git.
    pub fn copy(git: &'a Git, worktree: &'a Path) -> Result<Self, GitError> {
        let copy = Self::empty(git, worktree)?;
        let own = git_dir(git, worktree)?.join("index");
        if fs::exists(&own) {
            fs::copy_with_time(&own, &copy.file)?;
        }
        Ok(copy)
    }

    /// A call in the worktree that sees this index.
    pub fn cmd(&self) -> Cmd {
        let cmd = self.git.cmd_in(self.worktree).env("GIT_INDEX_FILE", &self.file);
        cmd.args(["-c", "core.splitIndex=false", "-c", "core.untrackedCache=false"])
    }

    /// Writes its contents as a tree.
    pub fn write_tree(&self) -> Result<String, GitError> {
        Ok(durable(self.cmd()).arg("write-tree").run()?.text())
    }
}

impl IndexFile<'_> {
    /// Puts it in the place of the worktree's own index, whose lock the caller holds. A rename: after a crash the
    /// worktree has the old index or this one.
    pub(super) fn install(self) -> Result<(), GitError> {
        fs::rename(&self.file, &git_dir(self.git, self.worktree)?.join("index"))?;
        Ok(())
    }
}

/// Our own folder for what lives as long as one command.
pub(super) fn private_dir(git: &Git) -> Result<PathBuf, GitError> {
    let ours = git.common_dir().join("vermas");
    fs::create_private_dir(&ours)?;
    let dir = ours.join("tmp");
    fs::create_private_dir(&dir)?;
    Ok(dir)
}

impl Drop for IndexFile<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is garbage in our own folder.
        let _ = fs::remove_file(&self.file);
    }
}

/// Has git sync what it writes: used where the next step removes the only other copy.
pub(super) fn durable(cmd: Cmd) -> Cmd {
    cmd.args(["-c", "core.fsync=committed,reference", "-c", "core.fsyncMethod=batch"])
}
