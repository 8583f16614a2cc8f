//! The segments that are new to this machine, one after the other: each replica's in its own order, among replicas the one
//! whose events are the older first. A replica writes as time goes by, so that what comes out is nearly in the total order,
//! and no more than one segment of each replica is held at a time.

use std::collections::{BTreeMap, VecDeque};

use super::branch::Segment;
use super::error::Result;
use crate::domain::Timestamp;
use crate::git::Repo;
use crate::wire::line;

/// A segment with its bytes.
pub(super) struct Arrival<'a> {
    pub path: &'a str,
    pub segment: &'a Segment,
    pub bytes: Vec<u8>,
}

/// A segment whose turn will come.
struct Waiting<'a> {
    segment: &'a Segment,
    /// What it holds, where there was room to keep it.
    bytes: Option<Vec<u8>>,
}

/// How many bytes of segments are held. Those beyond it are read a second time when it is their turn: replicas may be
/// many, and a segment that we did not write may be large.
const MOST_HELD: usize = 16 << 20;
/// How many lines of a segment are looked at for the time of its first event.
const MOST_LOOKED_AT: usize = 64;

/// Segments yet to come, by replica.
pub(super) struct Arrivals<'a> {
    repo: &'a Repo,
    held: usize,
    waiting: BTreeMap<&'a str, VecDeque<(&'a str, &'a Segment)>>,
    /// The next one of each replica, by the stamp of its first event and its path.
    next: BTreeMap<(Option<Timestamp>, &'a str), Waiting<'a>>,
}

impl<'a> Arrivals<'a> {
    pub fn new(repo: &'a Repo, new: impl Iterator<Item = (&'a String, &'a Segment)>) -> Result<Self> {
        let mut waiting: BTreeMap<&str, VecDeque<(&'a str, &'a Segment)>> = BTreeMap::new();
        for (path, segment) in new {
            waiting.entry(&segment.replica).or_default().push_back((path, segment));
        }
        let replicas: Vec<&str> = waiting.keys().copied().collect();
        let mut all = Self { repo, waiting, next: BTreeMap::new(), held: 0 };
        for replica in replicas {
            all.read(replica)?;
        }
        Ok(all)
    }

    /// Reads the next segment of a replica.
    fn read(&mut self, replica: &str) -> Result<()> {
        let Some((path, segment)) = self.waiting.get_mut(replica).and_then(VecDeque::pop_front) else { return Ok(()) };
        let bytes = self.repo.blob(segment.oid)?;
        let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty());
        let first = lines.take(MOST_LOOKED_AT).find_map(|raw| line::event(raw).ok()).map(|e| e.at);
        let bytes = Some(bytes).filter(|b| self.held + b.len() <= MOST_HELD);
        self.held += bytes.as_ref().map_or(0, Vec::len);
        self.next.insert((first, path), Waiting { segment, bytes });
        Ok(())
    }

    pub fn next(&mut self) -> Result<Option<Arrival<'a>>> {
        let Some(((_, path), now)) = self.next.pop_first() else { return Ok(None) };
        self.held -= now.bytes.as_ref().map_or(0, Vec::len);
        self.read(&now.segment.replica)?;
        let bytes = now.bytes.map_or_else(|| self.repo.blob(now.segment.oid), Ok)?;
        Ok(Some(Arrival { path, segment: now.segment, bytes }))
    }
}
