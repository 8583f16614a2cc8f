//! The agents that are known without a setting.
//!
//! Places in braces are filled in at the start; one that has no value is left out together with the option before it:
//! `{prompt}`, `{prompt_file}`, `{role_file}`, `{role_toml}` (the role's text as a TOML string), `{settings_file}`,
//! `{session_id}`, `{label}`, `{git_dir}`.
//!
//! The words are those of the programs' own help: Claude Code 2.1.330, Codex 0.169.0, Gemini 0.61.0, Aider 0.86.2,
//! opencode 1.18.33.

use super::backend::PromptMode;

/// A backend as it is built in.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    pub name: &'static str,
    pub command: &'static [&'static str],
    pub prompt: PromptMode,
    pub headless: Option<&'static [&'static str]>,
    pub resume: Option<&'static [&'static str]>,
    pub env: &'static [(&'static str, &'static str)],
}

/// The built-in backends, in the order in which a default is looked for; `shell` is last and always there.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "claude",
        // Several of the flags take any number of values: only what comes after `--` is safely the prompt.
        command: &[
            "claude",
            "--session-id",
            "{session_id}",
            "-n",
            "{label}",
            "--permission-mode",
            "acceptEdits",
            "--append-system-prompt-file",
            "{role_file}",
            "--settings",
            "{settings_file}",
            "--",
            "{prompt}",
        ],
        prompt: PromptMode::Argument,
        headless: Some(&["claude", "-p", "--output-format", "json", "--", "{prompt}"]),
        resume: Some(&[
            "claude",
            "--resume",
            "{session_id}",
            "--permission-mode",
            "acceptEdits",
            "--append-system-prompt-file",
            "{role_file}",
            "--settings",
            "{settings_file}",
            "--",
            "{prompt}",
        ]),
        env: &[],
    },
    Preset {
        name: "codex",
        // Its sandbox must let it write to the repository's own directory, or it cannot commit from a worktree.
        command: &[
            "codex",
            "-a",
            "never",
            "-s",
            "workspace-write",
            "--add-dir",
            "{git_dir}",
            "-c",
            "developer_instructions={role_toml}",
            "--",
            "{prompt}",
        ],
        prompt: PromptMode::Argument,
        headless: Some(&["codex", "exec", "--json", "--", "{prompt}"]),
        resume: Some(&["codex", "resume", "{session_id}", "{prompt}"]),
        env: &[],
    },
    Preset {
        name: "gemini",
        command: &["gemini", "--approval-mode", "auto_edit", "-i", "{prompt}"],
        prompt: PromptMode::Argument,
        headless: Some(&["gemini", "-p", "{prompt}"]),
        resume: None,
        env: &[],
    },
    Preset {
        name: "aider",
        command: &[
            "aider",
            "--yes-always",
            "--no-check-update",
            "--analytics-disable",
            "--git-commit-verify",
            "--read",
            "{role_file}",
            "--message-file",
            "{prompt_file}",
        ],
        prompt: PromptMode::File,
        headless: None,
        resume: None,
        env: &[],
    },
    Preset {
        name: "opencode",
        command: &["opencode", "--prompt", "{prompt}"],
        prompt: PromptMode::Argument,
        headless: Some(&["opencode", "run", "--format", "json", "{prompt}"]),
        resume: None,
        env: &[("OPENCODE_PERMISSION", r#"{"*":"allow"}"#)],
    },
    // Without a command of its own it is a shell for a person, who asks for the order with `co assignment`. A prompt is
    // text that others wrote: it is never handed to a shell as commands.
    Preset { name: "shell", command: &["sh"], prompt: PromptMode::None, headless: None, resume: None, env: &[] },
];

/// The preset of this name.
pub(super) fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|p| p.name == name)
}
