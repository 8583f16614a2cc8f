//! Settings under `vermas.`: names that nothing reads, and values that mean nothing.

use super::{Check, Health};
use crate::app::session::git_of;
use crate::app::settings_table as table;
use crate::domain::text::quoted;
use crate::git::Repo;

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
    let Some(key) = table::canonical(name) else {
        let mend = match table::nearest(name) {
            Some(near) => format!("{near} may be what was meant"),
            None => "see all that there are: git vermas config".to_owned(),
        };
        return Some((format!("nothing reads {name}"), mend));
    };
    let why = table::check(&key, value).err()?;
    Some((format!("{key} is {}: {why}", quoted(value)), format!("git vermas config set {key} VALUE")))
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn unknown_names_and_values_are_told() {
        for (name, value) in [("vermas.slots", "3"), ("vermas.workdir", "state"), ("vermas.qa.merge", "squash")] {
            assert_eq!(fault(name, value), None, "{name}");
        }
        for (name, value) in
            [("vermas.slot", "3"), ("vermas.slots", "no"), ("vermas.agent.x.cmd", "x"), ("vermas.claims", "global")]
        {
            assert!(fault(name, value).is_some(), "{name}");
        }
    }
}
