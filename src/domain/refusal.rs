//! Why a rule says no: a kind the caller can act on, a sentence, and the way on.

/// What kind of no it is; each has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The arguments cannot mean anything.
    Usage,
    NotFound,
    NotPermitted,
    /// Somebody else holds it, or the id is ambiguous.
    Conflict,
    /// It makes no sense in the present state.
    State,
}

/// A rule's no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub why: Why,
    pub message: String,
    pub hints: Vec<String>,
}

impl Refusal {
    pub fn new(why: Why, message: impl Into<String>) -> Self {
        Self { why, message: message.into(), hints: Vec::new() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Why::Usage, message)
    }

    pub fn state(message: impl Into<String>) -> Self {
        Self::new(Why::State, message)
    }

    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }
}

impl From<super::id::BadId> for Refusal {
    fn from(e: super::id::BadId) -> Self {
        Self::usage(e.to_string())
    }
}
