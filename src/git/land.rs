//! Landing: a base branch moves to a tested commit, by fast-forward only, with the worktrees that have it checked out.
//!
//! **Invariant:** a file that was changed locally, or that git does not track, is byte for byte what it was.
//!
//! **Invariant:** git's index lock is held from the first look at a worktree until the ref has moved, so nobody stages or
//! commits there in between.
//!
//! **Invariant:** the ref moves last, by compare-and-swap. Until then a crash leaves worktrees in which `git status` shows
//! the landing as staged (or, cut in the middle of the checkout, as modified) changes; landing again takes those for
//! what they are and goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::history::{is_ancestor, rev_parse};
use super::index_file::IndexFile;
use super::index_lock::{IndexLock, acquire, heal};
use super::land_check::{Change, Look, changes, look};
use super::name::{check_oid, check_ref};
use super::program::{CHECKOUT_TIMEOUT, Git, GitError};
use super::status::operation_in;
use super::worktree::list;
use crate::sys::fs;

/// What became of a landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// The base is at the new commit, and every worktree on it too. Also when it was already.
    Landed,
    /// Something is in the way in a worktree that has the base checked out; nothing was changed.
    Waits { reason: String, paths: Vec<PathBuf> },
    /// The base is no longer at the expected commit; `None`: it is gone. No worktree keeps anything of the landing.
    Moved { now: Option<String> },
}

/// A worktree that has the base checked out.
struct Holder {
    path: PathBuf,
    look: Look,
    lock: IndexLock,
}

/// Moves `base_ref` (a full branch ref) from `old` to `new`, a descendant, and the worktrees on it along.
///
/// After a crash: files first, then index, then ref, so the ref never runs ahead of a worktree; the same call finishes.
pub fn land(git: &Git, base_ref: &str, old: &str, new: &str) -> Result<Landing, GitError> {
    check_ref(base_ref)?;
    check_oid(old)?;
    check_oid(new)?;
    if !base_ref.starts_with("refs/heads/") {
        return Err(GitError::Name { what: "a branch", name: base_ref.to_owned() });
    }
    let now = rev_parse(git, base_ref)?;
    if now.as_deref() != Some(old) {
        // Killed after the move of the ref, a landing leaves its lock.
        heal(git)?;
    }
    if now.as_deref() == Some(new) {
        return Ok(Landing::Landed);
    }
    if now.as_deref() != Some(old) {
        return Ok(Landing::Moved { now });
    }
    if !is_ancestor(git, old, new)? {
        return Err(GitError::Name { what: "a descendant of the base", name: new.to_owned() });
    }
    if let Some(waits) = operation_on(git, base_ref)? {
        return Ok(waits);
    }
    let changes = changes(git, old, new)?;
    let mut holders = Vec::new();
    for tree in list(git)?.into_iter().filter(|w| w.branch.as_deref() == Some(base_ref) && !w.bare && !w.lost) {
        let Some(lock) = acquire(git, &tree.path, new)? else {
            let reason = format!("another git command holds the index (index.lock) in {}", tree.path.display());
            return Ok(Landing::Waits { reason, paths: Vec::new() });
        };
        let look = look(git, &tree.path, &changes, lock.resumed)?;
        if let Some(reason) = look.reason(&tree.path) {
            return Ok(Landing::Waits { reason, paths: look.blocked });
        }
        holders.push(Holder { path: tree.path, look, lock });
    }
    for (done, holder) in holders.iter().enumerate() {
        if let Err(e) = bring_up(git, holder, old, new) {
            for earlier in &holders[..done] {
                take_back(git, earlier, old, new)?;
            }
            // Something got in the way since we looked: say so, if it can still be seen.
            let again = look(git, &holder.path, &changes, false)?;
            return match again.reason(&holder.path) {
                Some(reason) => Ok(Landing::Waits { reason, paths: again.blocked }),
                None => Err(e),
            };
        }
    }
    // In a worktree on the branch, git notes the move in that worktree's HEAD log too.
    let cmd = holders.first().map_or_else(|| git.cmd(), |h| git.cmd_in(&h.path));
    let swap = cmd
        .args(["-c", "core.fsync=committed,reference", "update-ref", "-m", "vermas: land", base_ref, new, old])
        .run();
    match rev_parse(git, base_ref)? {
        Some(at) if at == new => Ok(Landing::Landed),
        now if now.as_deref() == Some(old) => {
            for holder in &holders {
                take_back(git, holder, old, new)?;
            }
            swap?;
            Err(GitError::unreadable("git update-ref", "the base did not move"))
        }
        now => {
            for holder in &holders {
                // Somebody committed between: if their commit has the landing's files, the worktree is right as it is.
                let ours = now.as_deref().map_or(Ok(false), |at| same_at(git, at, new, &changes))?;
                if !ours {
                    take_back(git, holder, old, new)?;
                }
            }
            Ok(Landing::Moved { now })
        }
    }
}

/// A rebase or bisection of the base branch, in whatever worktree: it would be surprised by a move.
fn operation_on(git: &Git, base_ref: &str) -> Result<Option<Landing>, GitError> {
    let common = git.common_dir();
    let linked = common.join("worktrees");
    let short = base_ref.trim_start_matches("refs/heads/");
    let dirs = fs::list(&linked)?.into_iter().map(|n| linked.join(n)).chain([common.to_owned()]);
    for dir in dirs {
        for (file, name) in
            [("rebase-merge/head-name", base_ref), ("rebase-apply/head-name", base_ref), ("BISECT_START", short)]
        {
            let held = fs::read_if_there(&dir.join(file)).ok().flatten();
            if held.is_some_and(|bytes| String::from_utf8_lossy(&bytes).trim() == name) {
                let what = operation_in(&dir).map_or("an operation", |op| op.name());
                let reason = format!("{short} is in the middle of a {what}");
                return Ok(Some(Landing::Waits { reason, paths: Vec::new() }));
            }
        }
    }
    Ok(None)
}

/// Takes one worktree from `old` to `new`. Files that a landing cut short had already written are put in the index
/// first, and the pieces of files that it left are taken away, so that git finds what it expects.
fn bring_up(git: &Git, holder: &Holder, old: &str, new: &str) -> Result<(), GitError> {
    for piece in &holder.look.pieces {
        crate::sys::fs::remove_file(&holder.path.join(piece))?;
    }
    switch(git, holder, old, new, &holder.look.catch_up)
}

fn take_back(git: &Git, holder: &Holder, old: &str, new: &str) -> Result<(), GitError> {
    switch(git, holder, new, old, &[])
}

/// Files, then index; the caller holds the index lock. git looks at every path before it writes the first, and refuses
/// where anything local would be lost. After a crash the index is the old one, and files are old or new.
fn switch(git: &Git, holder: &Holder, from: &str, to: &str, catch_up: &[u8]) -> Result<(), GitError> {
    let index = IndexFile::copy(git, &holder.path)?;
    let run =
        |args: &[&str], input: &[u8]| index.cmd().args(args).stdin(input).timeout(Some(CHECKOUT_TIMEOUT)).output();
    if !catch_up.is_empty() {
        run(&["update-index", "-z", "--index-info"], catch_up)?;
    }
    // Exit code 1: some file needs an update, which is for read-tree to judge.
    run(&["update-index", "-q", "--refresh"], &[])?;
    let cmd = index.cmd().args(["read-tree", "-m", "-u", "--no-recurse-submodules", from, to]);
    holder.lock.guard(cmd)?.timeout(Some(CHECKOUT_TIMEOUT)).run()?;
    index.install()
}

/// Whether a commit holds, at the changed paths, what the landing put there.
fn same_at(git: &Git, commit: &str, new: &str, changed: &[Change]) -> Result<bool, GitError> {
    let paths: BTreeSet<&Path> = changed.iter().map(|c| c.path.as_path()).collect();
    Ok(!changes(git, new, commit)?.iter().any(|c| paths.contains(c.path.as_path())))
}
