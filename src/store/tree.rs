//! The files of a state commit by path, for those who check a state before it is taken over.

use std::collections::{BTreeMap, BTreeSet};

use super::bounds::{Budget, MOST_SEGMENTS};
use super::error::Result;
use super::init::is_root;
use crate::git::{EntryKind, Oid, Repo};
use crate::wire::{line, segment};

/// Folders whose files are looked at, and how many levels of folders there are below the root.
const FOLDERS: &[(&str, usize)] = &[("events", 2), ("templates", 1), ("processes", 1)];

/// Whether a commit holds a state, and not somebody's code: a list, or events, or nothing where it is
/// the one that states begin with. Many a project begins with an empty commit of its own.
pub fn is_state(repo: &Repo, commit: Oid) -> Result<bool> {
    let commit = repo.commit(commit)?;
    for e in repo.tree(commit.tree)? {
        let is_state = match e.name.as_str() {
            "work_orders.jsonl" | "messages.jsonl" => e.kind == EntryKind::File,
            // Many a project has a file of this name.
            "events.jsonl" if e.kind == EntryKind::File => {
                let text = repo.blob(e.oid).unwrap_or_default();
                text.split(|b| *b == b'\n').next().is_some_and(|first| line::event(first).is_ok())
            }
            "events" if e.kind == EntryKind::Tree => {
                repo.tree(e.oid)?.iter().any(|e| e.kind == EntryKind::Tree && segment::is_replica(&e.name))
            }
            _ => false,
        };
        if is_state {
            return Ok(true);
        }
    }
    Ok(is_root(repo, &commit))
}

/// The files of a state's tree.
#[derive(Debug, Clone, Default)]
pub struct StateTree {
    pub files: BTreeMap<String, Oid>,
    /// Links, executables and submodules in places where a file of ours stands.
    pub odd: BTreeSet<String>,
}

/// Reads a commit's tree as far as it concerns the state; evidence is left out. Bounded in depth and in number, whatever
/// the tree holds.
pub fn state_tree(repo: &Repo, commit: Oid) -> Result<StateTree> {
    let mut all = StateTree::default();
    let mut budget = Budget::new("in the state", MOST_SEGMENTS);
    collect(repo, repo.commit(commit)?.tree, "", 0, &mut all, &mut budget)?;
    Ok(all)
}

fn collect(
    repo: &Repo,
    tree: Oid,
    prefix: &str,
    levels: usize,
    all: &mut StateTree,
    budget: &mut Budget,
) -> Result<()> {
    for e in repo.tree(tree)? {
        let path = format!("{prefix}{}", e.name);
        budget.spend(&path, 1)?;
        match e.kind {
            EntryKind::File => {
                all.files.insert(path, e.oid);
            }
            EntryKind::Other(_) => {
                all.odd.insert(path);
            }
            EntryKind::Tree => {
                let below = FOLDERS.iter().find(|(name, _)| prefix.is_empty() && e.name == *name).map(|(_, n)| *n);
                let below = if prefix.is_empty() { below.unwrap_or(0) } else { levels.saturating_sub(1) };
                if below > 0 {
                    collect(repo, e.oid, &format!("{path}/"), below, all, budget)?;
                }
            }
        }
    }
    Ok(())
}
