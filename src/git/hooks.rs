//! Installing our git hooks beside whatever is there.
//!
//! An earlier hook is kept as `<hook>.vermas-chained`: the same inode, run first by our shim, put back on uninstall.
//! Shims end in a line with their version and checksum, so an older one is recognised and replaced, and one that somebody
//! edited is left alone.
//!
//! **Invariant:** nothing is written outside the common git dir. Where `core.hooksPath` points elsewhere (it is honoured,
//! never set), the shims lie in `<common dir>/vermas/hooks`; git 2.54 and later are told of them by configuration, for
//! older ones [`HookState::Foreign`] carries the one line to add.

use std::path::{Path, PathBuf};

use super::hooks_file::{self as file, Found};
use super::program::{Git, GitError, path_of, yes_or_no};
use super::worktree;
use crate::sys::fs;

/// The hooks we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    PreCommit,
    PrepareCommitMsg,
    PrePush,
    /// For a shared bare remote only.
    Update,
}

impl Hook {
    /// Those of a working repository.
    pub const LOCAL: [Self; 3] = [Self::PreCommit, Self::PrepareCommitMsg, Self::PrePush];
    /// Those of a shared remote.
    pub const REMOTE: [Self; 1] = [Self::Update];

    /// git's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PrepareCommitMsg => "prepare-commit-msg",
            Self::PrePush => "pre-push",
            Self::Update => "update",
        }
    }

    /// The script, without its checksum line.
    pub fn script(self) -> &'static str {
        match self {
            Self::PreCommit => include_str!("../../githooks/pre-commit"),
            Self::PrepareCommitMsg => include_str!("../../githooks/prepare-commit-msg"),
            Self::PrePush => include_str!("../../githooks/pre-push"),
            Self::Update => include_str!("../../githooks/update"),
        }
    }
}

/// How a hook stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookState {
    Installed,
    /// Installed, with an earlier hook that runs first.
    Chained,
    /// The hooks are the person's to write: this line, added to the hook at the report's path, calls ours.
    Foreign {
        line: String,
    },
    Missing,
    /// Something else stands there that we will not replace: our shim, edited, or a newer hook in its place while an
    /// earlier one is still chained.
    Modified,
}

/// One hook of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    pub hook: Hook,
    pub state: HookState,
    /// Where git looks for it.
    pub path: PathBuf,
}

/// Where a repository's hooks are, and whether we may write there.
struct Place {
    dir: PathBuf,
    ours: bool,
    /// Shims for hooks that are not files in `dir`.
    aside: PathBuf,
    /// git runs hooks named in its configuration.
    by_config: bool,
}

fn place(git: &Git) -> Result<Place, GitError> {
    // Our other calls switch hooks off by `core.hooksPath`; this question is about the person's.
    let out = git.cmd_with_hooks().args(["config", "-z", "--type=path", "--get", "core.hooksPath"]).output()?;
    let dir = match out.stdout.strip_suffix(b"\0") {
        None => git.common_dir().join("hooks"),
        // A relative path counts from where the hook runs: the top of the worktree.
        Some(path) => match worktree::list(git)?.first() {
            Some(main) if !main.bare => main.path.join(path_of(path)),
            _ => git.common_dir().join(path_of(path)),
        },
    };
    let real = |p: &Path| fs::canonicalize(p).unwrap_or_else(|_| p.to_owned());
    // The folder itself need not exist yet; a link in its place leads elsewhere.
    let ours = match (dir.parent(), fs::exists(&dir)) {
        (Some(parent), false) => real(parent).starts_with(real(git.common_dir())),
        _ => real(&dir).starts_with(real(git.common_dir())),
    };
    let by_config = !ours && git.version()? >= (2, 54);
    Ok(Place { dir, ours, aside: git.common_dir().join("vermas").join("hooks"), by_config })
}

/// Installs hooks, or brings them up to date; a second run changes nothing.
///
/// After a crash each hook is the old or the new one; an earlier hook is never without its place, and the next run goes
/// on.
pub fn install(git: &Git, hooks: &[Hook]) -> Result<Vec<HookReport>, GitError> {
    let place = place(git)?;
    for &hook in hooks {
        if place.ours {
            file::install(&place.dir, hook)?;
            continue;
        }
        fs::create_private_dir(&git.common_dir().join("vermas"))?;
        file::install(&place.aside, hook)?;
        if place.by_config {
            configure(git, hook, &place.aside.join(hook.name()))?;
        }
    }
    reports(git, &place, hooks)
}

/// Takes hooks away again and puts earlier ones back, byte for byte, with their mode. What somebody edited stays.
///
/// After a crash each hook is ours or the earlier one; the next run goes on.
pub fn uninstall(git: &Git, hooks: &[Hook]) -> Result<Vec<HookReport>, GitError> {
    let place = place(git)?;
    for &hook in hooks {
        // Both places: `core.hooksPath` may have been set or unset since.
        if place.ours {
            file::uninstall(&place.dir, hook)?;
        }
        let default = git.common_dir().join("hooks");
        if default != place.dir {
            file::uninstall(&default, hook)?;
        }
        unconfigure(git, hook)?;
        file::uninstall(&place.aside, hook)?;
    }
    fs::remove_dir_if_empty(&place.aside);
    reports(git, &place, hooks)
}

/// How hooks stand; changes nothing.
pub fn status(git: &Git, hooks: &[Hook]) -> Result<Vec<HookReport>, GitError> {
    reports(git, &place(git)?, hooks)
}

fn reports(git: &Git, place: &Place, hooks: &[Hook]) -> Result<Vec<HookReport>, GitError> {
    hooks.iter().map(|&hook| report(git, place, hook)).collect()
}

fn report(git: &Git, place: &Place, hook: Hook) -> Result<HookReport, GitError> {
    let path = place.dir.join(hook.name());
    let state = if place.ours {
        match file::look(&place.dir, hook)? {
            Found::Ours { chained: true, .. } => HookState::Chained,
            Found::Ours { chained: false, .. } => HookState::Installed,
            Found::Edited | Found::Other { chained: true } => HookState::Modified,
            Found::Nothing { .. } | Found::Other { chained: false } => HookState::Missing,
        }
    } else {
        let called =
            fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("vermas/hooks/{}", hook.name())));
        let configured = place.by_config && is_configured(git, hook)?;
        match file::look(&place.aside, hook)? {
            Found::Ours { .. } if called || configured => HookState::Installed,
            Found::Ours { .. } => HookState::Foreign { line: line(hook) },
            Found::Edited | Found::Other { .. } => HookState::Modified,
            Found::Nothing { .. } => HookState::Missing,
        }
    };
    Ok(HookReport { hook, state, path })
}

/// The line for somebody else's hook script: does nothing in a clone without us, fails when ours fails.
fn line(hook: Hook) -> String {
    let name = hook.name();
    format!("v=\"$(git rev-parse --git-common-dir)/vermas/hooks/{name}\"; [ ! -x \"$v\" ] || \"$v\" \"$@\" || exit")
}

fn key(hook: Hook, what: &str) -> String {
    format!("hook.vermas-{}.{what}", hook.name())
}

fn configure(git: &Git, hook: Hook, shim: &Path) -> Result<(), GitError> {
    let Some(shim) = shim.to_str() else { return Ok(()) };
    let set = |what: &str, value: &str| git.cmd().args(["config", "--local", &key(hook, what), value]).run();
    // The event last: without it the command is never run.
    set("command", &crate::sys::process::shell_quote(shim))?;
    set("event", hook.name())?;
    Ok(())
}

fn is_configured(git: &Git, hook: Hook) -> Result<bool, GitError> {
    yes_or_no(&git.cmd().args(["config", "--local", "--get", &key(hook, "event")]))
}

fn unconfigure(git: &Git, hook: Hook) -> Result<(), GitError> {
    if is_configured(git, hook)? {
        git.cmd().args(["config", "--local", "--remove-section", &format!("hook.vermas-{}", hook.name())]).run()?;
    }
    Ok(())
}
