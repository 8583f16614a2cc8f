//! Subjects between the cache and the rules: what is loaded, changed, and written back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::Cache;
use super::error::{Result, StoreError};
use super::lines::Lines;
use crate::domain::agent::Agent;
use crate::domain::assignment::Assignment;
use crate::domain::causal::{Fold, Folded, HEAVY, MOST_HEAVY, fold};
use crate::domain::event::Event;
use crate::domain::message::Message;
use crate::domain::order::Order;
use crate::wire::line;

/// The state of one subject.
#[derive(Debug, Clone)]
pub enum Subject {
    Order(Box<Folded<Order>>),
    Mail(Box<Folded<Message>>),
    Assignment(Box<Folded<Assignment>>),
    Agent(Box<Folded<Agent>>),
}

macro_rules! each {
    ($subject:expr, $f:ident => $body:expr) => {
        match $subject {
            Subject::Order($f) => $body,
            Subject::Mail($f) => $body,
            Subject::Assignment($f) => $body,
            Subject::Agent($f) => $body,
        }
    };
}

impl Subject {
    /// The empty state of a subject; `None` for a family that has no projection.
    fn empty(subject: &str) -> Option<Self> {
        match subject.split_once('/')?.0 {
            "order" => Some(Self::Order(Box::default())),
            "mail" => Some(Self::Mail(Box::default())),
            "assignment" => Some(Self::Assignment(Box::default())),
            "agent" => Some(Self::Agent(Box::default())),
            _ => None,
        }
    }

    fn is_extended_by(&self, e: &Event) -> bool {
        each!(self, f => f.is_extended_by(e))
    }

    fn extend(&mut self, e: &Event) {
        each!(self, f => f.extend(e));
    }

    fn heads(&self) -> &[String] {
        each!(self, f => &f.heads)
    }

    fn refolded(&self, events: Vec<Event>) -> Self {
        match self {
            Self::Order(_) => Self::Order(Box::new(fold(events))),
            Self::Mail(_) => Self::Mail(Box::new(fold(events))),
            Self::Assignment(_) => Self::Assignment(Box::new(fold(events))),
            Self::Agent(_) => Self::Agent(Box::new(fold(events))),
        }
    }
}

/// A subject in the overlay.
struct Slot {
    state: Subject,
    /// An event came that does not simply extend the state: all events are to be folded again.
    refold: bool,
}

/// Subjects touched since the cache was last written.
#[derive(Default)]
pub struct Overlay {
    slots: BTreeMap<String, Slot>,
    /// Those that the cache does not have as they are here.
    changed: BTreeSet<String>,
    /// The bytes of the events that were applied to them.
    weight: usize,
}

impl Overlay {
    /// Applies an event to its subject. The event's row is in the cache already, or the event is in `unsaved`.
    pub fn apply(&mut self, cache: &Cache, e: &Event) -> Result<()> {
        let Some(subject) = e.subject() else { return Ok(()) };
        let Some(slot) = self.slot(cache, &subject)? else { return Ok(()) };
        if !slot.refold && slot.state.is_extended_by(e) {
            slot.state.extend(e);
        } else {
            slot.refold = true;
        }
        self.changed.insert(subject);
        self.weight += e.raw.len();
        Ok(())
    }

    /// The id of this event stands for another one, too: whoever named it meant both, so that all are to be folded again.
    pub fn fold_again(&mut self, cache: &Cache, e: &Event) -> Result<()> {
        let Some(subject) = e.subject() else { return Ok(()) };
        if let Some(slot) = self.slot(cache, &subject)? {
            slot.refold = true;
        }
        Ok(())
    }

    fn slot(&mut self, cache: &Cache, subject: &str) -> Result<Option<&mut Slot>> {
        if !self.slots.contains_key(subject) {
            let Some(state) = load(cache, subject)? else { return Ok(None) };
            self.slots.insert(subject.to_owned(), Slot { state, refold: false });
        }
        Ok(self.slots.get_mut(subject))
    }

    /// The present state of a subject, refolded where needed.
    pub fn get(&mut self, cache: &Cache, log: &File, unsaved: &[Event], subject: &str) -> Result<Option<&Subject>> {
        let Some(slot) = self.slot(cache, subject)? else { return Ok(None) };
        if slot.refold {
            let mut events = events_to_fold(cache, log, subject)?;
            events.extend(unsaved.iter().filter(|e| e.subject().as_deref() == Some(subject)).cloned());
            slot.state = slot.state.refolded(events);
            slot.refold = false;
        }
        Ok(Some(&slot.state))
    }

    /// What a new event of this subject names as `prev`.
    pub fn heads(&mut self, cache: &Cache, log: &File, unsaved: &[Event], subject: &str) -> Result<Vec<String>> {
        Ok(self.get(cache, log, unsaved, subject)?.map(|s| s.heads().to_vec()).unwrap_or_default())
    }

    /// Writes changed subjects into the cache and marks them for projection.
    pub fn flush(&mut self, cache: &Cache, log: &File, unsaved: &[Event]) -> Result<()> {
        let changed = std::mem::take(&mut self.changed);
        let mut unsettled = Vec::new();
        for subject in &changed {
            self.get(cache, log, unsaved, subject)?;
            let Some(slot) = self.slots.get(subject) else { continue };
            unsettled.extend(save(cache, subject, &slot.state)?);
            cache.db.prepare_cached("INSERT OR IGNORE INTO pending(subject) VALUES(?)")?.execute([subject])?;
        }
        settle_ready(cache, &unsettled)?;
        if self.is_large() {
            self.slots.clear();
            self.weight = 0;
        }
        Ok(())
    }

    /// Whether there is something that the cache does not have.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Makes room while many events come: what is settled goes into the cache, and what is to be folded again waits, without
    /// its state, for [`Self::flush`].
    pub fn relieve(&mut self, cache: &Cache, log: &File, unsaved: &[Event]) -> Result<()> {
        let mut unsettled = Vec::new();
        for subject in std::mem::take(&mut self.changed) {
            let Some(slot) = self.slots.get_mut(&subject) else { continue };
            if slot.refold {
                slot.state = Subject::empty(&subject).unwrap_or_else(|| slot.state.refolded(Vec::new()));
                self.changed.insert(subject);
                continue;
            }
            unsettled.extend(save(cache, &subject, &slot.state)?);
            cache.db.prepare_cached("INSERT OR IGNORE INTO pending(subject) VALUES(?)")?.execute([subject])?;
        }
        settle_ready(cache, &unsettled)?;
        self.slots.retain(|_, slot| slot.refold);
        self.weight = 0;
        if self.slots.len() > MOST_HELD / 2 { self.flush(cache, log, unsaved) } else { Ok(()) }
    }

    /// Whether so many subjects are held that a bulk load should write them back.
    pub fn is_large(&self) -> bool {
        self.slots.len() > MOST_HELD || self.weight > HEAVIEST
    }
}

/// How many subjects are held before they are written back.
const MOST_HELD: usize = 20_000;
/// How many bytes of lines are kept while the events of one subject are folded.
const MOST_LINES_KEPT: i64 = 4 << 20;
/// How many bytes of events may stand in them: what is kept of a line takes some ten times its room.
const HEAVIEST: usize = 16 << 20;

/// Writes a subject's state into the cache; gives the ids of orders whose readiness may have changed.
fn save(cache: &Cache, subject: &str, state: &Subject) -> Result<Vec<String>> {
    match state {
        Subject::Order(f) => return save_order(cache, f),
        Subject::Mail(f) => save_message(cache, f)?,
        Subject::Assignment(f) => save_other(cache, subject, &**f)?,
        Subject::Agent(f) => save_other(cache, subject, &**f)?,
    }
    Ok(Vec::new())
}

/// Folds every subject that the cache has rows of, one after the other, writes what its events add up to and marks it for
/// projection.
pub fn save_all(cache: &Cache, log: &dyn Lines) -> Result<()> {
    let mut unsettled = Vec::new();
    let mut q = cache.db.prepare("SELECT DISTINCT subject FROM events WHERE subject IS NOT NULL ORDER BY subject")?;
    let mut rows = q.query([])?;
    while let Some(r) = rows.next()? {
        let subject: String = r.get(0)?;
        let Some(empty) = Subject::empty(&subject) else { continue };
        unsettled.extend(save(cache, &subject, &empty.refolded(events_to_fold(cache, log, &subject)?))?);
        cache.db.prepare_cached("INSERT OR IGNORE INTO pending(subject) VALUES(?)")?.execute([subject])?;
    }
    settle_ready(cache, &unsettled)
}

/// A subject's state from the cache, empty where it has none yet; `None` for a family without projection.
fn load(cache: &Cache, subject: &str) -> Result<Option<Subject>> {
    let Some(empty) = Subject::empty(subject) else { return Ok(None) };
    let id = subject.split_once('/').map_or(subject, |(_, id)| id);
    let (sql, key) = match empty {
        Subject::Order(_) => ("SELECT fold FROM folds WHERE id=?", id),
        Subject::Mail(_) => ("SELECT fold FROM messages WHERE id=?", id),
        _ => ("SELECT fold FROM others WHERE subject=?", subject),
    };
    let mut q = cache.db.prepare_cached(sql)?;
    let Some(text) = q.query_row([key], |r| r.get::<_, String>(0)).optional()? else { return Ok(Some(empty)) };
    Ok(Some(match empty {
        Subject::Order(_) => Subject::Order(Box::new(parse(&text)?)),
        Subject::Mail(_) => Subject::Mail(Box::new(parse(&text)?)),
        Subject::Assignment(_) => Subject::Assignment(Box::new(parse(&text)?)),
        Subject::Agent(_) => Subject::Agent(Box::new(parse(&text)?)),
    }))
}

/// Reads a folded state from its column.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Cache { path: "a row".to_owned(), why: e.to_string() })
}

fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Cache { path: "a row".to_owned(), why: e.to_string() })
}

/// All events of a subject, from the log.
pub fn events_of(cache: &Cache, log: &dyn Lines, subject: &str) -> Result<Vec<Event>> {
    events_where(cache, log, "subject=?", subject)
}

/// The same to be folded: where the lines are long they are not kept beside what they say, but for those of one id, which
/// are told apart by them.
fn events_to_fold(cache: &Cache, log: &dyn Lines, subject: &str) -> Result<Vec<Event>> {
    let places = places_where(cache, "subject=?", subject)?;
    let keeps_lines = places.iter().map(|(_, len, _)| len).sum::<i64>() <= MOST_LINES_KEPT;
    let mut events: Vec<Event> = Vec::with_capacity(places.len());
    let mut first: BTreeMap<String, (usize, i64, i64)> = BTreeMap::new();
    // The heavy ones that count as far as is known, in the total order.
    let (mut heavy, mut weight) = (BTreeMap::new(), 0);
    for (off, len, id) in places {
        let mut e = event_of(log, off, len, &id)?;
        if e.size > HEAVY {
            weight += e.size;
            heavy.insert((e.key(), off), (events.len(), e.size));
        }
        if !keeps_lines {
            match first.get(&e.id) {
                Some(&(at, off, len)) => events[at].raw = event_at(log, off, len)?.map(|e| e.raw).unwrap_or_default(),
                None => {
                    e.raw = Vec::new();
                    first.insert(e.id.clone(), (events.len(), off, len));
                }
            }
        }
        events.push(e);
        while weight > MOST_HEAVY
            && let Some((_, (at, size))) = heavy.pop_last()
        {
            // It changes nothing, whatever else comes.
            events[at].data = serde_json::Map::new();
            weight -= size;
        }
    }
    Ok(events)
}

/// The events that one bound value chooses, as they stand in the log.
pub fn events_where(cache: &Cache, log: &dyn Lines, chosen: &str, value: &str) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for (off, len, id) in places_where(cache, chosen, value)? {
        events.push(event_of(log, off, len, &id)?);
    }
    Ok(events)
}

/// Where they stand.
///
/// Sorted here: by `ORDER BY` in the statement it would be prepared anew for each value, which costs more than the query.
fn places_where(cache: &Cache, chosen: &str, value: &str) -> Result<Vec<(i64, i64, String)>> {
    let mut q = cache.db.prepare_cached(&format!("SELECT off, len, id FROM events WHERE {chosen}"))?;
    let places = q.query_map([value], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    let mut places: Vec<(i64, i64, String)> = places.collect::<std::result::Result<_, _>>()?;
    places.sort_unstable();
    Ok(places)
}

/// The event with this id, which stood in the log at an offset when it was taken in. Where the log was rewritten since,
/// something else stands there: that is an error, and never an event less.
pub fn event_of(log: &dyn Lines, off: i64, len: i64, id: &str) -> Result<Event> {
    event_at(log, off, len)?.filter(|e| e.id == id).ok_or(StoreError::Rewritten)
}

/// The event that the log holds at an offset.
pub fn event_at(log: &dyn Lines, off: i64, len: i64) -> Result<Option<Event>> {
    match log.read_at(off.cast_unsigned(), usize::try_from(len).unwrap_or_default()) {
        Ok(bytes) => Ok(line::event(&bytes).ok()),
        // It ends before that by now.
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(StoreError::Rewritten),
        Err(e) => Err(StoreError::io("read .work/events.jsonl")(e)),
    }
}

/// Saves an order; gives the ids of others whose readiness may have changed.
fn save_order(cache: &Cache, f: &Folded<Order>) -> Result<Vec<String>> {
    let o = &f.state;
    let rec = crate::wire::json::line(&o.record());
    let was_closed = is_closed(cache, &o.id)?;
    cache.db.prepare_cached("DELETE FROM deps WHERE id=?")?.execute([&o.id])?;
    for on in o.blockers() {
        cache.db.prepare_cached("INSERT OR IGNORE INTO deps(id, dep) VALUES(?,?)")?.execute([o.id.as_str(), on])?;
    }
    let waits = waits(cache, &o.id)?;
    cache
        .db
        .prepare_cached(
            "INSERT INTO orders(id,status,priority,type,assignee,created,updated,conflicts,parent,title,rec,shown,waits,
             ready) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)
             ON CONFLICT(id) DO UPDATE SET status=?2,priority=?3,type=?4,assignee=?5,created=?6,updated=?7,conflicts=?8,
             parent=?9,title=?10,rec=?11,shown=?12,waits=?13,ready=?14",
        )?
        .execute(params![
            o.id,
            o.status(),
            o.priority(),
            o.issue_type(),
            o.assignee(),
            o.created_at().millis(),
            o.updated_at().millis(),
            i64::try_from(o.conflicts().len()).unwrap_or(i64::MAX),
            o.parent(),
            o.title(),
            rec,
            o.created,
            waits,
            o.created && o.status() == "open" && waits.is_none(),
        ])?;
    cache
        .db
        .prepare_cached("INSERT INTO folds(id, fold) VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET fold=?2")?
        .execute(params![o.id, text(f)?])?;
    if was_closed == Some(o.is_closed()) {
        return Ok(Vec::new());
    }
    let mut q = cache.db.prepare_cached("SELECT id FROM deps WHERE dep=?")?;
    let waiting = q.query_map([&o.id], |r| r.get(0))?;
    Ok(waiting.collect::<std::result::Result<_, _>>()?)
}

/// What an order depends on, sorted; here and not by the statement, for the reason that [`events_where`] names.
pub fn dependencies(cache: &Cache, id: &str) -> Result<Vec<String>> {
    let mut q = cache.db.prepare_cached("SELECT dep FROM deps WHERE id=?")?;
    let mut deps: Vec<String> = q.query_map([id], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?;
    deps.sort_unstable();
    Ok(deps)
}

/// What an order waits for, as a JSON array of ids; `None` where it waits for nothing.
fn waits(cache: &Cache, id: &str) -> Result<Option<String>> {
    let mut open: Vec<String> = Vec::new();
    for dep in dependencies(cache, id)? {
        if is_closed(cache, &dep)? != Some(true) {
            open.push(dep);
        }
    }
    if open.is_empty() { Ok(None) } else { Ok(Some(text(&open)?)) }
}

/// Whether an order is closed; `None` where it is not known.
fn is_closed(cache: &Cache, id: &str) -> Result<Option<bool>> {
    let mut q = cache.db.prepare_cached("SELECT status='closed' FROM orders WHERE id=?")?;
    Ok(q.query_row([id], |r| r.get(0)).optional()?)
}

/// Brings readiness up to date where what an order waits for was closed, or is open again.
fn settle_ready(cache: &Cache, ids: &[String]) -> Result<()> {
    for id in ids {
        let waits = waits(cache, id)?;
        let mut q = cache.db.prepare_cached(
            "UPDATE orders SET waits=?2, ready=(status='open' AND shown AND ?2 IS NULL) WHERE id=?1 AND waits IS NOT ?2",
        )?;
        q.execute(params![id, waits])?;
    }
    Ok(())
}

fn save_message(cache: &Cache, f: &Folded<Message>) -> Result<()> {
    let m = &f.state;
    let rec = crate::wire::json::line(&m.record());
    cache
        .db
        .prepare_cached(
            "INSERT INTO messages(id,recipient,unread,archived,rank,ts,rec,fold,shown) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)
             ON CONFLICT(id) DO UPDATE SET recipient=?2,unread=?3,archived=?4,rank=?5,ts=?6,rec=?7,fold=?8,shown=?9",
        )?
        .execute(params![
            m.id,
            m.to,
            m.read_at.is_none(),
            m.archived,
            m.rank(),
            m.timestamp.millis(),
            rec,
            text(f)?,
            m.sent,
        ])?;
    Ok(())
}

fn save_other<T: Serialize + Fold>(cache: &Cache, subject: &str, f: &Folded<T>) -> Result<()> {
    cache
        .db
        .prepare_cached("INSERT OR REPLACE INTO others(subject, fold) VALUES(?,?)")?
        .execute(params![subject, text(f)?])?;
    Ok(())
}
