//! Taking events in: from the log, and from the branch where it has what the log lacks.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, params};

use super::adopt::{Table, Whence};
use super::arrivals::Arrivals;
use super::branch::{self, Segment};
use super::cache::{Built, sum};
use super::error::{Result, StoreError};
use super::heal;
use super::lines::Parts;
use super::tx::Tx;
use crate::domain::event::Event;
use crate::git::Oid;
use crate::sys::fs::{self, Stamp};
use crate::sys::random;
use crate::wire::line;

/// How much of the log's end is compared to tell whether it is still the same log.
const TAIL: u64 = 64;
/// How many lines set aside are reported one by one.
const MOST_WARNINGS: usize = 50;
/// How many bytes of events from the branch are held in memory, where they take some ten times as much.
const MOST_HELD: usize = 8 << 20;
/// The largest file of another program that is taken in from a branch, in bytes.
const LARGEST_PLAIN: u64 = 64 << 20;
/// How many bytes of lines from the branch are put into the log in one write.
const CHUNK: usize = 1 << 20;

impl Tx<'_> {
    /// Brings the cache up to date with log and branch. Rebuilds it where it was built from something else.
    pub(super) fn catch_up(&mut self) -> Result<()> {
        let log = Stamp::of_file(&self.log).map_err(StoreError::io("look at .work/events.jsonl"))?;
        let mut built = self.cache.built()?;
        let same_log = built.fits(&log) && built.tail == self.tail(built.offset)? && self.has_what_it_says()?;
        if !same_log || built.boot != fs::boot_id() || self.rebuild {
            self.is_other_log = built.offset > 0 && !same_log;
            self.cache.clear()?;
            self.overlay = super::fold::Overlay::default();
            self.clock = crate::domain::event::Clock::default();
            built = Built { inode: log.inode, boot: fs::boot_id(), ..Built::default() };
            self.rebuilt = true;
            self.folds_later = true;
            // The feed has had what was published; what it may have missed beside that is not worth having it all twice.
            let mut fed = super::publish::covered(self.places, log.inode).unwrap_or(log.size);
            if fed > log.size {
                // It was cut short: what is behind its end now is neither published nor in the feed.
                super::publish::uncover(self.places)?;
                fed = log.size;
            }
            self.cache.set_meta("fed", &fed.to_string())?;
            self.cache.set_meta(super::cache::READING, &random::bits().to_string())?;
        }
        self.take_in_log(&mut built)?;
        let tip = self.tip.map(|t| t.to_string()).unwrap_or_default();
        if self.rebuilt {
            self.take_in_earlier_tips(&mut built)?;
            self.take_in_waiting(&mut built)?;
        }
        if built.tip != tip {
            self.take_in_branch(&mut built)?;
            if !self.rebuilt && self.was_set_back(&built.tip) {
                // What the texts on disk have is newer, and is compared with the branch anew.
                self.cache.db.execute_batch("DELETE FROM texts")?;
            } else if !self.rebuilt {
                self.take_out_texts(&built.tip)?;
                self.take_in_texts()?;
            }
            built.tip = tip;
        }
        if std::mem::take(&mut self.folds_later) {
            super::fold::save_all(self.cache, &self.log)?;
        }
        self.cache.set_built(&built)
    }

    /// Whether the cache holds events where it holds segments of them: the journal of one that was taken away may have been
    /// played back into another.
    fn has_what_it_says(&self) -> Result<bool> {
        let sql = "SELECT EXISTS(SELECT 1 FROM events) OR NOT EXISTS(SELECT 1 FROM segments)";
        Ok(self.cache.db.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
    }

    /// Forgets what is known of the log, reads all of it, and takes in what is foreign.
    pub(super) fn read_anew(&mut self) -> Result<()> {
        self.unsaved.clear();
        self.rebuild = true;
        self.catch_up()?;
        self.adopt()
    }

    /// A checksum of the log right before `offset`.
    fn tail(&self, offset: u64) -> Result<i64> {
        let start = offset.saturating_sub(TAIL);
        let len = usize::try_from(offset - start).unwrap_or_default();
        match fs::read_at(&self.log, start, len) {
            Ok(bytes) => Ok(sum(&bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(-1),
            Err(e) => Err(StoreError::io("read .work/events.jsonl")(e)),
        }
    }

    /// Takes in the complete lines behind `built.offset` and moves it behind them.
    pub(super) fn take_in_log(&mut self, built: &mut Built) -> Result<()> {
        let mut parts = Parts::from(built.offset);
        while parts.read(&self.log).map_err(StoreError::io("read .work/events.jsonl"))? {
            for (at, raw) in parts.lines() {
                self.take_in_line(raw, at)?;
            }
            built.offset = parts.end();
        }
        built.tail = self.tail(built.offset)?;
        built.mtime_ns = self.written_at(built.offset)?;
        Ok(())
    }

    /// Whether the branch stands at a commit before the one it was last seen at.
    fn was_set_back(&self, seen: &str) -> bool {
        let seen = crate::git::objects::parse_oid(seen);
        self.tip.zip(seen).is_some_and(|(now, seen)| self.repo.merge_base(now, seen) == Some(now))
    }

    /// When the log was changed last, where it ends at `offset`.
    pub(super) fn written_at(&self, offset: u64) -> Result<i64> {
        let log = Stamp::of_file(&self.log).map_err(StoreError::io("look at .work/events.jsonl"))?;
        Ok(if log.size == offset { log.mtime_ns } else { 0 })
    }

    fn take_in_line(&mut self, raw: &[u8], offset: u64) -> Result<()> {
        let trimmed = raw.trim_ascii();
        if trimmed.is_empty() {
            return Ok(());
        }
        let reason = match line::event(raw) {
            Ok(e) => {
                self.take_in(e, offset, None)?;
                return Ok(());
            }
            Err(reason) => reason,
        };
        let pieces = line::salvage(raw);
        if !pieces.whole.is_empty() {
            for (at, _, e) in pieces.whole {
                self.take_in(e, offset + at as u64, None)?;
            }
            for torn in pieces.torn {
                self.set_aside("events.jsonl", 0, torn, "a torn line; the event beside it was taken")?;
            }
            return Ok(());
        }
        let number = self.line_number(offset)?;
        self.set_aside("events.jsonl", number, trimmed, &reason)
    }

    /// The number of the line at an offset. Counts on from the last one asked for.
    fn line_number(&mut self, offset: u64) -> Result<u64> {
        let (mut at, mut newlines) = self.counted;
        if at > offset {
            (at, newlines) = (0, 0);
        }
        while at < offset {
            let part = usize::try_from(offset - at).unwrap_or(CHUNK).min(CHUNK);
            let bytes = fs::read_at(&self.log, at, part).map_err(StoreError::io("read .work/events.jsonl"))?;
            newlines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
            at += part as u64;
        }
        self.counted = (at, newlines);
        Ok(newlines + 1)
    }

    /// Records an event that stands in the log at `offset`. One that is known already changes nothing.
    pub(super) fn take_in(&mut self, e: Event, offset: u64, home: Option<&str>) -> Result<bool> {
        let (sum, mut doubled) = (sum(&e.raw), false);
        {
            let mut q = self.cache.db.prepare_cached("SELECT sum FROM events WHERE id=?")?;
            let mut rows = q.query([&e.id])?;
            while let Some(r) = rows.next()? {
                if r.get::<_, i64>(0)? == sum {
                    return Ok(false);
                }
                doubled = true;
            }
        }
        let subject = e.subject();
        self.cache
            .db
            .prepare_cached("INSERT OR REPLACE INTO events(off,len,id,sum,subject,home) VALUES(?,?,?,?,?,?)")?
            .execute(params![
                offset.cast_signed(),
                i64::try_from(e.raw.len()).unwrap_or_default(),
                e.id,
                sum,
                subject,
                home
            ])?;
        self.clock.see(e.at, &e.id, self.now_ms);
        if self.folds_later {
            return Ok(true);
        }
        self.overlay.apply(self.cache, &e)?;
        if doubled {
            self.overlay.fold_again(self.cache, &e)?;
        }
        if self.overlay.is_large() {
            self.overlay.relieve(self.cache, &self.log, &self.unsaved)?;
        }
        Ok(true)
    }

    /// Where the log holds this very event (id and bytes).
    pub(super) fn row_of(&self, e: &Event) -> Result<Option<i64>> {
        let mut q = self.cache.db.prepare_cached("SELECT off FROM events WHERE id=? AND sum=?")?;
        Ok(q.query_row(params![e.id, sum(&e.raw)], |r| r.get(0)).optional()?)
    }

    /// Compares the branch's segments with those known; events of new ones get their home, and those that the log lacks
    /// are appended to it.
    fn take_in_branch(&mut self, built: &mut Built) -> Result<()> {
        let now = match self.tip {
            Some(tip) => branch::segments_of(self.repo, self.repo.commit(tip)?.tree)?,
            None => BTreeMap::new(),
        };
        self.take_in_segments(&now, built, true)
    }

    /// A log that is not the one we knew may lack events that the branch lacks, too: somebody set both back. What was
    /// published last has them. None of it counts as on the branch.
    fn take_in_earlier_tips(&mut self, built: &mut Built) -> Result<()> {
        for earlier in heal::earlier_tips(self.repo, self.places)? {
            if self.tip != Some(earlier) && heal::is_whole(self.repo, earlier) {
                let segments = branch::segments_of(self.repo, self.repo.commit(earlier)?.tree)?;
                self.take_in_segments(&segments, built, true)?;
                built.tip = earlier.to_string();
            }
        }
        Ok(())
    }

    /// The same of what waited for a `git gc` when the log was taken away.
    fn take_in_waiting(&mut self, built: &mut Built) -> Result<()> {
        let read = fs::read_if_there(&self.places.waiting()).map_err(StoreError::io("read what waits"))?;
        let missing = self.unknown_in(&read.unwrap_or_default())?;
        self.add_to_log(missing, built)
    }

    /// The events in these lines that are known from nowhere, to be added as events without a home.
    fn unknown_in(&self, lines: &[u8]) -> Result<Vec<(Event, Option<String>)>> {
        let mut missing = Vec::new();
        for e in lines.split(|b| *b == b'\n').flat_map(line::events_in) {
            if self.row_of(&e)?.is_none() {
                missing.push((e, None));
            }
        }
        Ok(missing)
    }

    /// Takes in segments; with `exact`, what is known of others is forgotten, so that their events count as not on the
    /// branch.
    pub(super) fn take_in_segments(
        &mut self,
        now: &BTreeMap<String, Segment>,
        built: &mut Built,
        exact: bool,
    ) -> Result<()> {
        let known = self.cache.segments()?;
        if exact {
            for (path, oid) in &known {
                let now_there = now.get(path).map(|s| s.oid.to_string());
                if now_there.as_ref() != Some(oid) {
                    self.cache.db.prepare_cached("UPDATE events SET home=NULL WHERE home=?")?.execute([path])?;
                    self.cache.db.prepare_cached("DELETE FROM segments WHERE path=?")?.execute([path])?;
                }
            }
        }
        let new = now.iter().filter(|(path, s)| known.get(*path) != Some(&s.oid.to_string()));
        // One text in many places is read once.
        let mut seen = BTreeSet::new();
        let (new, again): (Vec<_>, Vec<_>) = new.partition(|(_, s)| seen.insert(s.oid));
        let mut arrivals = Arrivals::new(self.repo, new.into_iter())?;
        let (mut missing, mut held): (Vec<(Event, Option<String>)>, usize) = (Vec::new(), 0);
        while let Some(arrival) = arrivals.next()? {
            let path = arrival.path;
            if known.contains_key(path) {
                // What only the earlier text of this segment holds has no home any more, unless it is found again.
                self.cache.db.prepare_cached("UPDATE events SET home=NULL WHERE home=?")?.execute([path])?;
            }
            let lines = arrival.bytes.split(|b| *b == b'\n').enumerate();
            for (number, raw) in lines.filter(|(_, l)| !l.trim_ascii().is_empty()) {
                match line::event(raw) {
                    Ok(e) => match self.row_of(&e)? {
                        Some(off) => {
                            let mut q = self.cache.db.prepare_cached("UPDATE events SET home=? WHERE off=?")?;
                            q.execute(params![path, off])?;
                        }
                        None => {
                            held += e.raw.len();
                            missing.push((e, Some(path.to_owned())));
                            // A segment of ours ends long before this; one of 64 MiB is read, too.
                            if held > MOST_HELD {
                                self.add_to_log(std::mem::take(&mut missing), built)?;
                                held = 0;
                            }
                        }
                    },
                    Err(reason) => {
                        self.set_aside(&format!("events/{path}"), number as u64 + 1, raw, &reason)?;
                    }
                }
            }
            self.know_segment(path, arrival.segment)?;
            if held >= CHUNK {
                self.add_to_log(std::mem::take(&mut missing), built)?;
                held = 0;
            }
        }
        for (path, segment) in again {
            self.cache.db.prepare_cached("UPDATE events SET home=NULL WHERE home=?")?.execute([path])?;
            self.know_segment(path, segment)?;
        }
        self.add_to_log(missing, built)
    }

    /// Takes in what segments hold that is known from nowhere. None of it counts as on the branch.
    pub(super) fn take_in_dropped(&mut self, segments: &BTreeMap<String, Segment>) -> Result<()> {
        let mut built = self.cache.built()?;
        let mut arrivals = Arrivals::new(self.repo, segments.iter())?;
        let (mut missing, mut held) = (Vec::new(), 0);
        while let Some(arrival) = arrivals.next()? {
            for e in arrival.bytes.split(|b| *b == b'\n').filter_map(|raw| line::event(raw).ok()) {
                if self.row_of(&e)?.is_none() {
                    held += e.raw.len();
                    missing.push((e, None));
                }
            }
            if held >= CHUNK {
                self.add_to_log(std::mem::take(&mut missing), &mut built)?;
                held = 0;
            }
        }
        self.add_to_log(missing, &mut built)?;
        self.cache.set_built(&built)
    }

    /// Takes in what another program keeps on a branch as it stands, beside no segments: its log and its lists.
    pub(super) fn take_in_plain(&mut self, tip: Oid) -> Result<()> {
        let root = self.repo.commit(tip)?.tree;
        if !branch::segments_of(self.repo, root)?.is_empty() {
            return Ok(());
        }
        let files: BTreeMap<String, Oid> = self.repo.tree(root)?.into_iter().map(|e| (e.name, e.oid)).collect();
        let read = |name: &str| -> Vec<u8> {
            let fits = |oid: &&Oid| self.repo.check_blob(**oid).is_ok_and(|size| size <= LARGEST_PLAIN);
            files.get(name).filter(fits).and_then(|oid| self.repo.blob(*oid).ok()).unwrap_or_default()
        };
        let (log, lists) = (read("events.jsonl"), Table::BOTH.map(|table| (table, read(table.file_name()))));
        let missing = self.unknown_in(&log)?;
        let mut built = self.cache.built()?;
        self.add_to_log(missing, &mut built)?;
        self.cache.set_built(&built)?;
        for (table, bytes) in lists {
            let mut seen = BTreeSet::new();
            for (n, raw) in bytes.split(|b| *b == b'\n').enumerate() {
                self.adopt_line(table, n as u64 + 1, raw, &mut seen, Whence::Behind)?;
            }
        }
        Ok(())
    }

    fn know_segment(&self, path: &str, segment: &Segment) -> Result<()> {
        let mut q = self.cache.db.prepare_cached("INSERT OR REPLACE INTO segments(path, oid) VALUES(?,?)")?;
        q.execute([path.to_owned(), segment.oid.to_string()])?;
        Ok(())
    }

    /// Appends events that came from elsewhere to the log, in their total order, and records them.
    fn add_to_log(&mut self, mut events: Vec<(Event, Option<String>)>, built: &mut Built) -> Result<()> {
        events.sort_by(|(a, _), (b, _)| a.order(b));
        events.dedup_by(|(a, _), (b, _)| a.id == b.id && a.raw == b.raw);
        self.arrived += events.len();
        let mut rest = events.into_iter().peekable();
        while rest.peek().is_some() {
            let mut bytes = Vec::new();
            let mut part = Vec::new();
            while let Some((e, home)) = rest.next_if(|_| bytes.len() < CHUNK) {
                bytes.extend_from_slice(&e.raw);
                bytes.push(b'\n');
                part.push((bytes.len() - e.raw.len() - 1, e, home));
            }
            let start = self.append_to_log(&bytes)?;
            if start == built.offset {
                // Nobody's line came between: all that is new is taken in here.
                built.offset += bytes.len() as u64;
            }
            for (at, e, home) in part {
                self.take_in(e, start + at as u64, home.as_deref())?;
            }
        }
        self.take_in_log(built)
    }

    /// Puts a line aside and says so, once.
    pub(super) fn set_aside(&mut self, file: &str, number: u64, bytes: &[u8], reason: &str) -> Result<()> {
        if self.quarantine.add(self.places, file, number, bytes, reason)? {
            if self.warnings.len() == MOST_WARNINGS {
                self.warnings.push("and more lines that were set aside; see them all: `git vermas doctor`".to_owned());
            }
            if self.warnings.len() >= MOST_WARNINGS {
                return Ok(());
            }
            let line = if number > 0 { format!(", line {number}") } else { String::new() };
            self.warnings.push(format!(".work/{file}{line}: {reason}; set aside, see `git vermas doctor`"));
        }
        Ok(())
    }

    /// Looks the branch's tip up; what it points at is read by [`Self::catch_up`].
    pub(super) fn see_tip(&mut self, tip: Option<Oid>) {
        self.tip = tip;
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{AgentId, Draft, Timestamp};
    use crate::store::{Store, StoreError, fresh};
    use crate::sys::fs;

    fn append(store: &Store, line: &str) {
        let mut log = fs::open_append_shared(&store.places.log()).unwrap();
        fs::append(&mut log, format!("{line}\n").as_bytes()).unwrap();
    }

    #[test]
    fn what_the_log_has_gained_is_seen_whatever_the_state_was_locked_for() {
        let (_dir, mut store) = fresh();
        append(
            &store,
            r#"{"event_id":"evt-0009x3k7q2mz","event_type":"work_order.created","timestamp":"2026-01-06T12:00:00Z","actor":"py","data":{"work_order_id":"wo-py1","title":"Theirs"}}"#,
        );
        store.with_state(|_| Ok::<_, StoreError>(())).unwrap();
        let seen = store.view().unwrap().order(&"wo-py1".parse().unwrap()).unwrap();
        assert_eq!(seen.map(|o| o.title().to_owned()).as_deref(), Some("Theirs"));
    }

    #[test]
    fn a_clock_that_is_ahead_is_heeded_whatever_the_event_was_about() {
        let (dir, mut store) = fresh();
        let ahead = Timestamp::from_millis(crate::sys::clock::now_millis() + 3_600_000);
        let said = serde_json::json!({"event_id": "evt-0009x3k7q2mz", "event_type": "somebody.said", "timestamp": ahead,
            "actor": "py", "data": {}});
        append(&store, &said.to_string());
        store.with_state(|_| Ok::<_, StoreError>(())).unwrap();
        let mut later = Store::open(crate::git::Repo::discover(dir.path()).unwrap()).unwrap();
        let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
        let id = later.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap().value;
        let said = later.view().unwrap().event(&id).unwrap();
        assert!(said[0].at >= ahead, "{} is before what was there already", said[0].at);
    }
}
