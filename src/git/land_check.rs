//! What stands in the way of a landing in one worktree.
//!
//! Reads only. **Invariant:** ignored files count as files: git would overwrite them, we wait.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::index_file::IndexFile;
use super::program::{Git, GitError, nul_parts, path_of};
use super::status::{DirtyEntry, Side, Untracked, git_dir, operation_in, status};
use crate::sys::fs;

/// As many paths go on one command line.
const PATHS_AT_ONCE: usize = 200;
const NO_FILE: &str = "000000";
const GITLINK: &str = "160000";

/// One path that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub old: Side,
    pub new: Side,
}

/// What was seen in one worktree.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Paths with work that the landing would overwrite.
    pub blocked: Vec<PathBuf>,
    /// Input for `git update-index --index-info`: files that are already as the landing wants them.
    pub catch_up: Vec<u8>,
    /// Files of which a landing cut short wrote only a beginning.
    pub pieces: Vec<PathBuf>,
    stopped: Option<String>,
}

impl Look {
    fn named(&self) -> String {
        let mut names: Vec<String> = self.blocked.iter().take(MOST_NAMED).map(|p| p.display().to_string()).collect();
        if self.blocked.len() > MOST_NAMED {
            names.push("...".to_owned());
        }
        names.join(", ")
    }

    /// Why the landing must wait, if it must.
    pub fn reason(&self, worktree: &Path) -> Option<String> {
        let place = worktree.display();
        match (&self.stopped, self.blocked.len()) {
            (Some(what), _) => Some(format!("{what} in {place}")),
            (None, 0) => None,
            (None, 1) => Some(format!("1 file with local work is in the way in {place}: {}", self.named())),
            (None, n) => Some(format!("{n} files with local work are in the way in {place}: {}", self.named())),
        }
    }
}

const MOST_NAMED: usize = 5;

/// The paths in which two commits differ.
pub(super) fn changes(git: &Git, old: &str, new: &str) -> Result<Vec<Change>, GitError> {
    let out = git.cmd().args(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new]).run()?;
    let fields: Vec<&[u8]> = nul_parts(&out.stdout).collect();
    let mut found = Vec::new();
    for pair in fields.chunks_exact(2) {
        // `:oldmode newmode oldoid newoid letter`
        let head = String::from_utf8_lossy(pair[0]).into_owned();
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let [old_mode, new_mode, old_oid, new_oid, _] = words[..] else {
            return Err(GitError::unreadable("git diff-tree", head));
        };
        let side = |mode: &str, oid: &str| Side { mode: mode.to_owned(), oid: oid.to_owned() };
        found.push(Change { path: path_of(pair[1]), old: side(old_mode, old_oid), new: side(new_mode, new_oid) });
    }
    Ok(found)
}

/// Looks for what a landing of `changes` would meet in a worktree. `resumed`: the same landing was cut short here, which
/// explains files that are missing or have only their beginning.
pub(super) fn look(git: &Git, worktree: &Path, changes: &[Change], resumed: bool) -> Result<Look, GitError> {
    let own = git_dir(git, worktree)?;
    let stopped = |what: &str| Ok(Look { stopped: Some(what.to_owned()), ..Look::default() });
    if let Some(op) = operation_in(&own) {
        return stopped(&format!("a {} is in progress", op.name()));
    }
    let entries = status(git, worktree, Untracked::No)?;
    if entries.iter().any(DirtyEntry::unmerged) {
        return stopped("there are unmerged files");
    }
    let dirty: BTreeMap<&Path, &DirtyEntry> = entries.iter().map(|e| (e.path.as_path(), e)).collect();
    let going: BTreeSet<&Path> = changes.iter().filter(|c| c.new.mode == NO_FILE).map(|c| c.path.as_path()).collect();
    let mut blocked = BTreeSet::new();
    let mut suspects: Vec<&Change> = Vec::new();
    for change in changes.iter().filter(|c| c.old.mode != GITLINK && c.new.mode != GITLINK) {
        let disk = fs::metadata(&worktree.join(&change.path)).ok();
        let entry = dirty.get(change.path.as_path()).copied();
        // The index must hold the old or the new state; anything else is staged work.
        let index = entry.map_or(&change.old, |e| e.index.as_ref().unwrap_or(&change.old));
        if *index != change.old && *index != change.new {
            blocked.insert(change.path.clone());
            continue;
        }
        let adds = change.old.mode == NO_FILE;
        if adds && let Some(way) = file_above(worktree, &change.path, &going) {
            blocked.insert(way);
        } else if adds && disk.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            blocked.extend(untracked_in(git, worktree, &change.path)?);
        } else if change.new.mode == NO_FILE {
            // A file taken out of the index but left on disk is not touched; one changed on disk would go.
            if entry.is_some_and(DirtyEntry::changed_on_disk) && disk.is_some() {
                blocked.insert(change.path.clone());
            }
        } else if entry.is_some_and(DirtyEntry::changed_on_disk) || (adds && *index == change.old && disk.is_some()) {
            suspects.push(change);
        }
    }
    let differing = differing(git, worktree, &suspects)?;
    let mut seen = Look::default();
    for change in suspects {
        if differing.contains(&change.path) {
            match fs::read(&worktree.join(&change.path)) {
                // git finds a missing file no obstacle.
                Err(e) if resumed && e.kind() == std::io::ErrorKind::NotFound => continue,
                Ok(piece) if resumed && landed_bytes(git, worktree, change)?.starts_with(&piece) => {
                    seen.pieces.push(change.path.clone());
                    continue;
                }
                _ => {}
            }
            blocked.insert(change.path.clone());
        } else {
            seen.catch_up.extend_from_slice(&index_line(change));
        }
    }
    seen.blocked = blocked.into_iter().collect();
    Ok(seen)
}

/// The file as the landing would write it, filters applied.
fn landed_bytes(git: &Git, worktree: &Path, change: &Change) -> Result<Vec<u8>, GitError> {
    let mut path = std::ffi::OsString::from("--path=");
    path.push(&change.path);
    let out = git.cmd_in(worktree).args(["cat-file", "--filters"]).arg(path).arg(&change.new.oid).run()?;
    Ok(out.stdout)
}

fn index_line(change: &Change) -> Vec<u8> {
    let mut line = format!("{} {}\t", change.new.mode, change.new.oid).into_bytes();
    line.extend_from_slice(change.path.as_os_str().as_bytes());
    line.push(0);
    line
}

/// A file or link where a new path needs a directory, unless the landing itself takes it away.
fn file_above(worktree: &Path, path: &Path, going: &BTreeSet<&Path>) -> Option<PathBuf> {
    let above = path.ancestors().skip(1).filter(|a| !a.as_os_str().is_empty());
    let in_the_way = |a: &&Path| !going.contains(a) && fs::metadata(&worktree.join(a)).is_ok_and(|m| !m.is_dir());
    above.into_iter().find(in_the_way).map(Path::to_owned)
}

/// Files that git does not track, ignored ones too, in a directory that must give way to a file.
fn untracked_in(git: &Git, worktree: &Path, dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    let cmd = git.cmd_in(worktree).env("GIT_LITERAL_PATHSPECS", "1");
    let out = cmd.args(["ls-files", "--others", "-z", "--"]).arg(dir).run()?;
    Ok(nul_parts(&out.stdout).map(path_of).collect())
}

/// Which of the suspects are not, on disk, what the landing wants: compared by git itself (filters, links, modes) through an
/// index of our own.
fn differing(git: &Git, worktree: &Path, suspects: &[&Change]) -> Result<BTreeSet<PathBuf>, GitError> {
    let mut found = BTreeSet::new();
    if suspects.is_empty() {
        return Ok(found);
    }
    let index = IndexFile::copy(git, worktree)?;
    let lines: Vec<u8> = suspects.iter().flat_map(|c| index_line(c)).collect();
    index.cmd().args(["update-index", "-z", "--replace", "--index-info"]).stdin(lines).run()?;
    for some in suspects.chunks(PATHS_AT_ONCE) {
        let cmd = index.cmd().env("GIT_LITERAL_PATHSPECS", "1");
        let cmd = cmd.args(["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--"]);
        let out = cmd.args(some.iter().map(|c| c.path.as_os_str())).run()?;
        found.extend(nul_parts(&out.stdout).map(path_of));
    }
    Ok(found)
}
