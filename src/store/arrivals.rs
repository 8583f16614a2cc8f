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
    path: &'a str,
    segment: &'a Segment,
    /// What it holds, where there was room to keep it.
    bytes: Option<Vec<u8>>,
    /// The stamp of its first event.
    first: Option<Timestamp>,
}

/// How many bytes of segments are held. Those beyond it are read a second time when it is their turn: replicas may be
/// many, and a segment that we did not write may be large.
const MOST_HELD: usize = 16 << 20;

/// Segments yet to come, by replica.
pub(super) struct Arrivals<'a> {
    repo: &'a Repo,
    held: usize,
    waiting: Vec<VecDeque<(&'a str, &'a Segment)>>,
    next: Vec<Waiting<'a>>,
}

impl<'a> Arrivals<'a> {
    pub fn new(repo: &'a Repo, new: impl Iterator<Item = (&'a String, &'a Segment)>) -> Result<Self> {
        let mut replicas: BTreeMap<&str, VecDeque<(&'a str, &'a Segment)>> = BTreeMap::new();
        for (path, segment) in new {
            replicas.entry(&segment.replica).or_default().push_back((path, segment));
        }
        let mut all = Self { repo, waiting: replicas.into_values().collect(), next: Vec::new(), held: 0 };
        for i in 0..all.waiting.len() {
            let arrival = all.read(i)?;
            all.next.extend(arrival);
        }
        Ok(all)
    }

    /// The next segment of the `i`-th replica.
    fn read(&mut self, i: usize) -> Result<Option<Waiting<'a>>> {
        let Some((path, segment)) = self.waiting[i].pop_front() else { return Ok(None) };
        let bytes = self.repo.blob(segment.oid)?;
        let first = bytes.split(|b| *b == b'\n').find_map(|raw| line::event(raw).ok()).map(|e| e.at);
        let bytes = Some(bytes).filter(|b| self.held + b.len() <= MOST_HELD);
        self.held += bytes.as_ref().map_or(0, Vec::len);
        Ok(Some(Waiting { path, segment, bytes, first }))
    }

    pub fn next(&mut self) -> Result<Option<Arrival<'a>>> {
        let Some(i) = (0..self.next.len()).min_by_key(|i| (self.next[*i].first, self.next[*i].path)) else {
            return Ok(None);
        };
        let replica =
            self.waiting.iter().position(|w| w.front().is_some_and(|(_, s)| s.replica == self.next[i].segment.replica));
        let now = match replica.map(|r| self.read(r)).transpose()?.flatten() {
            Some(after) => std::mem::replace(&mut self.next[i], after),
            None => self.next.swap_remove(i),
        };
        self.held -= now.bytes.as_ref().map_or(0, Vec::len);
        let bytes = now.bytes.map_or_else(|| self.repo.blob(now.segment.oid), Ok)?;
        Ok(Some(Arrival { path: now.path, segment: now.segment, bytes }))
    }
}
