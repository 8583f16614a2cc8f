//! Merging with another clone's state: the union of both sets of events.
//!
//! **Invariant:** the union never shrinks. Whatever the other side dropped, rewound or rewrote, events that this machine
//! has are published again, in this replica's own folder.

use std::collections::{BTreeMap, BTreeSet};

use super::adopt::Table;
use super::bounds::check_segments;
use super::branch::{self, Segment};
use super::error::{Result, StoreError};
use super::open::Store;
use super::publish::Base;
use super::{project, replica, texts};
use crate::git::{Entry, EntryKind, Oid};
use crate::sys::fs;
use crate::sys::process::Cmd;
use crate::wire::segment;

/// The meta key of the segment that our last claim made, as the remote may have it while our branch does not.
pub(super) const CLAIMED: &str = "claimed";

/// The longest segment that may be another one continued, in bytes: git may have joined two continuations of one.
const MOST_CONTINUED: u64 = 2 * segment::LARGEST as u64;

/// What came of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The branch's tip afterwards.
    pub tip: Option<Oid>,
    /// Events that this machine had not seen before.
    pub arrived: usize,
    /// Files of which both texts were kept: (path, the other text's path).
    pub kept_both: Vec<(String, String)>,
}

impl Store {
    /// Publishes what is loose, with the projections brought up to date. Gives the tip.
    pub fn checkpoint(&mut self) -> Result<Option<Oid>> {
        self.plain = true;
        self.with_state(|tx| tx.finish().map(|_| ()))?;
        self.await_removals()?;
        let _lock = self.lock_publishing()?;
        self.publish_locked(true)
    }

    /// Joins our state with the commit `theirs`, which is in the object database. Our events are published first.
    ///
    /// After a crash the branch is at our old tip or at the merge; doing it again is harmless.
    pub fn merge(&mut self, theirs: Oid) -> Result<Merged> {
        self.plain = true;
        self.with_state(|tx| tx.finish().map(|_| ()))?;
        self.await_removals()?;
        self.with_state::<_, StoreError>(|tx| tx.take_in_plain(theirs).and_then(|()| tx.finish()))?;
        let _lock = self.lock_publishing()?;
        for _ in 0..4 {
            let ours = self.publish_locked(false)?;
            match self.merge_once(ours, theirs) {
                Err(StoreError::Repo(crate::git::RepoError::Moved { .. })) => {}
                other => return other,
            }
        }
        Err(StoreError::Raced)
    }

    fn merge_once(&mut self, ours: Option<Oid>, theirs: Oid) -> Result<Merged> {
        let base = ours.and_then(|o| self.repo.merge_base(o, theirs));
        if ours == Some(theirs) {
            return Ok(Merged { tip: ours, ..Merged::default() });
        }
        if let Some(ours) = ours.filter(|_| base == Some(theirs)) {
            return self.take_back_dropped(ours, theirs);
        }
        self.check_tip(theirs, ours)?;
        if base.is_some() && base == ours || ours.is_none() {
            return self.fast_forward(ours, theirs);
        }
        let ours = ours.ok_or(StoreError::NotInitialised)?;
        let (root_o, root_t) = (self.repo.commit(ours)?.tree, self.repo.commit(theirs)?.tree);
        if root_o == root_t && self.repo.adds_only_merges(ours, theirs)? {
            // Both have joined the same. One more commit would be one more to join for everybody else, and so for ever where
            // there are two remotes.
            return self.fast_forward(Some(ours), theirs);
        }
        let (seg_o, seg_t) = (branch::segments_of(&self.repo, root_o)?, branch::segments_of(&self.repo, root_t)?);
        let chosen = self.choose_segments(&seg_o, &seg_t)?;
        let arrived = self.with_state(|tx| -> Result<usize> {
            let mut built = tx.cache.built()?;
            let before = tx.arrived;
            tx.take_in_segments(&seg_t, &mut built, false)?;
            // Events whose segment is not in the merge, or not with these bytes, are loose again: they go into our own
            // folder.
            tx.take_in_segments(&chosen, &mut built, true)?;
            // The cache knows the merge before the branch does. Should it never come about, the branch is looked at anew.
            built.tip = String::new();
            tx.cache.set_built(&built)?;
            tx.finish()?;
            Ok(tx.arrived - before)
        })?;
        let bases = self.repo.merge_bases(ours, theirs);
        let (root, kept_both) = self.merged_root(&bases, root_o, root_t, &chosen)?;
        let mut load = self.load(true, None)?;
        load.texts.clear();
        load.projections = Some(self.canonical_projections()?);
        let on = Base { parents: vec![ours, theirs], root, message: Some(merge_message(arrived)) };
        let commit = self.commit_on(&load, &on, Some(ours))?;
        self.settle(&load, Some(&commit))?;
        // The joined texts reach the disk now: an edit of what stood there before would take the other side's back.
        let before = ours.to_string();
        self.with_state(|tx| tx.take_out_texts(&before).and_then(|()| tx.take_in_texts()))?;
        Ok(Merged { tip: Some(commit.oid), arrived, kept_both })
    }

    /// Theirs led to ours. Somebody may have joined them by hand, and dropped what theirs holds: that is published again.
    fn take_back_dropped(&mut self, ours: Oid, theirs: Oid) -> Result<Merged> {
        let segments = |tip: Oid| branch::segments_of(&self.repo, self.repo.commit(tip)?.tree);
        // What cannot be read may have been dropped for that.
        let (now, mut dropped) = (segments(ours)?, segments(theirs).unwrap_or_default());
        for (path, o) in now {
            if let Some(t) = dropped.get(&path)
                && (t.oid == o.oid || self.continues(o.oid, t.oid).unwrap_or(false))
            {
                dropped.remove(&path);
            }
        }
        let (mut tip, mut arrived) = (Some(ours), 0);
        if !dropped.is_empty() && self.check_tip(theirs, Some(ours)).is_ok() {
            arrived = self.with_state::<_, StoreError>(|tx| {
                tx.take_in_dropped(&dropped)?;
                tx.finish().map(|_| tx.arrived)
            })?;
            tip = self.publish_locked(false)?;
        }
        Ok(Merged { tip, arrived, kept_both: Vec::new() })
    }

    /// Theirs holds all that ours does: the branch moves to it. What theirs may have dropped all the same is published again.
    fn fast_forward(&mut self, ours: Option<Oid>, theirs: Oid) -> Result<Merged> {
        let state = crate::git::refs::RefMove { name: self.places.state_ref.clone(), new: theirs, old: ours };
        self.move_refs_noted(&[state], "vermas: sync")?;
        let arrived = self.with_state(|tx| tx.finish().map(|_| tx.arrived))?;
        let tip = self.publish_locked(false)?;
        Ok(Merged { tip, arrived, kept_both: Vec::new() })
    }

    /// Whether everything that a new tip names beside `known` can be read, and is no more than a state has. Looked at before
    /// the branch moves there: no command would get past a tip that cannot.
    pub(super) fn check_tip(&self, tip: Oid, known: Option<Oid>) -> Result<()> {
        let accepted = known.map(|o| self.repo.commit(o)).transpose()?.map(|c| c.tree);
        let known = accepted.map(|root| branch::segments_of(&self.repo, root)).transpose()?.unwrap_or_default();
        let root = self.repo.commit(tip)?.tree;
        let now = branch::segments_of(&self.repo, root)?;
        check_segments(&self.repo, now.iter().filter(|(path, segment)| known.get(*path) != Some(segment)))?;
        texts::check(&self.repo, root, accepted)
    }

    fn canonical_projections(&self) -> Result<[Vec<u8>; 2]> {
        let cache = self.cache.as_ref().ok_or(StoreError::NotInitialised)?;
        Ok([project::canonical(cache, Table::Orders)?.0, project::canonical(cache, Table::Messages)?.0])
    }

    /// For each path the segment that the merge holds: the longer of two that agree. Where they do not agree it is the same
    /// one on every machine that meets the two, or two remotes that have one each would hand them to and fro for ever; and
    /// our replica takes a new name if it is its own, because somebody goes on under the old one.
    fn choose_segments(
        &mut self,
        ours: &BTreeMap<String, Segment>,
        theirs: &BTreeMap<String, Segment>,
    ) -> Result<BTreeMap<String, Segment>> {
        let own = replica::current(&self.places)?;
        let claimed = self.cache.as_ref().map(|c| c.meta(CLAIMED)).transpose()?.flatten();
        let is_claim = |s: &Segment| claimed.as_deref() == Some(&s.oid.to_string());
        let mut chosen = theirs.clone();
        let mut copied = false;
        for (path, o) in ours {
            match theirs.get(path) {
                None => {
                    chosen.insert(path.clone(), o.clone());
                }
                Some(t) if t.oid == o.oid => {}
                Some(t) => {
                    let (is_ours_on, is_theirs_on) = (self.continues(o.oid, t.oid)?, self.continues(t.oid, o.oid)?);
                    if is_ours_on || (!is_theirs_on && self.weight(o)? > self.weight(t)?) {
                        chosen.insert(path.clone(), o.clone());
                    }
                    copied |= !is_ours_on && o.replica == own && !is_claim(t);
                }
            }
        }
        // Somebody else writes under our name: a clone that was copied with its git directory.
        copied |= theirs.iter().any(|(p, t)| t.replica == own && !ours.contains_key(p) && !is_claim(t));
        if copied {
            replica::renew(&self.places)?;
            self.warnings.push(
                "this clone was copied, or its state put back from an older copy; it writes under a new replica id now"
                    .to_owned(),
            );
        }
        Ok(chosen)
    }

    /// What decides between two segments of one name of which neither is the other continued.
    fn weight(&self, s: &Segment) -> Result<(u64, Oid)> {
        Ok((self.repo.check_blob(s.oid)?, s.oid))
    }

    /// Whether the text of one segment begins with all of another's. Sizes are looked at first: none that is much longer than
    /// a segment gets was ever continued.
    fn continues(&self, longer: Oid, shorter: Oid) -> Result<bool> {
        let (size, least) = (self.repo.check_blob(longer)?, self.repo.check_blob(shorter)?);
        if size < least || (size > least && size > MOST_CONTINUED) {
            return Ok(false);
        }
        Ok(self.repo.blob(longer)?.starts_with(&self.repo.blob(shorter)?))
    }

    /// The root of the merge without this replica's new events and without the projections.
    #[expect(clippy::type_complexity, reason = "the tree, and the files of which both texts were kept")]
    fn merged_root(
        &mut self,
        bases: &[Oid],
        ours: Oid,
        theirs: Oid,
        chosen: &BTreeMap<String, Segment>,
    ) -> Result<(Vec<Entry>, Vec<(String, String)>)> {
        // What neither side's rules know stays as our side has it, or as theirs where only they have it.
        let mut root = joined(self.repo.tree(ours)?, self.repo.tree(theirs)?);
        root.retain(|e| e.name != "events" && !is_assignment(&e.name));
        if let Some(oid) = self.merged_events(ours, theirs, chosen)? {
            root.push(Entry { name: "events".to_owned(), kind: EntryKind::Tree, oid });
        }
        let assignments: Vec<(String, String)> = self
            .present()?
            .assignments()?
            .into_iter()
            .filter_map(|a| {
                let agent: crate::domain::AgentId = a.agent.parse().ok()?;
                Some((agent.assignment_file(), format!("{}\n", a.target()?)))
            })
            .collect();
        for (name, content) in assignments {
            let oid = self.repo.write_blob(content.as_bytes())?;
            root.push(Entry { name, kind: EntryKind::File, oid });
        }
        let kept = self.merge_texts(bases, ours, theirs, &mut root)?;
        Ok((root, kept))
    }

    /// The folder of the chosen segments, beside which everything stays that is none: it is somebody else's.
    fn merged_events(&self, ours: Oid, theirs: Oid, chosen: &BTreeMap<String, Segment>) -> Result<Option<Oid>> {
        let both =
            |folder: &dyn Fn(Oid) -> Result<Vec<Entry>>| Ok::<_, StoreError>(joined(folder(ours)?, folder(theirs)?));
        let below = |tree: Oid, name: &str| -> Result<Vec<Entry>> {
            let entry = branch::child(&self.repo, tree, name, EntryKind::Tree)?;
            Ok(entry.map(|e| self.repo.tree(e.oid)).transpose()?.unwrap_or_default())
        };
        let mut folders: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for s in chosen.values() {
            let name = crate::wire::segment::name(s.number);
            folders.entry(&s.replica).or_default().push(Entry { name, kind: EntryKind::File, oid: s.oid });
        }
        let events = both(&|root| below(root, "events"))?;
        let mut merged = Vec::new();
        for (name, mut files) in folders {
            let beside = both(&|root| {
                let events = branch::child(&self.repo, root, "events", EntryKind::Tree)?;
                events.map(|e| below(e.oid, name)).transpose().map(Option::unwrap_or_default)
            })?;
            files
                .extend(beside.into_iter().filter(|e| e.kind != EntryKind::File || segment::number(&e.name).is_none()));
            let files = joined(files, Vec::new());
            merged.push(Entry { name: name.to_owned(), kind: EntryKind::Tree, oid: self.repo.write_tree(&files)? });
        }
        let merged = joined(merged, events);
        Ok(if merged.is_empty() { None } else { Some(self.repo.write_tree(&merged)?) })
    }

    /// Templates, settings, routes and evidence: git's three-way merge; where that conflicts, both texts stay.
    fn merge_texts(
        &mut self,
        bases: &[Oid],
        ours: Oid,
        theirs: Oid,
        root: &mut Vec<Entry>,
    ) -> Result<Vec<(String, String)>> {
        let bases = bases.iter().map(|b| Ok(self.repo.commit(*b)?.tree)).collect::<Result<Vec<Oid>>>()?;
        let (mut kept, mut written, mut changes) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (path, (o, t)) in texts::differing(&self.repo, ours, theirs)? {
            let texts = bases.iter().map(|root| texts::text_at(&self.repo, *root, &path));
            let texts = texts.collect::<Result<Vec<Option<Oid>>>>()?;
            // Histories that were joined crosswise have several bases. A text that one of them has is the older one; where both
            // sides' are, one base alone would tell two remotes to hand them to and fro for ever.
            let is_older = |text| texts.contains(text) || (texts.is_empty() && text.is_none());
            let result = if is_older(&t) && !is_older(&o) {
                o
            } else if is_older(&o) && !is_older(&t) {
                t
            } else {
                let told = if texts.iter().all(|text| *text == texts[0]) { texts.first().copied() } else { None };
                match (o, t) {
                    (Some(o), Some(t)) => match self.merge_file(told.unwrap_or_default(), o, t)? {
                        Some(clean) => Some(self.repo.write_blob(&clean)?),
                        None => {
                            // The same text wins on every machine that meets this conflict.
                            let (first, second) = if o < t { (o, t) } else { (t, o) };
                            let other = beside(&path, second);
                            changes.insert(other.clone(), Some(second));
                            kept.push((path.clone(), other));
                            Some(first)
                        }
                    },
                    // Changed on one side, taken away on the other: the text stays.
                    _ => o.or(t),
                }
            };
            // The root begins as ours.
            if result != o || o.is_none() {
                changes.insert(path, result);
                written.extend(result);
            }
        }
        self.put_objects(root, changes, &mut written)?;
        self.repo.sync_objects(&written)?;
        Ok(kept)
    }

    /// `git merge-file`; `None` where it conflicts.
    fn merge_file(&self, base: Option<Oid>, ours: Oid, theirs: Oid) -> Result<Option<Vec<u8>>> {
        // Where one of them cannot be read both are kept, as with any conflict.
        let base = base.map_or(Ok(Vec::new()), |b| self.repo.blob(b));
        let (Ok(base), Ok(ours), Ok(theirs)) = (base, self.repo.blob(ours), self.repo.blob(theirs)) else {
            return Ok(None);
        };
        let folder = self.places.private.join(format!("merge-{:x}", crate::sys::random::bits()));
        fs::create_private_dir(&folder).map_err(StoreError::io("merge a text"))?;
        let attempt = || -> Result<Option<Vec<u8>>> {
            for (name, bytes) in [("ours", &ours), ("base", &base), ("theirs", &theirs)] {
                fs::replace(&folder.join(name), bytes).map_err(StoreError::io("merge a text"))?;
            }
            let out = Cmd::new("git").cwd(&folder).args(["merge-file", "-p", "ours", "base", "theirs"]).output();
            Ok(out.ok().filter(crate::sys::process::Output::success).map(|o| o.stdout))
        };
        let merged = attempt();
        let _ = fs::remove_dir_all(&folder);
        merged
    }
}

/// All entries of the first, and those of the second whose names the first has not.
fn joined(first: Vec<Entry>, second: Vec<Entry>) -> Vec<Entry> {
    let mut names = BTreeSet::new();
    first.into_iter().chain(second).filter(|e| names.insert(e.name.clone())).collect()
}

/// Whether a file's name is that of an agent's assignment; others that begin like one are somebody else's.
fn is_assignment(name: &str) -> bool {
    name.strip_prefix(".assignment-").is_some_and(|agent| {
        agent.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && agent.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    })
}

fn merge_message(arrived: usize) -> String {
    let events = if arrived == 1 { "event" } else { "events" };
    format!("vermas: sync {arrived} {events} of other machines\n")
}

/// The name under which the second of two texts is kept: `templates/x.toml` → `templates/x-conflict-1a2b3c4d.toml`.
fn beside(path: &str, oid: Oid) -> String {
    let short: String = oid.to_string().chars().take(8).collect();
    match path.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => format!("{stem}-conflict-{short}.{ending}"),
        _ => format!("{path}-conflict-{short}"),
    }
}
