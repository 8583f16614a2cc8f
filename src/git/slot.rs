//! The worktrees that workers stand in: made, started over, removed.
//!
//! **Invariant:** nothing here removes a file that no commit, no other branch and no rescue ref holds. There is no way
//! around git (`rm -rf`) and no reset of a branch that holds commits of its own.

use std::path::{Path, PathBuf};

use super::history::{is_ancestor, rev_parse};
use super::name::branch_ref;
use super::program::{CHECKOUT_TIMEOUT, Git, GitError, nul_parts, path_of};
use super::rescue::{Rescue, publish};
use super::rescue_read::covers;
use super::status::{Untracked, git_dir, head, operation, status};
use super::worktree::{find, known, list, lock, lock_reason, unlock};
use crate::sys::{fs, random};

/// What became of the branch of a new worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchWas {
    /// It did not exist and starts at the start point.
    Created,
    /// It had nothing of its own and was moved from here to the start point.
    Advanced { from: String },
    /// It holds commits that the start point lacks, or is there already, and stays where it is.
    Kept { at: String },
}

/// Adds a locked worktree at an absolute path, on `branch` (created at `start`, or re-used), running the person's
/// `post-checkout` hook. `reason` should say who holds it; it is stored as `vermas <reason>`.
///
/// After a crash the worktree may be registered and half checked out: [`status`] shows it, and a second call refuses.
/// A registration of ours whose directory is gone is dropped first.
pub fn add(git: &Git, path: &Path, branch: &str, start: &str, reason: &str) -> Result<BranchWas, GitError> {
    let full = branch_ref(branch)?;
    let short = full.trim_start_matches("refs/heads/").to_owned();
    let start = rev_parse(git, start)?.ok_or_else(|| GitError::NotFound { what: format!("the commit {start}") })?;
    if let Some(old) = find(git, path)? {
        if !(old.lost && old.ours()) {
            return Err(GitError::refused(path, "is a worktree already"));
        }
        remove(git, path, "HEAD", None)?;
    }
    let was = match rev_parse(git, &full)? {
        None => BranchWas::Created,
        Some(at) if at == start => BranchWas::Kept { at },
        Some(at) if is_ancestor(git, &at, &start)? => {
            if let Some(holder) = list(git)?.into_iter().find(|w| w.branch.as_deref() == Some(full.as_str())) {
                return Err(GitError::refused(&holder.path, format!("has {short} checked out")));
            }
            git.cmd().args(["update-ref", "-m", "vermas: start", &full, &start, &at]).run()?;
            BranchWas::Advanced { from: at }
        }
        Some(at) => BranchWas::Kept { at },
    };
    let mut cmd = git.cmd_with_hooks().args(["worktree", "add", "--quiet", "--lock", "--reason"]);
    cmd = cmd.arg(lock_reason(reason)).timeout(Some(CHECKOUT_TIMEOUT));
    if was == BranchWas::Created {
        cmd = cmd.args(["--no-track", "-b", &short]).arg("--").arg(path).arg(&start);
    } else {
        cmd = cmd.arg("--").arg(path).arg(&short);
    }
    cmd.run()?;
    Ok(was)
}

/// Puts a clean worktree's branch on a new start point, for its next work order. Refused when that would drop anything:
/// uncommitted work, an operation half done, or commits that neither `start` nor `rescued` holds.
///
/// After a crash the worktree may be half checked out, which [`status`] shows; the old tip is in the reflog.
pub fn restart(git: &Git, path: &Path, branch: &str, start: &str, rescued: Option<&Rescue>) -> Result<(), GitError> {
    let full = branch_ref(branch)?;
    let start = rev_parse(git, start)?.ok_or_else(|| GitError::NotFound { what: format!("the commit {start}") })?;
    if let Some(op) = operation(git, path)? {
        return Err(GitError::refused(path, format!("a {} is in progress", op.name())));
    }
    if let Some(entry) = status(git, path, Untracked::Folded)?.first() {
        return Err(GitError::refused(path, format!("has uncommitted work: {}", entry.path.display())));
    }
    let tips = [rev_parse(git, &full)?, head(git, path)?];
    for tip in tips.into_iter().flatten() {
        let saved = match rescued {
            Some(r) if rev_parse(git, &r.name)?.as_deref() == Some(r.oid.as_str()) => is_ancestor(git, &tip, &r.oid)?,
            _ => false,
        };
        if !saved && !is_ancestor(git, &tip, &start)? {
            return Err(GitError::refused(path, format!("{branch} holds commits that are not in the new start point")));
        }
    }
    let short = full.trim_start_matches("refs/heads/");
    git.cmd_in_with_hooks(path)
        .args(["checkout", "--quiet", "--no-track", "-B", short, &start, "--"])
        .timeout(Some(CHECKOUT_TIMEOUT))
        .run()?;
    Ok(())
}

/// Where in a worktree its index names commits of other repositories.
fn gitlinks(git: &Git, path: &Path) -> Result<Vec<PathBuf>, GitError> {
    let listed = git.cmd_in(path).args(["ls-files", "--stage", "-z"]).run()?;
    let linked = nul_parts(&listed.stdout).filter(|entry| entry.starts_with(b"160000 "));
    Ok(linked.filter_map(|e| e.iter().position(|b| *b == b'\t').map(|tab| path_of(&e[tab + 1..]))).collect())
}

/// How often a branch may be moved by others between our reading it and our moving it.
const MOST_RACES: u32 = 8;

/// Puts a branch that no worktree of ours has checked out any more on a new start point. What it holds that neither `start`
/// nor `rescued` does, because somebody committed since, gets a rescue ref of its own, which is given. `time` is in
/// milliseconds since the Unix epoch.
///
/// After a crash the branch is where it was or at the start point, and what it held is saved.
pub fn start_over(
    git: &Git,
    branch: &str,
    start: &str,
    rescued: &Rescue,
    time: i64,
) -> Result<Option<Rescue>, GitError> {
    let full = branch_ref(branch)?;
    let mut late: Option<Rescue> = None;
    for _ in 0..MOST_RACES {
        let Some(tip) = rev_parse(git, &full)? else { return Ok(late) };
        let mut is_saved = is_ancestor(git, &tip, start)?;
        for held in [Some(rescued), late.as_ref()].into_iter().flatten() {
            is_saved = is_saved || is_ancestor(git, &tip, &held.oid)?;
        }
        if !is_saved {
            late = Some(publish(git, &rescued.agent, time, tip.clone())?);
        }
        let moved = git.cmd().args(["update-ref", "-m", "vermas: saved, start over", &full, start, &tip]).run();
        match moved {
            Ok(_) => return Ok(late),
            Err(e) if rev_parse(git, &full)?.as_ref() == Some(&tip) => return Err(e.into()),
            Err(_) => {}
        }
    }
    Err(GitError::refused(Path::new(branch), "is moved by others each time it was looked at"))
}

/// Removes a worktree and its registration; its branch stays. Refused where that would lose anything: uncommitted or
/// untracked files, unless `rescued` holds exactly what is there now; a HEAD that no branch, no `base` and no rescue
/// holds; nested repositories and changed submodules, which no snapshot can hold. Ignored files go.
///
/// After a crash the directory may stand beside, under a name of its own, or be half gone; a second call with the same snapshot
/// is then refused, and what is missing is in the branch and the snapshot.
pub fn remove(git: &Git, path: &Path, base: &str, rescued: Option<&Rescue>) -> Result<(), GitError> {
    let tree = known(git, path)?;
    if tree.main {
        return Err(GitError::refused(path, "is the main worktree"));
    }
    if let (None, Some(head)) = (&tree.branch, &tree.head) {
        let saved = match rescued {
            Some(r) => is_ancestor(git, head, &r.oid)?,
            None => false,
        };
        let merged =
            || Ok::<_, GitError>(rev_parse(git, base)?.is_some_and(|b| is_ancestor(git, head, &b).unwrap_or(false)));
        if !saved && !merged()? {
            return Err(GitError::refused(path, "its commits are on no branch; take a rescue snapshot first"));
        }
    }
    let (mut force, mut is_dirty) = (false, false);
    if !tree.lost {
        let dirty = status(git, path, Untracked::Folded)?;
        let busy = operation(git, path)?.is_some();
        if let Some(sub) = dirty.iter().find(|e| e.submodule) {
            return Err(GitError::refused(&path.join(&sub.path), "is a submodule with changes of its own"));
        }
        if !dirty.is_empty() || busy {
            let covered = match rescued {
                Some(r) => covers(git, r, path)?,
                None => false,
            };
            if !covered {
                let what = dirty
                    .first()
                    .map_or_else(|| "an operation in progress".to_owned(), |e| e.path.display().to_string());
                return Err(GitError::refused(
                    path,
                    format!("has work that no commit and no rescue snapshot holds: {what}"),
                ));
            }
            (force, is_dirty) = (true, true);
        }
        let linked = gitlinks(git, path)?;
        if let Some(own) = linked.iter().map(|sub| path.join(sub)).find(|sub| fs::is_folder(&sub.join(".git"))) {
            return Err(GitError::refused(&own, "is a repository of its own"));
        }
        // git removes no worktree with submodules unless forced; they are clean, as was just seen.
        force |= fs::exists(&git_dir(git, path)?.join("modules")) || !linked.is_empty();
    }
    unlock(git, path)?;
    let aside = if is_dirty { move_aside(git, &tree.path) } else { None };
    let go = || -> Result<(), GitError> {
        if let (Some(aside), Some(r)) = (&aside, rescued)
            && !covers(git, r, aside)?
        {
            return Err(GitError::refused(path, "was written to just now: no rescue snapshot holds that"));
        }
        let mut cmd = git.cmd().args(["worktree", "remove"]).timeout(Some(CHECKOUT_TIMEOUT));
        if force {
            cmd = cmd.arg("--force");
        }
        cmd.arg("--").arg(aside.as_ref().unwrap_or(&tree.path)).run()?;
        Ok(())
    };
    let done = go();
    if done.is_err() {
        if let Some(aside) = aside.filter(|a| fs::exists(a)) {
            git.cmd().args(["worktree", "move", "--"]).args([&aside, &tree.path]).run()?;
        }
        if tree.locked.is_some() && fs::exists(&tree.path) {
            lock(git, path, tree.locked.as_deref().unwrap_or_default())?;
        }
    }
    done
}

/// What stands between a worktree's name and chance while it is being removed.
const ASIDE: &str = ".going-";

/// Puts a worktree back in its place whose removal was stopped. Called by whoever has the slot for himself.
pub fn bring_back(git: &Git, path: &Path) -> Result<(), GitError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else { return Ok(()) };
    let aside = |n: &String| n.strip_prefix(name).is_some_and(|rest| rest.starts_with(ASIDE));
    for left in fs::list(folder)?.iter().filter(|n| aside(n)).map(|n| folder.join(n)) {
        if !fs::exists(path) && find(git, &left)?.is_some_and(|t| !t.lost) {
            git.cmd().args(["worktree", "move", "--"]).args([left.as_path(), path]).run()?;
            lock(git, path, name)?;
        }
    }
    Ok(())
}

/// Moves a worktree to a name of its own beside, where nobody who saves a file finds it any more: what is seen there is all that
/// is removed. `None` where git moves none, for its submodules.
fn move_aside(git: &Git, path: &Path) -> Option<PathBuf> {
    let name = format!("{}{ASIDE}{:x}", path.file_name()?.to_str()?, random::bits());
    let aside = path.with_file_name(name);
    git.cmd().args(["worktree", "move", "--"]).args([path, aside.as_path()]).run().ok()?;
    Some(aside)
}
