//! Colours by meaning: a caller says what a piece of text is, this file says how that looks, and whether at all.

use super::escape;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Plain,
    Id,
    Title,
    Open,
    Assigned,
    InProgress,
    Closed,
    /// 0 is the most urgent.
    Priority(u8),
    Agent,
    Time,
    Warning,
    Error,
    Hint,
    Heading,
    Good,
    Bad,
    Dim,
}

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[34m";
const MAGENTA: &str = "\x1b[35m";
const CYAN: &str = "\x1b[36m";
const BOLD_RED: &str = "\x1b[1;31m";
const BOLD_YELLOW: &str = "\x1b[1;33m";
const BOLD_CYAN: &str = "\x1b[1;36m";
const ALL: &[&str] = &[RESET, BOLD, DIM, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, BOLD_RED, BOLD_YELLOW, BOLD_CYAN];

/// The length of the colour code of ours that the text begins with; 0 where it begins with none.
pub(super) fn leading_code(text: &str) -> usize {
    ALL.iter().find(|code| text.starts_with(**code)).map_or(0, |code| code.len())
}

impl Label {
    /// The label of a work order's status; a status from a newer version is plain.
    pub fn status(status: &str) -> Self {
        match status {
            "open" => Self::Open,
            "assigned" => Self::Assigned,
            "in_progress" => Self::InProgress,
            "closed" => Self::Closed,
            _ => Self::Plain,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain | Self::Title | Self::Open | Self::Priority(_) => match self {
                Self::Priority(0) => BOLD_RED,
                Self::Priority(1) => RED,
                _ => "",
            },
            Self::Id => YELLOW,
            Self::Assigned => CYAN,
            Self::InProgress => BLUE,
            Self::Closed | Self::Good => GREEN,
            Self::Agent => MAGENTA,
            Self::Time | Self::Dim => DIM,
            Self::Warning => BOLD_YELLOW,
            Self::Error => BOLD_RED,
            Self::Hint => BOLD_CYAN,
            Self::Heading => BOLD,
            Self::Bad => RED,
        }
    }
}

/// Colours text, or leaves it; escapes it in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    pub fn is_on(self) -> bool {
        self.colour
    }

    /// One line of text under a label, safe for a terminal.
    pub fn text(self, label: Label, text: &str) -> String {
        self.wrap(label, &escape::line(text))
    }

    /// Text of several lines under a label, safe for a terminal.
    pub fn block(self, label: Label, text: &str) -> String {
        self.wrap(label, &escape::block(text))
    }

    fn wrap(self, label: Label, safe: &str) -> String {
        let mut out = String::with_capacity(safe.len());
        self.put(&mut out, label, safe);
        out
    }

    /// Adds text that is safe already.
    pub(super) fn put(self, out: &mut String, label: Label, safe: &str) {
        let code = label.code();
        if self.colour && !code.is_empty() && !safe.is_empty() {
            out.extend([code, safe, RESET]);
        } else {
            out.push_str(safe);
        }
    }
}

/// When there are colours: `--color`. `Auto` is on a terminal, unless the environment or git's settings say otherwise.
/// The words are not explained one by one, since every command's help would repeat that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// What the decision about colour rests on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    pub when: When,
    /// `NO_COLOR`, where it is set to something (no-color.org).
    pub no_color: bool,
    /// `CLICOLOR_FORCE`, where it is set (bixense.com/clicolors); `0` means nothing.
    pub clicolor_force: Option<&'a str>,
    /// `color.vermas`, else `color.ui`.
    pub git: Option<&'a str>,
    /// Whether the stream is a terminal, or git's pager reads it, and `TERM` is not `dumb`.
    pub terminal: bool,
}

/// Whether to colour. The command line has the first word, then the environment, then git's settings.
pub fn decide(facts: Facts<'_>) -> bool {
    match facts.when {
        When::Always => return true,
        When::Never => return false,
        When::Auto => {}
    }
    if facts.no_color {
        return false;
    }
    if facts.clicolor_force.is_some_and(|v| v != "0") {
        return true;
    }
    // git reads a plain boolean here as "auto" or "never" (git-config, color.ui).
    match facts.git.map(str::to_ascii_lowercase).as_deref() {
        Some("always") => true,
        Some("never" | "false" | "no" | "off" | "0") => false,
        _ => facts.terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_beats_the_environment_beats_git() {
        let on = Facts { terminal: true, ..Facts::default() };
        assert!(decide(on));
        assert!(!decide(Facts::default()));
        assert!(!decide(Facts { no_color: true, ..on }));
        assert!(decide(Facts { no_color: true, when: When::Always, ..on }));
        assert!(!decide(Facts { when: When::Never, clicolor_force: Some("1"), ..on }));
        assert!(decide(Facts { clicolor_force: Some("1"), git: Some("never"), ..Facts::default() }));
        assert!(!decide(Facts { clicolor_force: Some("0"), ..Facts::default() }));
        assert!(!decide(Facts { no_color: true, clicolor_force: Some("1"), ..on }));
        assert!(!decide(Facts { git: Some("False"), ..on }));
        assert!(decide(Facts { git: Some("always"), ..Facts::default() }));
        assert!(!decide(Facts { git: Some("true"), ..Facts::default() }));
    }

    #[test]
    fn painted_text_is_escaped() {
        assert_eq!(Paint::new(true).text(Label::Bad, "a\x1bb"), "\x1b[31ma\\x1bb\x1b[0m");
        assert_eq!(Paint::new(false).text(Label::Bad, "a\nb"), "a\\nb");
        assert_eq!(Paint::new(true).text(Label::Bad, ""), "");
    }

    #[test]
    fn every_colour_in_use_is_known_to_the_escaping() {
        for label in
            [Label::Id, Label::Closed, Label::Priority(0), Label::Agent, Label::Time, Label::Hint, Label::Heading]
        {
            assert_eq!(leading_code(label.code()), label.code().len());
        }
    }
}
