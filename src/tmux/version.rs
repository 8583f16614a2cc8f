//! Which tmux is installed, and whether it is new enough.

/// The oldest version that can start a session with an environment of its own (`new-session -e`).
pub const OLDEST: (u32, u32) = (3, 2);

/// A version as tmux prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub text: String,
    /// Major and minor number; `None` for a build that names none (`master`, `openbsd-7.5`).
    pub number: Option<(u32, u32)>,
}

impl Version {
    /// Reads the output of `tmux -V`: `tmux 3.3a`, `tmux next-3.5`, `tmux master`.
    pub fn parse(line: &str) -> Self {
        let text = line.trim().strip_prefix("tmux ").unwrap_or(line.trim()).to_owned();
        let number = Self::number(text.strip_prefix("next-").unwrap_or(&text));
        Self { text, number }
    }

    fn number(text: &str) -> Option<(u32, u32)> {
        let (major, rest) = text.split_once('.')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((major.parse().ok()?, rest[..end].parse().ok()?))
    }

    /// Whether it is [`OLDEST`] or newer. A build without a number is one somebody made from recent sources.
    pub fn is_enough(&self) -> bool {
        self.number.is_none_or(|n| n >= OLDEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_tmux_prints_them() {
        assert_eq!(Version::parse("tmux 3.3a\n").number, Some((3, 3)));
        assert_eq!(Version::parse("tmux next-3.5").number, Some((3, 5)));
        assert_eq!(Version::parse("tmux 3.10").number, Some((3, 10)));
        assert_eq!(Version::parse("tmux master").number, None);
        assert_eq!(Version::parse("tmux openbsd-7.5").number, None);
    }

    #[test]
    fn only_a_version_known_to_be_older_is_refused() {
        assert!(!Version::parse("tmux 2.9a").is_enough());
        assert!(!Version::parse("tmux 3.1c").is_enough());
        assert!(Version::parse("tmux 3.2").is_enough());
        assert!(Version::parse("tmux 4.0").is_enough());
        assert!(Version::parse("tmux master").is_enough());
    }
}
