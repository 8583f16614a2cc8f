//! Publishing: what the log has gained becomes segments, a commit, and the branch's new tip.
//!
//! Whoever gets the publishing lock publishes for everybody who waits; the others see in the file `committed` that their
//! events are covered. Polling groups many commands into one commit where a queue would make one commit each.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::params;

use super::adopt::Table;
use super::cache::Cache;
use super::error::{Result, StoreError};
use super::open::Store;
use super::places::Places;
use super::texts::Changed;
use super::view::View;
use super::{message, project};
use crate::domain::AgentId;
use crate::domain::event::Event;
use crate::git::refs::RefMove;
use crate::git::{Entry, EntryKind, Oid, RepoError};
use crate::sys::clock;
use crate::sys::fs;

/// How often the branch may be moved by others between our reading it and our moving it.
const MOST_RACES: u32 = 8;
/// How often objects are written again that somebody took away.
const MOST_PRUNED: usize = 4;
/// How long it is given to come to its end.
const PRUNE_PAUSE: Duration = Duration::from_millis(20);
/// A checkpoint of the projections is due after this many bytes of events at the least, and again as much as the
/// projections themselves have: its cost per event stays bounded whatever the size of the state.
const CHECKPOINT_BYTES: u64 = 64 * 1024;
/// And after so many commits, as long as the projections have no more than this many bytes.
const CHECKPOINT_COMMITS: u64 = 100;
const SMALL_PROJECTIONS: u64 = 1 << 20;

/// What one publishing is about to put on the branch.
pub(super) struct Load {
    pub(super) events: Vec<Event>,
    offsets: Vec<i64>,
    /// The log is covered up to here.
    pub(super) through: u64,
    inode: u64,
    /// Which reading of the log it is from: one that was cut short or replaced is read anew.
    reading: Option<String>,
    assignments: BTreeMap<String, Option<String>>,
    /// Canonical projections, when a checkpoint is due.
    pub(super) projections: Option<[Vec<u8>; 2]>,
    titles: BTreeMap<String, String>,
    pub(super) texts: Vec<Changed>,
    /// Whether the log is still to be flushed to the disk, together with the objects.
    pub(super) flushes_log: bool,
}

/// Forgets up to where the log is published: it is another one now, or was cut short. The tip stays noted.
pub(super) fn uncover(places: &Places) -> Result<()> {
    let noted = fs::read_if_there(&places.committed()).map_err(StoreError::io("read what is committed"))?;
    let text = String::from_utf8_lossy(&noted.unwrap_or_default()).into_owned();
    let Some(tip) = text.split_whitespace().nth(2) else { return Ok(()) };
    fs::replace(&places.committed(), format!("0 0 {tip}\n").as_bytes())
        .map_err(StoreError::io("note what is committed"))
}

/// Up to which offset the log with this inode is published; `None` where that was never noted.
pub(super) fn covered(places: &Places, inode: u64) -> Option<u64> {
    let bytes = fs::read_if_there(&places.committed()).ok().flatten()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut words = text.split_whitespace();
    let noted: u64 = words.next()?.parse().ok()?;
    words.next()?.parse().ok().filter(|_| noted == inode)
}

impl Load {
    /// Events that stand in no log yet.
    pub(super) fn of_events(events: Vec<Event>, assignments: BTreeMap<String, Option<String>>) -> Self {
        Self {
            events,
            offsets: Vec::new(),
            through: 0,
            inode: 0,
            reading: None,
            assignments,
            projections: None,
            titles: BTreeMap::new(),
            texts: Vec::new(),
            flushes_log: false,
        }
    }
}

/// What a commit is built on.
#[derive(Clone)]
pub(super) struct Base {
    pub parents: Vec<Oid>,
    /// The root's entries before the load is added.
    pub root: Vec<Entry>,
    /// Said instead of what the events say.
    pub message: Option<String>,
}

/// A commit that was made, and where its events went.
pub(super) struct Commit {
    pub oid: Oid,
    parent: Option<Oid>,
    homes: Vec<(String, usize)>,
    /// Its objects, as far as they may be new.
    written: Vec<Oid>,
    /// The segments that are new or longer, the newest last.
    pub segments: Vec<(String, Oid)>,
}

impl Store {
    pub(super) fn count_loose(&self) -> Result<i64> {
        let Some(cache) = &self.cache else { return Ok(0) };
        Ok(cache.db.query_row("SELECT count(*) FROM events WHERE home IS NULL", [], |r| r.get(0))?)
    }

    /// Publishes everything loose. Called under the publishing lock. Gives the tip.
    ///
    /// After a crash the branch holds its old tip or the new one; the next publishing takes up what is loose.
    pub(super) fn publish_locked(&mut self, checkpoint: bool) -> Result<Option<Oid>> {
        let (mut tip, mut asked, mut settled) = (None, checkpoint, false);
        for _ in 0..MOST_RACES {
            tip = self.sound_tip()?;
            self.catch_up_with(tip)?;
            let mut load = match self.load(asked, tip) {
                Err(StoreError::Rewritten) => {
                    self.rebuild = true;
                    self.with_state(|tx| tx.finish().map(|_| ()))?;
                    self.load(asked, tip)?
                }
                loaded => loaded?,
            };
            if load.events.is_empty() && load.texts.is_empty() && self.are_on_branch(tip, &load.projections)? {
                load.projections = None;
            }
            let nothing = load.events.is_empty()
                && load.projections.is_none()
                && load.texts.is_empty()
                && load.assignments.is_empty();
            // The log is synced after the look, not before it: lines that others appended in between are acknowledged with
            // ours.
            if nothing && tip.is_some() {
                self.sync_log()?;
                self.settle(&load, None)?;
            } else {
                load.flushes_log = true;
                let base = self.base_of(tip)?;
                match self.commit_on(&load, &base, tip) {
                    Ok(commit) => {
                        tip = Some(commit.oid);
                        self.settle(&load, Some(&commit))?;
                    }
                    // Whoever moved the branch may have brought some of these events: all is looked at anew.
                    Err(StoreError::Repo(RepoError::Moved { .. })) => continue,
                    Err(e) => return Err(e),
                }
            }
            (asked, settled) = (false, true);
            if self.count_loose()? == 0 {
                return Ok(tip);
            }
        }
        // What others have added since is theirs to publish.
        if settled { Ok(tip) } else { Err(StoreError::Raced) }
    }

    /// Lets the cache know what a branch holds that was mended, put back or moved since it last looked: events that are
    /// there already are not put there again.
    fn catch_up_with(&mut self, tip: Option<Oid>) -> Result<()> {
        let built = self.cache.as_ref().map(Cache::built).transpose()?.map(|b| b.tip).unwrap_or_default();
        if tip.map(|t| t.to_string()).unwrap_or_default() != built {
            self.with_state(|tx| tx.finish().map(|_| ()))
        } else {
            Ok(())
        }
    }

    /// Whether the branch has these projections already.
    fn are_on_branch(&self, tip: Option<Oid>, projections: &Option<[Vec<u8>; 2]>) -> Result<bool> {
        let (Some(tip), Some(wanted)) = (tip, projections) else { return Ok(false) };
        let root = self.repo.tree(self.repo.commit(tip)?.tree)?;
        for (table, bytes) in Table::BOTH.iter().zip(wanted) {
            let entry = root.iter().find(|e| e.name == table.file_name());
            let same = match entry {
                Some(e) => self.repo.blob(e.oid)? == *bytes,
                None => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The assignment files that somebody's own commit left on the branch otherwise than the events say, as they are to be.
    fn unlike_on_branch(&self, view: &View<'_>, tip: Oid) -> Result<BTreeMap<String, Option<String>>> {
        let mut wanted = BTreeMap::new();
        for a in view.assignments()? {
            if let (Ok(agent), Some(target)) = (a.agent.parse::<AgentId>(), a.target()) {
                wanted.insert(agent.assignment_file(), Some(format!("{target}\n")));
            }
        }
        for e in self.repo.tree(self.repo.commit(tip)?.tree)? {
            if !e.name.starts_with(".assignment-") || e.kind != EntryKind::File {
                continue;
            }
            let there = self.repo.blob(e.oid).ok();
            match wanted.get(&e.name) {
                Some(w) if w.as_deref().map(str::as_bytes) == there.as_deref() => drop(wanted.remove(&e.name)),
                Some(_) => {}
                None => drop(wanted.insert(e.name, None)),
            }
        }
        Ok(wanted)
    }

    /// What is to be published, as one transaction of the cache sees it.
    pub(super) fn load(&mut self, checkpoint: bool, tip: Option<Oid>) -> Result<Load> {
        let log = fs::open_read(&self.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
        self.cache.as_ref().ok_or(StoreError::NotInitialised)?.db.execute_batch("BEGIN")?;
        let texts = self.changed_texts(tip);
        let Some(cache) = &self.cache else { return Err(StoreError::NotInitialised) };
        let read = || -> Result<Load> {
            let texts = texts?;
            let built = cache.built()?;
            let rows: Vec<(i64, i64, String)> = {
                let mut q =
                    cache.db.prepare_cached("SELECT off, len, id FROM events WHERE home IS NULL ORDER BY off")?;
                let rows = q.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
                rows.collect::<std::result::Result<_, _>>()?
            };
            let (mut events, mut offsets) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
            for (off, len, id) in rows {
                events.push(super::fold::event_of(&log, off, len, &id)?);
                offsets.push(off);
            }
            let view = View::new(cache, &log);
            let (mut assignments, mut titles) = (BTreeMap::new(), BTreeMap::new());
            for e in &events {
                match e.subject() {
                    Some(s) if s.starts_with("assignment/") => {
                        if let Ok(agent) = s[11..].parse::<AgentId>() {
                            let target = view.assignment(&agent)?.target();
                            assignments.insert(agent.assignment_file(), target.map(|t| format!("{t}\n")));
                        }
                    }
                    Some(s) if s.starts_with("order/") && events.len() < 64 => {
                        if let Some(row) = view.order_row(&s[6..])? {
                            titles.insert(s, row.title);
                        }
                    }
                    _ => {}
                }
            }
            if let Some(tip) = tip.filter(|_| checkpoint) {
                assignments.extend(self.unlike_on_branch(&view, tip)?);
            }
            let bytes: u64 = events.iter().map(|e| e.raw.len() as u64 + 1).sum();
            let (since, commits) = Self::since_checkpoint(cache)?;
            let size = fs::Stamp::of(&self.places.orders()).map_or(0, |s| s.size)
                + fs::Stamp::of(&self.places.messages()).map_or(0, |s| s.size);
            let many = commits + 1 >= CHECKPOINT_COMMITS && size <= SMALL_PROJECTIONS && bytes > 0;
            let due = many || since + bytes >= CHECKPOINT_BYTES.max(size);
            // A tip that came from elsewhere may hold events that its projections do not show.
            let asked = checkpoint && (bytes > 0 || cache.meta("checkpointed")? != tip.map(|t| t.to_string()));
            let projections = if due || asked {
                Some([project::canonical(cache, Table::Orders)?.0, project::canonical(cache, Table::Messages)?.0])
            } else {
                None
            };
            Ok(Load {
                events,
                offsets,
                through: built.offset,
                inode: built.inode,
                reading: cache.meta(super::cache::READING)?,
                assignments,
                projections,
                titles,
                texts,
                flushes_log: false,
            })
        };
        let load = read();
        cache.rollback();
        load
    }

    /// How many bytes of events, and how many commits, came since the projections were last put on the branch.
    fn since_checkpoint(cache: &Cache) -> Result<(u64, u64)> {
        let noted = cache.meta("since_checkpoint")?.unwrap_or_default();
        let mut numbers = noted.split(' ').map(|n| n.parse().unwrap_or(0));
        Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
    }

    /// The tip as something to build on; a branch that is not there begins with the root that all machines share.
    pub(super) fn base_of(&self, tip: Option<Oid>) -> Result<Base> {
        let parent = match tip {
            Some(t) => t,
            None => self.begin()?,
        };
        let root = self.repo.tree(self.repo.commit(parent)?.tree)?;
        Ok(Base { parents: vec![parent], root, message: None })
    }

    /// Builds one commit and moves the branch from `old` to it. A branch that moved meanwhile is an error that says so.
    pub(super) fn commit_on(&mut self, load: &Load, base: &Base, old: Option<Oid>) -> Result<Commit> {
        // Before the first object is written: whoever finds it after a crash knows what to look for.
        fs::put(&self.places.intent(), b"\n").map_err(StoreError::io("note that a commit is being made"))?;
        let seconds = clock::now_millis() / 1000;
        let mut commit = self.build_at(load, base.clone(), seconds)?;
        commit.parent = old;
        self.move_tip(commit.oid, old, load)?;
        // A git prune that looked before that took them for nobody's.
        for _ in 0..MOST_PRUNED {
            if commit.written.iter().all(|o| self.repo.is_stored(*o)) {
                return Ok(commit);
            }
            self.build_at(load, base.clone(), seconds)?;
            clock::sleep(PRUNE_PAUSE);
        }
        let source = std::io::Error::other("they are taken away again and again");
        Err(StoreError::io("keep the objects of a commit")(source))
    }

    fn move_tip(&mut self, new: Oid, old: Option<Oid>, load: &Load) -> Result<()> {
        let text = message::of(&load.events, |s| load.titles.get(s).cloned());
        let message = text.lines().next().unwrap_or_default();
        // The copy against deletion moves along: the branch, `.work/` and our own folder may all be removed at once.
        let copy_to = |old| RefMove { name: Places::BACKUP_REF.to_owned(), new, old };
        let backup = self.repo.ref_target(Places::BACKUP_REF).ok().flatten();
        let branch = RefMove { name: self.places.state_ref.clone(), new, old };
        let Err(e) = self.move_refs_noted(&[branch.clone(), copy_to(backup)], message) else { return Ok(()) };
        let is_of_branch = match &e {
            StoreError::Repo(
                RepoError::Moved { name } | RepoError::Locked { name, .. } | RepoError::InTheWay { name, .. },
            ) => name != Places::BACKUP_REF,
            e => e.is_unknown() || self.repo.ref_target(&self.places.state_ref).ok() != Some(old),
        };
        if is_of_branch {
            return Err(e);
        }
        // One that was emptied, or points to somebody else's, is no copy: it is made anew. Where that cannot be done either,
        // the branch moves alone.
        let is_cleared = self.clear_copy();
        let backup = self.repo.ref_target(Places::BACKUP_REF).ok().flatten();
        if is_cleared && self.move_refs_noted(&[branch.clone(), copy_to(backup)], message).is_ok() {
            return Ok(());
        }
        if self.move_refs_noted(&[branch], message).is_err() {
            return Err(e);
        }
        self.warnings.push(format!("the copy of the branch at {} could not be moved along", Places::BACKUP_REF));
        Ok(())
    }

    /// Takes away what stands in the copy's place and is none. False where nothing does, or it stays.
    fn clear_copy(&self) -> bool {
        if self.repo.is_garbled(Places::BACKUP_REF).unwrap_or(false) {
            return fs::remove_file(&self.repo.loose_ref_path(Places::BACKUP_REF)).is_ok();
        }
        self.repo.symbolic_target(Places::BACKUP_REF).is_some() && self.repo.remove_ref(Places::BACKUP_REF).is_ok()
    }

    /// Writes the objects of a commit and syncs them, and the log with them where that is still to be done. No ref moves.
    pub(super) fn build_on(&mut self, load: &Load, base: Base) -> Result<Commit> {
        self.build_at(load, base, clock::now_millis() / 1000)
    }

    /// The same with the commit's time, in seconds since the epoch: at the same time it is the same commit.
    fn build_at(&mut self, load: &Load, base: Base, seconds: i64) -> Result<Commit> {
        let by = self.repo.author(seconds);
        let mut written = Vec::new();
        let mut root = base.root;
        let (homes, segments) = self.write_segments(load, &mut root, &mut written)?;
        let earlier = self.repo.blob_oid(super::init::EARLIER_ATTRIBUTES)?;
        let has_attributes = root.iter().any(|e| e.name == ".gitattributes" && e.oid != earlier);
        let mut put = |name: &str, content: Option<&[u8]>| -> Result<()> {
            root.retain(|e| e.name != name);
            if let Some(bytes) = content {
                let oid = self.repo.write_blob(bytes)?;
                written.push(oid);
                root.push(Entry { name: name.to_owned(), kind: EntryKind::File, oid });
            }
            Ok(())
        };
        if !has_attributes {
            put(".gitattributes", Some(super::init::ATTRIBUTES))?;
        }
        for (name, content) in &load.assignments {
            put(name, content.as_deref().map(str::as_bytes))?;
        }
        if let Some([orders, messages]) = &load.projections {
            put("work_orders.jsonl", Some(orders))?;
            put("messages.jsonl", Some(messages))?;
        }
        for text in &load.texts {
            self.put_path(&mut root, &text.path, text.content.as_deref(), &mut written)?;
        }
        let tree = self.repo.write_tree(&root)?;
        let text = base.message.unwrap_or_else(|| message::of(&load.events, |s| load.titles.get(s).cloned()));
        let oid = self.repo.write_commit(tree, &base.parents, &text, &by)?;
        written.extend([tree, oid]);
        if load.flushes_log {
            fs::set_going(&self.places.log(), load.offsets.first().map_or(load.through, |o| o.cast_unsigned()));
        }
        self.repo.sync_objects(&written)?;
        if load.flushes_log {
            self.sync_log()?;
        }
        Ok(Commit { oid, parent: None, homes, written, segments })
    }

    /// After the branch moved: the cache learns where the events are, projections and feed follow, and those who wait
    /// are told.
    pub(super) fn settle(&mut self, load: &Load, commit: Option<&Commit>) -> Result<()> {
        let written: u64 = load.events.iter().map(|e| e.raw.len() as u64 + 1).sum();
        let (events, offsets, through) = (&load.events, &load.offsets, load.through);
        let checkpointed = load.projections.is_some();
        self.committed |= commit.is_some();
        self.made = commit.map(|c| c.oid).or(self.made);
        let texts = &load.texts;
        let prepare = |cache: &Cache| -> Result<()> {
            cache.db.prepare_cached("DELETE FROM meta WHERE k=?")?.execute([super::cache::WAITING])?;
            if let Some(c) = commit {
                let mut at = offsets.iter().zip(events);
                let mut all_there = true;
                for (home, count) in &c.homes {
                    for (off, e) in at.by_ref().take(*count) {
                        // A log that was replaced meanwhile has another event there, or none.
                        let mut q = cache.db.prepare_cached("UPDATE events SET home=? WHERE off=? AND id=?")?;
                        all_there &= q.execute(params![home, off, e.id])? == 1;
                    }
                }
                for (path, oid) in c.segments.iter().filter(|_| all_there) {
                    cache
                        .db
                        .prepare_cached("INSERT OR REPLACE INTO segments(path, oid) VALUES(?,?)")?
                        .execute([path.clone(), oid.to_string()])?;
                }
                let mut built = cache.built()?;
                if all_there && built.tip == c.parent.map(|p| p.to_string()).unwrap_or_default() {
                    built.tip = c.oid.to_string();
                    cache.set_built(&built)?;
                }
                Self::count_commit(cache)?;
                let (bytes, commits) = Self::since_checkpoint(cache)?;
                let (bytes, commits) = if checkpointed { (0, 0) } else { (bytes + written, commits + 1) };
                cache.set_meta("since_checkpoint", &format!("{bytes} {commits}"))?;
                if checkpointed {
                    cache.set_meta("checkpointed", &c.oid.to_string())?;
                }
            }
            Ok(())
        };
        let tip = self.repo.ref_target(&self.places.state_ref).ok().flatten();
        let tip = tip.map(|t| t.to_string()).unwrap_or_default();
        self.with_prepared_state(prepare, |tx| {
            for text in texts {
                tx.note_text(&text.path, text.stamp.as_deref())?;
            }
            tx.project()?;
            tx.feed(through)?;
            tx.finish()?;
            // Of a log that was emptied meanwhile other lines may stand there now, which wait to be published.
            let is_same_log = tx.cache.meta(super::cache::READING)? == load.reading;
            let (inode, through) = if is_same_log { (load.inode, through) } else { (0, 0) };
            fs::replace(&tx.places.committed(), format!("{inode} {through} {tip}\n").as_bytes())
                .map_err(StoreError::io("note what is committed"))
        })?;
        if fs::exists(&self.places.waiting()) && !self.repo.is_collecting() && self.count_loose()? == 0 {
            fs::remove_file(&self.places.waiting()).map_err(StoreError::io("forget what has waited"))?;
        }
        self.keep_room_to_wait();
        Ok(())
    }
}
