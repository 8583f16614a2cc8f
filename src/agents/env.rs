//! A worker's environment.
//!
//! **Invariant:** a worker never inherits which repository a hook stood in, which tmux server the person uses, or whose
//! session another agent's variables speak of. What the person's account needs (keys, endpoints) is passed on.

use std::path::Path;

use super::AgentError;
use crate::sys::env::{GIT_LOCAL, WORKERS_TMUX};

/// Variables to set and to take away. A name to take away may end in `*`, which stands for any ending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvChange {
    pub set: Vec<(String, String)>,
    pub unset: Vec<String>,
}

/// Who the worker is and where its places are.
#[derive(Debug, Clone)]
pub struct Worker<'a> {
    pub agent_id: &'a str,
    pub work_order_id: Option<&'a str>,
    pub factory: &'a str,
    /// `worker`, `supervisor`, `qa`, …
    pub role: &'a str,
    /// The name of its session.
    pub session: &'a str,
    /// The directory made by [`super::shims`].
    pub shims: &'a Path,
    /// A private directory for the sockets of the agent's own tmux. Short: a socket's path holds at most 107 bytes.
    pub tmux_dir: &'a Path,
    /// The socket of the tmux server on which workers run, for our own commands.
    pub tmux_socket: &'a Path,
    /// The values of `vermas.worker.env`: `NAME=VALUE` adds a variable, `NAME` passes ours on.
    pub extra: &'a [String],
}

/// Variables of other sessions. An agent that believes to be inside another one refuses to start, or talks to it. Keys
/// to the person's account are not among them.
const OF_OTHER_SESSIONS: [&str; 9] = [
    "TMUX",
    "TMUX_PANE",
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_MESSAGING_*",
    "CLAUDE_CODE_SESSION_*",
    "CLAUDE_CODE_SSE_PORT",
    "CODEX_THREAD_ID",
    "VERMAS_HOOK",
];

/// The environment of a worker, as a change to whatever it would inherit. `var` gives a variable of ours.
pub fn worker_env(w: &Worker<'_>, var: &dyn Fn(&str) -> Option<String>) -> Result<EnvChange, AgentError> {
    let mut change = EnvChange::default();
    change.unset.extend(GIT_LOCAL.iter().chain(&OF_OTHER_SESSIONS).map(|&n| n.to_owned()));
    change.put("PATH", var("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned()));
    for entry in w.extra {
        let (name, value) = match entry.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (entry.as_str(), var(entry)),
        };
        if !is_name(name) {
            let why = format!("{entry:?} is neither NAME nor NAME=VALUE");
            return Err(AgentError::Setting { key: "vermas.worker.env".to_owned(), why });
        }
        if let Some(value) = value {
            change.put(name, value);
        }
    }
    let shims = w.shims.to_string_lossy();
    let path = change.get("PATH").unwrap_or_default();
    let others = path.split(':').filter(|d| !d.is_empty() && *d != shims);
    let path = std::iter::once(&*shims).chain(others).collect::<Vec<_>>().join(":");
    change.put("PATH", path);
    for (name, value) in [
        ("AGENT_ID", w.agent_id),
        ("FACTORY", w.factory),
        ("CO_FACTORY", w.factory),
        ("ROLE", w.role),
        ("CO_ROLE", w.role),
        ("VERMAS_SESSION", w.session),
        ("TMUX_TMPDIR", &w.tmux_dir.to_string_lossy()),
        (WORKERS_TMUX, &w.tmux_socket.to_string_lossy()),
    ] {
        change.put(name, value);
    }
    match w.work_order_id {
        Some(id) => change.put("WORK_ORDER_ID", id),
        None => change.take_away("WORK_ORDER_ID"),
    }
    Ok(change)
}

impl EnvChange {
    /// Sets a variable, whatever was said of it before.
    pub fn put(&mut self, name: &str, value: impl Into<String>) {
        self.set.retain(|(n, _)| n != name);
        self.unset.retain(|n| n != name);
        self.set.push((name.to_owned(), value.into()));
    }

    /// Takes a variable away, whatever was said of it before.
    pub fn take_away(&mut self, name: &str) {
        self.set.retain(|(n, _)| n != name);
        if !self.unset.iter().any(|n| n == name) {
            self.unset.push(name.to_owned());
        }
    }

    /// The value that a variable is set to here.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The exact names to take away, where `present` are the names that would be inherited. A name without `*` is taken
    /// away whether or not it is among them; one that is set here is not.
    pub fn names_to_unset<'a>(&self, present: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let (patterns, exact): (Vec<&String>, Vec<&String>) = self.unset.iter().partition(|n| n.ends_with('*'));
        let mut names: Vec<String> = exact.into_iter().cloned().collect();
        for name in present {
            let hit = patterns.iter().any(|p| name.starts_with(p.trim_end_matches('*')));
            if hit && is_name(name) && self.get(name).is_none() {
                names.push(name.to_owned());
            }
        }
        names
    }
}

/// Whether this can be the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(work_order_id: Option<&str>, extra: &[&str]) -> Result<EnvChange, AgentError> {
        let extra: Vec<String> = extra.iter().map(|&e| e.to_owned()).collect();
        let worker = Worker {
            agent_id: "app/workers/slot0",
            work_order_id,
            factory: "app",
            role: "worker",
            session: "worker-app-slot0",
            shims: Path::new("/r/.git/vermas/bin"),
            tmux_dir: Path::new("/tmp/v"),
            tmux_socket: Path::new("/tmp/tmux-0/default"),
            extra: &extra,
        };
        worker_env(&worker, &|name| match name {
            "PATH" => Some("/usr/bin:/r/.git/vermas/bin::/bin".to_owned()),
            "API_KEY" => Some("k".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn a_worker_knows_who_it_is_in_both_spellings() {
        let e = env(Some("wo-1"), &[]).unwrap();
        for (name, value) in [
            ("AGENT_ID", "app/workers/slot0"),
            ("WORK_ORDER_ID", "wo-1"),
            ("FACTORY", "app"),
            ("CO_FACTORY", "app"),
            ("ROLE", "worker"),
            ("CO_ROLE", "worker"),
            ("VERMAS_SESSION", "worker-app-slot0"),
            ("TMUX_TMPDIR", "/tmp/v"),
            ("VERMAS_TMUX", "/tmp/tmux-0/default"),
            ("PATH", "/r/.git/vermas/bin:/usr/bin:/bin"),
        ] {
            assert_eq!(e.get(name), Some(value), "{name}");
        }
        let e = env(None, &[]).unwrap();
        assert!(e.get("WORK_ORDER_ID").is_none() && e.unset.contains(&"WORK_ORDER_ID".to_owned()));
    }

    #[test]
    fn what_belongs_to_other_sessions_is_taken_away() {
        let e = env(None, &[]).unwrap();
        let present = ["HOME", "CLAUDE_CODE_MESSAGING_SOCKET", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_SESSION_ID"];
        let names = e.names_to_unset(present);
        for gone in ["GIT_DIR", "GIT_INDEX_FILE", "TMUX", "TMUX_PANE", "CLAUDECODE"] {
            assert!(names.contains(&gone.to_owned()), "{gone}");
        }
        assert!(names.contains(&"CLAUDE_CODE_MESSAGING_SOCKET".to_owned()));
        assert!(!names.iter().any(|n| n == "HOME" || n == "CLAUDE_CODE_OAUTH_TOKEN" || n.ends_with('*')));
    }

    #[test]
    fn settings_add_and_pass_but_do_not_take_over() {
        let e = env(None, &["API_KEY", "MISSING", "X=a=b\nc", "AGENT_ID=ceo", "PATH=/opt"]).unwrap();
        assert_eq!((e.get("API_KEY"), e.get("MISSING"), e.get("X")), (Some("k"), None, Some("a=b\nc")));
        assert_eq!(e.get("AGENT_ID"), Some("app/workers/slot0"));
        assert_eq!(e.get("PATH"), Some("/r/.git/vermas/bin:/opt"));
        assert!(env(None, &["a-b=1"]).unwrap_err().to_string().starts_with("vermas.worker.env: \"a-b=1\""));
    }
}
