//! Setting a repository up.

use super::fault::Fault;
use super::session::{git_of, repository};
use super::sync;
use crate::git::hooks::{self, Hook, HookState};
use crate::git::push::{self, Fetched};
use crate::git::{Oid, Repo, objects};
use crate::store::Places;
use crate::sys::env;

/// The hooks that a working repository gets.
pub const HOOKS: &[Hook] = &[Hook::PreCommit, Hook::PrepareCommitMsg, Hook::PrePush];

/// What `init` found and made.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub branch: String,
    pub replica: String,
    pub factory: String,
    /// One line for each thing made; empty where everything was there.
    pub made: Vec<String>,
    /// The remote's commit that was taken over.
    pub adopted: Option<String>,
    pub remote: Option<String>,
    pub warnings: Vec<String>,
}

/// Sets up the repository stood in, or completes what is missing. `say` hears what is being done.
pub fn init(remote: Option<&str>, with_hooks: bool, say: &dyn Fn(&str)) -> Result<Report, Fault> {
    let repo = repository()?;
    crate::store::check_room(&repo)?;
    let mut report = Report::default();
    if let Some(name) = remote {
        choose_remote(&repo, name)?;
        report.made.push(format!("vermas.remote = {name} in git config"));
    }
    let repo = if remote.is_some() { repository()? } else { repo };
    let places = Places::of(&repo);
    let adopt = if repo.ref_target(&places.state_ref)?.is_none() {
        remote_tip(&repo, &places, say, &mut report)?
    } else {
        None
    };
    let git = git_of(&repo);
    say("making the state");
    let (mut store, made) = crate::store::init(repo, adopt)?;
    report.made.extend(made.made);
    report.branch = made.branch;
    report.replica = made.replica;
    report.adopted = made.adopted.map(|o| o.to_string());
    report.factory.clone_from(&store.places().factory);
    report.warnings.append(&mut store.take_warnings());
    merge_driver(&git, &mut report)?;
    if with_hooks {
        install_hooks(&git, &mut report)?;
    }
    crate::agents::shims(&store.places().bin(), &env::current_exe()?)?;
    Ok(report)
}

fn choose_remote(repo: &Repo, name: &str) -> Result<(), Fault> {
    if repo.settings().get(&format!("remote.{name}.url")).is_none() {
        return Err(Fault::not_found(format!("there is no remote '{name}'")).hint("see them: git remote -v"));
    }
    git_of(repo).cmd().args(["config", "vermas.remote", name]).run()?;
    Ok(())
}

/// The tip of the remote's state branch, fetched now, or as it was last seen where the remote cannot be reached.
fn remote_tip(repo: &Repo, places: &Places, say: &dyn Fn(&str), report: &mut Report) -> Result<Option<Oid>, Fault> {
    let remote = repo.settings().get("vermas.remote").unwrap_or_else(|| "origin".to_owned());
    if repo.settings().get(&format!("remote.{remote}.url")).is_none() {
        return Ok(None);
    }
    report.remote = Some(remote.clone());
    say(&format!("asking {remote}"));
    let git = git_of(repo);
    match push::fetch(&git, &remote, &places.state_ref, sync::asking())? {
        Fetched::At(oid) => Ok(objects::parse_oid(&oid)),
        Fetched::NoSuchRef => Ok(None),
        Fetched::Refused(text) => {
            let fault = Fault::failed(format!("the state branch of {remote} cannot be taken: {text}"));
            Err(sync::advise(fault, &text, sync::ELSEWHERE, (&remote, places.branch())))
        }
        Fetched::Unreachable(text) => {
            let seen =
                [push::tracking_ref(&remote, &places.state_ref), format!("refs/remotes/{remote}/{}", places.branch())];
            for name in seen {
                if let Some(oid) = repo.ref_target(&name)? {
                    report
                        .warnings
                        .push(format!("{remote} cannot be reached; its state is taken as last seen ({text})"));
                    return Ok(Some(oid));
                }
            }
            report.warnings.push(format!("{remote} cannot be reached, so its state could not be looked at: {text}"));
            Ok(None)
        }
    }
}

/// Lets `git merge` of the state branch call us for the projections.
fn merge_driver(git: &crate::git::Git, report: &mut Report) -> Result<(), Fault> {
    let wanted = [
        ("merge.vermas.name", "git vermas: join the records of two states"),
        ("merge.vermas.driver", "git-vermas merge-driver %O %A %B %P"),
    ];
    let mut made = false;
    for (key, value) in wanted {
        let now = git.cmd().args(["config", "--local", "--get", key]).output()?;
        if now.text() != value {
            git.cmd().args(["config", "--local", key, value]).run()?;
            made = true;
        }
    }
    if made {
        report.made.push("merge.vermas in git config: the merge driver of the state branch".to_owned());
    }
    Ok(())
}

fn install_hooks(git: &crate::git::Git, report: &mut Report) -> Result<(), Fault> {
    let before = hooks::status(git, HOOKS)?;
    let after = hooks::install(git, HOOKS)?;
    for (b, a) in before.iter().zip(&after) {
        let name = a.hook.name();
        match &a.state {
            _ if b.state == a.state => {}
            HookState::Installed => report.made.push(format!("hook {name}")),
            HookState::Chained => report.made.push(format!("hook {name}, beside yours, which still runs")),
            HookState::Foreign { .. } | HookState::Modified | HookState::Missing => {}
        }
        match &a.state {
            HookState::Foreign { line } => report
                .warnings
                .push(format!("your hooks are kept in your own tree; add this line to {}: {line}", a.path.display())),
            HookState::Modified => {
                report.warnings.push(format!("{} is not ours any more, so it was left as it is", a.path.display()))
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes the settings that `init` made away again.
pub fn forget_merge_driver(git: &crate::git::Git) -> Result<(), Fault> {
    // A section that is not there is gone already.
    git.cmd().args(["config", "--local", "--remove-section", "merge.vermas"]).output()?;
    Ok(())
}
