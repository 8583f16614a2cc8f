//! The options that every command takes.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::app::fault::Fault;
use crate::ui::{Mode, When};

/// The options that every command takes, at any place on the line.
///
/// Their ids are out of the way of a command's own arguments: those are built later, and may be called `dir`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print one JSON document; errors are JSON on standard error
    #[arg(id = "global.json", long = "json", global = true, display_order = 900)]
    pub json: bool,
    /// Print one JSON record a line
    #[arg(id = "global.jsonl", long = "jsonl", global = true, display_order = 901)]
    pub jsonl: bool,
    /// Colour the output
    #[arg(id = "global.color", long = "color", global = true, value_name = "WHEN", display_order = 902)]
    #[arg(default_value = "auto", hide_default_value = true)]
    pub color: When,
    /// Act as this agent instead of the one this place belongs to
    #[arg(id = "global.as", long = "as", global = true, value_name = "AGENT", display_order = 903)]
    #[arg(add = super::complete::ids(crate::app::candidates::Kind::Agent))]
    pub identity: Option<String>,
    /// Run as if started in this directory
    #[arg(id = "global.dir", short = 'C', global = true, value_name = "DIR", display_order = 904)]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Say nothing but the data that was asked for, and what went wrong
    #[arg(id = "global.quiet", short = 'q', long = "quiet", global = true, display_order = 905)]
    pub quiet: bool,
}

impl Global {
    /// The form that data is wanted in.
    pub fn mode(&self) -> Result<Mode, Fault> {
        match (self.json, self.jsonl) {
            (true, true) => Err(Fault::usage("--json and --jsonl cannot be used together")),
            (true, false) => Ok(Mode::Json),
            (false, true) => Ok(Mode::Jsonl),
            (false, false) => Ok(Mode::Text),
        }
    }

    /// What can be told about these options when the line as a whole cannot be read: enough to give the error in the
    /// form that the caller expects.
    pub fn glance(args: &[OsString]) -> Self {
        let mut seen = Self::default();
        let words: Vec<&str> = args.iter().map(|a| a.to_str().unwrap_or_default()).take_while(|a| *a != "--").collect();
        for (i, word) in words.iter().enumerate() {
            let color = match *word {
                "--json" => {
                    seen.json = true;
                    None
                }
                "--jsonl" => {
                    seen.jsonl = true;
                    None
                }
                "--color" => words.get(i + 1).copied(),
                other => other.strip_prefix("--color="),
            };
            if let Some(when) = color.and_then(|c| <When as clap::ValueEnum>::from_str(c, false).ok()) {
                seen.color = when;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Small {
        #[command(flatten)]
        global: Global,
        #[command(subcommand)]
        command: Outer,
    }

    #[derive(Debug, clap::Subcommand)]
    #[command(defer = true)]
    enum Outer {
        Group(Group),
    }

    #[derive(Debug, clap::Args)]
    struct Group {
        #[command(subcommand)]
        command: Inner,
    }

    #[derive(Debug, clap::Subcommand)]
    #[command(defer = true)]
    enum Inner {
        Show(Show),
    }

    #[derive(Debug, clap::Args)]
    struct Show {
        #[arg(long)]
        dir: Option<String>,
        id: Vec<String>,
    }

    #[test]
    fn commands_built_late_still_take_the_global_options() {
        for line in
            ["x group show --json a --as me b", "x --json group --as me show a b", "x group show a b --as me --json"]
        {
            let small = Small::try_parse_from(line.split(' ')).unwrap();
            let Outer::Group(Group { command: Inner::Show(show) }) = small.command;
            assert!(small.global.json, "{line}");
            assert_eq!((small.global.identity.as_deref(), show.id), (Some("me"), vec!["a".to_owned(), "b".to_owned()]));
        }
        let both = Small::try_parse_from(["x", "group", "show", "--dir", "theirs", "-C", "ours"]).unwrap();
        let Outer::Group(Group { command: Inner::Show(show) }) = both.command;
        assert_eq!((show.dir.as_deref(), both.global.dir), (Some("theirs"), Some(PathBuf::from("ours"))));
    }

    #[test]
    fn a_group_without_a_command_says_what_there_is() {
        let error = Small::try_parse_from(["x", "group"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        assert!(error.to_string().contains("show"), "{error}");
    }

    #[test]
    fn a_glance_stops_at_the_double_dash() {
        let glance = |line: &str| Global::glance(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(glance("vermas wo --bad --json").json);
        assert!(!glance("vermas wo -- --json").json);
        assert_eq!(glance("vermas --color never x").color, When::Never);
        assert_eq!(glance("vermas --color=always").color, When::Always);
        assert_eq!(glance("vermas --color=purple").color, When::Auto);
    }
}
