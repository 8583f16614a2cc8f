//! The programs and the person's settings that we rely on.

use super::{Check, Health};
use crate::app::session::git_of;
use crate::app::setup;
use crate::git::Repo;
use crate::git::hooks::{self, HookState};
use crate::sys::{env, fs};
use crate::tmux::Server;

/// The oldest git that does all we ask of it.
const OLDEST_GIT: (u32, u32) = (2, 38);

pub fn checks(repo: &Repo) -> Vec<Check> {
    let mut all = vec![git(repo), tmux(repo), path()];
    all.extend(hooks_of(repo));
    all.push(remote(repo));
    all.push(identity(repo));
    all
}

fn git(repo: &Repo) -> Check {
    match git_of(repo).version() {
        Ok(found) if found < OLDEST_GIT => {
            let (major, minor) = OLDEST_GIT;
            Check::new("git", Health::Error, format!("version {}.{}", found.0, found.1))
                .mend(format!("install git {major}.{minor} or newer"))
        }
        Ok((major, minor)) => Check::ok("git", format!("version {major}.{minor}")),
        Err(e) => Check::new("git", Health::Error, e.to_string()).mend("install git, or put it on PATH"),
    }
}

fn tmux(repo: &Repo) -> Check {
    if repo.settings().get("vermas.launcher").as_deref() == Some("process") {
        return Check::ok("tmux", "not asked for: sessions are background processes");
    }
    match Server::own().version() {
        Ok(version) => Check::ok("tmux", format!("version {}", version.text)),
        Err(e) => Check::new("tmux", Health::Warning, e.to_string())
            .mend("install tmux 3.2 or newer; without it sessions are background processes"),
    }
}

/// Hooks and agents call the program by its name.
fn path() -> Check {
    let own = env::current_exe().and_then(|p| fs::canonicalize(&p)).ok();
    let Some(found) = env::which("git-vermas") else {
        return Check::new("PATH", Health::Warning, "git-vermas is not on it, so git and its hooks do not find it")
            .mend("put the folder of git-vermas on PATH");
    };
    let found = fs::canonicalize(&found).unwrap_or(found);
    if own.as_ref() == Some(&found) {
        return Check::ok("PATH", format!("git-vermas is {}", found.display()));
    }
    Check::new("PATH", Health::Info, format!("git-vermas on it is another one: {}", found.display()))
        .mend("git and its hooks call that one")
}

fn hooks_of(repo: &Repo) -> Vec<Check> {
    let reports = match hooks::status(&git_of(repo), setup::HOOKS) {
        Ok(reports) => reports,
        Err(e) => return vec![Check::new("hooks", Health::Warning, e.to_string())],
    };
    let install = "git vermas hooks install";
    let check = |r: &hooks::HookReport| match &r.state {
        HookState::Installed | HookState::Chained => None,
        HookState::Foreign { line } => {
            let what = format!("{} is yours to write", r.path.display());
            Some(Check::new("hooks", Health::Info, what).mend(format!("this line in it calls ours: {line}")))
        }
        HookState::Modified => {
            let what = format!("{} was changed and is not ours any more", r.path.display());
            Some(Check::new("hooks", Health::Info, what).mend(install))
        }
        HookState::Missing => {
            Some(Check::new("hooks", Health::Info, format!("{} is not installed", r.hook.name())).mend(install))
        }
    };
    let found: Vec<Check> = reports.iter().filter_map(check).collect();
    if found.is_empty() { vec![Check::ok("hooks", "installed")] } else { found }
}

/// Whether there is a remote; it is not asked, since a doctor without a network must not hang.
fn remote(repo: &Repo) -> Check {
    let name = repo.settings().get("vermas.remote").unwrap_or_else(|| "origin".to_owned());
    if repo.settings().get(&format!("remote.{name}.url")).is_some() {
        return Check::ok("remote", name);
    }
    Check::new("remote", Health::Info, format!("there is no remote '{name}': the state stays on this machine"))
        .mend("git remote add, then git vermas sync")
}

fn identity(repo: &Repo) -> Check {
    match repo.settings().get("user.name") {
        Some(name) if !name.trim().is_empty() => Check::ok("user.name", name),
        _ => Check::new("user.name", Health::Info, "not set: commits of the state are by 'vermas'")
            .mend("git config --global user.name"),
    }
}
