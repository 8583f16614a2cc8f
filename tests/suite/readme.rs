//! The README speaks of commands and settings that there are, and its test command is the one that is run.

use std::path::Path;

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The words that follow a phrase, wherever it stands.
fn after<'a>(text: &'a str, phrase: &'a str) -> impl Iterator<Item = &'a str> {
    let word = |rest: &'a str| rest.split(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c))).next();
    text.split(phrase).skip(1).filter_map(word).filter(|w| !w.is_empty())
}

#[test]
fn every_command_it_names_is_there() {
    let (readme, tree) = (text("README.md"), git_vermas::cli::tree());
    let named: Vec<&str> =
        after(&readme, "git vermas ").filter(|w| w.starts_with(|c: char| c.is_lowercase())).collect();
    assert!(named.len() > 20, "{named:?}");
    for word in named {
        assert!(tree.find_subcommand(word).is_some(), "README.md: there is no `git vermas {word}`");
    }
    let work = tree.find_subcommand("wo").unwrap();
    for word in after(&readme, "git vermas wo ") {
        assert!(work.find_subcommand(word).is_some(), "README.md: there is no `git vermas wo {word}`");
    }
}

#[test]
fn what_it_says_is_not_there_is_not_there() {
    let (readme, tree) = (text("README.md"), git_vermas::cli::tree());
    let list = readme.split("Not there yet:").nth(1).and_then(|t| t.split(". ").next()).unwrap();
    let mut named = 0;
    for word in list.split('`').skip(1).step_by(2).filter(|w| !w.contains(' ')) {
        named += 1;
        assert!(tree.find_subcommand(word).is_none(), "README.md: `git vermas {word}` is there by now");
    }
    assert!(named > 4, "{list}");
}

#[test]
fn the_test_command_is_the_one_that_is_run() {
    let (readme, run) = (text("README.md"), text(".ci/run"));
    let mut commands = readme.lines().filter_map(|l| l.find("cargo test").map(|at| l[at..].trim()));
    let command = commands.next().unwrap();
    assert_eq!(commands.next(), None, "one test command is enough");
    assert!(run.lines().any(|l| l == command), ".ci/run does not run `{command}`");
    assert!(run.starts_with("#!/usr/bin/env bash\n") && run.contains("\nset -euo pipefail\n"));
}
