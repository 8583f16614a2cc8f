//! The state as it was: folded in memory from a part of the events. Nothing is written, nothing foreign is taken in, and
//! no lock is waited for.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::params;

use super::bounds::check_segments;
use super::branch;
use super::cache::{Cache, sum};
use super::error::{Result, StoreError};
use super::fold;
use super::lines::Lines;
use super::open::Store;
use super::view::View;
use crate::domain::event::{Event, Key};
use crate::git::Oid;
use crate::sys::fs;
use crate::wire::line;

/// Which events a past state is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Those stamped up to and with this millisecond since the epoch.
    Time(i64),
    /// This one and all before it in the total order.
    Event(Key),
    /// Those that the branch held at this commit.
    Commit(Oid),
}

impl Point {
    fn holds(&self, e: &Event) -> bool {
        match self {
            // To the millisecond, which is what is shown: a finer stamp must not be later than its own text.
            Self::Time(ms) => e.at.millis() <= *ms,
            Self::Event(key) => (e.at, &e.id) <= (key.at, &key.id),
            Self::Commit(_) => true,
        }
    }
}

/// Which events a point in the past holds: its own, and what they came after whatever its clock said. A clock that was far
/// ahead stamps an event later than the one that settles it.
struct Chosen<'a> {
    point: &'a Point,
    /// How often all events were gone through.
    rounds: usize,
    /// Whether the last time brought any.
    found: bool,
    have: HashSet<u64>,
    /// What those that were taken name as what they came after.
    named: HashSet<u64>,
    hasher: RandomState,
}

/// How long a chain of events may be of which each one's clock was wrong.
const MOST_ROUNDS: usize = 16;

impl<'a> Chosen<'a> {
    fn of(point: &'a Point) -> Self {
        let (have, named) = (HashSet::new(), HashSet::new());
        Self { point, rounds: 0, found: true, have, named, hasher: RandomState::new() }
    }

    /// Whether all events are to be gone through once more.
    fn goes_on(&mut self) -> bool {
        self.rounds += 1;
        let found = std::mem::take(&mut self.found);
        self.rounds == 1 || found && self.rounds <= MOST_ROUNDS && !self.named.is_subset(&self.have)
    }

    fn takes(&mut self, e: &Event) -> bool {
        let id = self.hasher.hash_one(&e.id);
        let is_taken = match self.rounds {
            1 => self.point.holds(e),
            _ => self.named.contains(&id) && !self.have.contains(&id),
        };
        if is_taken {
            self.found = true;
            self.have.insert(id);
            self.named.extend(e.prev.iter().flatten().map(|p| self.hasher.hash_one(p)));
        }
        is_taken
    }
}

/// A state that is not the present one.
pub(super) struct Past {
    pub point: Point,
    cache: Cache,
    /// Where the lines of its events are: the log, or memory where the log has not got them all.
    lines: Box<dyn Lines>,
}

impl Past {
    pub fn view(&self) -> View<'_> {
        View::new(&self.cache, &*self.lines)
    }
}

/// A past state under construction.
struct Building {
    cache: Cache,
    lines: Vec<u8>,
}

impl Building {
    fn new() -> Result<Self> {
        let cache = Cache::in_memory()?;
        cache.begin()?;
        Ok(Self { cache, lines: Vec::new() })
    }

    /// Adds an event whose line stands in the log.
    fn add_at(&self, e: &Event, home: Option<&str>, off: i64) -> Result<()> {
        let len = i64::try_from(e.raw.len()).unwrap_or_default();
        self.cache
            .db
            .prepare_cached("INSERT INTO events(off,len,id,sum,subject,home) VALUES(?,?,?,?,?,?)")?
            .execute(params![off, len, e.id, sum(&e.raw), e.subject(), home])?;
        Ok(())
    }

    /// Adds an event with its line, unless it is there already.
    fn add(&mut self, e: &Event, home: Option<&str>) -> Result<()> {
        let sum = sum(&e.raw);
        let mut known = self.cache.db.prepare_cached("SELECT EXISTS(SELECT 1 FROM events WHERE id=? AND sum=?)")?;
        if known.query_row(params![e.id, sum], |r| r.get(0))? {
            return Ok(());
        }
        self.add_at(e, home, i64::try_from(self.lines.len()).unwrap_or(i64::MAX))?;
        self.lines.extend_from_slice(&e.raw);
        self.lines.push(b'\n');
        Ok(())
    }

    /// Folds what was added. `log` is where the lines are, if they were not added.
    fn finish(self, point: Point, log: Option<File>) -> Result<Past> {
        let lines: Box<dyn Lines> = match log {
            Some(log) => Box::new(log),
            None => Box::new(self.lines),
        };
        fold::save_all(&self.cache, &*lines)?;
        self.cache.commit()?;
        Ok(Past { point, cache: self.cache, lines })
    }
}

/// The log with the cache that knows each of its events, and that the branch has no others.
struct Known<'a> {
    cache: &'a Cache,
    log: File,
}

impl Known<'_> {
    /// Every event, with the segment it stands in and its offset.
    fn each(&self, mut each: impl FnMut(&Event, Option<&str>, i64) -> Result<()>) -> Result<()> {
        let mut q = self.cache.db.prepare("SELECT off, len, home FROM events ORDER BY off")?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            let (off, home): (i64, Option<String>) = (r.get(0)?, r.get(2)?);
            if let Some(e) = fold::event_at(&self.log, off, r.get(1)?)? {
                each(&e, home.as_deref(), off)?;
            }
        }
        Ok(())
    }

    /// The event with this id, or those whose id begins so.
    fn named(&self, text: &str, most: usize) -> Result<Vec<Event>> {
        let sql = "SELECT off, len FROM events WHERE id >= ?1 AND id < ?2 GROUP BY id ORDER BY id LIMIT ?3";
        let mut q = self.cache.db.prepare(sql)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = q.query(params![text, format!("{text}\u{10ffff}"), most])?;
        let mut all = Vec::new();
        while let Some(r) = rows.next()? {
            all.extend(fold::event_at(&self.log, r.get(0)?, r.get(1)?)?);
        }
        // An id that others begin with comes first of them.
        if all.first().is_some_and(|e: &Event| e.id == text) {
            all.truncate(1);
        }
        Ok(all)
    }
}

impl Store {
    /// Turns to the state at a point: from now on every question is about it, and every change is refused.
    pub fn go_back(&mut self, point: Point) -> Result<()> {
        let mut building = Building::new()?;
        let mut log = None;
        match (&point, self.known_in_log()?) {
            (Point::Commit(commit), _) => self.each_on_branch(*commit, |e, home| building.add(e, Some(home)))?,
            (_, Some(known)) => {
                let mut chosen = Chosen::of(&point);
                while chosen.goes_on() {
                    let add = |e: &Event, home: Option<&str>, off| building.add_at(e, home, off);
                    known.each(|e, home, off| if chosen.takes(e) { add(e, home, off) } else { Ok(()) })?;
                }
                log = Some(known.log);
            }
            (_, None) => {
                let mut chosen = Chosen::of(&point);
                while chosen.goes_on() {
                    self.each_recorded(|e, home| if chosen.takes(e) { building.add(e, home) } else { Ok(()) })?;
                }
            }
        }
        self.past = Some(building.finish(point, log)?);
        Ok(())
    }

    /// The point that was turned to; `None` in the present.
    pub fn point(&self) -> Option<&Point> {
        self.past.as_ref().map(|p| &p.point)
    }

    /// Refuses what would change the state while it is looked at as it was.
    pub(super) fn be_present(&self) -> Result<()> {
        match (&self.past, &self.unwritable) {
            (Some(_), Some(why)) => Err(StoreError::Unwritable(why.clone())),
            (Some(_), None) => Err(StoreError::Past),
            _ => Ok(()),
        }
    }

    /// The events whose id is this, or begins with it: at most `most`, in the order of their ids.
    pub fn events_named(&self, text: &str, most: usize) -> Result<Vec<Event>> {
        let mut found: BTreeMap<String, Event> = BTreeMap::new();
        if let Some(known) = self.known_in_log()? {
            return known.named(text, most);
        }
        self.each_recorded(|e, _| {
            if e.id.starts_with(text) {
                found.entry(e.id.clone()).or_insert_with(|| e.clone());
                if found.len() > most {
                    found.pop_last();
                }
            }
            Ok(())
        })?;
        match found.remove(text) {
            Some(exact) => Ok(vec![exact]),
            None => Ok(found.into_values().collect()),
        }
    }

    /// Whether a commit is one of a state branch: it holds events, or stands where the branch began.
    pub fn is_of_the_state(&self, commit: Oid) -> Result<bool> {
        let info = self.repo.commit(commit)?;
        if super::is_root(&self.repo, &info) || !branch::segments_of(&self.repo, info.tree)?.is_empty() {
            return Ok(true);
        }
        Ok(self.tip()?.is_some_and(|tip| self.repo.merge_base(tip, commit) == Some(commit)))
    }

    /// What the cache knows of the log, where that is all there is.
    fn known_in_log(&self) -> Result<Option<Known<'_>>> {
        let Some(cache) = self.cache.as_ref().filter(|_| self.is_fresh().unwrap_or(false)) else { return Ok(None) };
        let log = fs::open_read(&self.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
        Ok(Some(Known { cache, log }))
    }

    /// Every event of log and branch, with the segment it stands in. Some are given twice.
    fn each_recorded(&self, mut each: impl FnMut(&Event, Option<&str>) -> Result<()>) -> Result<()> {
        if let Some(tip) = self.tip()? {
            self.each_on_branch(tip, |e, home| each(e, Some(home)))?;
        }
        let read = |path: &std::path::Path| fs::read_if_there(path).map_err(StoreError::io("read .work/events.jsonl"));
        let log = match read(&self.places.log())? {
            Some(log) => Some(log),
            None => read(&self.places.pin())?,
        };
        for (_, raw) in line::complete(&log.unwrap_or_default()) {
            line::events_in(raw).iter().try_for_each(|e| each(e, None))?;
        }
        Ok(())
    }

    /// Every event of the branch at a commit, with the segment it stands in.
    fn each_on_branch(&self, commit: Oid, mut each: impl FnMut(&Event, &str) -> Result<()>) -> Result<()> {
        let segments = branch::segments_of(&self.repo, self.repo.commit(commit)?.tree)?;
        check_segments(&self.repo, segments.iter())?;
        for (path, segment) in segments {
            let bytes = self.repo.blob(segment.oid)?;
            for raw in bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()) {
                if let Ok(e) = line::event(raw) {
                    each(&e, &path)?;
                }
            }
        }
        Ok(())
    }
}
