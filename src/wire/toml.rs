//! Templates and the team's settings, as TOML with errors that name the line.

use std::collections::BTreeMap;

use crate::domain::template::Template;

/// What is wrong, and in which line (from 1) where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlFault {
    pub line: Option<usize>,
    pub message: String,
}

fn fault(text: &str, e: &toml::de::Error) -> TomlFault {
    let line = e.span().map(|s| line_of(text, s.start));
    TomlFault { line, message: e.message().trim().replace('\n', ", ") }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

/// A template, or everything that is wrong with it.
pub fn template(text: &str) -> Result<Template, Vec<TomlFault>> {
    let t: Template = toml::from_str(text).map_err(|e| vec![fault(text, &e)])?;
    let mut faults = t.faults();
    if faults.is_empty() {
        return Ok(t);
    }
    faults.truncate(MOST_FAULTS);
    let lines = step_lines(text);
    let at = |step: Option<String>| step.and_then(|id| lines.get(id.as_str()).copied());
    Err(faults.into_iter().map(|(step, message)| TomlFault { line: at(step), message }).collect())
}

/// How many faults of one template are told.
const MOST_FAULTS: usize = 100;

/// The last line that gives each step its id.
fn step_lines(text: &str) -> BTreeMap<&str, usize> {
    text.lines().enumerate().filter_map(|(n, l)| Some((step_id(l)?, n + 1))).collect()
}

/// The id that a line of TOML gives.
fn step_id(line: &str) -> Option<&str> {
    let value = line.trim().strip_prefix("id")?.trim_start().strip_prefix('=')?;
    Some(value.trim().trim_matches('"').trim_matches('\''))
}

/// The team's settings. Keys that could name a command to run are refused: those come from git config alone.
pub fn settings(text: &str) -> Result<toml::Table, TomlFault> {
    let table: toml::Table = toml::from_str(text).map_err(|e| fault(text, &e))?;
    if let Some(key) = command_key(&table, "") {
        let last = key.rsplit('.').next().unwrap_or_default();
        let line = text.lines().position(|l| l.trim_start().starts_with(last)).map(|n| n + 1);
        let message = format!("'{key}' names a command to run; that is set on each machine with git config");
        return Err(TomlFault { line, message });
    }
    Ok(table)
}

fn command_key(table: &toml::Table, prefix: &str) -> Option<String> {
    table.iter().find_map(|(k, v)| {
        let path = if prefix.is_empty() { k.clone() } else { format!("{prefix}.{k}") };
        match v {
            toml::Value::Table(t) => command_key(t, &path),
            _ if ["command", "setup", "test", "shell", "exec", "run"].contains(&k.as_str()) => Some(path),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_cannot_work_is_refused_with_its_line() {
        let text = "template = \"t\"\nversion = 1\n[[steps]]\nid = \"a\"\ntitle = \"A\"\nneeds = [\"b\"]\n";
        let e = template(text).unwrap_err();
        assert_eq!(e[0], TomlFault { line: Some(4), message: "step 'a' needs 'b', which is no step".into() });
        assert!(template("template = ").unwrap_err()[0].line.is_some());
    }

    #[test]
    fn a_cycle_of_needs_is_refused() {
        let step = |id: &str, n: &str| format!("[[steps]]\nid = \"{id}\"\ntitle = \"x\"\nneeds = [\"{n}\"]\n");
        let text = format!("template = \"t\"\nversion = 1\n{}{}", step("a", "b"), step("b", "a"));
        assert!(template(&text).unwrap_err()[0].message.contains("needs itself"));
    }

    #[test]
    fn settings_never_name_a_command() {
        assert!(settings("[qa]\ntest = \"rm -rf /\"\n").unwrap_err().message.contains("qa.test"));
        assert!(settings("[patrol]\nidle = 3\n").is_ok());
    }
}
