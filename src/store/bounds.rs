//! How much of a state is looked at. Each bound is far above what a real state has; a commit that is beyond one was made
//! to cost whoever takes it in time and memory, and is refused before anything is built on it.

use std::collections::BTreeMap;

use super::branch::Segment;
use super::error::{Result, StoreError};
use crate::git::{Oid, Repo};

/// How many entries there may be below `events/`. A million events make some thirty thousand segments.
pub(super) const MOST_SEGMENTS: usize = 250_000;
/// How many entries there may be in the root and in the folders of texts; see [`Budget::spend_on`].
pub(super) const MOST_TEXTS: usize = 1_000_000;
/// A path that is longer than this counts for as many entries as it has pieces of this length.
const PATH: usize = 64;
/// How many bytes of segments may come at once.
const MOST_BYTES: u64 = 4 << 30;
/// A segment longer than this one was written by nobody who keeps the rules: not even one line is.
const LONG: u64 = (1 << 20) + 1;
/// How many bytes may come in such ones.
const MOST_LONG_BYTES: u64 = 64 << 20;

/// What is left of a bound.
pub(super) struct Budget {
    place: &'static str,
    most: usize,
    left: usize,
}

impl Budget {
    pub fn new(place: &'static str, most: usize) -> Self {
        Self { place, most, left: most }
    }

    /// Counts the entries at a path. One folder that stands in many places counts in each of them.
    pub fn spend(&mut self, path: &str, entries: usize) -> Result<()> {
        let (place, most) = (self.place, self.most);
        let too_much = || StoreError::TooMuch { what: format!("with {path} more than {most} files {place}") };
        self.left = self.left.checked_sub(entries).ok_or_else(too_much)?;
        Ok(())
    }

    /// Counts one entry with this path.
    pub fn spend_on(&mut self, path: &str) -> Result<()> {
        self.spend(path, 1 + path.len() / PATH)
    }
}

/// The same for segments by their paths below `events/`.
pub(super) fn check_segments<'a>(repo: &Repo, new: impl Iterator<Item = (&'a String, &'a Segment)>) -> Result<()> {
    check_sizes(repo, "events/", new.map(|(path, segment)| (path, segment.oid)))
}

/// Looks at the sizes of files that are about to be read, by their paths below `place`, and not yet at their contents.
/// One that is not there is an error.
pub fn check_sizes<'a>(repo: &Repo, place: &str, new: impl Iterator<Item = (&'a String, Oid)>) -> Result<()> {
    let (mut known, mut all, mut long) = (BTreeMap::new(), 0_u64, 0_u64);
    let new: Vec<_> = new.collect();
    repo.want(new.iter().map(|(_, oid)| *oid));
    for (path, oid) in new {
        let size = match known.get(&oid) {
            Some(size) => *size,
            None => repo.check_blob(oid)?,
        };
        known.insert(oid, size);
        all += size;
        long += if size > LONG { size } else { 0 };
        let too_much = |most: u64, which: &str| {
            let most = most >> 20;
            let what = format!("with {place}{path} more than {most} MiB of {which}");
            StoreError::TooMuch { what }
        };
        if all > MOST_BYTES {
            return Err(too_much(MOST_BYTES, "files"));
        }
        if long > MOST_LONG_BYTES {
            return Err(too_much(MOST_LONG_BYTES, "files of over 1 MiB each"));
        }
    }
    Ok(())
}
