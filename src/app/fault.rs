//! The one error that reaches the top: what happened, of which kind, and the command that mends it.
//!
//! A room below has its own typed errors where they change what its caller does next; here they end. The kind decides the
//! exit code and the word in JSON, nothing else.

use crate::sys::process::ProcessError;

/// What sort of error it is; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was asked rightly and did not work.
    Failed = 1,
    /// The words on the command line make no sense.
    Usage = 2,
    /// A name that was given belongs to nothing.
    NotFound = 3,
    /// Whoever asks may not.
    NotPermitted = 4,
    /// Somebody else was there first, or a name means several things.
    Conflict = 5,
    /// It is not known whether it was done, or what it led to: whoever tries again looks first.
    Unknown = 6,
    /// git itself refused; the message is git's own.
    Git = 128,
}

impl Kind {
    /// The word for this kind in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::NotPermitted => "not_permitted",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Git => "git",
        }
    }

    /// The exit code of the process.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Whether what failed may work at the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    No,
    /// The cache was taken away in the middle of it, or another put in its place.
    Yes,
    /// The cache is broken, and is made anew once it is thrown away.
    WithoutCache,
}

/// An error as a person gets to see it.
///
/// The message is one sentence without a final full stop, with the place in it; a hint is how to get on. Neither is
/// escaped here: they may hold text from the state, and `ui` makes control characters visible when it prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub message: String,
    pub hints: Vec<String>,
    /// Whether it may work at the next attempt.
    pub again: Again,
}

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), again: Again::No }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub fn not_permitted(message: impl Into<String>) -> Self {
        Self::new(Kind::NotPermitted, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub fn git(message: impl Into<String>) -> Self {
        Self::new(Kind::Git, message)
    }

    /// The same where a change is recorded and only what it led to cannot be read: it must not look as if it were undone.
    #[must_use]
    pub fn behind_a_change(self, what: &str) -> Self {
        let message = format!("{what} is recorded, but cannot be shown: {}", self.message);
        self.hints.into_iter().fold(Self::new(Kind::Unknown, message).hint("look before you try again"), Self::hint)
    }

    /// An answer that is a no, said by the exit code alone, as git does it.
    pub fn silent(kind: Kind) -> Self {
        Self::new(kind, "")
    }

    /// Whether there is nothing to show.
    pub fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// Adds how to get on. Never a complete destructive command: somebody will paste it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// All hints as one text; `None` where there are none.
    pub fn hint_text(&self) -> Option<String> {
        (!self.hints.is_empty()).then(|| self.hints.join("\n"))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<std::io::Error> for Fault {
    /// An error of the system. A file that is missing is a failure, too: [`Kind::NotFound`] is for names a person gave.
    fn from(e: std::io::Error) -> Self {
        let fault = Self::failed(crate::sys::fs::plain(&e));
        match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                fault.hint("make room on the disk, then run the command again; what was acknowledged before is kept")
            }
            std::io::ErrorKind::ReadOnlyFilesystem => fault.hint("the file system is mounted read-only"),
            _ => fault,
        }
    }
}

impl From<ProcessError> for Fault {
    fn from(e: ProcessError) -> Self {
        let fault = Self::failed(e.to_string());
        match &e {
            ProcessError::NotFound { program } => fault.hint(format!("install {program}, or put it on PATH")),
            _ => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_and_names_are_the_documented_ones() {
        let all =
            [Kind::Failed, Kind::Usage, Kind::NotFound, Kind::NotPermitted, Kind::Conflict, Kind::Unknown, Kind::Git];
        let seen: Vec<(u8, &str)> = all.iter().map(|k| (k.code(), k.name())).collect();
        assert_eq!(
            seen,
            [
                (1, "failed"),
                (2, "usage"),
                (3, "not_found"),
                (4, "not_permitted"),
                (5, "conflict"),
                (6, "unknown"),
                (128, "git")
            ]
        );
    }

    #[test]
    fn an_error_of_the_system_loses_its_number() {
        let fault = Fault::from(std::io::Error::from_raw_os_error(28));
        assert_eq!(fault.message, "No space left on device");
        assert_eq!(fault.hints.len(), 1);
    }

    #[test]
    fn a_missing_program_gets_a_hint() {
        let fault = Fault::from(ProcessError::NotFound { program: "tmux".into() });
        assert_eq!(fault.message, "tmux is not installed, or not on PATH");
        assert_eq!(fault.hint_text().as_deref(), Some("install tmux, or put it on PATH"));
    }
}
