//! What a command may do, whatever the state is.

use std::time::Duration;

use super::commands;
use super::disk::Then;
use super::world::{Said, World};

/// The exit codes that the program has: its own, and git's for what is git's matter.
const CODES: &[i32] = &[0, 1, 2, 3, 4, 5, 128];

#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub faults: Vec<String>,
    pub commands: usize,
    pub slowest: Duration,
    pub slowest_is: String,
}

impl Verdict {
    pub fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        if other.slowest > self.slowest {
            (self.slowest, self.slowest_is) = (other.slowest, other.slowest_is.clone());
        }
    }
}

/// What is wrong with how a command ended and with what it said.
fn fault(args: &[String], said: &Said) -> Option<String> {
    let err = said.err_text();
    let head = || err.chars().take(400).collect::<String>();
    if said.timed_out {
        return Some("does not end".to_owned());
    }
    if !said.code.is_some_and(|c| CODES.contains(&c)) {
        return Some(format!("ends with {:?}: {}", said.code, head()));
    }
    if err.contains("panicked") || err.contains("internal error") {
        return Some(format!("panics: {}", head()));
    }
    // What goes into a file byte for byte is no page for a person.
    let shown =
        if args.starts_with(&["events".to_owned(), "export".to_owned()]) { String::new() } else { said.out_text() };
    for (what, text) in [("output", shown), ("error", err.clone())] {
        if let Some(c) = text.chars().find(|c| acts(*c)) {
            return Some(format!("lets {} through in its {what}", c.escape_unicode()));
        }
    }
    if said.code != Some(0) && err.trim().is_empty() {
        return Some(format!("fails with {:?} and says nothing", said.code));
    }
    None
}

/// Whether a character acts on a terminal, or turns what is read.
fn acts(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Makes the case in a world, and runs `most` commands (seeded) beside those that show whether good orders are usable.
pub fn judge(w: &World, name: &str, make: &dyn Fn(&World), then: Then, most: usize, seed: u64) -> Verdict {
    let mut v = Verdict::default();
    // Read as it is: some cases leave a repository in which git answers nothing.
    let tip_of_main = || std::fs::read_to_string(w.app.join(".git/refs/heads/main")).ok();
    let main = tip_of_main();
    make(w);
    let before = w.surroundings();
    let mut calls: Vec<Vec<String>> = commands::all(w).into_iter().map(|c| c.args).collect();
    if most < calls.len() {
        let n = calls.len() as u64;
        let chosen: Vec<usize> =
            (0..most as u64).map(|i| usize::try_from(super::pick(seed * 77 + i, n)).unwrap()).collect();
        let mut at = 0..;
        calls.retain(|_| at.next().is_some_and(|i| chosen.contains(&i)));
    }
    // What brings the state in comes first: clones are set up, the remote is joined.
    let first = [vec!["init".to_owned()], vec!["sync".to_owned()]];
    for args in first.into_iter().chain(calls) {
        let said = w.run(&args);
        v.commands += 1;
        if said.took > v.slowest {
            v.slowest = said.took;
            v.slowest_is = format!("{} on: {name}", args.join(" "));
        }
        if let Some(f) = fault(&args, &said) {
            v.faults.push(format!("{name}: `{}` {f}", args.join(" ")));
        }
    }
    if then == Then::Usable {
        v.faults.extend(unusable(w).map(|why| format!("{name}: {why}")));
    }
    let after = w.surroundings();
    for (path, was) in &before {
        if after.get(path) != Some(was) {
            v.faults.push(format!("{name}: changed {}: {:?} was {was:?}", path.display(), after.get(path)));
        }
    }
    for path in after.keys().filter(|p| !before.contains_key(*p)) {
        v.faults.push(format!("{name}: made {}", path.display()));
    }
    if tip_of_main() != main {
        v.faults.push(format!("{name}: moved main"));
    }
    if w.was_run() {
        v.faults.push(format!("{name}: ran a command"));
    }
    v
}

/// Why the good orders cannot be worked with; `None` where they can.
fn unusable(w: &World) -> Option<String> {
    let list = w.say(&["wo", "list", "--json"]);
    let text = list.out_text();
    if let Some(lost) = w.good.iter().find(|id| !text.contains(id.as_str())) {
        return Some(format!("{lost} is not listed any more: {:?} {}", list.code, list.err_text()));
    }
    let first = w.good[0].as_str();
    for args in [
        &["wo", "show", first][..],
        &["wo", "comment", first, "-m", "still here"],
        &["wo", "create", "Another"],
        &["read", &w.mail],
    ] {
        let said = w.say(args);
        if said.code != Some(0) {
            return Some(format!("`{}` fails with {:?}: {}", args.join(" "), said.code, said.err_text()));
        }
    }
    None
}
