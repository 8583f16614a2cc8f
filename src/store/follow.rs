//! Reading the log as it grows, whoever writes into it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::cache::sum;
use super::error::{Result, StoreError};
use super::lines::Parts;
use super::places::Places;
use crate::domain::event::Event;
use crate::sys::fs::{self, Stamp};
use crate::sys::watch::Watch;
use crate::wire::json::LONGEST_LINE;
use crate::wire::line;

/// Gives every event of the log once, in the order of arrival.
pub struct Follow {
    path: PathBuf,
    inode: u64,
    offset: u64,
    /// What was given, by the checksum of its line: a log that was put back begins anew, and a line that was glued to a
    /// torn one stands there twice.
    seen: HashSet<i64>,
    /// The log that was joined at its end: what it had before was not looked at yet.
    joined: Option<File>,
    watch: Option<Watch>,
}

/// How much of the log is read at once, in bytes.
const PART: usize = 256 * 1024;

impl Follow {
    /// Joins the log at its end; gives the last `most` of its events that fit. Reads no more of it than it takes to find
    /// them: what the log has gained in years is not looked at.
    pub fn from_end(places: &Places, most: usize, fits: impl Fn(&Event) -> bool) -> Result<(Self, Vec<Event>)> {
        let mut new = Self::of(places.log());
        let found = new.join(most, fits).map_err(StoreError::io("read .work/events.jsonl"))?;
        Ok((new, found))
    }

    /// Starts at the beginning.
    fn of(path: PathBuf) -> Self {
        Self { path, inode: 0, offset: 0, seen: HashSet::new(), joined: None, watch: None }
    }

    fn join(&mut self, most: usize, fits: impl Fn(&Event) -> bool) -> io::Result<Vec<Event>> {
        let file = match fs::open_read(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let stamp = Stamp::of_file(&file)?;
        self.inode = stamp.inode;
        // From the end to the beginning: `rest` is the end of a line that begins before what was read.
        let (mut begin, mut rest) = (stamp.size, Vec::new());
        let mut parts: Vec<Vec<Event>> = Vec::new();
        while begin > 0 && (self.offset == 0 || parts.iter().map(Vec::len).sum::<usize>() < most) {
            let from = begin.saturating_sub(PART as u64);
            let mut bytes = fs::read_at(&file, from, usize::try_from(begin - from).unwrap_or_default())?;
            bytes.append(&mut rest);
            begin = from;
            let newline = |b: &u8| *b == b'\n';
            if self.offset == 0 {
                // Behind it stands what is not complete yet, and comes with the news.
                self.offset = bytes.iter().rposition(newline).map_or(0, |p| from + p as u64 + 1);
            }
            let first = if from == 0 { 0 } else { bytes.iter().position(newline).map_or(bytes.len(), |p| p + 1) };
            let lines = line::complete(&bytes[first..]).map(|(_, raw)| raw);
            parts.push(self.events_in(lines).filter(&fits).collect());
            bytes.truncate(first);
            // The end of a line that is longer than any that says something is not carried to its beginning.
            rest = if bytes.len() > LONGEST_LINE { Vec::new() } else { bytes };
        }
        self.joined = (begin > 0).then_some(file);
        let mut found: Vec<Event> = parts.into_iter().rev().flatten().collect();
        Ok(found.split_off(found.len().saturating_sub(most)))
    }

    /// The events in complete lines that were not given before.
    fn events_in<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Event> {
        lines.flat_map(line::events_in).filter(|e| self.seen.insert(sum(&e.raw)))
    }

    /// Another log stands in the place of the one that was joined: what that one had is no news.
    fn note_joined(&mut self) -> io::Result<()> {
        let Some(file) = self.joined.take() else { return Ok(()) };
        let mut parts = Parts::from(0);
        while parts.read(&file)? {
            self.events_in(parts.lines().map(|(_, raw)| raw)).for_each(drop);
        }
        Ok(())
    }

    /// The events that have arrived since the last call. A line that is not complete yet is left for the next one.
    pub fn news(&mut self) -> Result<Vec<Event>> {
        let Some(stamp) = Stamp::of(&self.path) else { return Ok(Vec::new()) };
        if stamp.inode != self.inode || stamp.size < self.offset {
            self.note_joined().map_err(StoreError::io("read .work/events.jsonl"))?;
            (self.inode, self.offset) = (stamp.inode, 0);
        }
        if stamp.size == self.offset {
            return Ok(Vec::new());
        }
        let what = "read .work/events.jsonl";
        let file = match fs::open_read(&self.path) {
            Ok(file) => file,
            // Somebody is just putting another in its place.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io(what)(e)),
        };
        let (mut parts, mut new) = (Parts::from(self.offset), Vec::new());
        while parts.read(&file).map_err(|e| StoreError::io(what)(e))? {
            new.extend(self.events_in(parts.lines().map(|(_, raw)| raw)));
        }
        self.offset = parts.end();
        Ok(new)
    }

    /// Waits until the log may have changed; a second at the most.
    pub fn wait(&mut self) {
        let folder = self.path.parent().unwrap_or(&self.path).to_owned();
        if !fs::exists(&folder) {
            // A folder that comes back is another one, and is watched anew.
            self.watch = None;
        }
        self.watch.get_or_insert_with(|| Watch::of(&folder)).wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"event_id":"evt-N","event_type":"a.b","timestamp":"2026-01-06T12:00:00Z","actor":"me","data":{}}"#;

    #[test]
    fn every_event_is_given_once_whatever_becomes_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut follow = Follow::of(path.clone());
        let mut ids = || follow.news().unwrap().into_iter().map(|e| e.id).collect::<Vec<_>>();
        let line = |n: &str| LINE.replace('N', n);
        let add = |text: String| fs::append(&mut fs::open_append_shared(&path).unwrap(), text.as_bytes()).unwrap();
        assert_eq!(ids(), [""; 0]);
        add(format!("{}\n{}", line("1"), line("2")));
        assert_eq!(ids(), ["evt-1"]);
        add(format!("\nno event\n{{\"torn{}\n{}\n", line("3"), line("3")));
        assert_eq!(ids(), ["evt-2", "evt-3"]);
        assert_eq!(ids(), [""; 0]);
        fs::replace(&path, format!("{}\n{}\n", line("1"), line("4")).as_bytes()).unwrap();
        assert_eq!(ids(), ["evt-4"]);
    }

    #[test]
    fn a_long_log_is_joined_at_its_end_and_what_it_had_is_no_news_in_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let add = |text: &str| fs::append(&mut fs::open_append_shared(&path).unwrap(), text.as_bytes()).unwrap();
        let line = |n: usize| LINE.replace('N', &n.to_string()) + "\n";
        let all: String = (0..10_000).map(line).collect();
        add(&all);
        add(&line(10_000)[..40]);
        let mut follow = Follow::of(path.clone());
        let ids = |events: Vec<Event>| events.into_iter().map(|e| e.id).collect::<Vec<_>>();
        let even = |e: &Event| e.id.ends_with(['0', '2', '4', '6', '8']);
        assert_eq!(ids(follow.join(2, even).unwrap()), ["evt-9996", "evt-9998"]);
        assert!(follow.seen.len() < 5_000, "{} were read", follow.seen.len());
        assert_eq!(ids(follow.news().unwrap()), [""; 0]);
        add(&line(10_000)[40..]);
        assert_eq!(ids(follow.news().unwrap()), ["evt-10000"]);
        fs::replace(&path, (all + &line(77_777)).as_bytes()).unwrap();
        assert_eq!(ids(follow.news().unwrap()), ["evt-77777"]);
        let mut whole = Follow::of(path.clone());
        assert_eq!(whole.join(usize::MAX, |_| true).unwrap().len(), 10_001);
        assert!(whole.joined.is_none());
    }
}
