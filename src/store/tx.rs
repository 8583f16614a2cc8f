//! A change under way: what a decision may ask of the present state and add to it, and how that reaches the log.

use std::fs::File;
use std::path::PathBuf;

use rusqlite::{OptionalExtension, params};

use super::cache::{Cache, sum};
use super::error::{Result, StoreError};
use super::fold::{Overlay, Subject};
use super::open::Store;
use super::places::{Places, Restored};
use super::quarantine::Quarantine;
use super::view::View;
use crate::domain::agent::Agent;
use crate::domain::assignment::Assignment;
use crate::domain::event::{Clock, Draft, Event};
use crate::domain::message::Message;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId, RefId, Refusal, Timestamp};
use crate::git::{Oid, Repo};
use crate::sys::{clock, fs, random};
use crate::wire::line;

/// How often the log is put back before it is given up.
const MOST_REPLACED: usize = 8;

/// Where lines were appended: in which file, and from which offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    pub inode: u64,
    pub offset: u64,
}

/// A change under way: the present state, and the events that are being added to it.
pub struct Tx<'a> {
    pub(super) cache: &'a Cache,
    pub(super) places: &'a Places,
    pub(super) repo: &'a Repo,
    pub(super) log: File,
    pub(super) overlay: Overlay,
    pub(super) unsaved: Vec<Event>,
    /// The first event of this change: the later ones name it as their cause, which tells what one command did.
    first: Option<String>,
    pub(super) clock: Clock,
    /// The clock as the cache has it.
    kept_clock: String,
    pub(super) now_ms: i64,
    pub(super) warnings: Vec<String>,
    /// What is said whoever asked for the change, and for whatever.
    pub(super) notices: Vec<String>,
    pub(super) quarantine: Quarantine,
    pub(super) tip: Option<Oid>,
    pub(super) rebuild: bool,
    pub(super) rebuilt: bool,
    /// Whether the log is not the one that the cache was built from.
    pub(super) is_other_log: bool,
    /// Whether events are only noted: subjects are folded when all of them are there, each once.
    pub(super) folds_later: bool,
    pub(super) restored: Restored,
    pub(super) arrived: usize,
    /// Whether the projections are to be as on every other machine: no room between their lines.
    pub(super) plain: bool,
    /// Where events of this change stand in the log.
    pub(super) appended: Option<Appended>,
    /// Up to which offset the log's newlines were counted, and how many there are.
    pub(super) counted: (u64, u64),
    /// Where the record of the line that was looked at last has its place in the list.
    pub(super) place: Option<super::layout::Key>,
    /// Replaced files that were read: what each is called from now on, or nothing where it may go. Done when recorded.
    pub(super) read: Vec<(PathBuf, Option<PathBuf>)>,
}

impl<'a> Tx<'a> {
    /// Inside a transaction of the cache.
    pub(super) fn begin(store: &'a Store, cache: &'a Cache, restored: Restored) -> Result<Self> {
        let log = fs::open_read(&store.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
        let kept_clock = cache.meta("clock")?.unwrap_or_default();
        let clock = serde_json::from_str(&kept_clock).unwrap_or_default();
        Ok(Self {
            cache,
            places: &store.places,
            repo: &store.repo,
            log,
            overlay: Overlay::default(),
            unsaved: Vec::new(),
            first: None,
            clock,
            kept_clock,
            now_ms: clock::now_millis(),
            warnings: Vec::new(),
            notices: Vec::new(),
            quarantine: Quarantine::default(),
            tip: None,
            rebuild: false,
            rebuilt: false,
            is_other_log: false,
            folds_later: false,
            restored,
            arrived: 0,
            plain: store.plain,
            appended: None,
            counted: (0, 0),
            place: None,
            read: Vec::new(),
        })
    }

    /// The time that new events of this change carry at the earliest.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms)
    }

    pub fn factory(&self) -> &str {
        &self.places.factory
    }

    pub fn new_id(&self, prefix: &str) -> RefId {
        RefId::new(prefix, random::bits())
    }

    /// Adds an event. It counts at once for whoever asks this change, and is recorded when the change ends well.
    pub fn emit(&mut self, draft: &Draft) -> std::result::Result<String, StoreError> {
        let caused = self.first.clone().filter(|_| draft.caused_by.is_none());
        let written = match caused {
            Some(first) => self.stamp(&Draft { caused_by: Some(first), ..draft.clone() })?,
            None => self.stamp(draft)?,
        };
        if written.raw.len() + 1 > line::LONGEST_WRITTEN {
            let refusal = Refusal::usage(format!(
                "this would be an event of {} bytes, at most {} fit into a line",
                written.raw.len(),
                line::LONGEST_WRITTEN
            ));
            return Err(refusal.hint("put long text into a file of the repository and name it").into());
        }
        self.first.get_or_insert_with(|| written.id.clone());
        self.add(written)
    }

    /// Adds an event for what a foreign writer left, which may be longer than what we would write. Where what an event needs
    /// around it makes it too long or too deep for anybody to read again, nothing is added, and the answer says why.
    pub(super) fn emit_adopted(&mut self, draft: &Draft) -> Result<Option<String>> {
        let written = self.stamp(draft)?;
        if let Some(why) = crate::wire::json::why_unreadable(&written.raw) {
            return Ok(Some(format!("it could not be read again as an event: {why}")));
        }
        self.add(written).map(|_| None)
    }

    pub fn emit_all(&mut self, drafts: &[Draft]) -> Result<Vec<String>> {
        drafts.iter().map(|d| self.emit(d)).collect()
    }

    fn stamp(&mut self, draft: &Draft) -> Result<Event> {
        let prev = match draft.subject() {
            Some(s) => named(self.overlay.heads(self.cache, &self.log, &self.unsaved, &s)?),
            None => Vec::new(),
        };
        let (at, id) = self.clock.tick(self.now_ms, random::bits());
        Ok(line::written(draft, id, at, prev))
    }

    /// Adds events that were recorded before, and taken away since, as they were.
    pub(super) fn put_again(&mut self, events: Vec<Event>) -> Result<()> {
        for e in events {
            self.clock.see(e.at, &e.id, self.now_ms);
            self.add(e)?;
        }
        Ok(())
    }

    fn add(&mut self, event: Event) -> Result<String> {
        let id = event.id.clone();
        self.overlay.apply(self.cache, &event)?;
        self.unsaved.push(event);
        Ok(id)
    }

    /// The records as they are with this change.
    pub fn view(&mut self) -> Result<View<'_>> {
        self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
        Ok(View::new(self.cache, &self.log))
    }

    fn subject(&mut self, subject: &str) -> Result<Option<&Subject>> {
        self.overlay.get(self.cache, &self.log, &self.unsaved, subject)
    }

    /// A work order; `None` where its creation is not known.
    pub fn order(&mut self, id: &OrderId) -> Result<Option<Order>> {
        match self.subject(&format!("order/{id}"))? {
            Some(Subject::Order(f)) if f.state.created => Ok(Some(f.state.clone())),
            _ => Ok(None),
        }
    }

    /// Whether an event came here from another clone.
    pub fn is_from_elsewhere(&self, event: &str) -> Result<bool> {
        is_from_elsewhere(self.cache, self.places, event)
    }

    pub fn message(&mut self, id: &RefId) -> Result<Option<Message>> {
        match self.subject(&format!("mail/{id}"))? {
            Some(Subject::Mail(f)) if f.state.sent => Ok(Some(f.state.clone())),
            _ => Ok(None),
        }
    }

    pub fn assignment(&mut self, agent: &AgentId) -> Result<Assignment> {
        match self.subject(&format!("assignment/{agent}"))? {
            Some(Subject::Assignment(f)) => Ok(f.state.clone()),
            _ => Ok(Assignment::default()),
        }
    }

    pub fn agent(&mut self, agent: &AgentId) -> Result<Agent> {
        match self.subject(&format!("agent/{agent}"))? {
            Some(Subject::Agent(f)) => Ok(f.state.clone()),
            _ => Ok(Agent::default()),
        }
    }

    /// Writes what was added into the log, in one `write`, and the cache to match. Gives the ids of the events and the
    /// offset behind the last.
    ///
    /// A crash before the `write` leaves nothing; one after it leaves events that the next command takes in.
    pub(super) fn finish(&mut self) -> Result<(Vec<String>, u64)> {
        let mut built = self.cache.built()?;
        let events = std::mem::take(&mut self.unsaved);
        if !events.is_empty() {
            let mut bytes = Vec::with_capacity(events.iter().map(|e| e.raw.len() + 1).sum());
            for e in &events {
                bytes.extend_from_slice(&e.raw);
                bytes.push(b'\n');
            }
            let start = self.append_to_log(&bytes)?;
            let mut at = start;
            for e in &events {
                self.record_row(e, at)?;
                at += e.raw.len() as u64 + 1;
            }
            if start == built.offset {
                built.offset = at;
                built.tail = self.tail_of(&bytes, at)?;
                built.mtime_ns = self.written_at(at)?;
            } else {
                self.take_in_log(&mut built)?;
            }
            self.cache.set_built(&built)?;
        }
        self.leave()?;
        self.quarantine.save(self.places)?;
        self.settle_retired()?;
        Ok((events.into_iter().map(|e| e.id).collect(), built.offset))
    }

    /// Appends whole lines to the log; gives the offset at which they stand. Only to the pinned one: what is written to another
    /// goes with that, should whoever put it there take it away again.
    pub(super) fn append_to_log(&mut self, bytes: &[u8]) -> Result<u64> {
        for _ in 0..MOST_REPLACED {
            match fs::open_append_there(&self.places.log()) {
                Ok(mut log) if self.places.is_pinned(&log) => {
                    let start = super::append::lines_to(&mut log, "events.jsonl", bytes)?;
                    let stamp = fs::Stamp::of_file(&log).map_err(StoreError::io("look at .work/events.jsonl"))?;
                    self.appended = Some(Appended { inode: stamp.inode, offset: start });
                    return Ok(start);
                }
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("open .work/events.jsonl")(e));
                }
                _ => {
                    if self.places.restore()?.log_was_gone {
                        self.cache.note_sweep(self.now_ms)?;
                    }
                }
            }
        }
        let source = std::io::Error::other("it is taken away again and again");
        Err(StoreError::io("append to .work/events.jsonl")(source))
    }

    /// Writes back what was changed of the subjects, and the clock that saw it.
    pub(super) fn leave(&mut self) -> Result<()> {
        if self.overlay.is_changed() {
            self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
        }
        // Not every event has a subject that is kept; each moves the clock.
        let clock = serde_json::to_string(&self.clock).unwrap_or_default();
        if clock != self.kept_clock {
            self.cache.set_meta("clock", &clock)?;
            self.kept_clock = clock;
        }
        Ok(())
    }

    /// The checksum kept as the log's tail, from the bytes just written where they suffice.
    fn tail_of(&self, bytes: &[u8], end: u64) -> Result<i64> {
        if let Some(from) = bytes.len().checked_sub(64) {
            return Ok(sum(&bytes[from..]));
        }
        let start = end.saturating_sub(64);
        let len = usize::try_from(end - start).unwrap_or_default();
        fs::read_at(&self.log, start, len).map(|b| sum(&b)).map_err(StoreError::io("read .work/events.jsonl"))
    }

    fn record_row(&self, e: &Event, at: u64) -> Result<()> {
        self.cache
            .db
            .prepare_cached("INSERT OR REPLACE INTO events(off,len,id,sum,subject,home) VALUES(?,?,?,?,?,NULL)")?
            .execute(params![
                at.cast_signed(),
                i64::try_from(e.raw.len()).unwrap_or_default(),
                e.id,
                sum(&e.raw),
                e.subject()
            ])?;
        Ok(())
    }
}

/// Whether an event came to this clone from another.
pub(super) fn is_from_elsewhere(cache: &Cache, places: &Places, event: &str) -> Result<bool> {
    let sql = "SELECT home FROM events WHERE id=? LIMIT 1";
    let home: Option<Option<String>> = cache.db.prepare_cached(sql)?.query_row([event], |r| r.get(0)).optional()?;
    match home.flatten() {
        Some(home) => Ok(!super::replica::is_own(places, &home)?),
        None => Ok(false),
    }
}

/// How many bytes of ids a new event names in `prev`.
const MOST_NAMED: usize = 16 * 1024;

/// What a new event names of the events that no other knows: the newest, as far as its line has room. Those left out stay
/// concurrent with it until a later event names them; thousands of them, which only a hostile writer leaves, are no
/// reason that nothing can be written any more.
fn named(mut heads: Vec<String>) -> Vec<String> {
    let mut room = MOST_NAMED;
    let fits = |id: &&String| {
        room = room.saturating_sub(id.len() + 3);
        room > 0
    };
    let count = heads.iter().rev().take(line::MOST_NAMED).take_while(fits).count();
    heads.split_off(heads.len() - count)
}
