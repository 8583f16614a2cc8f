//! Rescue: before anything is removed or reset, what only a worktree holds gets a ref of its own.
//!
//! A snapshot is a commit of the form that `git stash` makes: its tree is the tracked files as they are on disk, its
//! parents are HEAD, a commit of the index, a commit of the untracked files that are not ignored, and whatever a merge in
//! progress was bringing in. `git stash apply --index <ref>` brings it back.
//!
//! **Invariant:** taking one changes neither the index nor any file of the worktree.

use std::path::{Path, PathBuf};

use super::history::{is_ancestor, must_resolve, rev_parse};
use super::index_file::{IndexFile, durable};
use super::name::check_agent;
use super::program::{CHECKOUT_TIMEOUT, Git, GitError, nul_parts, path_of, with_identity};
use super::status::{git_dir, head};
use crate::sys::fs;

/// Where rescue refs lie.
pub const RESCUE_PREFIX: &str = "refs/vermas/rescue/";
/// What the subject of a snapshot begins with; another subject is that of a rescued tip.
pub(super) const SNAPSHOT_SUBJECT: &str = "vermas rescue of ";
/// How many snapshots of one agent may bear the same millisecond.
const SAME_TIME: u32 = 1000;

/// A rescue ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// The full ref name, `refs/vermas/rescue/<agent>/<time>`.
    pub name: String,
    pub oid: String,
    pub agent: String,
    /// UTC, `20261122T101500123Z`.
    pub time: String,
    pub subject: String,
}

impl Rescue {
    /// Whether it holds uncommitted work, rather than being the tip of a branch.
    pub fn is_snapshot(&self) -> bool {
        self.subject.starts_with(SNAPSHOT_SUBJECT)
    }
}

/// Everything a worktree holds, as objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub head: Option<String>,
    pub head_tree: String,
    pub index_tree: String,
    pub files_tree: String,
    pub untracked_tree: Option<String>,
    pub merging: Vec<String>,
    /// Untracked repositories inside the worktree, which no tree can hold.
    pub nested: Vec<PathBuf>,
}

impl Contents {
    pub fn clean(&self) -> bool {
        self.index_tree == self.head_tree
            && self.files_tree == self.head_tree
            && self.untracked_tree.is_none()
            && self.merging.is_empty()
    }
}

/// Saves what `worktree` holds beyond the commits of `base` under a new ref; `None` where that is nothing. A clean
/// worktree whose commits are not in `base` gets a ref to its HEAD. `time` is in milliseconds since the Unix epoch.
///
/// Synced before it returns; after a crash the ref is there whole or not at all, and the worktree is as it was.
pub fn snapshot(git: &Git, worktree: &Path, agent: &str, time: i64, base: &str) -> Result<Option<Rescue>, GitError> {
    check_agent(agent)?;
    let held = contents(git, worktree)?;
    if held.clean() {
        let Some(tip) = held.head else { return Ok(None) };
        let merged = match rev_parse(git, base)? {
            Some(b) => is_ancestor(git, &tip, &b)?,
            None => false,
        };
        return if merged { Ok(None) } else { publish(git, agent, time, tip).map(Some) };
    }
    let oid = commit(git, &held, agent, time)?;
    publish(git, agent, time, oid).map(Some)
}

/// Writes what a worktree holds as trees.
pub(super) fn contents(git: &Git, worktree: &Path) -> Result<Contents, GitError> {
    let head = head(git, worktree)?;
    let head_tree = match &head {
        Some(tip) => must_resolve(git, &format!("{tip}^{{tree}}"))?,
        None => git.cmd().arg("mktree").run()?.text(),
    };
    let index = IndexFile::copy(git, worktree)?;
    let index_tree = match index.write_tree() {
        Ok(tree) => tree,
        Err(_) => merged_index_tree(git, worktree, &index)?,
    };
    let add = durable(index.cmd()).args(["add", "--update"]).timeout(Some(CHECKOUT_TIMEOUT));
    add.run()?;
    let files_tree = index.write_tree()?;
    let (untracked_tree, nested) = untracked(git, worktree)?;
    let own = git_dir(git, worktree)?;
    let mut merging = Vec::new();
    for name in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"] {
        if let Some(bytes) = fs::read_if_there(&own.join(name))? {
            merging.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
        }
    }
    Ok(Contents { head, head_tree, index_tree, files_tree, untracked_tree, merging, nested })
}

/// The tree of an index with conflicts, our side of each taken: a tree has no place for three.
fn merged_index_tree(git: &Git, worktree: &Path, index: &IndexFile<'_>) -> Result<String, GitError> {
    let listed = index.cmd().args(["ls-files", "--stage", "-z"]).run()?;
    let mut lines = Vec::new();
    for entry in nul_parts(&listed.stdout) {
        // `mode oid stage\tpath`: stage 0 is settled, 2 is ours.
        let tab = entry.iter().position(|b| *b == b'\t').unwrap_or(0);
        if let Some(front) = entry[..tab].strip_suffix(b" 0").or_else(|| entry[..tab].strip_suffix(b" 2")) {
            lines.extend_from_slice(front);
            lines.extend_from_slice(&entry[tab..]);
            lines.push(0);
        }
    }
    let flat = IndexFile::empty(git, worktree)?;
    flat.cmd().args(["update-index", "-z", "--index-info"]).stdin(lines).run()?;
    flat.write_tree()
}

fn untracked(git: &Git, worktree: &Path) -> Result<(Option<String>, Vec<PathBuf>), GitError> {
    let listed = git.cmd_in(worktree).args(["ls-files", "--others", "--exclude-standard", "-z"]).run()?;
    let (nested, files): (Vec<&[u8]>, Vec<&[u8]>) = nul_parts(&listed.stdout).partition(|p| p.ends_with(b"/"));
    let nested = nested.into_iter().map(path_of).collect();
    if files.is_empty() {
        return Ok((None, nested));
    }
    let index = IndexFile::empty(git, worktree)?;
    let add = durable(index.cmd()).args(["update-index", "--add", "-z", "--stdin"]).stdin(files.join(&0));
    add.timeout(Some(CHECKOUT_TIMEOUT)).run()?;
    Ok((Some(index.write_tree()?), nested))
}

fn commit(git: &Git, held: &Contents, agent: &str, time: i64) -> Result<String, GitError> {
    let mut identity = git.identity()?;
    for role in ["AUTHOR", "COMMITTER"] {
        identity.push((format!("GIT_{role}_DATE"), format!("@{} +0000", time.max(0) / 1000)));
    }
    let make = |tree: &str, parents: &[String], message: String| -> Result<String, GitError> {
        let mut cmd = durable(git.cmd()).args(["-c", "i18n.commitEncoding=UTF-8", "commit-tree", tree]);
        for parent in parents {
            cmd = cmd.args(["-p", parent]);
        }
        Ok(with_identity(cmd, &identity).stdin(message).run()?.text())
    };
    let base = match &held.head {
        Some(tip) => tip.clone(),
        None => make(&held.head_tree, &[], format!("no commit yet: {agent}\n"))?,
    };
    let index = make(&held.index_tree, std::slice::from_ref(&base), format!("index of {agent}\n"))?;
    let mut parents = vec![base, index];
    match &held.untracked_tree {
        Some(tree) => parents.push(make(tree, &[], format!("untracked files of {agent}\n"))?),
        // `git stash apply` takes the third parent for the untracked files, so it must be theirs.
        None if !held.merging.is_empty() => {
            let empty = git.cmd().arg("mktree").run()?.text();
            parents.push(make(&empty, &[], format!("untracked files of {agent}\n"))?);
        }
        None => {}
    }
    parents.extend(held.merging.iter().cloned());
    let mut message = format!("{SNAPSHOT_SUBJECT}{agent}\n\nBring it back: git stash apply --index <this ref>\n");
    for path in &held.nested {
        message.push_str(&format!("Not in it, a repository of its own: {}\n", path.display()));
    }
    make(&held.files_tree, &parents, message)
}

/// Saves a commit under a new ref; see [`snapshot`].
pub(super) fn publish(git: &Git, agent: &str, time: i64, oid: String) -> Result<Rescue, GitError> {
    let at = stamp(time);
    for again in 1..=SAME_TIME {
        let time = if again == 1 { at.clone() } else { format!("{at}-{again}") };
        let name = format!("{RESCUE_PREFIX}{agent}/{time}");
        // An empty old value: the ref must not exist.
        let made = durable(git.cmd()).args(["update-ref", "-m", "vermas: rescue", &name, &oid, ""]).run();
        let there = rev_parse(git, &name)?;
        if there.as_deref() == Some(oid.as_str()) {
            return super::rescue_read::get(git, &name)?.ok_or(GitError::NotFound { what: name });
        }
        if there.is_none() {
            made?;
        }
    }
    Err(GitError::NotFound { what: format!("a free rescue ref for {agent} at {at}") })
}

fn stamp(millis: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.format("%Y%m%dT%H%M%S%3fZ").to_string()
}
