//! Reading the state branch: which segments a commit holds, and what is in them.

use std::collections::BTreeMap;

use super::bounds::{Budget, MOST_SEGMENTS};
use super::error::Result;
use crate::git::{Entry, EntryKind, Oid, Repo};
use crate::wire::segment;

/// A segment on the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub replica: String,
    pub number: u32,
    pub oid: Oid,
}

impl Segment {
    /// `{replica}/{000001}.jsonl`, the path below `events/`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.replica, segment::name(self.number))
    }
}

/// The segments of a root tree, by path. Entries of any other name or kind are passed over: what stands there is
/// somebody else's, and is neither taken nor removed. More than a state has are an error.
pub fn segments_of(repo: &Repo, root: Oid) -> Result<BTreeMap<String, Segment>> {
    let mut all = BTreeMap::new();
    let mut budget = Budget::new("below events/", MOST_SEGMENTS);
    let folders = folders(repo, root)?;
    budget.spend("events/", folders.len())?;
    for folder in folders {
        let entries = repo.tree(folder.oid)?;
        budget.spend(&format!("events/{}", folder.name), entries.len())?;
        all.extend(among(&folder.name, entries).map(|s| (s.path(), s)));
    }
    Ok(all)
}

/// The replicas' folders of a root tree.
pub fn folders(repo: &Repo, root: Oid) -> Result<Vec<Entry>> {
    let Some(events) = child(repo, root, "events", EntryKind::Tree)? else { return Ok(Vec::new()) };
    let entries = repo.tree(events.oid)?;
    Ok(entries.into_iter().filter(|e| e.kind == EntryKind::Tree && segment::is_replica(&e.name)).collect())
}

/// The segments of one replica's folder, in order.
pub fn segments_in(repo: &Repo, folder: &Entry) -> Result<Vec<Segment>> {
    let mut list: Vec<Segment> = among(&folder.name, repo.tree(folder.oid)?).collect();
    list.sort_by_key(|s| s.number);
    Ok(list)
}

fn among(replica: &str, entries: Vec<Entry>) -> impl Iterator<Item = Segment> {
    entries.into_iter().filter(|e| e.kind == EntryKind::File).filter_map(move |e| {
        let number = segment::number(&e.name)?;
        Some(Segment { replica: replica.to_owned(), number, oid: e.oid })
    })
}

/// An entry of a tree by name and kind.
pub fn child(repo: &Repo, tree: Oid, name: &str, kind: EntryKind) -> Result<Option<Entry>> {
    Ok(repo.tree(tree)?.into_iter().find(|e| e.name == name && e.kind == kind))
}
