//! The branch that work starts from and lands on.

use super::fault::Fault;
use super::session::Session;
use crate::git::{Oid, history, status};

/// The base branch and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The short name.
    pub branch: String,
    /// The full name.
    pub name: String,
    pub oid: Oid,
}

/// The base: what was asked for, else `vermas.base`, else the remote's default branch where it is here too, else the branch
/// of the main worktree.
pub fn of(session: &Session, asked: Option<&str>) -> Result<Base, Fault> {
    let git = session.git();
    let set = asked.map(str::to_owned).or_else(|| session.setting("vermas.base"));
    if let Some(branch) = set {
        return named(session, &branch)?.ok_or_else(|| {
            Fault::not_found(format!("there is no branch '{branch}' to work from"))
                .hint("name one with --base, or set it: git vermas config set vermas.base BRANCH")
        });
    }
    let remote = super::sync::remote_name(session);
    if let Some(branch) = history::default_branch(&git, &remote).ok().flatten() {
        let short = branch.strip_prefix(&format!("{remote}/")).unwrap_or(&branch);
        if let Some(base) = named(session, short)? {
            return Ok(base);
        }
    }
    let current = match session.store.repo().main_worktree() {
        Some(top) => status::current_branch(&git, top)?,
        None => None,
    };
    let found = match current {
        Some(branch) if !branch.starts_with("vermas/") => named(session, &branch)?,
        _ => None,
    };
    found.ok_or_else(|| {
        Fault::failed("there is no branch with a commit to work from")
            .hint("make a first commit, or name a branch: git vermas config set vermas.base BRANCH")
    })
}

fn named(session: &Session, branch: &str) -> Result<Option<Base>, Fault> {
    let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let name = crate::git::name::branch_ref(short)?;
    let oid = session.store.repo().ref_target(&name)?;
    Ok(oid.map(|oid| Base { branch: short.to_owned(), name, oid }))
}
