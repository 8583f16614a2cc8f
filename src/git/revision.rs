//! Commits by any of the names that git knows for them.

use super::Oid;
use super::repo::Repo;
use crate::sys::process::Cmd;

impl Repo {
    /// The commit that a revision names (`git help revisions`); `None` where it names none.
    pub fn commit_named(&self, revision: &str) -> Option<Oid> {
        if !self.has_file_refs() {
            return self.commit_by_program(revision);
        }
        let id = self.gix.rev_parse_single(revision).ok()?;
        let commit = id.object().ok()?.peel_to_commit().ok()?;
        Some(commit.id)
    }

    fn commit_by_program(&self, revision: &str) -> Option<Oid> {
        let name = format!("{revision}^{{commit}}");
        let git = Cmd::new("git").arg("--git-dir").arg(self.git_dir());
        let out = git.args(["rev-parse", "--verify", "-q", "--end-of-options", &name]).output().ok()?;
        super::objects::parse_oid(&out.text()).filter(|_| out.success())
    }

    /// Whether the history was cut off at some depth when this repository was cloned.
    pub fn is_shallow(&self) -> bool {
        self.gix.is_shallow().unwrap_or(false)
    }
}
