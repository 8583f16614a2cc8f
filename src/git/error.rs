//! What goes wrong with a repository.

/// A failure of a repository, said in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    #[error("fatal: not a git repository (or any of the parent directories): .git")]
    NotARepository,
    #[error("the repository was moved away, or another put in its place, while this command ran")]
    Gone,
    #[error("{0}")]
    Untrusted(String),
    #[error("cannot {what}: {why}")]
    Broken { what: String, why: String },
    /// A ref was not where it was expected to be; what it is now is to be read again.
    #[error("{name} was moved by somebody else meanwhile")]
    Moved { name: String },
    #[error("{name} is locked: {path} exists")]
    Locked { name: String, path: String },
    /// git keeps refs as files and folders: one cannot be the beginning of another's name.
    #[error("{name} cannot be made: {other} stands in its way")]
    InTheWay { name: String, other: String },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl RepoError {
    /// Says what was being done when gix failed.
    pub(super) fn broken(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        let text = why.to_string();
        let first = text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
        Self::Broken { what: what.into(), why: first }
    }
}
