//! Merging without a worktree: the result of a merge as a commit, ready to be tested and landed; and a worker's commit.
//!
//! **Invariant:** no ref moves here except the branch of the worktree that [`commit_all`] commits in.

use std::path::{Path, PathBuf};

use super::history::{is_ancestor, must_resolve};
use super::name::check_oid;
use super::program::{CHECKOUT_TIMEOUT, Git, GitError, failed, nul_parts, path_of, with_identity, yes_or_no};
use super::status::{Untracked, head, operation, status};

/// What merging a branch into a base gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The base has it all.
    UpToDate,
    /// The result, a commit that descends from the base; no ref points at it yet.
    Commit(String),
    /// The files in which both sides changed the same place.
    Conflict { files: Vec<PathBuf> },
}

/// Merges `branch` into `base` (commit ids) in the object store alone. The commit has both as parents, also where a
/// fast-forward would do, or only the base with `squash`. Its author is the person's identity, or the fallback.
///
/// After a crash there may be unreferenced objects, which git collects.
pub fn merge_result(
    git: &Git,
    base: &str,
    branch: &str,
    message: &str,
    squash: bool,
) -> Result<MergeOutcome, GitError> {
    check_oid(base)?;
    check_oid(branch)?;
    if is_ancestor(git, branch, base)? {
        return Ok(MergeOutcome::UpToDate);
    }
    let merge = git.cmd().args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, branch]);
    let out = merge.timeout(Some(CHECKOUT_TIMEOUT));
    let out = match out.output()? {
        o if matches!(o.code, Some(0 | 1)) => o,
        o => return Err(failed(&out, &o)),
    };
    let mut parts = nul_parts(&out.stdout);
    let tree = parts.next().map(|t| String::from_utf8_lossy(t).trim().to_owned()).unwrap_or_default();
    check_oid(&tree).map_err(|_| GitError::unreadable("git merge-tree", tree.clone()))?;
    if out.code == Some(1) {
        let mut files: Vec<PathBuf> = parts.take_while(|p| !p.is_empty()).map(path_of).collect();
        files.dedup();
        return Ok(MergeOutcome::Conflict { files });
    }
    if squash && tree == must_resolve(git, &format!("{base}^{{tree}}"))? {
        return Ok(MergeOutcome::UpToDate);
    }
    let mut make = git.cmd().args(["-c", "i18n.commitEncoding=UTF-8", "commit-tree", &tree, "-p", base]);
    if !squash {
        make = make.args(["-p", branch]);
    }
    let text = if message.ends_with('\n') { message.to_owned() } else { format!("{message}\n") };
    Ok(MergeOutcome::Commit(with_identity(make, &git.identity()?).stdin(text).run()?.text()))
}

/// Commits everything a worktree holds, untracked files included, with the person's hooks and without signing. `None`
/// where there is nothing to commit; refused with an operation half done, whose conflicts would be taken as settled.
///
/// After a crash the files are as they were, perhaps staged; either the commit is there or a second call makes it.
pub fn commit_all(git: &Git, worktree: &Path, message: &str) -> Result<Option<String>, GitError> {
    if let Some(op) = operation(git, worktree)? {
        return Err(GitError::refused(worktree, format!("a {} is in progress", op.name())));
    }
    if let Some(open) = status(git, worktree, Untracked::No)?.iter().find(|e| e.unmerged()) {
        return Err(GitError::refused(worktree, format!("{} has conflicts", open.path.display())));
    }
    git.cmd_in(worktree).args(["add", "--all", "--", "."]).timeout(Some(CHECKOUT_TIMEOUT)).run()?;
    if head(git, worktree)?.is_some()
        && yes_or_no(&git.cmd_in(worktree).args(["diff", "--cached", "--quiet", "--no-ext-diff"]))?
    {
        return Ok(None);
    }
    let commit = git
        .cmd_in_with_hooks(worktree)
        .args(["commit", "--quiet", "--no-gpg-sign", "--cleanup=whitespace", "--no-edit", "--file=-"])
        .timeout(Some(CHECKOUT_TIMEOUT));
    with_identity(commit, &git.identity()?).stdin(message).run()?;
    head(git, worktree)
}
