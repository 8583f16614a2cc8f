//! What the next commit would hold: the branch it goes to, and the index, read through the git program.
//!
//! A hook runs with the variables that say which index is meant (`git commit -a` and `git commit FILE` use one of their
//! own), so here, and only here, `GIT_INDEX_FILE` is handed on.

use std::path::Path;

use super::error::RepoError;
use super::objects::parse_oid;
use super::repo::Repo;
use super::{EntryKind, Foreign, Oid};
use crate::sys::{env, process::Cmd};

/// A path whose entry in the index differs from the last commit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    pub path: String,
    /// `None` where the last commit has no such file.
    pub old: Option<Oid>,
    /// `None` where the file is taken away.
    pub new: Option<Oid>,
    /// What the new entry is; a file where it is taken away.
    pub kind: EntryKind,
}

impl Repo {
    /// The full name of the branch that `HEAD` is on; `None` where it is detached.
    pub fn head_branch(&self) -> Option<String> {
        if self.has_file_refs() {
            return self.gix.head_name().ok().flatten().map(|n| n.as_bstr().to_string());
        }
        let out = self.in_index().ok()?.args(["symbolic-ref", "-q", "HEAD"]).output().ok()?;
        Some(out.text()).filter(|_| out.success())
    }

    /// What the index changes against the last commit. Names that are no UTF-8 are left out: none of ours is.
    pub fn staged(&self) -> Result<Vec<Staged>, RepoError> {
        let what = "read what is staged";
        let base = if self.has_head()? { "HEAD".to_owned() } else { self.empty_tree().to_string() };
        let command = self.in_index()?.args(["diff-index", "--cached", "--no-renames", "--raw", "-z", &base, "--"]);
        let out = command.run().map_err(|e| RepoError::broken(what, e))?;
        Ok(staged_of(&out.stdout))
    }

    /// Whether the next commit ends a merge, a rebase or the like, so that not all of it is the committer's own doing.
    pub fn is_in_operation(&self) -> bool {
        super::status::operation_in(self.git_dir()).is_some()
    }

    /// The paths of the index at or below a path, at most `most`.
    pub fn staged_below(&self, path: &Path, most: usize) -> Result<Vec<String>, RepoError> {
        let command =
            self.in_index()?.args(["--literal-pathspecs", "ls-files", "--cached", "--full-name", "-z", "--"]).arg(path);
        let out = command.run().map_err(|e| RepoError::broken("read the index", e))?;
        let names = out.stdout.split(|b| *b == 0).filter(|n| !n.is_empty());
        Ok(names.take(most).map(|n| String::from_utf8_lossy(n).into_owned()).collect())
    }

    fn has_head(&self) -> Result<bool, RepoError> {
        let out = self.in_index()?.args(["rev-parse", "-q", "--verify", "HEAD^{commit}"]).output();
        Ok(out.map_err(|e| RepoError::broken("read HEAD", e))?.success())
    }

    /// The git program on this worktree and on the index that our own environment names.
    fn in_index(&self) -> Result<Cmd, RepoError> {
        let mut command = Cmd::new("git").arg("--git-dir").arg(self.git_dir()).arg("-c").arg("core.fsmonitor=false");
        if let Some(here) = self.here() {
            command = command.arg("--work-tree").arg(here).cwd(here);
        }
        if let Some(index) = env::var_os("GIT_INDEX_FILE") {
            command = command.env("GIT_INDEX_FILE", env::current_dir()?.join(index));
        }
        Ok(command.env("GIT_OPTIONAL_LOCKS", "0"))
    }
}

/// Reads `:100644 100644 <old> <new> M NUL path NUL …` (git-diff-index, raw output format).
fn staged_of(raw: &[u8]) -> Vec<Staged> {
    let mut all = Vec::new();
    let mut fields = raw.split(|b| *b == 0);
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let head = String::from_utf8_lossy(head).into_owned();
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let (&[_, mode, old, new, _], Ok(path)) = (words.as_slice(), std::str::from_utf8(path)) else { continue };
        let oid = |hex: &str| parse_oid(hex).filter(|o| !o.is_null());
        let kind = if mode == "100644" || mode == "000000" { EntryKind::File } else { EntryKind::Other(Foreign::Link) };
        all.push(Staged { path: path.to_owned(), old: oid(old), new: oid(new), kind });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_output_of_diff_index_is_read() {
        let (a, b, none) = ("1".repeat(40), "2".repeat(40), "0".repeat(40));
        let raw =
            format!(":100644 100644 {a} {b} M\0x y\0:000000 120000 {none} {b} A\0l\0:100644 000000 {a} {none} D\0d\0");
        let all = staged_of(raw.as_bytes());
        assert_eq!(all.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["x y", "l", "d"]);
        assert_eq!((all[1].old, all[1].kind), (None, EntryKind::Other(Foreign::Link)));
        assert_eq!((all[2].new, all[2].kind), (None, EntryKind::File));
    }
}
