//! Settings of this machine: what holds, where it comes from, and setting one.

use serde::Serialize;

use super::fault::{Fault, Kind};
use super::settings_table::{self as table, Fallback};
use crate::agents::pick_default;
use crate::git::Repo;
use crate::store::Places;
use crate::sys::env;
use crate::sys::process::Cmd;

/// A setting as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub key: String,
    /// What holds; `None` where nothing is set and there is no default.
    pub value: Option<String>,
    /// `set` or `default`.
    pub origin: &'static str,
    pub meaning: String,
    /// Why the value makes no sense, where it makes none.
    pub fault: Option<String>,
}

/// Every setting, and those of agent programs that are set.
pub fn list(repo: &Repo) -> Vec<Held> {
    let mut all: Vec<Held> = table::known().iter().map(|s| held(repo, s.key)).collect();
    for name in repo.settings().agent_names() {
        let keys = table::AGENT_FIELDS.iter().map(|(field, _)| format!("vermas.agent.{name}.{field}"));
        all.extend(keys.map(|k| held(repo, &k)).filter(|h| h.origin == "set"));
    }
    all
}

/// One setting; an unknown key is an error that names the nearest.
pub fn get(repo: &Repo, key: &str) -> Result<Held, Fault> {
    Ok(held(repo, &known(key)?))
}

fn known(key: &str) -> Result<String, Fault> {
    table::canonical(key).ok_or_else(|| {
        let fault = Fault::new(Kind::NotFound, format!("there is no setting '{key}'"));
        match table::nearest(key) {
            Some(near) => fault.hint(format!("did you mean {near}?")),
            None => fault.hint("see them all: git vermas config"),
        }
    })
}

fn held(repo: &Repo, key: &str) -> Held {
    let set = repo.settings().get(key);
    let fault = set.as_deref().and_then(|v| table::check(key, v).err());
    let origin = if set.is_some() { "set" } else { "default" };
    let value = set.or_else(|| default_of(repo, key));
    Held { key: key.to_owned(), value, origin, meaning: table::meaning(key).unwrap_or_default().to_owned(), fault }
}

/// What holds where nothing is set, found out where that is cheap.
fn default_of(repo: &Repo, key: &str) -> Option<String> {
    let there = |program: &str| env::which(program).is_some();
    match (key, table::find(key)?.default) {
        (_, Fallback::Value(v)) => Some(v.to_owned()),
        ("vermas.factory", _) => Some(Places::of(repo).factory),
        ("vermas.agentDefault", _) => Some(pick_default(there).to_owned()),
        ("vermas.launcher", _) => Some(if there("tmux") { "tmux" } else { "process" }.to_owned()),
        _ => None,
    }
}

/// Sets one in the repository's own config, by git itself. Gives the key as it is written.
///
/// git replaces its file as a whole: after a crash it holds the old settings or the new.
pub fn set(repo: &Repo, key: &str, value: &str) -> Result<String, Fault> {
    let key = known(key)?;
    table::check(&key, value).map_err(|why| Fault::usage(format!("{key}: {why}")))?;
    if key == "vermas.branch" {
        let name = format!("refs/heads/{}", value.strip_prefix("refs/heads/").unwrap_or(value));
        if let Some(tip) = repo.ref_target(&name)?
            && !crate::store::is_state(repo, tip)?
        {
            return Err(Fault::conflict(format!("the branch {value} is there and holds no state"))
                .hint("name one of its own for the state"));
        }
    }
    Cmd::new("git")
        .arg("--git-dir")
        .arg(repo.common_dir())
        .args(["config", "--local", "--replace-all", "--", &key, value])
        .run()?;
    Ok(key)
}
