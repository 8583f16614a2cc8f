//! What goes wrong with the state.

use std::io;

use crate::domain::Refusal;
use crate::git::RepoError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("this repository is not set up for git vermas yet")]
    NotInitialised,
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error("cannot {what}: {}", crate::sys::fs::plain(source))]
    Io { what: String, source: io::Error },
    /// The cache failed in a way that rebuilding it did not mend.
    #[error("cannot use the cache {path}: {why}")]
    Cache { path: String, why: String },
    #[error("another command of git vermas holds {what} for more than {seconds} seconds")]
    Busy { what: &'static str, seconds: u64 },
    /// It is not known whether the change reached the disk. Trying again is safe: the events keep their ids.
    #[error("outcome unknown: {what}: {}", crate::sys::fs::plain(source))]
    Unknown { what: String, source: io::Error },
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl StoreError {
    /// For `map_err`: says what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Cache { path: "vermas/cache.sqlite under the git directory".to_owned(), why: e.to_string() }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
