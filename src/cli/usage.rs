//! What is said when a line asks for help, or makes no sense.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Context, Global, overview};
use crate::app::fault::Fault;
use crate::ui::escape;

/// Why no command runs.
#[derive(Debug)]
pub enum Said {
    /// Help or the version was asked for.
    Help {
        coloured: String,
        plain: String,
    },
    /// Nothing was asked for: what there is to ask for, and an exit code that is no success.
    Missing {
        text: String,
    },
    Fault(Fault),
}

/// The answer to a line without words.
pub fn nothing_said(glance: &Global) -> Said {
    if glance.json || glance.jsonl {
        return Said::Fault(Fault::usage("no command was given").hint("git vermas -h"));
    }
    Said::Missing { text: overview::text(&super::tree()) }
}

impl Said {
    /// Takes over what clap has to say about these words.
    pub fn from_clap(error: clap::Error, words: &[String]) -> Self {
        // Commands are built late: help on a group has the first line of each only in the whole tree.
        let error = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                super::tree().try_get_matches_from(words).err().unwrap_or(error)
            }
            _ => error,
        };
        match error.kind() {
            ErrorKind::DisplayHelp if overview::is_about_everything(words) => {
                let long = words.iter().any(|w| w == "--help" || w == "help");
                let text = overview::help(super::tree(), long);
                Self::Help { coloured: text.ansi().to_string(), plain: text.to_string() }
            }
            ErrorKind::DisplayHelp => {
                let long = words.iter().any(|w| w == "--help" || w == "help");
                let text = group_help(words, long).unwrap_or_else(|| error.render());
                Self::Help { coloured: text.ansi().to_string(), plain: text.to_string() }
            }
            ErrorKind::DisplayVersion => {
                let text = error.render();
                Self::Help { coloured: text.ansi().to_string(), plain: text.to_string() }
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let text = group_help(words, false).unwrap_or_else(|| error.render());
                Self::Missing { text: text.to_string() }
            }
            _ => Self::Fault(fault(error)),
        }
    }

    /// Says it; gives the exit code.
    pub fn tell(&self, ctx: &Context) -> u8 {
        match self {
            Self::Help { coloured, plain } => {
                ctx.ui.page(if ctx.ui.paint().is_on() { coloured } else { plain });
                0
            }
            Self::Missing { .. } if ctx.ui.is_json() => ctx.fail(&Fault::usage("a subcommand is missing")),
            Self::Missing { text } => {
                ctx.ui.out(text);
                crate::app::fault::Kind::Usage.code()
            }
            Self::Fault(fault) => ctx.fail(fault),
        }
    }
}

/// The help of the group of commands that these words lead to; `None` where they lead to a single command. What clap
/// itself would show lacks the first lines of the group's commands, because those are built late.
fn group_help(words: &[String], long: bool) -> Option<StyledStr> {
    let mut group = super::tree();
    for word in words.iter().skip(1) {
        if let Some(next) = group.find_subcommand(word).filter(|c| c.get_name() != "help") {
            group = next.clone();
        }
    }
    let is_group = group.get_subcommands().any(|c| c.get_name() != "help");
    is_group.then(|| if long { group.render_long_help() } else { group.render_help() })
}

/// An error of clap in our form: its first paragraph is the message, tips and usage are hints.
fn fault(mut error: clap::Error) -> Fault {
    escape_words(&mut error);
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut fault = Fault::usage(message.trim_end());
    if message.contains("'--at'") && error.kind() == ErrorKind::UnknownArgument {
        return fault.hint("--at shows the state as it was: it goes with commands that only read");
    }
    let mut near = false;
    for line in rest.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            near |= tip.contains("similar");
            fault = fault.hint(tip);
        } else if let Some(usage) = line.strip_prefix("Usage: ").filter(|_| !near) {
            fault = fault.hint(format!("usage: {usage}"));
        }
    }
    fault
}

/// Puts the words of the command line that the error repeats on one line each, so that none can pass for a hint.
fn escape_words(error: &mut clap::Error) {
    const WORDS: &[ContextKind] = &[
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidArg,
        ContextKind::InvalidValue,
        ContextKind::TrailingArg,
        ContextKind::Suggested,
    ];
    for kind in WORDS {
        let safe = match error.get(*kind) {
            Some(ContextValue::String(s)) => ContextValue::String(escape::line(s).into_owned()),
            Some(ContextValue::StyledStrs(list)) => {
                let lines = list.iter().map(|s| escape::line(&s.to_string()).into_owned().into());
                ContextValue::StyledStrs(lines.collect())
            }
            _ => continue,
        };
        error.insert(*kind, safe);
    }
}
