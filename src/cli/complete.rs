//! Answers a shell that completes a line: commands, options, and the live names with their titles.
//!
//! A completion script runs the program with `VERMAS_COMPLETE` set to the name of the shell and the words of the line
//! after `--`. The answer is one candidate a line. Nothing is written, and an error is no candidates: a person is typing.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::app::candidates::{self, Kind};
use crate::sys::env;
use crate::ui::{Stream, escape, table::cut};

/// What readline asks for when it lists the candidates instead of inserting one (bash, COMP_TYPE).
const LISTING: &str = "63";
/// A title in a list is cut to this many cells.
const TITLE: usize = 60;

/// A completer for an argument that takes a live name: `#[arg(add = complete::ids(Kind::WorkOrder))]`.
pub fn ids(kind: Kind) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let names = typed.to_str().map(|prefix| candidates::of(kind, prefix)).unwrap_or_default();
        let candidate = |(i, (value, title)): (usize, (String, String))| {
            let help = (!title.is_empty()).then(|| escape::line(&title).into_owned().into());
            // The order is the provider's: the most recent names stand first.
            CompletionCandidate::new(value).help(help).display_order(Some(i))
        };
        names.into_iter().enumerate().map(candidate).collect::<Vec<_>>()
    })
}

/// The shell that asks for candidates, where one does.
pub(super) fn asked() -> Option<String> {
    env::var("VERMAS_COMPLETE")
}

/// Prints the candidates; gives the exit code.
pub(super) fn answer(shell: &str, args: &[OsString]) -> u8 {
    let words: Vec<OsString> = args.iter().skip_while(|a| *a != "--").skip(1).cloned().collect();
    let index = env::var("VERMAS_COMPLETE_INDEX").and_then(|i| i.parse().ok());
    let index = index.unwrap_or(words.len().saturating_sub(1));
    let found = candidates_for(super::tree(), words, index);
    let with_titles = env::var("VERMAS_COMPLETE_TYPE").is_some_and(|t| t == LISTING) && found.len() > 1;
    let text: String = found.iter().map(|(value, title)| line(shell, value, title, with_titles) + "\n").collect();
    u8::from(Stream::Out.write(text.as_bytes()).is_err())
}

/// The candidates for the word at `index`, each with its help.
fn candidates_for(mut tree: clap::Command, mut words: Vec<OsString>, mut index: usize) -> Vec<(String, String)> {
    if super::invoke::called_wo(&words) {
        words.insert(1, "wo".into());
        index += 1;
    }
    words.truncate(index + 1);
    words.resize(index + 1, OsString::new());
    for pair in words.windows(2).filter(|pair| pair[0] == "-C") {
        // A directory that is not there is the command's error, not the completion's.
        let _ = env::set_current_dir(Path::new(&pair[1]));
    }
    let nothing_typed = words[index].is_empty();
    let here = env::current_dir().ok();
    let found = clap_complete::engine::complete(&mut tree, words, index, here.as_deref()).unwrap_or_default();
    let mut found: Vec<(String, String)> = found
        .iter()
        .filter_map(|c| Some((c.get_value().to_str()?.to_owned(), first_line(c.get_help()))))
        .filter(|(value, _)| escape::line(value) == *value)
        .collect();
    // Options are offered when a dash was typed, or where there is nothing else.
    if nothing_typed && found.iter().any(|(value, _)| !value.starts_with('-')) {
        found.retain(|(value, _)| !value.starts_with('-'));
    }
    found
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    escape::line(text.lines().next().unwrap_or_default()).into_owned()
}

fn line(shell: &str, value: &str, title: &str, with_titles: bool) -> String {
    match shell {
        "zsh" if title.is_empty() => value.replace('\\', "\\\\").replace(':', "\\:"),
        "zsh" => format!("{}:{}", value.replace('\\', "\\\\").replace(':', "\\:"), title.replace('\\', "\\\\")),
        "fish" if !title.is_empty() => format!("{value}\t{title}"),
        "bash" if with_titles && !title.is_empty() => format!("{value}  ({})", cut(title, TITLE)),
        "bash" => for_readline(value),
        _ => value.to_owned(),
    }
}

/// A value as it would have to be typed: what bash takes apart or expands gets a backslash.
fn for_readline(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if " \\'\"`$&|;<>()[]{}*?!#~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(kind: Kind, prefix: &str) -> Vec<(String, String)> {
        let all = [("wo-b2", "Document the flag"), ("wo-a1", "Add a\x1b[2J flag")];
        let names = all.iter().filter(|(id, _)| kind == Kind::WorkOrder && id.starts_with(prefix));
        names.map(|(id, title)| ((*id).to_owned(), (*title).to_owned())).collect()
    }

    fn small() -> clap::Command {
        let show = clap::Command::new("show").arg(clap::Arg::new("id").num_args(1..).add(ids(Kind::WorkOrder)));
        clap::Command::new("git-vermas").subcommand(clap::Command::new("wo").subcommand(show))
    }

    fn values(line: &[&str]) -> Vec<(String, String)> {
        candidates_for(small(), line.iter().map(OsString::from).collect(), line.len() - 1)
    }

    #[test]
    fn live_names_are_offered_with_their_titles_in_the_order_given() {
        candidates::register(orders);
        let both = [
            ("wo-b2".to_owned(), "Document the flag".to_owned()),
            ("wo-a1".to_owned(), "Add a\\x1b[2J flag".to_owned()),
        ];
        assert_eq!(values(&["git-vermas", "wo", "show", ""]), both);
        assert_eq!(values(&["git-vermas", "wo", "show", "wo-b2", "wo-a"]), both[1..]);
        assert_eq!(values(&["/x/wo", "show", "wo-b"]), both[..1]);
    }

    #[test]
    fn options_wait_for_a_dash() {
        let names = |line: &[&str]| values(line).into_iter().map(|(v, _)| v).collect::<Vec<_>>();
        assert_eq!(names(&["git-vermas", ""]), ["wo", "help"]);
        assert_eq!(names(&["git-vermas", "--h"]), ["--help"]);
    }

    #[test]
    fn each_shell_gets_its_own_form() {
        assert_eq!(line("zsh", "a:b", "t:u", false), "a\\:b:t:u");
        assert_eq!(line("fish", "a", "t", false), "a\tt");
        assert_eq!(line("bash", "a b", "t", false), "a\\ b");
        assert_eq!(line("bash", "a", "t", true), "a  (t)");
    }
}
