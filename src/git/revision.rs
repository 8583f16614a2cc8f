//! Commits by any of the names that git knows for them.

use super::Oid;
use super::repo::Repo;

impl Repo {
    /// The commit that a revision names (`git help revisions`); `None` where it names none.
    pub fn commit_named(&self, revision: &str) -> Option<Oid> {
        let id = self.gix.rev_parse_single(revision).ok()?;
        let commit = id.object().ok()?.peel_to_commit().ok()?;
        Some(commit.id)
    }

    /// Whether the history was cut off at some depth when this repository was cloned.
    pub fn is_shallow(&self) -> bool {
        self.gix.is_shallow().unwrap_or(false)
    }
}
