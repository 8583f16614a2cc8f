//! The git program, started in one way.
//!
//! Every call names its repository explicitly (`--git-dir`), so that a worktree whose link was lost can never make git
//! walk up and work on the repository around it. Settings that would start work of their own (hooks, fsmonitor,
//! maintenance, foreign transports) are off; no call asks on the terminal; each has a deadline.
//!
//! **Invariant:** the person's hooks run in two places only: `git worktree add` and `git commit` for a worker. Our own
//! shims stand aside there, by the variable [`NESTED`].

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::process::{Cmd, Output, ProcessError};

/// Set in every child: a hook of ours that sees it does nothing.
pub const NESTED: &str = "VERMAS_NESTED";
/// The limit for calls that write a whole worktree (large checkouts, filters that fetch).
pub const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(900);

const QUIET: &[(&str, &str)] = &[
    ("core.fsmonitor", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
];
const NO_HOOKS: (&str, &str) = ("core.hooksPath", "/dev/null");
const FALLBACK_NAME: &str = "vermas";
const FALLBACK_EMAIL: &str = "vermas@localhost";

/// Why git did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("`{command}` ended with {}{}", exit(*code), said(stderr))]
    Failed { command: String, code: Option<i32>, stderr: String },
    #[error(transparent)]
    Process(ProcessError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("`{name}` is not {what}")]
    Name { what: &'static str, name: String },
    #[error("cannot read what `{command}` printed: {what}")]
    Unreadable { command: &'static str, what: String },
    #[error("{what} is not known to git")]
    NotFound { what: String },
    /// Refused so that nothing is lost.
    #[error("{}: {why}", path.display())]
    Refused { path: PathBuf, why: String },
}

fn exit(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |c| format!("exit code {c}"))
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl From<ProcessError> for GitError {
    fn from(e: ProcessError) -> Self {
        match e {
            ProcessError::Failed { command, output } => {
                Self::Failed { command, code: output.code, stderr: output.stderr_text() }
            }
            other => Self::Process(other),
        }
    }
}

impl GitError {
    pub(super) fn unreadable(command: &'static str, what: impl Into<String>) -> Self {
        Self::Unreadable { command, what: what.into() }
    }

    pub(super) fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }
}

/// A repository, as the git program is to see it.
#[derive(Debug, Clone)]
pub struct Git {
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
}

impl Git {
    /// `common_dir` is the absolute path that `git rev-parse --git-common-dir` names.
    pub fn new(common_dir: impl Into<PathBuf>) -> Self {
        Self { common_dir: common_dir.into(), work_tree: None, env: Vec::new() }
    }

    /// The main worktree, from which attributes (merge drivers, filters) are read by calls on the repository.
    #[must_use]
    pub fn with_work_tree(mut self, path: impl Into<PathBuf>) -> Self {
        self.work_tree = Some(path.into());
        self
    }

    /// One more variable for every child.
    #[must_use]
    pub fn with_env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// A variable as our children will see it.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        let own = self.env.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.to_string_lossy().into_owned());
        own.or_else(|| crate::sys::env::var(name)).filter(|v| !v.is_empty())
    }

    /// A call on the repository, hooks off.
    pub fn cmd(&self) -> Cmd {
        self.base(&self.common_dir, self.cwd(), false)
    }

    /// A call on the repository that runs the person's hooks.
    pub fn cmd_with_hooks(&self) -> Cmd {
        self.base(&self.common_dir, self.cwd(), true)
    }

    /// A call in one worktree, hooks off. Fails where the worktree's link to its repository is lost.
    pub fn cmd_in(&self, worktree: &Path) -> Cmd {
        self.base(&self.git_dir_in(worktree), worktree, false)
    }

    /// A call in one worktree that runs the person's hooks.
    pub fn cmd_in_with_hooks(&self, worktree: &Path) -> Cmd {
        self.base(&self.git_dir_in(worktree), worktree, true)
    }

    fn cwd(&self) -> &Path {
        self.work_tree.as_deref().unwrap_or(&self.common_dir)
    }

    /// `<worktree>/.git`, a directory or a link file; the main worktree of a repository whose git dir lies elsewhere has
    /// none and is the common dir's.
    fn git_dir_in(&self, worktree: &Path) -> PathBuf {
        let link = worktree.join(".git");
        if self.work_tree.as_deref() == Some(worktree) && !crate::sys::fs::exists(&link) {
            return self.common_dir.clone();
        }
        link
    }

    fn base(&self, git_dir: &Path, cwd: &Path, hooks: bool) -> Cmd {
        let mut option = OsString::from("--git-dir=");
        option.push(git_dir);
        let mut cmd = Cmd::new("git").cwd(cwd).arg(option);
        for (name, value) in &self.env {
            cmd = cmd.env(name, value);
        }
        let settings = QUIET.iter().chain((!hooks).then_some(&NO_HOOKS));
        let mut count = 0;
        for (key, value) in settings {
            cmd = cmd.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        cmd = cmd.env("GIT_CONFIG_COUNT", count.to_string()).env(NESTED, "1").env("GIT_TERMINAL_PROMPT", "0");
        // A hook of the person's keeps their language and their git as it is.
        if hooks { cmd } else { cmd.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C") }
    }

    /// The variables that give a commit an author where the person has set none; empty where they have.
    pub fn identity(&self) -> Result<Vec<(String, String)>, GitError> {
        let out =
            self.cmd().args(["config", "-z", "--get-regexp", r"^(user|author|committer)\.(name|email)$"]).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let set = |key: &str| {
            let last = text.split('\0').filter_map(|e| e.split_once('\n')).rfind(|(k, _)| *k == key);
            last.is_some_and(|(_, v)| !v.trim().is_empty())
        };
        let mut vars = Vec::new();
        for role in ["author", "committer"] {
            let upper = role.to_ascii_uppercase();
            for (part, fallback) in [("name", FALLBACK_NAME), ("email", FALLBACK_EMAIL)] {
                let name = format!("GIT_{upper}_{}", part.to_ascii_uppercase());
                let known = set(&format!("{role}.{part}"))
                    || set(&format!("user.{part}"))
                    || self.var(&name).is_some()
                    || (part == "email" && self.var("EMAIL").is_some());
                if !known {
                    vars.push((name, fallback.to_owned()));
                }
            }
        }
        Ok(vars)
    }

    /// The git program's version, as far as it is a number.
    pub fn version(&self) -> Result<(u32, u32), GitError> {
        let text = self.cmd().arg("version").run()?.text();
        let numbers = text.split_whitespace().nth(2).unwrap_or_default();
        let mut parts = numbers.split('.').map_while(|p| p.parse().ok());
        match (parts.next(), parts.next()) {
            (Some(major), Some(minor)) => Ok((major, minor)),
            _ => Err(GitError::unreadable("git version", text)),
        }
    }
}

/// Adds the variables of [`Git::identity`].
pub(super) fn with_identity(cmd: Cmd, identity: &[(String, String)]) -> Cmd {
    identity.iter().fold(cmd, |c, (name, value)| c.env(name, value))
}

/// Runs a call whose exit code 1 is an answer ("no"), not a failure.
pub(super) fn yes_or_no(cmd: &Cmd) -> Result<bool, GitError> {
    match cmd.output()? {
        o if o.success() => Ok(true),
        o if o.code == Some(1) => Ok(false),
        o => Err(failed(cmd, &o)),
    }
}

/// The error for a call that ended with an exit code nobody asked for.
pub(super) fn failed(cmd: &Cmd, output: &Output) -> GitError {
    GitError::Failed { command: cmd.display(), code: output.code, stderr: output.stderr_text() }
}

/// The parts of an output that ends each of them with a NUL.
pub(super) fn nul_parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|b| *b == 0).filter(move |_| !bytes.is_empty())
}

/// A path as git prints it under `-z`: raw bytes.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}
