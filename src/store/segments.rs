//! Putting files into the tree of a commit: events into this replica's segments, and texts at their paths.

use std::collections::BTreeMap;

use super::error::Result;
use super::open::Store;
use super::publish::Load;
use super::{branch, replica};
use crate::git::{Entry, EntryKind, Oid};
use crate::wire::segment;

impl Store {
    /// Puts events into this replica's segments. Gives the home of each event and the new segments.
    #[expect(clippy::type_complexity, reason = "two parallel lists that the one caller takes apart at once")]
    pub(super) fn write_segments(
        &mut self,
        load: &Load,
        root: &mut Vec<Entry>,
        written: &mut Vec<Oid>,
    ) -> Result<(Vec<(String, usize)>, Vec<(String, Oid)>)> {
        if load.events.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut replica = replica::current(&self.places)?;
        let events_tree = root.iter().find(|e| e.name == "events" && e.kind == EntryKind::Tree).map(|e| e.oid);
        let mut folders = events_tree.map(|t| self.repo.tree(t)).transpose()?.unwrap_or_default();
        let own = |folders: &[Entry], name: &str| folders.iter().find(|f| f.name == name).cloned();
        let mut list =
            own(&folders, &replica).map(|f| branch::segments_in(&self.repo, &f)).transpose()?.unwrap_or_default();
        if list.last().is_some_and(|s| s.number >= segment::MOST_SEGMENTS) {
            replica = replica::go_on(&self.places)?;
            list = Vec::new();
        }
        let mut files = own(&folders, &replica).map(|f| self.repo.tree(f.oid)).transpose()?.unwrap_or_default();
        let (number, active) = match list.last() {
            Some(s) => match self.active.take().filter(|(oid, _)| *oid == s.oid) {
                Some((_, bytes)) => (s.number, bytes),
                None => (s.number, self.repo.blob(s.oid)?),
            },
            None => (1, Vec::new()),
        };
        // A segment that somebody left without its last newline is as good as full.
        let torn = !active.is_empty() && !active.ends_with(b"\n");
        let (number, active) =
            if torn || active.len() >= segment::LONG { (number + 1, Vec::new()) } else { (number, active) };
        let lines: Vec<Vec<u8>> = load.events.iter().map(|e| e.raw.clone()).collect();
        let filled = segment::fill(number, active.clone(), &lines);
        let (mut homes, mut segments) = (Vec::new(), Vec::new());
        for (n, bytes) in filled {
            let oid = self.repo.write_blob(&bytes)?;
            written.push(oid);
            let name = segment::name(n);
            let old = if n == number { active.len() } else { 0 };
            let count = bytes[old..].iter().filter(|b| **b == b'\n').count();
            homes.push((format!("{replica}/{name}"), count));
            segments.push((format!("{replica}/{name}"), oid));
            files.retain(|e| e.name != name);
            files.push(Entry { name, kind: EntryKind::File, oid });
        }
        folders.retain(|e| e.name != replica);
        folders.push(Entry { name: replica, kind: EntryKind::Tree, oid: self.repo.write_tree(&files)? });
        root.retain(|e| e.name != "events");
        root.push(Entry { name: "events".to_owned(), kind: EntryKind::Tree, oid: self.repo.write_tree(&folders)? });
        written.extend(root.last().map(|e| e.oid));
        written.extend(folders.last().map(|e| e.oid));
        Ok((homes, segments))
    }

    /// Puts a file at a path of any depth, or takes it away.
    pub(super) fn put_path(
        &self,
        root: &mut Vec<Entry>,
        path: &str,
        content: Option<&[u8]>,
        written: &mut Vec<Oid>,
    ) -> Result<()> {
        let oid = content.map(|bytes| self.repo.write_blob(bytes)).transpose()?;
        written.extend(oid);
        self.put_objects(root, BTreeMap::from([(path.to_owned(), oid)]), written)
    }

    /// The same with contents that git has already, for any number of paths: each folder is written once.
    pub(super) fn put_objects(
        &self,
        root: &mut Vec<Entry>,
        changes: BTreeMap<String, Option<Oid>>,
        written: &mut Vec<Oid>,
    ) -> Result<()> {
        let (mut here, mut below) = (BTreeMap::new(), BTreeMap::<String, BTreeMap<String, Option<Oid>>>::new());
        for (path, content) in changes {
            match path.split_once('/') {
                Some((folder, rest)) => {
                    below.entry(folder.to_owned()).or_default().insert(rest.to_owned(), content);
                }
                None => {
                    here.insert(path, content);
                }
            }
        }
        for (folder, changes) in below {
            let old = root.iter().find(|e| e.name == folder && e.kind == EntryKind::Tree).map(|e| e.oid);
            let mut entries = old.map(|t| self.repo.tree_or_empty(t)).transpose()?.unwrap_or_default();
            self.put_objects(&mut entries, changes, written)?;
            root.retain(|e| e.name != folder);
            if !entries.is_empty() {
                let oid = self.repo.write_tree(&entries)?;
                written.push(oid);
                root.push(Entry { name: folder, kind: EntryKind::Tree, oid });
            }
        }
        root.retain(|e| !here.contains_key(&e.name));
        let there = here.into_iter().filter_map(|(name, oid)| Some(Entry { name, kind: EntryKind::File, oid: oid? }));
        root.extend(there);
        Ok(())
    }
}
