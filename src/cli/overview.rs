//! All commands at a glance, grouped by what they are for.

use clap::builder::StyledStr;

use crate::ui::{Cell, Column, Label, Look, Paint, Table};

/// Purposes, and the commands that serve them, in the order of help and man page.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Start", &["init", "status", "prime", "demo"]),
    ("Work orders", &["wo", "sprint", "sprints", "verify"]),
    ("Assignments and mail", &["assignment", "send", "inbox", "read", "archive", "mail", "handoff"]),
    ("Workers", &["dispatch", "worker", "workers", "worktree", "supervise", "operations"]),
    ("Templates", &["process", "template"]),
    ("Merging", &["qa"]),
    ("Sharing and history", &["sync", "log", "undo", "events", "eval"]),
    ("Upkeep", &["doctor", "fsck", "rebuild", "config", "hooks", "factory"]),
    ("About", &["completions", "man", "version", "help"]),
];

/// Called by git and by hooks, and hidden from help.
pub const PLUMBING: &[&str] = &["hook", "merge-driver"];

/// The commands of the tree by purpose: heading, then name and first line of help of each.
pub fn by_purpose(tree: &clap::Command) -> Vec<(&'static str, Vec<(&str, String)>)> {
    let line = |name: &&str| {
        let command = tree.find_subcommand(name).filter(|c| !c.is_hide_set())?;
        Some((command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default()))
    };
    let groups = GROUPS.iter().map(|(purpose, names)| (*purpose, names.iter().filter_map(line).collect::<Vec<_>>()));
    groups.filter(|(_, commands)| !commands.is_empty()).collect()
}

fn commands(tree: &clap::Command) -> String {
    let groups = by_purpose(tree);
    let width = groups.iter().flat_map(|(_, list)| list).map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (purpose, list) in groups {
        let mut table = Table::new([Column::left(""), Column::left("")]);
        for (name, about) in list {
            table.row([Cell::plain(format!("  {name:width$}")), Cell::new(Label::Plain, about)]);
        }
        out.push_str(&format!("{purpose}\n{}\n", table.render(Look { paint: Paint::new(false), width: None })));
    }
    out
}

/// The short overview, for a line without words.
pub fn text(tree: &clap::Command) -> String {
    format!(
        "usage: git vermas <command> [options]\n\n{}git vermas <command> -h shows the help of a command.\n",
        commands(tree)
    )
}

/// Help on the program as a whole, the commands by purpose.
pub fn help(tree: clap::Command, long: bool) -> StyledStr {
    let list = commands(&tree);
    let mut tree = tree.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\n\nOptions:\n{{options}}{{after-help}}",
        list.trim_end()
    ));
    if long { tree.render_long_help() } else { tree.render_help() }
}

/// Whether a request for help means the program and none of its commands.
pub fn is_about_everything(words: &[String]) -> bool {
    let tree = <super::Cli as clap::CommandFactory>::command();
    let names = words.iter().skip(1).take_while(|w| *w != "-h" && *w != "--help");
    !names.into_iter().any(|w| tree.find_subcommand(w).is_some())
        && words.iter().skip_while(|w| *w != "help").nth(1).is_none_or(|w| w.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        <super::super::Cli as clap::CommandFactory>::command().debug_assert();
        super::super::tree();
    }

    #[test]
    fn every_command_has_its_place() {
        let placed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).chain(PLUMBING).copied().collect();
        for command in super::super::tree().get_subcommands() {
            let name = command.get_name();
            assert!(placed.contains(&name), "`{name}` has no place in overview::GROUPS");
            assert_eq!(command.is_hide_set(), PLUMBING.contains(&name), "`{name}`: hidden, or plumbing?");
        }
    }

    #[test]
    fn help_on_everything_is_told_from_help_on_a_command() {
        let all = |line: &str| is_about_everything(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(all("git-vermas -h"));
        assert!(all("git-vermas --json --help"));
        assert!(all("git-vermas help"));
        assert!(!all("git-vermas version -h"));
        assert!(!all("git-vermas help version"));
    }
}
