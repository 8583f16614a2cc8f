//! What is particular to Claude Code: its trust in a directory, and its hooks.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::AgentError;
use crate::sys::fs;

/// The events of which Claude Code tells us, by its own names. From them the state of a worker follows: a prompt or a
/// tool is work, a request or a notification is waiting, a stop is idleness, an end is an end.
pub const HOOK_EVENTS: [&str; 8] = [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "Notification",
    "Stop",
    "StopFailure",
    "SessionEnd",
];

/// Seconds after which Claude Code goes on without a hook's answer.
const HOOK_TIMEOUT: u32 = 5;

/// What a worker may do without asking a person: report through us, and commit in its own worktree.
const ALLOWED: [&str; 9] = [
    "Bash(co:*)",
    "Bash(wo:*)",
    "Bash(git vermas:*)",
    "Bash(git add:*)",
    "Bash(git commit:*)",
    "Bash(git status:*)",
    "Bash(git diff:*)",
    "Bash(git log:*)",
    "Bash(git show:*)",
];

/// The settings file for `--settings`, which adds to the person's own settings: a hook for every one of [`HOOK_EVENTS`],
/// which calls `git vermas hook claude <event>`, and the commands that a worker needs to report at all.
pub fn settings() -> String {
    let hook = |event: &str| {
        let command = format!("git vermas hook claude {event}");
        json!([{ "hooks": [{ "type": "command", "command": command, "timeout": HOOK_TIMEOUT }] }])
    };
    let hooks: serde_json::Map<String, Value> = HOOK_EVENTS.iter().map(|&e| (e.to_owned(), hook(e))).collect();
    let mut text = format!("{:#}", json!({ "hooks": hooks, "permissions": { "allow": ALLOWED } }));
    text.push('\n');
    text
}

/// Looks whether Claude Code trusts the repository with this main worktree (linked worktrees inherit the trust). Without
/// it, a dialog waits for a person before anything is read, and its preselected answer ends the program. The answer is
/// the person's to give: nothing is written here. `var` gives a variable of the environment.
pub fn check_trust(main_worktree: &Path, var: &dyn Fn(&str) -> Option<String>) -> Result<(), AgentError> {
    let untrusted = || AgentError::Untrusted { root: main_worktree.to_owned() };
    let home = var("CLAUDE_CONFIG_DIR").or_else(|| var("HOME")).ok_or_else(untrusted)?;
    let file = PathBuf::from(home).join(".claude.json");
    if !file.exists() {
        return Err(untrusted());
    }
    let unreadable = |why: String| AgentError::TrustUnreadable { file: file.clone(), why };
    let text = fs::read_to_string(&file).map_err(|e| unreadable(fs::plain(&e)))?;
    let config: Value = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    let resolved = fs::canonicalize(main_worktree).ok();
    let is_trusted = |root: &Path| {
        let project = root.to_str().and_then(|r| config.get("projects")?.get(r));
        project.and_then(|p| p.get("hasTrustDialogAccepted")).and_then(Value::as_bool) == Some(true)
    };
    if is_trusted(main_worktree) || resolved.is_some_and(|r| is_trusted(&r)) { Ok(()) } else { Err(untrusted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_calls_its_hook() {
        let settings: Value = serde_json::from_str(&settings()).unwrap();
        for event in HOOK_EVENTS {
            let hook = &settings["hooks"][event][0]["hooks"][0];
            assert_eq!(hook["command"], format!("git vermas hook claude {event}"));
            assert_eq!((&hook["type"], &hook["timeout"]), (&json!("command"), &json!(5)));
        }
        assert!(settings["permissions"]["allow"].as_array().unwrap().contains(&json!("Bash(co:*)")));
    }

    #[test]
    fn only_an_accepted_dialog_is_trust() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".claude.json");
        let check = |root: &str| {
            let var = |name: &str| (name == "HOME").then(|| home.path().to_str().unwrap().to_owned());
            check_trust(Path::new(root), &var).map_err(|e| e.to_string())
        };
        assert!(check("/repo").unwrap_err().contains("start `claude` once there and accept"));
        fs::replace(&file, br#"{"projects":{"/repo":{"hasTrustDialogAccepted":true},"/no":{"hasTrustDialogAccepted":false},"/odd":1}}"#).unwrap();
        assert_eq!(check("/repo"), Ok(()));
        for other in ["/no", "/odd", "/repo/sub", "/rep"] {
            assert!(check(other).is_err(), "{other}");
        }
        fs::replace(&file, b"{").unwrap();
        assert!(check("/repo").unwrap_err().starts_with("cannot read whether Claude Code trusts"));
    }

    #[test]
    fn the_directory_of_its_own_configuration_goes_before_the_home() {
        let dir = tempfile::tempdir().unwrap();
        fs::replace(&dir.path().join(".claude.json"), br#"{"projects":{"/r":{"hasTrustDialogAccepted":true}}}"#)
            .unwrap();
        let var = |name: &str| match name {
            "CLAUDE_CONFIG_DIR" => Some(dir.path().to_str().unwrap().to_owned()),
            _ => Some("/nowhere".to_owned()),
        };
        assert!(check_trust(Path::new("/r"), &var).is_ok());
    }
}
