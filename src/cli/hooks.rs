//! `git vermas hooks`

use std::path::PathBuf;

use serde_json::json;

use super::Context;
use crate::app::fault::Fault;
use crate::app::session::{git_of, repository};
use crate::app::setup;
use crate::git::hooks::{self, Hook, HookReport, HookState};

/// The git hooks: install, take away, look
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Install(Install),
    Uninstall(Uninstall),
    Status(Status),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Install(a) => a.run(ctx),
            Command::Uninstall(a) => a.run(ctx),
            Command::Status(a) => a.run(ctx),
        }
    }
}

/// Install the hooks beside those that are there
///
/// pre-commit and pre-push look at the state branch only; prepare-commit-msg names the work order in workers' commits.
/// Hooks that are there go on running, first.
#[derive(Debug, clap::Args)]
pub struct Install {
    /// Guard a shared bare repository instead: refuse pushes that would break its state branch
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    remote_repo: Option<PathBuf>,
}

impl Install {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let (git, which): (_, &[Hook]) = match &self.remote_repo {
            Some(path) => {
                let repo = crate::git::Repo::open(path, None)?;
                (git_of(&repo), &[Hook::Update])
            }
            None => (git_of(&repository()?), setup::HOOKS),
        };
        show(ctx, &hooks::install(&git, which)?);
        Ok(())
    }
}

/// Take the hooks away, and put back what was there before
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// The shared bare repository whose guard to take away
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    remote_repo: Option<PathBuf>,
}

impl Uninstall {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let (git, which): (_, &[Hook]) = match &self.remote_repo {
            Some(path) => {
                let repo = crate::git::Repo::open(path, None)?;
                (git_of(&repo), &[Hook::Update])
            }
            None => (git_of(&repository()?), setup::HOOKS),
        };
        let reports = hooks::uninstall(&git, which)?;
        if self.remote_repo.is_none() {
            setup::forget_merge_driver(&git)?;
        }
        show(ctx, &reports);
        Ok(())
    }
}

/// Say how the hooks stand
#[derive(Debug, clap::Args)]
pub struct Status {}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        show(ctx, &hooks::status(&git_of(&repository()?), setup::HOOKS)?);
        Ok(())
    }
}

fn show(ctx: &Context, reports: &[HookReport]) {
    let word = |s: &HookState| match s {
        HookState::Installed => "installed",
        HookState::Chained => "installed, beside yours",
        HookState::Foreign { .. } => "yours to add",
        HookState::Missing => "not installed",
        HookState::Modified => "changed by somebody, left alone",
    };
    let line = |s: &HookState| match s {
        HookState::Foreign { line } => Some(line.clone()),
        _ => None,
    };
    let record = |r: &HookReport| json!({"hook": r.hook.name(), "state": word(&r.state), "path": r.path.to_string_lossy(), "line": line(&r.state)});
    ctx.many(reports.iter().map(record).collect(), |_| {
        let mut out = String::new();
        for r in reports {
            out.push_str(&format!("{:<20}{}\n", r.hook.name(), word(&r.state)));
            if let Some(l) = line(&r.state) {
                out.push_str(&format!("{:<20}add to {}: {l}\n", "", r.path.display()));
            }
        }
        out
    });
}
