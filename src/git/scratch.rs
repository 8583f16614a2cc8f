//! Scratch worktrees: detached, ours alone, made to run tests in, wiped between uses.
//!
//! **Invariant:** only a worktree whose lock says that it is scratch is ever wiped or removed by force.

use std::path::Path;

use super::name::check_oid;
use super::program::{CHECKOUT_TIMEOUT, Git, GitError};
use super::worktree::{Worktree, find, repair};

/// The lock reason that makes a worktree scratch.
pub const SCRATCH_REASON: &str = "vermas scratch";

fn scratch(git: &Git, path: &Path) -> Result<Option<Worktree>, GitError> {
    match find(git, path)? {
        Some(w) if w.locked.as_deref() == Some(SCRATCH_REASON) && !w.main && w.branch.is_none() => Ok(Some(w)),
        Some(_) => Err(GitError::refused(path, "is a worktree, but not a scratch one")),
        None => Ok(None),
    }
}

/// Makes (or re-uses, wiped) the scratch worktree at an absolute path, with the files of `oid` and nothing else. No hook
/// runs. After a crash its contents are anything; the next call makes them right.
pub fn checkout_scratch(git: &Git, path: &Path, oid: &str) -> Result<(), GitError> {
    check_oid(oid)?;
    if let Some(old) = scratch(git, path)? {
        if !old.lost && wipe(git, path, oid).is_ok() {
            return Ok(());
        }
        remove_scratch(git, path)?;
    }
    git.cmd()
        .args(["worktree", "add", "--quiet", "--detach", "--lock", "--reason", SCRATCH_REASON, "--"])
        .arg(path)
        .arg(oid)
        .timeout(Some(CHECKOUT_TIMEOUT))
        .run()?;
    Ok(())
}

fn wipe(git: &Git, path: &Path, oid: &str) -> Result<(), GitError> {
    // The reset is for what the tests changed in files that both commits share.
    let steps: [&[&str]; 3] = [
        &["checkout", "--quiet", "--force", "--detach", oid, "--"],
        &["reset", "--quiet", "--hard", oid, "--"],
        &["clean", "-ffdxq"],
    ];
    for args in steps {
        git.cmd_in(path).args(args).timeout(Some(CHECKOUT_TIMEOUT)).run()?;
    }
    Ok(())
}

/// Removes a scratch worktree with all that tests left in it; one that is not there is no error. After a crash it may be
/// half gone; the next call goes on.
pub fn remove_scratch(git: &Git, path: &Path) -> Result<(), GitError> {
    let Some(tree) = scratch(git, path)? else { return Ok(()) };
    if tree.lost {
        // Its link is written again where only that is gone, so that git will take it for the worktree it is.
        repair(git, &tree.path)?;
    }
    let cmd = git.cmd().args(["worktree", "remove", "--force", "--force", "--"]).arg(&tree.path);
    cmd.timeout(Some(CHECKOUT_TIMEOUT)).run()?;
    Ok(())
}
