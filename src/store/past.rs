//! The state as it was: folded in memory from a part of the events. Nothing is written, nothing foreign is taken in, and
//! no lock is waited for.

use std::collections::BTreeMap;

use rusqlite::params;

use super::branch;
use super::cache::{Cache, sum};
use super::error::{Result, StoreError};
use super::fold;
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

/// A state that is not the present one.
pub(super) struct Past {
    pub point: Point,
    cache: Cache,
    /// The lines of its events, one after the other.
    lines: Vec<u8>,
}

impl Past {
    pub fn view(&self) -> View<'_> {
        View::new(&self.cache, &self.lines)
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

    /// Adds an event, unless it is there already.
    fn add(&mut self, e: &Event, home: Option<&str>) -> Result<()> {
        let sum = sum(&e.raw);
        let mut known = self.cache.db.prepare_cached("SELECT EXISTS(SELECT 1 FROM events WHERE id=? AND sum=?)")?;
        if known.query_row(params![e.id, sum], |r| r.get(0))? {
            return Ok(());
        }
        let off = i64::try_from(self.lines.len()).unwrap_or(i64::MAX);
        let len = i64::try_from(e.raw.len()).unwrap_or_default();
        self.cache
            .db
            .prepare_cached("INSERT INTO events(off,len,id,sum,subject,home) VALUES(?,?,?,?,?,?)")?
            .execute(params![off, len, e.id, sum, e.subject(), home])?;
        self.lines.extend_from_slice(&e.raw);
        self.lines.push(b'\n');
        Ok(())
    }

    /// Folds what was added.
    fn finish(self, point: Point) -> Result<Past> {
        let subjects: Vec<String> = {
            let mut q = self
                .cache
                .db
                .prepare("SELECT DISTINCT subject FROM events WHERE subject IS NOT NULL ORDER BY subject")?;
            q.query_map([], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?
        };
        fold::save_subjects(&self.cache, &self.lines, &subjects)?;
        self.cache.commit()?;
        Ok(Past { point, cache: self.cache, lines: self.lines })
    }
}

impl Store {
    /// Turns to the state at a point: from now on every question is about it, and every change is refused.
    pub fn go_back(&mut self, point: Point) -> Result<()> {
        let mut building = Building::new()?;
        match point {
            Point::Commit(commit) => self.each_on_branch(commit, |e, home| building.add(e, Some(home)))?,
            _ => self.each_recorded(|e, home| if point.holds(e) { building.add(e, home) } else { Ok(()) })?,
        }
        self.past = Some(building.finish(point)?);
        Ok(())
    }

    /// The point that was turned to; `None` in the present.
    pub fn point(&self) -> Option<&Point> {
        self.past.as_ref().map(|p| &p.point)
    }

    /// Refuses what would change the state while it is looked at as it was.
    pub(super) fn be_present(&self) -> Result<()> {
        if self.past.is_some() { Err(StoreError::Past) } else { Ok(()) }
    }

    /// The events whose id is this, or begins with it: at most `most`, in the order of their ids.
    pub fn events_named(&self, text: &str, most: usize) -> Result<Vec<Event>> {
        let mut found: BTreeMap<String, Event> = BTreeMap::new();
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

    /// Whether the branch held any events at this commit.
    pub fn holds_events(&self, commit: Oid) -> Result<bool> {
        Ok(!branch::segments_of(&self.repo, self.repo.commit(commit)?.tree)?.is_empty())
    }

    /// Every event of log and branch, with the segment it stands in. Some are given twice.
    fn each_recorded(&self, mut each: impl FnMut(&Event, Option<&str>) -> Result<()>) -> Result<()> {
        if let Some(cache) = self.cache.as_ref().filter(|_| self.is_fresh().unwrap_or(false)) {
            let log = fs::open_read(&self.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
            let bytes = fs::read_from(&log, 0).map_err(StoreError::io("read .work/events.jsonl"))?;
            let mut q = cache.db.prepare("SELECT off, len, home FROM events ORDER BY off")?;
            let mut rows = q.query([])?;
            while let Some(r) = rows.next()? {
                let (off, len, home): (i64, i64, Option<String>) = (r.get(0)?, r.get(1)?, r.get(2)?);
                let start = usize::try_from(off).unwrap_or_default();
                let end = start + usize::try_from(len).unwrap_or_default();
                if let Some(e) = bytes.get(start..end).and_then(|b| line::event(b).ok()) {
                    each(&e, home.as_deref())?;
                }
            }
            return Ok(());
        }
        if let Some(tip) = self.tip()? {
            self.each_on_branch(tip, |e, home| each(e, Some(home)))?;
        }
        let log = fs::read_if_there(&self.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
        for (_, raw) in line::complete(&log.unwrap_or_default()) {
            if let Some(e) = line::event(raw).ok().or_else(|| line::salvage(raw).map(|(e, _)| e)) {
                each(&e, None)?;
            }
        }
        Ok(())
    }

    /// Every event of the branch at a commit, with the segment it stands in.
    fn each_on_branch(&self, commit: Oid, mut each: impl FnMut(&Event, &str) -> Result<()>) -> Result<()> {
        for (path, segment) in branch::segments_of(&self.repo, self.repo.commit(commit)?.tree)? {
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
