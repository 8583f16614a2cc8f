//! How far two commits have gone apart.

use super::Oid;
use super::error::RepoError;
use super::repo::Repo;

impl Repo {
    /// How many commits `ours` has that `theirs` lacks, and the other way round.
    pub fn apart(&self, ours: Oid, theirs: Oid) -> Result<(usize, usize), RepoError> {
        Ok((self.missing_in(ours, theirs)?, self.missing_in(theirs, ours)?))
    }

    fn missing_in(&self, tip: Oid, other: Oid) -> Result<usize, RepoError> {
        if tip == other {
            return Ok(0);
        }
        let broken = |e: &dyn std::fmt::Display| RepoError::broken("count commits", e);
        let walk = self.gix.rev_walk([tip]).with_hidden([other]).all().map_err(|e| broken(&e))?;
        walk.map(|c| c.map_err(|e| broken(&e))).try_fold(0, |n, c| c.map(|_| n + 1))
    }
}
