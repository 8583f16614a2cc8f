//! The lines of a projection on disk: how they are laid out, and finding one without reading them all.
//!
//! A large projection is *roomy*: each line ends in spaces, which mean nothing in JSON, so that a record that grows a
//! little still fits where it stands; and a line that fits into a page does not go over its edge, so that changing it is
//! one step for the disk, too.

use std::fs::File;
use std::io;

use super::adopt::{Table, quick_id};
use crate::domain::Timestamp;
use crate::sys::fs;
use crate::wire::line;

/// What the kernel and the disk handle in one step, in bytes.
pub(super) const PAGE: u64 = 4096;
/// How much room a line has at the least; an eighth of its length comes to it.
const ROOM: usize = 64;
/// A rest of a page smaller than this is left empty: most lines would not fit into it.
const REST: u64 = 768;
/// How much is read in one piece when a line is searched.
const PIECE: u64 = 8 * 1024;

/// A record's place in the order of a projection: its time in milliseconds, its id.
pub(super) type Key = (i64, String);

/// A line that stands in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub at: u64,
    /// Without its newline, with the spaces around it.
    pub bytes: Vec<u8>,
}

/// Lines that are being laid out.
pub(super) struct Layout {
    bytes: Vec<u8>,
    /// Where the first of the bytes will stand.
    from: u64,
    roomy: bool,
}

impl Layout {
    pub fn new(from: u64, roomy: bool) -> Self {
        Self { bytes: Vec::new(), from, roomy }
    }

    pub fn push(&mut self, record: &[u8]) {
        let room = if self.roomy { ROOM + record.len() / 8 } else { 0 };
        let rest = self.rest_of_page();
        let long = (record.len() + room + 1) as u64;
        if self.roomy && long > rest && long <= PAGE {
            self.lengthen_last(rest);
        }
        self.bytes.extend_from_slice(record);
        self.bytes.resize(self.bytes.len() + room, b' ');
        self.bytes.push(b'\n');
    }

    /// The bytes, with no small rest of a page behind them.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let rest = self.rest_of_page();
        if self.roomy && rest < REST {
            self.lengthen_last(rest);
        }
        self.bytes
    }

    fn rest_of_page(&self) -> u64 {
        PAGE - (self.from + self.bytes.len() as u64) % PAGE
    }

    /// More room for the last line, where there is one.
    fn lengthen_last(&mut self, by: u64) {
        if self.bytes.pop().is_some() {
            self.bytes.resize(self.bytes.len() + usize::try_from(by).unwrap_or(0), b' ');
            self.bytes.push(b'\n');
        }
    }
}

/// The place in the order that a line of ours says; `None` where it is not one of ours.
fn key_of(table: Table, raw: &[u8]) -> Option<(i64, &str)> {
    let raw = raw.trim_ascii();
    let mark = table.time_mark();
    let begin = raw.windows(mark.len()).position(|w| w == mark)? + mark.len();
    let rest = raw.get(begin..)?;
    let end = rest.iter().position(|b| *b == b'"')?;
    let at: Timestamp = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((at.millis(), quick_id(raw)?))
}

/// Finds a record's line in a file of `size` bytes whose lines are in order; `None` where it is not there, or where the
/// order is not what was thought.
pub(super) fn find(file: &File, size: u64, table: Table, key: &Key) -> io::Result<Option<Standing>> {
    let key = (key.0, key.1.as_str());
    let (mut low, mut high) = (0, size);
    while high - low > 2 * PIECE {
        let Some(start) = next_start(file, low + (high - low) / 2, high)? else { break };
        let Some(raw) = line_at(file, start, high)? else { return Ok(None) };
        match key_of(table, &raw).map(|k| k.cmp(&key)) {
            None => return Ok(None),
            Some(std::cmp::Ordering::Less) => low = start + raw.len() as u64 + 1,
            Some(std::cmp::Ordering::Equal) => return Ok(Some(Standing { at: start, bytes: raw })),
            Some(std::cmp::Ordering::Greater) => high = start,
        }
    }
    let bytes = fs::read_at(file, low, usize::try_from(high - low).unwrap_or(0))?;
    let found = line::complete(&bytes).find(|(_, raw)| key_of(table, raw) == Some(key));
    Ok(found.map(|(at, raw)| Standing { at: low + at as u64, bytes: raw.to_vec() }))
}

/// Where the first line begins behind `from`; `None` where none does before `end`.
fn next_start(file: &File, from: u64, end: u64) -> io::Result<Option<u64>> {
    Ok(newline(file, from, end)?.map(|at| at + 1).filter(|start| *start < end))
}

/// Where the first newline is from `from` on; `None` where none is before `end`.
fn newline(file: &File, mut from: u64, end: u64) -> io::Result<Option<u64>> {
    while from < end {
        let bytes = fs::read_at(file, from, usize::try_from(PIECE.min(end - from)).unwrap_or(0))?;
        if let Some(at) = memchr::memchr(b'\n', &bytes) {
            return Ok(Some(from + at as u64));
        }
        from += bytes.len() as u64;
    }
    Ok(None)
}

fn line_at(file: &File, start: u64, end: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(at) = newline(file, start, end)? else { return Ok(None) };
    fs::read_at(file, start, usize::try_from(at - start).unwrap_or(0)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: i64, text: &str) -> (Key, String) {
        let at = Timestamp::from_millis(1_767_225_600_000 + n / 3);
        let id = format!("wo-{n:010}");
        ((at.millis(), id.clone()), format!("{{\"id\":\"{id}\",\"title\":\"{text}\",\"created_at\":\"{at}\"}}"))
    }

    #[test]
    fn every_line_is_found_and_no_other() {
        for roomy in [false, true] {
            let records: Vec<_> =
                (0..500).map(|n| record(n, &"x".repeat(if n == 77 { 60_000 } else { 200 }))).collect();
            let mut layout = Layout::new(0, roomy);
            records.iter().for_each(|(_, r)| layout.push(r.as_bytes()));
            let bytes = layout.into_bytes();
            let dir = tempfile::tempdir().unwrap();
            fs::replace(&dir.path().join("f"), &bytes).unwrap();
            let file = fs::open_read(&dir.path().join("f")).unwrap();
            let size = bytes.len() as u64;
            for (key, rec) in &records {
                let found = find(&file, size, Table::Orders, key).unwrap().unwrap();
                assert_eq!(found.bytes.trim_ascii(), rec.as_bytes());
                let at = usize::try_from(found.at).unwrap();
                assert_eq!(&bytes[at..at + found.bytes.len()], found.bytes);
            }
            for n in [-1, 1_000_000] {
                assert_eq!(find(&file, size, Table::Orders, &record(n, "").0).unwrap(), None);
            }
        }
    }

    #[test]
    fn a_line_that_fits_into_a_page_never_goes_over_its_edge() {
        let record = |n: usize| format!("{{\"n\":{}}}", "1".repeat(n));
        let mut layout = Layout::new(PAGE - 100, true);
        layout.push(record(2).as_bytes());
        (0..200).for_each(|n| layout.push(record(n * 17).as_bytes()));
        let mut at = PAGE - 100;
        let bytes = layout.into_bytes();
        for (n, raw) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let end = at + raw.len() as u64 - 1;
            assert!(n == 0 || raw.len() as u64 > PAGE || at / PAGE == end / PAGE, "{at} to {end}");
            at = end + 1;
        }
        assert!(PAGE - at % PAGE >= REST);
    }
}
