//! Settings under `vermas.`: names that nothing reads, and values that mean nothing.

use super::{Check, Health};
use crate::app::session::git_of;
use crate::domain::AgentId;
use crate::domain::id::is_segment;
use crate::git::Repo;

/// Whether a value means something.
type Good = fn(&str) -> bool;

const ANY: Good = |v| !v.trim().is_empty();
const PATH: Good = |v| !v.is_empty() && !v.starts_with('-');

/// Every setting by its lower-cased name, and what a good value is.
const KNOWN: &[(&str, Good, &str)] = &[
    ("vermas.branch", |v| !v.starts_with('-') && !v.contains([' ', '~', '^', ':', '?', '*', '[']), "a branch"),
    ("vermas.remote", |v| !v.starts_with('-') && !v.contains(' '), "the name of a remote"),
    ("vermas.workdir", PATH, "a folder"),
    ("vermas.workersdir", PATH, "a folder"),
    ("vermas.factory", is_segment, "a name of a-z, 0-9, _ and -"),
    ("vermas.identity", |v| v.parse::<AgentId>().is_ok(), "an agent"),
    ("vermas.slots", |v| v.trim().parse::<u32>().is_ok_and(|n| n > 0), "a number from 1"),
    ("vermas.base", ANY, "a branch"),
    ("vermas.agentdefault", ANY, "an agent program"),
    ("vermas.launcher", |v| ["tmux", "process"].contains(&v), "tmux or process"),
    ("vermas.tmuxsocket", PATH, "a name"),
    ("vermas.qa.test", ANY, "a command"),
    ("vermas.qa.timeout", |v| v.starts_with(|c: char| c.is_ascii_digit()), "a length of time"),
    ("vermas.qa.merge", |v| ["merge", "squash"].contains(&v), "merge or squash"),
    ("vermas.claims", |v| ["local", "remote"].contains(&v), "local or remote"),
    ("vermas.durability", |v| ["full", "log"].contains(&v), "full or log"),
    ("vermas.worker.setup", ANY, "a command"),
    ("vermas.worker.env", ANY, "a variable"),
];
const OF_AGENTS: &[&str] = &["command", "prompt", "headless", "resume", "env"];

pub fn checks(repo: &Repo) -> Vec<Check> {
    let listed = git_of(repo).cmd().args(["config", "-z", "--get-regexp", r"^vermas\."]).output();
    let Ok(listed) = listed else { return Vec::new() };
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let all = text.split('\0').filter(|e| !e.is_empty());
    all.filter_map(|entry| {
        let (name, value) = entry.split_once('\n').unwrap_or((entry, ""));
        fault(name, value).map(|(what, mend)| Check::new("settings", Health::Warning, what).mend(mend))
    })
    .collect()
}

/// What is wrong with a setting, and what to do.
fn fault(name: &str, value: &str) -> Option<(String, String)> {
    if let Some((_, key)) = name.strip_prefix("vermas.agent.").and_then(|rest| rest.rsplit_once('.')) {
        let known = OF_AGENTS.contains(&key);
        return (!known).then(|| (format!("nothing reads {name}"), format!("known are {}", OF_AGENTS.join(", "))));
    }
    let Some((_, good, meaning)) = KNOWN.iter().find(|(known, ..)| *known == name.to_ascii_lowercase()) else {
        let unset = format!("git config --unset {name}");
        return Some((format!("nothing reads {name}"), format!("if it is no longer wanted: {unset}")));
    };
    (!good(value)).then(|| (format!("{name} is '{value}', which is not {meaning}"), format!("git config {name} VALUE")))
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn unknown_names_and_values_are_told() {
        for (name, value) in
            [("vermas.slots", "3"), ("vermas.agent.My.Own.command", "x"), ("vermas.qa.merge", "squash")]
        {
            assert_eq!(fault(name, value), None, "{name}");
        }
        for (name, value) in
            [("vermas.slot", "3"), ("vermas.slots", "no"), ("vermas.agent.x.cmd", "x"), ("vermas.claims", "global")]
        {
            assert!(fault(name, value).is_some(), "{name}");
        }
    }
}
