//! Every setting of ours in git config: its default, what may stand there, and what it means.
//!
//! The one place for it: `config` shows and checks by this table, `doctor` checks by it, the manual page prints it.

use std::time::Duration;

use crate::agents::Backend;
use crate::domain::AgentId;
use crate::domain::id::is_segment;
use crate::domain::text::{is_steering, quoted};
use crate::git::name::check_branch;

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// As it is written: case matters to readers, not to git.
    pub key: &'static str,
    pub default: Fallback,
    pub kind: Kind,
    /// One line, without a full stop.
    pub meaning: &'static str,
}

/// What holds where nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Value(&'static str),
    /// Found out when it is needed; in words.
    Found(&'static str),
    Nothing,
}

/// What may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Branch,
    Remote,
    Path,
    Factory,
    Agent,
    /// Between these two, both included.
    Number(u32, u32),
    OneOf(&'static [&'static str]),
    /// The name of an agent program.
    Program,
    Socket,
    Command,
    Duration,
    Variables,
}

const fn setting(key: &'static str, default: Fallback, kind: Kind, meaning: &'static str) -> Setting {
    Setting { key, default, kind, meaning }
}

use Fallback::{Found, Nothing, Value};

const KNOWN: &[Setting] = &[
    setting("vermas.branch", Value("vermas/state"), Kind::Branch, "the state branch"),
    setting("vermas.remote", Value("origin"), Kind::Remote, "the remote that the state travels to"),
    setting("vermas.workDir", Value(".work"), Kind::Path, "where the state's files are, from the main worktree"),
    setting(
        "vermas.workersDir",
        Value("workers"),
        Kind::Path,
        "where workers get their worktrees, from the main worktree",
    ),
    setting("vermas.worktree", Found("asked of git"), Kind::Path, "the main worktree, where git itself cannot tell"),
    setting("vermas.factory", Found("the directory's name"), Kind::Factory, "the first part of the agents' addresses"),
    setting("vermas.identity", Value("ceo"), Kind::Agent, "who acts where nothing else says so"),
    setting("vermas.slots", Value("5"), Kind::Number(1, 64), "how many workers there may be"),
    setting(
        "vermas.base",
        Found("the remote's default branch, or the current one"),
        Kind::Branch,
        "the branch that work starts from and lands on",
    ),
    setting(
        "vermas.agentDefault",
        Found("claude if it is found, else the first preset that is, else shell"),
        Kind::Program,
        "the agent that dispatch starts without --agent",
    ),
    setting(
        "vermas.launcher",
        Found("tmux; process where tmux is missing"),
        Kind::OneOf(&["tmux", "process"]),
        "sessions in tmux, or as background processes with a log",
    ),
    setting("vermas.tmuxSocket", Found("the person's own server"), Kind::Socket, "the tmux server, by its -L name"),
    setting("vermas.qa.test", Nothing, Kind::Command, "what the merge queue runs on the merged result, by sh -c"),
    setting("vermas.qa.timeout", Value("30 min"), Kind::Duration, "how long that may take"),
    setting("vermas.qa.merge", Value("merge"), Kind::OneOf(&["merge", "squash"]), "how tested work lands"),
    setting(
        "vermas.qa.trust",
        Value("local"),
        Kind::OneOf(&["local", "remote"]),
        "remote: what was handed in on other machines lands without qa approve",
    ),
    setting(
        "vermas.claims",
        Value("local"),
        Kind::OneOf(&["local", "remote"]),
        "remote: every claim is arbitrated by a push",
    ),
    setting(
        "vermas.durability",
        Value("full"),
        Kind::OneOf(&["full", "log"]),
        "log: only the log line is synced before success",
    ),
    setting(
        "vermas.pack",
        Value("auto"),
        Kind::OneOf(&["auto", "off"]),
        "auto: the state branch's loose objects are packed in the background",
    ),
    setting(
        "vermas.projections",
        Value("patch"),
        Kind::OneOf(&["patch", "replace"]),
        "replace: the lists of orders and messages are never changed in place",
    ),
    setting("vermas.worker.setup", Nothing, Kind::Command, "what prepares a fresh worktree, by sh -c"),
    setting(
        "vermas.worker.env",
        Nothing,
        Kind::Variables,
        "more variables for workers: NAME passes one on, NAME=VALUE sets it",
    ),
];

/// The settings of one agent program: `vermas.agent.NAME.` and one of these.
pub const AGENT_FIELDS: &[(&str, &str)] = &[
    ("command", "how the agent is started"),
    ("prompt", "how it gets its first prompt: argument, stdin, file, none"),
    ("headless", "how it is asked one thing without a session"),
    ("resume", "how an earlier session is taken up again"),
    ("env", "variables of its own"),
];

const AGENT_PREFIX: &str = "vermas.agent.";

/// Every setting but those of agent programs, in the order of the documentation.
pub fn known() -> &'static [Setting] {
    KNOWN
}

pub fn find(key: &str) -> Option<&'static Setting> {
    KNOWN.iter().find(|s| s.key == key)
}

/// A key as the table writes it, from one in another case or without `vermas.`; `None` where there is no such setting.
pub fn canonical(key: &str) -> Option<String> {
    let full = if key.to_ascii_lowercase().starts_with("vermas.") { key.to_owned() } else { format!("vermas.{key}") };
    if let Some((name, field)) = agent_key(&full) {
        return Some(format!("{AGENT_PREFIX}{name}.{field}"));
    }
    KNOWN.iter().find(|s| s.key.eq_ignore_ascii_case(&full)).map(|s| s.key.to_owned())
}

/// Name and field of a key of an agent program.
fn agent_key(key: &str) -> Option<(&str, &'static str)> {
    let (head, rest) = key.split_at_checked(AGENT_PREFIX.len())?;
    let (name, field) = rest.rsplit_once('.').filter(|_| head.eq_ignore_ascii_case(AGENT_PREFIX))?;
    let field = AGENT_FIELDS.iter().find(|(f, _)| f.eq_ignore_ascii_case(field))?.0;
    (!name.is_empty()).then_some((name, field))
}

/// What a key means, the keys of agent programs included.
pub fn meaning(key: &str) -> Option<&'static str> {
    let of_agent = || agent_key(key).and_then(|(_, f)| AGENT_FIELDS.iter().find(|(name, _)| *name == f)).map(|f| f.1);
    find(key).map(|s| s.meaning).or_else(of_agent)
}

/// Whether this may stand under this key; else why not, in words that follow "KEY: ".
pub fn check(key: &str, value: &str) -> Result<(), String> {
    if value.contains('\0') || value.trim().is_empty() {
        return Err("the value is empty, or holds a character that git config cannot hold".to_owned());
    }
    if let Some((name, field)) = agent_key(key) {
        return check_agent(name, field, value);
    }
    match find(key) {
        Some(setting) => setting.kind.check(value),
        None => Err("there is no such setting".to_owned()),
    }
}

/// The value is read as it will be read when the agent is started.
fn check_agent(name: &str, field: &str, value: &str) -> Result<(), String> {
    let given = format!("{AGENT_PREFIX}{name}.{field}");
    // A field may be set before the command is.
    let command = format!("{AGENT_PREFIX}{name}.command");
    let get = |k: &str| {
        if k == given { Some(value.to_owned()) } else { (k == command).then(|| "sh".to_owned()) }
    };
    Backend::named(name, &get).map(|_| ()).map_err(|e| e.to_string())
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        let shown = quoted(value);
        let must = |good: bool, what: &str| if good { Ok(()) } else { Err(format!("{shown} is no {what}")) };
        let plain = !value.chars().any(is_steering);
        match self {
            Self::Branch => must(check_branch(value).is_ok(), "name of a branch"),
            Self::Remote => must(is_ref_name(value), "name of a remote"),
            Self::Path => must(plain && value != ".git" && !value.starts_with(".git/"), "place for files"),
            Self::Factory => must(is_segment(value), "factory: a-z, 0-9, _ and -, at most 63 of them"),
            Self::Agent => value.parse::<AgentId>().map(|_| ()).map_err(|e| e.to_string()),
            Self::Number(least, most) => {
                let good = value.trim().parse::<u32>().is_ok_and(|n| (least..=most).contains(&n));
                must(good, &format!("number from {least} to {most}"))
            }
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(words) => Err(format!("{shown} is none of {}", words.join(", "))),
            Self::Program => {
                let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                must(value.len() <= 64 && value.chars().all(ok), "name of an agent program")
            }
            Self::Socket => must(plain && !value.contains(['/', ' ']) && value.len() <= 64, "name of a tmux server"),
            Self::Command => Ok(()),
            Self::Duration => must(duration(value).is_some(), "length of time: write 90 s, 30 min or 2 h"),
            Self::Variables => {
                let name = |w: &str| w.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                must(name(value.trim_start()), "list of variables: write NAME or NAME=VALUE")
            }
        }
    }
}

/// A length of time as a setting gives it: a number with `s`, `m`, `min` or `h`; without a unit it is seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" | "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(scale)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Whether git takes this as the name of a ref below `refs/heads/` (git-check-ref-format).
fn is_ref_name(name: &str) -> bool {
    let part = |p: &str| !p.is_empty() && !p.starts_with('.') && !p.ends_with(".lock");
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    name.split('/').all(part)
        && !name.contains(bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && name != "HEAD"
}

/// The key that a mistyped one is nearest to; `None` where none is near.
pub fn nearest(key: &str) -> Option<&'static str> {
    let wanted = key.to_ascii_lowercase();
    let far = |s: &Setting| {
        let known = s.key.to_ascii_lowercase();
        let short = known.trim_start_matches("vermas.").to_owned();
        edits(&wanted, &known).min(edits(&wanted, &short))
    };
    KNOWN.iter().map(|s| (far(s), s.key)).min().filter(|(n, _)| *n <= 3).map(|(_, k)| k)
}

/// How many letters have to be put in, taken out or changed.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed() {
        for s in known() {
            if let Fallback::Value(v) = s.default {
                assert_eq!(check(s.key, v), Ok(()), "{}", s.key);
            }
        }
    }

    #[test]
    fn nonsense_is_refused_by_kind() {
        for (key, bad) in [
            ("vermas.slots", "0"),
            ("vermas.slots", "65"),
            ("vermas.slots", "many"),
            ("vermas.branch", "a..b"),
            ("vermas.branch", "-x"),
            ("vermas.branch", "a.lock"),
            ("vermas.branch", "HEAD"),
            ("vermas.branch", "refs/notes/x"),
            ("vermas.identity", "Not An Agent"),
            ("vermas.factory", "a/b"),
            ("vermas.launcher", "screen"),
            ("vermas.qa.timeout", "soon"),
            ("vermas.workDir", ".git/x"),
            ("vermas.qa.test", " "),
            ("vermas.agent.x.prompt", "shout"),
            ("vermas.nothing", "x"),
        ] {
            assert!(check(key, bad).is_err(), "{key}={bad}");
        }
        assert_eq!(check("vermas.agent.mine.command", "my-agent --fast {prompt}"), Ok(()));
    }

    #[test]
    fn keys_are_found_in_any_case_and_near_ones_are_named() {
        assert_eq!(canonical("VERMAS.workdir").as_deref(), Some("vermas.workDir"));
        assert_eq!(canonical("qa.test").as_deref(), Some("vermas.qa.test"));
        assert_eq!(canonical("vermas.agent.My.Command").as_deref(), Some("vermas.agent.My.command"));
        assert_eq!((canonical("vermas.agent.x.colour"), canonical("user.name")), (None, None));
        assert_eq!((nearest("vermas.slot"), nearest("lancher")), (Some("vermas.slots"), Some("vermas.launcher")));
        assert_eq!(nearest("something.else"), None);
    }

    #[test]
    fn a_length_of_time_has_a_unit() {
        let seconds = |t: &str| duration(t).map(|d| d.as_secs());
        assert_eq!(
            (seconds("90"), seconds("30 min"), seconds("2h"), seconds("5m")),
            (Some(90), Some(1800), Some(7200), Some(300))
        );
        assert_eq!((seconds("0"), seconds("-1"), seconds("1 week"), seconds("")), (None, None, None, None));
    }
}
