//! Reading rescue refs: which there are, what is in one, how it comes back, whether it still covers a worktree.

use std::path::{Path, PathBuf};

use super::history::resolve;
use super::program::{Git, GitError, nul_parts, path_of};
use super::rescue::{RESCUE_PREFIX, Rescue, contents};

/// What a rescue ref holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The commit the worktree stood on, or the rescued tip itself.
    pub head: String,
    /// Changed tracked files, with the letter of `git diff --name-status`.
    pub changed: Vec<(char, PathBuf)>,
    pub untracked: Vec<PathBuf>,
    /// The command that brings it back; it only adds.
    pub restore: String,
}

/// All rescue refs, by agent and time.
pub fn list(git: &Git) -> Result<Vec<Rescue>, GitError> {
    read(git, RESCUE_PREFIX)
}

/// One rescue ref by its full name.
pub fn get(git: &Git, name: &str) -> Result<Option<Rescue>, GitError> {
    super::name::check_ref(name)?;
    Ok(read(git, name)?.into_iter().find(|r| r.name == name))
}

fn read(git: &Git, pattern: &str) -> Result<Vec<Rescue>, GitError> {
    let format = "--format=%(refname)%00%(objectname)%00%(contents:subject)%00";
    let out = git.cmd().args(["for-each-ref", format, "--", pattern]).run()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let fields: Vec<&str> = text.split('\0').collect();
    let found = fields.chunks_exact(3).filter_map(|f| {
        let name = f[0].trim_start();
        let (agent, time) = name.strip_prefix(RESCUE_PREFIX)?.rsplit_once('/')?;
        Some(Rescue {
            name: name.to_owned(),
            oid: f[1].to_owned(),
            agent: agent.to_owned(),
            time: time.to_owned(),
            subject: f[2].to_owned(),
        })
    });
    Ok(found.collect())
}

/// Lists what a rescue ref holds and how to bring it back.
pub fn describe(git: &Git, rescue: &Rescue) -> Result<Held, GitError> {
    if !rescue.is_snapshot() {
        let restore = format!("git branch rescued {}", rescue.name);
        return Ok(Held { head: rescue.oid.clone(), changed: Vec::new(), untracked: Vec::new(), restore });
    }
    let part = |suffix: &str| resolve(git, &format!("{}{suffix}", rescue.oid));
    let head = part("^1")?.ok_or_else(|| GitError::NotFound { what: format!("the base of {}", rescue.name) })?;
    let diff = git.cmd().args(["diff-tree", "-r", "-z", "--no-renames", "--name-status", &head, &rescue.oid]).run()?;
    let fields: Vec<&[u8]> = nul_parts(&diff.stdout).collect();
    let changed = fields.chunks_exact(2).map(|f| (f[0].first().map_or('?', |b| char::from(*b)), path_of(f[1])));
    let untracked = match part("^3")? {
        Some(tree) => {
            let out = git.cmd().args(["ls-tree", "-r", "-z", "--name-only", "--full-tree", &tree]).run()?;
            nul_parts(&out.stdout).map(path_of).collect()
        }
        None => Vec::new(),
    };
    let restore = format!("git stash apply --index {}", rescue.name);
    Ok(Held { changed: changed.collect(), untracked, head, restore })
}

/// Whether a rescue ref holds exactly what the worktree holds now, so that removing the worktree loses nothing but
/// ignored files.
pub fn covers(git: &Git, rescue: &Rescue, worktree: &Path) -> Result<bool, GitError> {
    if get(git, &rescue.name)?.is_none_or(|r| r.oid != rescue.oid) {
        return Ok(false);
    }
    let held = contents(git, worktree)?;
    if !held.nested.is_empty() {
        return Ok(false);
    }
    if held.clean() {
        return Ok(held.head.as_deref() == Some(rescue.oid.as_str()));
    }
    let part = |suffix: &str| resolve(git, &format!("{}{suffix}", rescue.oid));
    let untracked = part("^3^{tree}")?;
    let same_untracked = match &held.untracked_tree {
        Some(tree) => untracked.as_ref() == Some(tree),
        None => !held.merging.is_empty() || untracked.is_none(),
    };
    let same_head = held.head.is_none() || part("^1")? == held.head;
    Ok(rescue.is_snapshot()
        && same_head
        && same_untracked
        && part("^{tree}")?.as_ref() == Some(&held.files_tree)
        && part("^2^{tree}")?.as_ref() == Some(&held.index_tree))
}
