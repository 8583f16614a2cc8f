//! Reading the log as it grows, whoever writes into it.

use std::collections::HashSet;
use std::path::PathBuf;

use super::cache::sum;
use super::error::{Result, StoreError};
use super::places::Places;
use crate::domain::event::Event;
use crate::sys::fs::{self, Stamp};
use crate::sys::watch::Watch;
use crate::wire::line;

/// Gives every event of the log once, in the order of arrival.
pub struct Follow {
    path: PathBuf,
    inode: u64,
    offset: u64,
    /// What was given, by the checksum of its line: a log that was put back begins anew, and a line that was glued to a
    /// torn one stands there twice.
    seen: HashSet<i64>,
    watch: Option<Watch>,
}

impl Follow {
    /// Starts at the beginning of the log.
    pub fn of(places: &Places) -> Self {
        Self { path: places.log(), inode: 0, offset: 0, seen: HashSet::new(), watch: None }
    }

    /// The events that have arrived since the last call. A line that is not complete yet is left for the next one.
    pub fn news(&mut self) -> Result<Vec<Event>> {
        let Some(stamp) = Stamp::of(&self.path) else { return Ok(Vec::new()) };
        if stamp.inode != self.inode || stamp.size < self.offset {
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
        let bytes = fs::read_from(&file, self.offset).map_err(StoreError::io(what))?;
        let mut new = Vec::new();
        let mut end = 0;
        for (at, raw) in line::complete(&bytes) {
            let event = line::event(raw).ok().or_else(|| line::salvage(raw).map(|(e, _)| e));
            new.extend(event.filter(|e| self.seen.insert(sum(&e.raw))));
            end = at + raw.len() + 1;
        }
        self.offset += end as u64;
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
        let mut follow = Follow { path: path.clone(), inode: 0, offset: 0, seen: HashSet::new(), watch: None };
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
}
