//! What a worktree holds beyond its last commit: changed entries, its HEAD, an operation half done.
//!
//! Reads only; the index is not even refreshed.

use std::path::{Path, PathBuf};

use super::program::{Git, GitError, nul_parts, path_of};
use crate::sys::fs;

/// One side of an entry: file mode (octal text, `000000` for none) and object id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub mode: String,
    pub oid: String,
}

/// One path that differs from HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyEntry {
    pub path: PathBuf,
    /// The letters of `git status --short`: index, then worktree; `??` for an untracked path.
    pub code: [char; 2],
    /// What the index holds; `None` for untracked and unmerged paths.
    pub index: Option<Side>,
    pub submodule: bool,
}

impl DirtyEntry {
    pub fn untracked(&self) -> bool {
        self.code == ['?', '?']
    }

    pub fn unmerged(&self) -> bool {
        self.index.is_none() && !self.untracked()
    }

    /// Whether the file itself differs from the index.
    pub fn changed_on_disk(&self) -> bool {
        self.code[1] != '.'
    }
}

/// Which untracked paths a status names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untracked {
    No,
    /// A directory that holds nothing else is one entry, its path ends in a slash.
    Folded,
}

/// The entries of a worktree that differ from its HEAD, in git's order.
pub fn status(git: &Git, worktree: &Path, untracked: Untracked) -> Result<Vec<DirtyEntry>, GitError> {
    let mode = if untracked == Untracked::No { "no" } else { "normal" };
    let out = git
        .cmd_in(worktree)
        .args(["status", "--porcelain=v2", "-z", "--no-renames", "--no-ahead-behind", "--ignore-submodules=none"])
        .arg(format!("--untracked-files={mode}"))
        .run()?;
    parse(&out.stdout)
}

fn parse(bytes: &[u8]) -> Result<Vec<DirtyEntry>, GitError> {
    let bad = |part: &[u8]| GitError::unreadable("git status", String::from_utf8_lossy(part).into_owned());
    let mut entries = Vec::new();
    let mut parts = nul_parts(bytes);
    while let Some(part) = parts.next() {
        // Fields before the path, by the first letter: `git help status`, "Porcelain Format Version 2".
        let before = match part.first() {
            Some(b'1') => 8,
            Some(b'2') => 9,
            Some(b'u') => 10,
            Some(b'?') => 1,
            Some(b'#' | b'!') => continue,
            _ => return Err(bad(part)),
        };
        let fields: Vec<&[u8]> = part.splitn(before + 1, |b| *b == b' ').collect();
        let path = fields.get(before).filter(|p| !p.is_empty()).ok_or_else(|| bad(part))?;
        let text = |i: usize| fields.get(i).map(|f| String::from_utf8_lossy(f).into_owned()).unwrap_or_default();
        let (mut code, mut index) = (['?', '?'], None);
        if part[0] != b'?' {
            let mut letters = text(1).chars().collect::<Vec<_>>().into_iter();
            code = [letters.next().unwrap_or('.'), letters.next().unwrap_or('.')];
        }
        match part[0] {
            b'1' => index = Some(Side { mode: text(4), oid: text(7) }),
            b'2' => {
                index = Some(Side { mode: text(4), oid: text(7) });
                parts.next();
            }
            _ => {}
        }
        entries.push(DirtyEntry { path: path_of(path), code, index, submodule: text(2).starts_with('S') });
    }
    Ok(entries)
}

/// The commit a worktree stands on; `None` on a branch without commits.
pub fn head(git: &Git, worktree: &Path) -> Result<Option<String>, GitError> {
    let cmd = git.cmd_in(worktree).args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
    match cmd.output()? {
        o if o.success() => Ok(Some(o.text())),
        o if o.code == Some(1) => Ok(None),
        o => Err(super::program::failed(&cmd, &o)),
    }
}

/// The full ref name of the branch a worktree is on; `None` where HEAD is detached.
pub fn current_branch(git: &Git, worktree: &Path) -> Result<Option<String>, GitError> {
    let cmd = git.cmd_in(worktree).args(["symbolic-ref", "--quiet", "HEAD"]);
    match cmd.output()? {
        o if o.success() => Ok(Some(o.text())),
        o if o.code == Some(1) => Ok(None),
        o => Err(super::program::failed(&cmd, &o)),
    }
}

/// The directory that holds a worktree's own HEAD and index.
pub fn git_dir(git: &Git, worktree: &Path) -> Result<PathBuf, GitError> {
    let out = git.cmd_in(worktree).args(["rev-parse", "--absolute-git-dir"]).run()?;
    Ok(path_of(out.stdout.strip_suffix(b"\n").unwrap_or(&out.stdout)))
}

/// A git operation that was begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Merge,
    Rebase,
    Am,
    CherryPick,
    Revert,
    Bisect,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::Am => "am",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Bisect => "bisect",
        }
    }
}

/// The operation in progress in a worktree, if any.
pub fn operation(git: &Git, worktree: &Path) -> Result<Option<Operation>, GitError> {
    Ok(operation_in(&git_dir(git, worktree)?))
}

pub(super) fn operation_in(git_dir: &Path) -> Option<Operation> {
    let there = |name: &str| fs::exists(&git_dir.join(name));
    let marks = [
        ("rebase-merge", Operation::Rebase),
        ("rebase-apply/applying", Operation::Am),
        ("rebase-apply", Operation::Rebase),
        ("MERGE_HEAD", Operation::Merge),
        ("CHERRY_PICK_HEAD", Operation::CherryPick),
        ("REVERT_HEAD", Operation::Revert),
        ("BISECT_LOG", Operation::Bisect),
    ];
    marks.into_iter().find(|(mark, _)| there(mark)).map(|(_, op)| op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_is_read_and_paths_are_raw() {
        let z = "0000000000000000000000000000000000000000";
        let text = format!(
            "1 M. N... 100644 100644 100644 {z} {z} a b\n\"c\0? new dir/\0u UU N... 100644 100644 100644 100644 {z} {z} {z} x\0\
             1 .M S.M. 160000 160000 160000 {z} {z} sub\0"
        );
        let got = parse(text.as_bytes()).unwrap();
        let seen: Vec<_> = got.iter().map(|e| (e.path.to_str().unwrap(), e.code.iter().collect::<String>())).collect();
        assert_eq!(
            seen,
            [
                ("a b\n\"c", "M.".to_owned()),
                ("new dir/", "??".to_owned()),
                ("x", "UU".to_owned()),
                ("sub", ".M".to_owned())
            ]
        );
        assert!(got[1].untracked() && got[2].unmerged() && got[3].submodule);
        assert!(parse(b"1 M.\0").is_err());
    }
}
