//! `git merge` of another machine's state branch, as git does it with the attributes and the merge driver of a state: what
//! changed on one side is taken, segments join by lines, and projections come from the driver.

use std::collections::BTreeSet;

use super::oracle::Broken;
use super::plan::Numbers;
use super::remote;
use super::town::{STATE, Town};
use crate::app::merge_driver;
use crate::git::{Entry, EntryKind, Oid, Repo};

const PROJECTIONS: [&str; 2] = ["work_orders.jsonl", "messages.jsonl"];

/// Merges another machine's branch into this one's, and compares what came of it with what the next command writes.
pub fn step(town: &mut Town, on: usize, n: &mut Numbers) -> Result<(), Broken> {
    let other = n.index(town.machines.len());
    if other == on {
        return Ok(());
    }
    for machine in [on, other] {
        town.healthy(machine, |s| Ok(s.store.checkpoint().map(|_| ())?))?;
    }
    let (repo, theirs) = (town.repo(on)?, town.repo(other)?);
    let (Some(a), Some(b)) = (repo.ref_target(STATE)?, theirs.ref_target(STATE)?) else { return Ok(()) };
    repo.copy_from(&theirs, b)?;
    let base = repo.merge_base(a, b);
    if base == Some(b) {
        return Ok(());
    }
    town.be_on(on);
    if base == Some(a) {
        return Ok(remote::set(&repo, STATE, Some(b))?);
    }
    let tree_of = |c: Oid| repo.commit(c).map(|c| c.tree);
    let base = base.map(tree_of).transpose()?;
    let mut merge = Merge { repo: &repo, heads: [a, b], driven: BTreeSet::new() };
    let tree = merge.trees(base, tree_of(a)?, tree_of(b)?, "")?;
    let driven = merge.driven;
    let by = repo.author(town.now_ms / 1000);
    let commit = repo.write_commit(tree, &[a, b], "Merge branch 'vermas/state'\n", &by)?;
    remote::set(&repo, STATE, Some(commit))?;
    town.tally.plain_merges += 1;
    town.healthy(on, |s| Ok(s.store.checkpoint().map(|_| ())?))?;
    let repo = town.repo(on)?;
    let Some(after) = repo.ref_target(STATE)? else { return Err(Broken::new("machines agree", "a branch is gone")) };
    for name in PROJECTIONS.iter().filter(|p| driven.contains(**p)) {
        let blob = |commit: Oid| -> Result<Option<Oid>, Broken> {
            let entries = repo.tree(repo.commit(commit)?.tree)?;
            Ok(entries.iter().find(|e| e.name == *name).map(|e| e.oid))
        };
        if blob(commit)? != blob(after)? {
            return Err(Broken::new("a plain merge gives what a sync gives", format!("{name} on machine {on}")));
        }
    }
    Ok(())
}

struct Merge<'a> {
    repo: &'a Repo,
    heads: [Oid; 2],
    /// The projections that the driver wrote.
    driven: BTreeSet<String>,
}

impl Merge<'_> {
    fn trees(&mut self, base: Option<Oid>, ours: Oid, theirs: Oid, prefix: &str) -> Result<Oid, Broken> {
        let base = base.map(|b| self.repo.tree(b)).transpose()?.unwrap_or_default();
        let (o, t) = (self.repo.tree(ours)?, self.repo.tree(theirs)?);
        let names: BTreeSet<&String> = o.iter().chain(&t).map(|e| &e.name).collect();
        let find = |list: &[Entry], name: &str| list.iter().find(|e| e.name == name).cloned();
        let mut merged = Vec::new();
        for name in names {
            let (b, o, t) = (find(&base, name), find(&o, name), find(&t, name));
            let path = format!("{prefix}{name}");
            let entry = if o == t || t == b {
                o
            } else if o == b {
                t
            } else {
                match (o, t) {
                    (Some(o), Some(t)) if o.kind == EntryKind::Tree && t.kind == EntryKind::Tree => {
                        let below = b.filter(|b| b.kind == EntryKind::Tree).map(|b| b.oid);
                        let oid = self.trees(below, o.oid, t.oid, &format!("{path}/"))?;
                        Some(Entry { oid, ..o })
                    }
                    (Some(o), Some(t)) => Some(Entry { oid: self.files(o.oid, t.oid, &path)?, ..o }),
                    // Changed here, gone there: a person keeps the file.
                    (o, t) => o.or(t),
                }
            };
            merged.extend(entry);
        }
        Ok(self.repo.write_tree(&merged)?)
    }

    fn files(&mut self, ours: Oid, theirs: Oid, path: &str) -> Result<Oid, Broken> {
        if PROJECTIONS.contains(&path)
            && let Some(bytes) = merge_driver::fold_of(self.repo, &self.heads, path)
        {
            self.driven.insert(path.to_owned());
            return Ok(self.repo.write_blob(&bytes)?);
        }
        if !path.starts_with("events/") {
            // A conflict, which a person settles for one side.
            return Ok(ours);
        }
        let (mut all, more) = (self.repo.blob(ours)?, self.repo.blob(theirs)?);
        let have: BTreeSet<Vec<u8>> = all.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for line in more.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !have.contains(*l)) {
            all.extend_from_slice(line);
            all.push(b'\n');
        }
        Ok(self.repo.write_blob(&all)?)
    }
}
