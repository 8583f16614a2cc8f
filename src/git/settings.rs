//! git config of this machine, with what `git -c key=value vermas …` adds.

use std::collections::BTreeMap;

use gix::bstr::ByteSlice;

use crate::sys;

/// The settings in force. Keys as git writes them; section and name in any case.
pub struct Settings {
    file: gix::config::File,
    /// From `git -c`, by lower-cased key.
    given: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn of(repo: &gix::Repository) -> Self {
        let given = sys::env::var("GIT_CONFIG_PARAMETERS").map(|t| parameters(&t)).unwrap_or_default();
        Self { file: repo.config_snapshot().plumbing().clone(), given }
    }

    /// The value that holds, the last one given.
    pub fn get(&self, key: &str) -> Option<String> {
        if let Some(v) = self.given.get(&folded(key)) {
            return Some(v.clone());
        }
        self.file.string(key).map(|v| v.to_str_lossy().into_owned())
    }

    /// A value as git reads a boolean; `None` where it is not set or is none.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// The remote that is said to hold what a partial clone lacks.
    pub fn promisor(&self) -> Option<String> {
        let sections = self.file.sections_by_name("remote").into_iter().flatten();
        let names =
            sections.filter_map(|s| s.header().subsection_name().and_then(|n| n.to_str().ok()).map(str::to_owned));
        let mut promising = names.filter(|name| self.flag(&format!("remote.{name}.promisor")) == Some(true));
        promising.next().or_else(|| self.get("extensions.partialClone"))
    }

    /// The names for which `vermas.agent.NAME.…` is set.
    pub fn agent_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .file
            .sections_by_name("vermas")
            .into_iter()
            .flatten()
            .filter_map(|s| s.header().subsection_name().and_then(|n| n.to_str().ok()).map(str::to_owned))
            .filter_map(|n| n.strip_prefix("agent.").map(str::to_owned))
            .collect();
        let given = self
            .given
            .keys()
            .filter_map(|k| k.strip_prefix("vermas.agent.")?.rsplit_once('.').map(|(n, _)| n.to_owned()));
        names.extend(given);
        names.sort();
        names.dedup();
        names
    }
}

/// Section and name lower-cased, the subsection between them as it is.
fn folded(key: &str) -> String {
    let (section, rest) = key.split_once('.').unwrap_or((key, ""));
    match rest.rsplit_once('.') {
        Some((sub, name)) => format!("{}.{sub}.{}", section.to_ascii_lowercase(), name.to_ascii_lowercase()),
        None => format!("{}.{}", section.to_ascii_lowercase(), rest.to_ascii_lowercase()),
    }
}

/// Reads `GIT_CONFIG_PARAMETERS`: shell-quoted words, `'key=value'` or (git ≥ 2.31) `'key'='value'`.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut words: Vec<String> = Vec::new();
    let mut rest = text.chars().peekable();
    let mut word = String::new();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if !quoted => word.extend(rest.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    for w in words.iter().filter(|w| !w.is_empty()) {
        let (key, value) = w.split_once('=').unwrap_or((w, "true"));
        all.insert(folded(key), value.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_given_settings_are_read() {
        let p = parameters(r"'vermas.slots=3' 'vermas.qa.test'='make '\''x y'\''' 'Color.UI'='never'");
        assert_eq!(p["vermas.slots"], "3");
        assert_eq!(p["vermas.qa.test"], "make 'x y'");
        assert_eq!(p["color.ui"], "never");
    }
}
