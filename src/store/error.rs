//! What goes wrong with the state.

use std::io;

use crate::domain::{OrderId, Refusal};
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
    #[error("the state branch was moved by others each time it was looked at")]
    Raced,
    #[error("the log .work/events.jsonl was rewritten: something else stands where an event stood")]
    Rewritten,
    /// It is not known whether the change reached the disk: it may count, and whoever tries again looks first, at the order
    /// that it is about where there is one.
    #[error("outcome unknown: {what}: {}", crate::sys::fs::plain(source))]
    Unknown { what: String, source: io::Error, about: Option<OrderId> },
    /// A commit that was made to cost time and memory.
    #[error("the state holds more than any state has: {what}")]
    TooMuch { what: String },
    /// The disk cannot be written, and the state was read past what is taken away of it.
    #[error("{0}")]
    Unwritable(String),
    /// The state is looked at as it was, and the past does not change.
    #[error("the past cannot be changed")]
    Past,
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl StoreError {
    /// Whether what failed is a disk without room.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Cache { why, .. } if why.contains(FULL))
    }

    /// Whether what failed is a cache that somebody wrote into, or the disk has spoiled: it can be thrown away.
    pub fn is_spoiled_cache(&self) -> bool {
        matches!(self, Self::Cache { why, .. } if SPOILED.iter().any(|sign| why.contains(sign)))
    }

    /// Whether what failed may be that something of ours was just taken away.
    pub(super) fn is_taken_away(&self) -> bool {
        match self {
            Self::Cache { .. } => !self.is_full_disk(),
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// The same where it is not known what of it counts.
    pub(super) fn into_unknown(self) -> Self {
        match self {
            Self::Io { what, source } => Self::Unknown { what: format!("cannot {what}"), source, about: None },
            other => other,
        }
    }

    /// The same of any other error: what was being recorded may count all the same.
    pub(super) fn leaving_it_open(self) -> Self {
        match self.into_unknown() {
            unknown @ Self::Unknown { .. } => unknown,
            other => Self::Unknown {
                what: "see whether it was recorded".to_owned(),
                source: io::Error::other(other.to_string()),
                about: None,
            },
        }
    }

    /// The same with where to look whether it was done.
    pub(super) fn about(self, order: Option<&OrderId>) -> Self {
        match self {
            Self::Unknown { what, source, .. } => Self::Unknown { what, source, about: order.cloned() },
            other => other,
        }
    }

    /// Whether it is not known what the disk has: a second try at syncing would not tell either.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    pub(super) fn cache(why: &str) -> Self {
        Self::Cache { path: "vermas/cache.sqlite under the git directory".to_owned(), why: why.to_owned() }
    }

    /// For `map_err`: says what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// What SQLite says of a file that is broken.
const SPOILED: &[&str] = &["disk image is malformed", "file is not a database", "invalid utf-8"];
/// What SQLite says of a full disk.
pub(super) const FULL: &str = "disk is full";

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        Self::cache(&e.to_string())
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
