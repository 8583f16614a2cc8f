//! git's own registry of worktrees: reading it, locking its entries, mending their links.

use std::path::{Path, PathBuf};

use super::program::{Git, GitError, nul_parts, path_of};
use crate::sys::fs;

/// What the reason of a lock of ours begins with.
pub const LOCK_PREFIX: &str = "vermas";

/// One entry of `git worktree list`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Worktree {
    pub path: PathBuf,
    /// The commit; `None` on a branch without commits, and in a bare repository.
    pub head: Option<String>,
    /// The full ref name; `None` when detached (also in the middle of a rebase).
    pub branch: Option<String>,
    /// The main worktree, or the bare repository in its place.
    pub main: bool,
    pub bare: bool,
    pub detached: bool,
    /// The reason, which may be empty.
    pub locked: Option<String>,
    /// Why git would prune it.
    pub prunable: Option<String>,
    /// Its directory or its link to the repository is gone (git does not say so of locked ones).
    pub lost: bool,
}

impl Worktree {
    pub fn ours(&self) -> bool {
        self.locked.as_deref().is_some_and(|r| r.starts_with(LOCK_PREFIX))
    }
}

/// All worktrees, the main one first.
pub fn list(git: &Git) -> Result<Vec<Worktree>, GitError> {
    let out = git.cmd().args(["worktree", "list", "--porcelain", "-z"]).run()?;
    let mut all: Vec<Worktree> = Vec::new();
    for line in nul_parts(&out.stdout) {
        let (key, value) = match line.iter().position(|b| *b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        if key == b"worktree" {
            all.push(Worktree { path: path_of(value), main: all.is_empty(), ..Worktree::default() });
            continue;
        }
        let Some(current) = all.last_mut() else { continue };
        match key {
            b"HEAD" => current.head = Some(text()).filter(|oid| oid.bytes().any(|b| b != b'0')),
            b"branch" => current.branch = Some(text()),
            b"bare" => current.bare = true,
            b"detached" => current.detached = true,
            b"locked" => current.locked = Some(text()),
            b"prunable" => current.prunable = Some(text()),
            _ => {}
        }
    }
    for tree in &mut all {
        tree.lost = !tree.main && !fs::exists(&tree.path.join(".git"));
    }
    Ok(all)
}

/// The entry for a path; links in the path are resolved.
pub fn find(git: &Git, path: &Path) -> Result<Option<Worktree>, GitError> {
    Ok(at(&list(git)?, path).cloned())
}

/// The same among those that were listed.
pub fn at<'a>(all: &'a [Worktree], path: &Path) -> Option<&'a Worktree> {
    let real = resolved(path);
    all.iter().find(|w| w.path == path || w.path == real)
}

/// Resolves the longest part of a path that exists.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

pub(super) fn known(git: &Git, path: &Path) -> Result<Worktree, GitError> {
    find(git, path)?.ok_or_else(|| GitError::NotFound { what: format!("a worktree at {}", path.display()) })
}

pub(super) fn lock_reason(reason: &str) -> String {
    if reason.starts_with(LOCK_PREFIX) { reason.to_owned() } else { format!("{LOCK_PREFIX} {reason}") }
}

/// Locks a worktree against pruning; one that is locked already stays as it is. One small file: whole or not there.
pub fn lock(git: &Git, path: &Path, reason: &str) -> Result<(), GitError> {
    let tree = known(git, path)?;
    if tree.locked.is_none() {
        git.cmd().args(["worktree", "lock", "--reason"]).arg(lock_reason(reason)).arg("--").arg(&tree.path).run()?;
    }
    Ok(())
}

/// Takes the lock away; one that is not locked stays as it is.
pub fn unlock(git: &Git, path: &Path) -> Result<(), GitError> {
    let tree = known(git, path)?;
    if tree.locked.is_some() {
        git.cmd().args(["worktree", "unlock", "--"]).arg(&tree.path).run()?;
    }
    Ok(())
}

/// Mends the two links between a worktree and its repository: a lost `.git` file is written again, and a worktree that
/// was moved is found at `path`. Touches no file of the worktree besides. Returns whether it is whole afterwards.
pub fn repair(git: &Git, path: &Path) -> Result<bool, GitError> {
    if !fs::exists(path) {
        return Ok(false);
    }
    // Exit code 1 says that some other worktree could not be mended; this one is judged by looking.
    git.cmd().args(["worktree", "repair", "--"]).arg(path).output()?;
    Ok(find(git, path)?.is_some_and(|w| !w.lost) && super::status::git_dir(git, path).is_ok())
}
