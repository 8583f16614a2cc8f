//! Changing single lines of a projection, at a cost that does not depend on its length.
//!
//! A small projection is replaced as a whole. A large one is laid out with room behind each line, and a record that still
//! fits is written over the old one. That is done only to a file that nobody has read since it was put there, and that has
//! no other name: whoever takes it in pieces never finds two halves of different lines. A file that somebody read is
//! replaced, so that each change of the whole file was paid for by somebody's reading of the whole file, or by a record that
//! outgrew its room.
//!
//! **Invariant:** a file that anybody but us is seen to have read is never changed in place; lines are only added to its
//! end. A reader that is not seen (see [`readers`]) still finds whole lines where it takes whole pages, as most do.

use std::collections::BTreeMap;

use super::adopt::Table;
use super::cache::sum;
use super::error::{Result, StoreError};
use super::layout::{self, Key, Layout, PAGE, Standing};
use super::tx::Tx;
use crate::domain::RefId;
use crate::sys::fs::{self, Stamp};
use crate::sys::readers::{self, Overwritten};
use crate::wire::{json, line};

/// Up to this size a projection is replaced as a whole, in bytes.
const SMALL: u64 = 64 * 1024;
/// A small one, too, is laid out with room where it was replaced more often than this in the last seconds.
const OFTEN: usize = 16;

/// The file is roomy, and whether somebody has read it can be told.
const TELLS: &str = "1";
/// The file is roomy, and it may have been read.
const MAYBE_READ: &str = "0";

/// A record whose line in the file is an older one.
pub(super) struct Change {
    pub key: Key,
    pub record: String,
    /// The checksum of the line that stands there.
    pub old: i64,
}

/// What came of changing single lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patched {
    /// Done; false where foreign lines turned up.
    Done(bool),
    /// The file is not as it was left: it is looked at first.
    Later,
    /// A line was not found: the file is to be written from the records.
    Whole,
}

impl Tx<'_> {
    pub(super) fn is_roomy(&self, table: Table) -> Result<bool> {
        Ok(self.cache.meta(table.room_key())?.is_some())
    }

    /// Remembers how a file is laid out. One of which it is not known who has read it is laid out anew before a line of it
    /// is changed.
    pub(super) fn note_layout(&self, table: Table, roomy: bool, tells: bool) -> Result<()> {
        if roomy {
            return self.cache.set_meta(table.room_key(), if tells { TELLS } else { MAYBE_READ });
        }
        self.cache.db.prepare_cached("DELETE FROM meta WHERE k=?")?.execute([table.room_key()])?;
        Ok(())
    }

    /// To be called before the time of change of a file moves on: who has read it until then is not to be told later.
    pub(super) fn note_readers(&self, table: Table) -> Result<()> {
        if self.cache.meta(table.room_key())?.as_deref() != Some(TELLS) {
            return Ok(());
        }
        let known = self.known_stamp(table)?;
        if known.is_none_or(|k| readers::were_there_since(&self.path_of(table), k.mtime_ns)) {
            self.note_layout(table, true, false)?;
        }
        Ok(())
    }

    /// The file's stamp as we left it.
    pub(super) fn known_stamp(&self, table: Table) -> Result<Option<Stamp>> {
        Ok(self.cache.meta(table.stamp_key())?.and_then(|t| serde_json::from_str(&t).ok()))
    }

    /// Brings lines up to date that stand in the file.
    ///
    /// After a crash the file holds the old lines, the new ones, or the new ones up to some line and the old ones behind.
    pub(super) fn patch(&mut self, table: Table, changes: &[Change]) -> Result<Patched> {
        let path = self.path_of(table);
        let read = |e| StoreError::io(format!("read .work/{}", table.file_name()))(e);
        let tells = |tx: &Self| Ok::<_, StoreError>(tx.cache.meta(table.room_key())?.as_deref() == Some(TELLS));
        let in_place = !self.plain && tells(self)?;
        let open = if in_place { readers::open_to_overwrite } else { readers::open_unnoticed };
        let mut file = open(&path).map_err(read)?;
        let stamp = Stamp::of_file(&file).map_err(read)?;
        if self.known_stamp(table)? != Some(stamp) {
            return Ok(Patched::Later);
        }
        let mut found: Vec<(Standing, &Change)> = Vec::with_capacity(changes.len());
        for c in changes {
            match layout::find(&file, stamp.size, table, &c.key).map_err(read)? {
                Some(old) if sum(old.bytes.trim_ascii()) == c.old => found.push((old, c)),
                _ => return Ok(Patched::Whole),
            }
        }
        self.note_readers(table)?;
        let pieces: Option<Vec<(u64, Vec<u8>)>> =
            found.iter().map(|(old, c)| piece(old, c.record.as_bytes())).collect();
        let pieces = pieces.filter(|_| in_place).filter(|_| !readers::may_be_read_unseen(&path));
        let mut written = Overwritten::No;
        if let Some(pieces) = pieces.filter(|_| tells(self).unwrap_or(false)) {
            let pieces = pieces.iter().map(|(at, bytes)| (*at, bytes.as_slice()));
            written = readers::overwrite(&mut file, &path, stamp.mtime_ns, pieces)
                .map_err(StoreError::io(format!("write .work/{}", table.file_name())))?;
        }
        let quiet = match written {
            Overwritten::Unseen | Overwritten::Seen => {
                let now = Stamp::of_file(&file).map_err(read)?;
                let there = Stamp::of(&path);
                if there.is_none_or(|t| t.inode != now.inode) {
                    // Somebody put another file there, which has the old lines or their own.
                    return Ok(Patched::Later);
                }
                if written == Overwritten::Seen {
                    self.note_layout(table, true, false)?;
                }
                for (_, c) in &found {
                    self.note_line(table, &c.key.1, sum(c.record.as_bytes()))?;
                }
                self.note_stamp(table, &now, stamp.size)?;
                now.size == stamp.size
            }
            Overwritten::No => {
                let roomy = !self.plain && (stamp.size > SMALL || self.count_retired(table)? >= OFTEN);
                let bytes = fs::read_from(&file, 0).map_err(read)?;
                let new: BTreeMap<u64, &[u8]> = found.iter().map(|(old, c)| (old.at, c.record.as_bytes())).collect();
                let mut layout = Layout::new(0, roomy);
                for (at, raw) in line::complete(&bytes) {
                    layout.push(new.get(&(at as u64)).copied().unwrap_or_else(|| raw.trim_ascii()));
                }
                let sums = found.iter().map(|(_, c)| (c.key.1.clone(), sum(c.record.as_bytes())));
                self.replace_table(table, &layout.into_bytes(), roomy, sums)?
            }
        };
        Ok(Patched::Done(quiet))
    }

    /// Whether a line is one that we were writing over when we were stopped: the new one up to some byte, and the old one
    /// behind it. What it says is nobody's change.
    pub(super) fn is_half_written(&mut self, id: &str, raw: &[u8]) -> Result<bool> {
        let Ok(id) = id.parse::<RefId>() else { return Ok(false) };
        let (projected, Some(now)) = (self.projected(Table::Orders, id.as_str())?, self.order(&id)?) else {
            return Ok(false);
        };
        let new = json::line(&now.record());
        if projected.is_none_or(|p| p == sum(new.as_bytes())) {
            return Ok(false);
        }
        let Some(old) = self.record_projected(&id, projected)? else { return Ok(false) };
        let padded = |line: String| {
            let mut bytes = line.into_bytes();
            bytes.resize(bytes.len().max(raw.len()), b' ');
            bytes
        };
        let (new, old) = (padded(new), padded(json::line(&old.record())));
        let as_new = new.iter().zip(raw).take_while(|(a, b)| a == b).count();
        let as_old = old.iter().rev().zip(raw.iter().rev()).take_while(|(a, b)| a == b).count();
        Ok(new.len() == raw.len() && old.len() == raw.len() && as_new + as_old >= raw.len())
    }
}

/// What of a line is to be written over, and where, for the record to stand in its place; `None` where it does not fit,
/// or where the line goes over the edge of a page: a power cut could cut the change in two, and so could a reader that takes
/// whole pages and leaves no time of access.
fn piece(old: &Standing, record: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut new = record.to_vec();
    new.resize(old.bytes.len().max(record.len()), b' ');
    if new.len() > old.bytes.len() {
        return None;
    }
    let differs = |(a, b): (&u8, &u8)| a != b;
    let first = new.iter().zip(&old.bytes).position(differs)?;
    let last = new.iter().zip(&old.bytes).rposition(differs)?;
    let end = old.at + old.bytes.len() as u64;
    (old.at / PAGE == end / PAGE).then(|| (old.at + first as u64, new[first..=last].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(at: u64, text: &str) -> Standing {
        Standing { at, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn only_what_differs_is_written() {
        let old = standing(100, "{\"status\":\"open\",\"n\":1}    ");
        let (at, bytes) = piece(&old, b"{\"status\":\"closed\",\"n\":1}").unwrap();
        assert_eq!((at, bytes.as_slice()), (111, b"closed\",\"n\":1}".as_slice()));
        assert_eq!(piece(&old, b"{\"status\":\"in_progress\",\"n\":12345}"), None);
    }

    #[test]
    fn a_line_over_the_edge_of_a_page_is_not_changed_in_place() {
        let text = "{\"n\":11111111}";
        let behind = text.len() as u64 + 1;
        for at in [PAGE - 9, PAGE - behind + 1] {
            assert_eq!(piece(&standing(at, text), b"{\"n\":21111111}"), None);
        }
        for at in [PAGE, PAGE - behind] {
            assert_eq!(piece(&standing(at, text), b"{\"n\":21111111}").unwrap(), (at + 5, b"2".to_vec()));
        }
    }
}
