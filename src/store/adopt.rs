//! Taking in what foreign writers left in projections and assignment files, as events.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use super::cache::sum;
use super::error::{Result, StoreError};
use super::lines::Parts;
use super::tx::Tx;
use crate::domain::event::Draft;
use crate::domain::{RefId, Timestamp, record};
use crate::sys::fs::Stamp;
use crate::sys::readers;
use crate::wire::json as wire_json;

/// How long a version of a record may still be in the hands of somebody who writes the list anew, in milliseconds.
const STALE_FOR_MS: i64 = 10_000;

/// How the meta keys of lines begin that were taken in a moment ago, and the first text behind all of them.
const TAKEN: &str = "taken ";
const TAKEN_END: &str = "taken!";

/// Where a line of a projection was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whence {
    /// In the file itself: it is the record's place in it.
    Listed,
    /// Behind the end of a file that was replaced: it changes a known record only where it says that it is newer.
    Behind,
    /// In a file that was replaced at that time (milliseconds), and written over since: whoever did that saw what stood there.
    /// While somebody may be writing, a line that cannot be read is not spoken of.
    Replaced { since: i64, last: bool },
}

impl Whence {
    fn is_final(self) -> bool {
        !matches!(self, Self::Replaced { last: false, .. })
    }
}

/// The two projections that are JSONL files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Orders,
    Messages,
}

impl Table {
    pub const BOTH: [Self; 2] = [Self::Orders, Self::Messages];

    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Messages => "messages",
        }
    }

    pub fn file_name(self) -> &'static str {
        match self {
            Self::Orders => "work_orders.jsonl",
            Self::Messages => "messages.jsonl",
        }
    }

    /// The meta key of the file's stamp as we last knew it.
    pub fn stamp_key(self) -> &'static str {
        match self {
            Self::Orders => "orders_stamp",
            Self::Messages => "messages_stamp",
        }
    }

    /// The meta key of the offset up to which the file's lines were taken in.
    pub fn seen_key(self) -> &'static str {
        match self {
            Self::Orders => "orders_seen",
            Self::Messages => "messages_seen",
        }
    }

    /// The column by which records are ordered, before their ids.
    pub fn order(self) -> &'static str {
        match self {
            Self::Orders => "created",
            Self::Messages => "ts",
        }
    }

    /// What stands before that column's time in a line.
    pub fn time_mark(self) -> &'static [u8] {
        match self {
            Self::Orders => b"\"created_at\":\"",
            Self::Messages => b"\"timestamp\":\"",
        }
    }

    /// The meta key that says how the file is laid out.
    pub fn room_key(self) -> &'static str {
        match self {
            Self::Orders => "orders_room",
            Self::Messages => "messages_room",
        }
    }

    /// The meta key of the place of the file's last record.
    pub fn last_key(self) -> &'static str {
        match self {
            Self::Orders => "orders_last",
            Self::Messages => "messages_last",
        }
    }

    /// The meta key that says the file is to be written whole.
    pub fn rewrite_key(self) -> &'static str {
        match self {
            Self::Orders => "orders_rewrite",
            Self::Messages => "messages_rewrite",
        }
    }
}

impl Tx<'_> {
    /// Takes in everything foreign. What it finds becomes events of this change.
    pub(super) fn adopt(&mut self) -> Result<()> {
        for table in Table::BOTH {
            self.adopt_retired(table)?;
            self.adopt_table(table)?;
        }
        self.adopt_assignments()
    }

    pub(super) fn path_of(&self, table: Table) -> PathBuf {
        self.places.work.join(table.file_name())
    }

    fn adopt_table(&mut self, table: Table) -> Result<()> {
        let path = self.path_of(table);
        let stamp = Stamp::of(&path);
        let known = self.cache.meta(table.stamp_key())?;
        let shown = stamp.map(|s| serde_json::to_string(&s).unwrap_or_default());
        if shown == known && shown.is_some() {
            return Ok(());
        }
        if stamp.is_none() {
            self.cache.set_meta(table.rewrite_key(), "1")?;
            return Ok(());
        }
        self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
        let read = |e| StoreError::io(format!("read .work/{}", table.file_name()))(e);
        let file = readers::open_unnoticed(&path).map_err(read)?;
        self.note_readers(table)?;
        let mut seen = BTreeSet::new();
        let mut tidy = true;
        let mut roomy = false;
        let (mut parts, mut number, mut last) = (Parts::from(0), 0, None);
        while parts.read(&file).map_err(read)? {
            for (_, raw) in parts.lines() {
                number += 1;
                roomy |= raw.ends_with(b" ");
                self.place = None;
                tidy &= self.adopt_line(table, number, raw, &mut seen, Whence::Listed)?;
                // Known, and in its place: a record that came by the log, too, may stand at the end whatever its time.
                if let Some(place) = self.place.take() {
                    tidy &= last.as_ref() < Some(&place);
                    last = Some(place);
                }
            }
        }
        tidy &= Stamp::of_file(&file).map_err(read)?.size == parts.end();
        if roomy && !self.is_roomy(table)? {
            self.note_layout(table, true, false)?;
        }
        let count: i64 = self.cache.db.query_row(
            &format!("SELECT count(*) FROM {} WHERE proj IS NOT NULL", table.name()),
            [],
            |r| r.get(0),
        )?;
        if !tidy || i64::try_from(seen.len()).unwrap_or_default() != count {
            self.cache.set_meta(table.rewrite_key(), "1")?;
        } else if let Some(last) = last {
            self.note_last(table, &last)?;
        }
        self.cache.set_meta(table.seen_key(), &parts.end().to_string())?;
        self.cache.set_meta(table.stamp_key(), &shown.unwrap_or_default())
    }

    /// Takes in one line of a projection. False where the line is not as we would write it.
    pub(super) fn adopt_line(
        &mut self,
        table: Table,
        number: u64,
        raw: &[u8],
        seen: &mut BTreeSet<String>,
        whence: Whence,
    ) -> Result<bool> {
        let text = raw.trim_ascii();
        if text.is_empty() {
            return Ok(false);
        }
        if let Some(id) = quick_id(text)
            && self.shows(table, id, text, whence)?
        {
            return Ok(seen.insert(id.to_owned()));
        }
        if let Some(id) = quick_id(text)
            && table == Table::Orders
            && self.is_half_written(id, raw)?
        {
            seen.insert(id.to_owned());
            return Ok(false);
        }
        let reason = match wire_json::record(text) {
            Ok(map) => return self.adopt_record(table, number, map, text, seen, whence).map(|()| false),
            Err(reason) => reason,
        };
        let is_record = |m: &Map<String, Value>| m.get("id").is_some_and(Value::is_string);
        let pieces = wire_json::pieces(text, |text| wire_json::object(text).ok().filter(is_record));
        if pieces.whole.is_empty() && whence.is_final() {
            self.set_aside(table.file_name(), number, text, &reason)?;
        } else if whence.is_final() {
            for torn in pieces.torn {
                self.set_aside(table.file_name(), number, torn, "a torn line; the record beside it was taken")?;
            }
        }
        for (_, text, map) in pieces.whole {
            self.adopt_record(table, number, map, text, seen, whence)?;
        }
        Ok(false)
    }

    fn adopt_record(
        &mut self,
        table: Table,
        number: u64,
        map: Map<String, Value>,
        text: &[u8],
        seen: &mut BTreeSet<String>,
        whence: Whence,
    ) -> Result<()> {
        let faulty = |tx: &mut Self, reason: &str| match whence.is_final() {
            true => tx.set_aside(table.file_name(), number, text, reason),
            false => Ok(()),
        };
        let Some(id) = map.get("id").and_then(Value::as_str).and_then(|t| t.parse::<RefId>().ok()) else {
            return faulty(self, "'id' is missing or no valid id");
        };
        let first = seen.insert(id.to_string()) && whence != Whence::Behind;
        match table {
            Table::Orders if !map.get("title").is_some_and(Value::is_string) => {
                return faulty(self, "'title' is missing or no text");
            }
            Table::Messages if !map.get("to").is_some_and(Value::is_string) => {
                return faulty(self, "'to' is missing or no text");
            }
            _ => {}
        }
        if std::str::from_utf8(text).is_err() {
            faulty(self, "it holds bytes that are no UTF-8; the record was taken without them")?;
        }
        if whence != Whence::Listed && self.was_taken_in(id.as_str(), text)? {
            return Ok(());
        }
        let drafts = match table {
            Table::Orders => self.order_drafts(&id, &map, first, whence)?,
            Table::Messages => self.message_drafts(&id, &map, first)?,
        };
        if !drafts.is_empty() {
            self.note_taken_in(id.as_str(), text)?;
        }
        for draft in drafts {
            if let Some(why) = self.emit_adopted(&draft)? {
                faulty(self, &why)?;
            }
        }
        if first && whence == Whence::Listed {
            // Remembered as what stands in the file, so that the next look passes over it.
            // The line's own row may only now come into being.
            self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
            self.note_line(table, id.as_str(), sum(text))?;
        }
        Ok(())
    }

    /// Whether this very line was taken in a moment ago. In a file that was replaced it tells nothing new; it would take back what
    /// was changed since.
    fn was_taken_in(&self, id: &str, text: &[u8]) -> Result<bool> {
        Ok(self.cache.meta(&format!("{TAKEN}{id} {:x}", sum(text)))?.is_some())
    }

    fn note_taken_in(&self, id: &str, text: &[u8]) -> Result<()> {
        let forget = "DELETE FROM meta WHERE k>=?1 AND k<?2 AND CAST(v AS INTEGER)<?3";
        let before = self.now_ms - 2 * super::project::RETIRED_FOR_MS;
        self.cache.db.prepare_cached(forget)?.execute(params![TAKEN, TAKEN_END, before])?;
        self.cache.set_meta(&format!("{TAKEN}{id} {:x}", sum(text)), &self.now_ms.to_string())
    }

    /// Whether a line is the one that we last wrote for a record, or were writing when we were stopped.
    pub(super) fn shows(&mut self, table: Table, id: &str, text: &[u8], whence: Whence) -> Result<bool> {
        let sql = format!("SELECT proj, CAST(rec AS BLOB)=?2, {} FROM {} WHERE id=?1", table.order(), table.name());
        let mut q = self.cache.db.prepare_cached(&sql)?;
        let row: Option<(Option<i64>, bool, i64)> =
            q.query_row(params![id, text], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?;
        let now = sum(text);
        self.place = row.map(|(_, _, at)| (at, id.to_owned()));
        match row {
            Some((Some(proj), ..)) if proj == now => Ok(true),
            Some((_, true, _)) if whence == Whence::Listed => self.note_line(table, id, now).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Remembers the line that stands in the file for a record, by its checksum.
    pub(super) fn note_line(&self, table: Table, id: &str, sum: i64) -> Result<()> {
        let sql = format!("UPDATE {} SET proj=? WHERE id=?", table.name());
        self.cache.db.prepare_cached(&sql)?.execute(params![sum, id])?;
        Ok(())
    }

    /// The checksum of the line that we last wrote for a record.
    pub(super) fn projected(&self, table: Table, id: &str) -> Result<Option<i64>> {
        let sql = format!("SELECT proj FROM {} WHERE id=?", table.name());
        let mut q = self.cache.db.prepare_cached(&sql)?;
        Ok(q.query_row([id], |r| r.get::<_, Option<i64>>(0)).optional()?.flatten())
    }

    /// The events by which a line of the list becomes part of the state; none where it says nothing new.
    fn order_drafts(
        &mut self,
        id: &RefId,
        line: &Map<String, Value>,
        first: bool,
        whence: Whence,
    ) -> Result<Vec<Draft>> {
        let Some(order) = self.order(id)? else { return Ok(vec![record::adopted_order(line)]) };
        let text = line.get("updated_at").and_then(Value::as_str).unwrap_or_default();
        let stated: Option<Timestamp> = text.parse().ok();
        if !first && stated.is_none_or(|t| t <= order.updated_at()) {
            return Ok(Vec::new());
        }
        let (current, current_changed) = (order.record(), order.updated_at());
        if record::changed_order(&current, line).is_empty() {
            // So it is already: a command that was killed had written the line, and what it knew of that is lost.
            return Ok(Vec::new());
        }
        let stated = stated.unwrap_or(order.updated_at());
        // Who did not change the time edited what had it. Many versions may: where a clock is ahead, or where a change came
        // from elsewhere that was made before the last one here.
        let projected = self.projected(Table::Orders, id.as_str())?;
        let mut seen = self.versions_of_then(id, stated, stated)?;
        if !seen.is_empty() {
            // Or it is the time of an edit of what stood there, which hit upon another's.
            seen.extend(self.record_projected(id, projected)?.map(|o| o.record()));
            // Of versions that it is as like to, one from which it tells nothing new: it was taken in before.
            let told = |v: &Map<String, Value>| record::has_told(v, line, &current);
            let seen = seen.iter().min_by_key(|v| (record::count_changes(v, line), !told(v)));
            return Ok(match seen {
                Some(seen) if told(seen) => Vec::new(),
                Some(seen) => record::changed_order(seen, line),
                None => record::changed_order(&current, line),
            });
        }
        // A time of whole seconds is no version's: somebody set it, and changed what stood there at any time of that second.
        if !text.contains('.') {
            let mut seen = self.versions_of_then(id, stated, Timestamp::from_millis(stated.millis() + 999))?;
            seen.extend(self.record_at(id, stated)?);
            seen.extend(self.record_projected(id, projected)?.map(|o| o.record()));
            let counted = seen.into_iter().map(|v| (record::count_changes(&v, line), v));
            if let Some((_, seen)) = counted.filter(|(count, _)| *count > 0).min_by_key(|(count, _)| *count) {
                return Ok(record::changed_order(&seen, line));
            }
        }
        if let Whence::Replaced { since, .. } = whence {
            // What has replaced the file was not to be seen in it: of what it may have shown, what is the most like the line.
            let then = self.versions_between(id, since - STALE_FOR_MS, since)?;
            let base = then.into_iter().min_by_key(|v| record::count_changes(v, line)).unwrap_or(current);
            return Ok(record::changed_order(&base, line));
        }
        // A time between those of two versions is the writer's own. Where our clock ran ahead it tells nothing of what the
        // writer knew.
        let knew_all = stated.millis() >= order.updated_at().millis() || order.updated_at().millis() > self.now_ms;
        // Nor does it where we changed the record a moment ago: who read it before that gives back what was there, beside what
        // they have changed. A line that only sets something back means that.
        let just_now = stated.millis() - STALE_FOR_MS;
        if current_changed.millis() >= just_now {
            let before = self.versions_between(id, just_now, i64::MAX)?.into_iter();
            let counted = before.map(|v| (record::count_changes(&v, line), v)).filter(|(count, _)| *count > 0);
            if let Some((count, base)) = counted.min_by_key(|(count, _)| *count)
                && count < record::count_changes(&current, line)
            {
                return Ok(record::changed_order(&base, line));
            }
        }
        let base = if knew_all && projected == Some(sum(wire_json::line(&current).as_bytes())) {
            current
        } else {
            // We changed the record since it was read: the writer saw what stood there then, not what is now.
            match self.record_projected(id, projected)? {
                Some(shown) if stated.millis() > shown.updated_at().millis() => shown.record(),
                _ => self.record_at(id, stated)?.unwrap_or(current),
            }
        };
        Ok(record::changed_order(&base, line))
    }

    /// The same for a message: that it was read, and what no event says of one that came with an event that says little.
    fn message_drafts(&mut self, id: &RefId, line: &Map<String, Value>, first: bool) -> Result<Vec<Draft>> {
        let Some(known) = self.message(id)? else { return Ok(vec![record::adopted_message(line)]) };
        let is_ours = self.projected(Table::Messages, id.as_str())?.is_some();
        let fuller = (first && !is_ours).then(|| record::fuller_message(&known.record(), line)).flatten();
        let read = line.get("read_at").and_then(Value::as_str).filter(|_| known.read_at.is_none());
        let read = read.map(|at| record::message_read(id.as_str(), &known.to, at));
        Ok(fuller.into_iter().chain(read).collect())
    }

    /// Lines of a replaced file stand in no present one.
    pub(super) fn forget_projected(&self, table: Table, ids: &BTreeSet<String>) -> Result<()> {
        let sql = format!("UPDATE {} SET proj=NULL WHERE id=?", table.name());
        for id in ids {
            self.cache.db.prepare_cached(&sql)?.execute([id])?;
        }
        Ok(())
    }
}

/// The id in a line that begins as ours do, without reading the rest.
pub(super) fn quick_id(text: &[u8]) -> Option<&str> {
    let rest = text.strip_prefix(b"{\"id\":\"")?;
    let end = rest.iter().take(160).position(|b| *b == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}
