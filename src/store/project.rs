//! Projections on disk: `work_orders.jsonl`, `messages.jsonl`, the assignment files, and the feed.
//!
//! A projection is replaced as a whole (new file, rename), appended to where all that is new are new records, or changed
//! line by line (see [`super::patch`]). An inode that was replaced is kept under another name for a while, and what a
//! foreign writer appended to it is still taken in.

use rusqlite::{OptionalExtension, params};

use super::adopt::Table;
use super::cache::sum;
use super::error::{Result, StoreError};
use super::layout::{Key, Layout};
use super::patch::{Change, Patched};
use super::retired::Replaced;
use super::tx::Tx;
use crate::domain::AgentId;
use crate::domain::assignment::Target;
use crate::sys::exchange;
use crate::sys::fs::{self, Stamp};
use crate::wire::line;

/// How long a replaced projection is still looked at, in milliseconds.
pub(super) const RETIRED_FOR_MS: i64 = 10_000;
/// How often a projection is written again because somebody appended meanwhile, before the next command is left to it.
const MOST_ROUNDS: usize = 4;
/// So many lines are always changed one by one; of more, one for each so many bytes of the file. Where it is more than
/// that, the file is written whole.
const FEW: usize = 8;
const BYTES_A_LINE: u64 = 32 * 1024;

/// How much is put into the feed in one write, in bytes.
const FEED_PART: usize = 1 << 20;

/// A record that waits to be shown: its place in the order, its line, the checksum of the line that stands in the file.
type Waiting = (Key, String, Option<i64>);

impl Tx<'_> {
    /// Brings the projections up to date. Foreign lines that are found on the way are taken in as events.
    ///
    /// After a crash a projection holds the old text, the new text, or the old text and a first part of new records; the
    /// next command brings it up to date.
    pub(super) fn project(&mut self) -> Result<()> {
        for round in 0..MOST_ROUNDS {
            let mut quiet = true;
            for table in Table::BOTH {
                // The first look was taken when the state was locked.
                quiet &= self.project_table(table, round > 0)?;
            }
            self.project_assignments()?;
            if quiet && self.unsaved.is_empty() {
                break;
            }
            self.finish()?;
        }
        self.cache.db.execute_batch("DELETE FROM pending WHERE subject LIKE 'agent/%'")?;
        Ok(())
    }

    /// One projection. False where foreign lines turned up, so that it is to be written again.
    fn project_table(&mut self, table: Table, look: bool) -> Result<bool> {
        let family = if table == Table::Orders { "order/" } else { "mail/" };
        let rewrite = self.must_rewrite(table)?;
        let pending: Vec<String> = {
            let sql = "SELECT substr(subject, ?2) FROM pending WHERE subject >= ?1 AND subject < ?1 || char(1114111)";
            let skip = i64::try_from(family.len() + 1).unwrap_or_default();
            let mut q = self.cache.db.prepare_cached(sql)?;
            q.query_map(params![family, skip], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?
        };
        if !rewrite && pending.is_empty() {
            return Ok(true);
        }
        // What was written since the last look is taken in before the file is touched.
        if look {
            self.adopt()?;
        }
        if !self.unsaved.is_empty() {
            self.finish()?;
        }
        let done = if self.must_rewrite(table)? { Patched::Whole } else { self.bring_up(table, &pending)? };
        let quiet = match done {
            Patched::Done(quiet) => quiet,
            Patched::Later => return Ok(false),
            Patched::Whole => self.rewrite_table(table)?,
        };
        for id in &pending {
            self.cache.db.prepare_cached("DELETE FROM pending WHERE subject=?")?.execute([format!("{family}{id}")])?;
        }
        Ok(quiet)
    }

    fn must_rewrite(&self, table: Table) -> Result<bool> {
        Ok(self.cache.meta(table.rewrite_key())?.is_some() || self.plain && self.is_roomy(table)?)
    }

    /// Shows records without writing all others again, where that can be done.
    fn bring_up(&mut self, table: Table, pending: &[String]) -> Result<Patched> {
        let mut waiting = self.waiting(table, pending)?;
        waiting.sort();
        if waiting.len() != pending.len() || !fs::exists(&self.path_of(table)) {
            return Ok(Patched::Whole);
        }
        let (fresh, standing): (Vec<Waiting>, Vec<Waiting>) =
            waiting.into_iter().partition(|(_, _, old)| old.is_none());
        let last: Option<Key> = self.cache.meta(table.last_key())?.and_then(|t| serde_json::from_str(&t).ok());
        // Records come in the order of the whole file, on every machine: one that is older than the last goes in between.
        if !fresh.is_empty() && last.is_none_or(|last| fresh[0].0 <= last) {
            return Ok(Patched::Whole);
        }
        let change = |(key, record, old): Waiting| Some(Change { key, record, old: old? });
        let changes: Vec<Change> = standing.into_iter().filter_map(change).collect();
        let changes: Vec<Change> = changes.into_iter().filter(|c| sum(c.record.as_bytes()) != c.old).collect();
        // A second name is somebody's snapshot, which is to stay as it is.
        if fs::has_other_names(&self.path_of(table)) {
            return Ok(Patched::Whole);
        }
        let size = Stamp::of(&self.path_of(table)).map_or(0, |s| s.size);
        if changes.len() > FEW && changes.len() as u64 * BYTES_A_LINE > size {
            return Ok(Patched::Whole);
        }
        if !changes.is_empty() {
            let patched = self.patch(table, &changes)?;
            if patched != Patched::Done(true) {
                return Ok(if fresh.is_empty() || patched == Patched::Whole { patched } else { Patched::Later });
            }
        }
        if fresh.is_empty() { Ok(Patched::Done(true)) } else { self.append_records(table, &fresh).map(Patched::Done) }
    }

    /// The records of these ids; one that is not to be shown is left out.
    fn waiting(&self, table: Table, ids: &[String]) -> Result<Vec<Waiting>> {
        let sql = format!("SELECT {}, id, rec, proj FROM {} WHERE id=? AND shown", table.order(), table.name());
        let mut q = self.cache.db.prepare_cached(&sql)?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let mut rows = q.query([id])?;
            if let Some(r) = rows.next()? {
                all.push(((r.get(0)?, r.get(1)?), r.get(2)?, r.get(3)?));
            }
        }
        Ok(all)
    }

    fn append_records(&mut self, table: Table, fresh: &[Waiting]) -> Result<bool> {
        self.note_readers(table)?;
        let before = Stamp::of(&self.path_of(table)).unwrap_or_default();
        let mut layout = Layout::new(before.size, self.is_roomy(table)?);
        fresh.iter().for_each(|(_, record, _)| layout.push(record.as_bytes()));
        let bytes = layout.into_bytes();
        let start = super::append::lines(&self.path_of(table), &bytes)?;
        for ((_, id), record, _) in fresh {
            self.note_line(table, id, sum(record.as_bytes()))?;
        }
        if let Some((last, ..)) = fresh.last() {
            self.note_last(table, last)?;
        }
        let after = Stamp::of(&self.path_of(table)).unwrap_or_default();
        // A line of somebody else may have come since what was there was taken in.
        let known = self.known_stamp(table)?;
        let alone = known == Some(before) && start == before.size && after.size == start + bytes.len() as u64;
        if alone {
            self.note_stamp(table, &after, after.size)?;
        }
        Ok(alone)
    }

    /// Remembers the file as we left it, `size` bytes long. One that is longer already has lines of others behind ours, and
    /// is looked at again.
    pub(super) fn note_stamp(&self, table: Table, stamp: &Stamp, size: u64) -> Result<()> {
        self.cache.set_meta(table.seen_key(), &size.to_string())?;
        if stamp.size == size {
            self.cache.set_meta(table.stamp_key(), &serde_json::to_string(stamp).unwrap_or_default())
        } else {
            self.cache.db.prepare_cached("DELETE FROM meta WHERE k=?")?.execute([table.stamp_key()])?;
            Ok(())
        }
    }

    pub(super) fn note_last(&self, table: Table, last: &Key) -> Result<()> {
        self.cache.set_meta(table.last_key(), &serde_json::to_string(last).unwrap_or_default())
    }

    pub(super) fn rewrite_table(&mut self, table: Table) -> Result<bool> {
        let (bytes, changed) = canonical(self.cache, table)?;
        self.cache.db.prepare_cached("DELETE FROM meta WHERE k=?")?.execute([table.rewrite_key()])?;
        let quiet = self.replace_table(table, &bytes, false, changed)?;
        self.note_last(table, &last_of(self.cache, table)?)?;
        Ok(quiet)
    }

    /// Puts other bytes in the place of a projection, and remembers the lines that changed. False where foreign lines
    /// turned up.
    ///
    /// After a crash the file holds the old lines or the new ones.
    pub(super) fn replace_table(
        &mut self,
        table: Table,
        bytes: &[u8],
        roomy: bool,
        changed: impl IntoIterator<Item = (String, i64)>,
    ) -> Result<bool> {
        let before = self.unsaved.len();
        let Replaced { stamp, tells, changed: was_changed } = self.swap(table, bytes, roomy)?;
        if was_changed {
            // What the old file said is still noted of each line.
            self.adopt_retired(table)?;
        }
        for (id, sum) in changed {
            self.note_line(table, &id, sum)?;
        }
        self.note_layout(table, roomy, tells)?;
        // Where somebody changed it since it stands there, no stamp is known, and it is looked at again.
        self.note_stamp(table, &stamp.unwrap_or_default(), bytes.len() as u64)?;
        self.adopt()?;
        Ok(self.unsaved.len() == before)
    }

    fn project_assignments(&mut self) -> Result<()> {
        let agents: Vec<String> = {
            let mut q = self.cache.db.prepare_cached(
                "SELECT substr(subject, 12) FROM pending WHERE subject >= 'assignment/' AND subject < 'assignment0'",
            )?;
            q.query_map([], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?
        };
        for agent in agents {
            if let Ok(id) = agent.parse::<AgentId>() {
                let target = self.assignment(&id)?.target();
                if !self.write_assignment(&id, target.as_ref())? {
                    // It is somebody's turn: taken in at the next look, and then it is ours again.
                    continue;
                }
            }
            let mut q = self.cache.db.prepare_cached("DELETE FROM pending WHERE subject=?")?;
            q.execute([format!("assignment/{agent}")])?;
        }
        Ok(())
    }

    /// Brings an assignment file up to date. False where somebody has written to it since it was looked at.
    fn write_assignment(&self, agent: &AgentId, target: Option<&Target>) -> Result<bool> {
        let name = agent.assignment_file();
        let path = self.places.work.join(&name);
        let there = Stamp::of(&path);
        let known: Option<Option<String>> = {
            let mut q = self.cache.db.prepare_cached("SELECT stamp FROM files WHERE name=?")?;
            q.query_row([&name], |r| r.get(0)).optional()?
        };
        let shown = |stamp: Stamp| serde_json::to_string(&stamp).unwrap_or_default();
        if let (Some(there), Some(known)) = (there, known)
            && known.as_deref() != Some(&shown(there))
        {
            return Ok(false);
        }
        let what = format!("write .work/{name}");
        let Some(t) = target else {
            // An empty one says the same, and somebody may be about to write into it.
            if there.is_some_and(|s| s.size > 0) {
                fs::remove_file(&path).map_err(StoreError::io(what))?;
            }
            self.cache.db.prepare_cached("DELETE FROM files WHERE name=?")?.execute([name])?;
            return Ok(true);
        };
        let wanted = format!("{t}\n").into_bytes();
        // One that says so already keeps its time: by that it is told from what somebody else wrote.
        let stands = there.filter(|_| fs::read(&path).is_ok_and(|bytes| bytes == wanted));
        let stamp = match stands.and_then(|s| s.unchanged_at(&path)) {
            Some(stamp) => Some(stamp),
            None => match self.swap_assignment(&path, &wanted, there).map_err(StoreError::io(what))? {
                Some(stamp) => stamp,
                None => return Ok(false),
            },
        };
        self.cache
            .db
            .prepare_cached("INSERT OR REPLACE INTO files(name, agent, content, stamp) VALUES(?,?,?,?)")?
            .execute(params![name, agent.as_str(), t.to_string(), stamp.map(shown)])?;
        Ok(true)
    }

    /// Puts an assignment file in the place of the one that was looked at; gives its stamp, where nobody has changed it since.
    /// `None` where somebody wrote there in that very moment: theirs stays.
    fn swap_assignment(
        &self,
        path: &std::path::Path,
        bytes: &[u8],
        looked_at: Option<Stamp>,
    ) -> std::io::Result<Option<Option<Stamp>>> {
        let Some(looked_at) = looked_at else { return fs::replace_stamped(path, bytes, false).map(Some) };
        let new = self.places.private.join("assignment.new");
        fs::replace(&new, bytes)?;
        let stamp = Stamp::of(&new).unwrap_or_default();
        match exchange::exchange(&new, path) {
            Ok(false) => {}
            Ok(true) if looked_at.unchanged_at(&new).is_some() => fs::remove_file(&new)?,
            Ok(true) => {
                exchange::exchange(&new, path)?;
                fs::remove_file(&new)?;
                return Ok(None);
            }
            Err(e) if exchange::is_impossible(&e) => return fs::replace_stamped(path, bytes, false).map(Some),
            Err(e) => return Err(e),
        }
        Ok(Some(stamp.unchanged_at(path)))
    }

    /// Appends to the feed what the log has gained since the last time. A foreign writer feeds its own events itself.
    ///
    /// After a crash an event may stand there twice; none is left out.
    pub(super) fn feed(&mut self, through: u64) -> Result<()> {
        let from: i64 = self.cache.meta("fed")?.and_then(|t| t.parse().ok()).unwrap_or(0);
        let own = super::replica::current(self.places)?;
        let mut q =
            self.cache.db.prepare("SELECT off, len, home FROM events WHERE off >= ? AND off < ? ORDER BY off")?;
        let mut rows = q.query(params![from, through.cast_signed()])?;
        let mut bytes = Vec::new();
        while let Some(r) = rows.next()? {
            let (off, len, home): (i64, i64, Option<String>) = (r.get(0)?, r.get(1)?, r.get(2)?);
            let raw = match fs::read_at(&self.log, off.cast_unsigned(), usize::try_from(len).unwrap_or_default()) {
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(StoreError::Rewritten),
                read => read.map_err(StoreError::io("read .work/events.jsonl"))?,
            };
            let from_elsewhere = home.is_some_and(|h| !h.starts_with(&own));
            if from_elsewhere || line::says_prev(&raw) {
                bytes.extend_from_slice(&raw);
                bytes.push(b'\n');
            }
            if bytes.len() >= FEED_PART {
                super::append::lines(&self.places.feed(), &bytes)?;
                bytes.clear();
            }
        }
        if !bytes.is_empty() {
            super::append::lines(&self.places.feed(), &bytes)?;
        }
        // One that waited longer may come with less.
        self.cache.set_meta("fed", &from.max(through.cast_signed()).to_string())
    }
}

/// Ids of records with the checksums of their lines.
type Sums = Vec<(String, i64)>;

/// The place of a projection's last record; before all others where there is none.
fn last_of(cache: &super::cache::Cache, table: Table) -> Result<Key> {
    let (by, name) = (table.order(), table.name());
    let sql = format!("SELECT {by}, id FROM {name} WHERE shown ORDER BY {by} DESC, id DESC LIMIT 1");
    let mut q = cache.db.prepare_cached(&sql)?;
    let mut rows = q.query([])?;
    Ok(match rows.next()? {
        Some(r) => (r.get(0)?, r.get(1)?),
        None => (i64::MIN, String::new()),
    })
}

/// A projection's canonical bytes, and the (id, checksum) of every line that is not yet known to stand in the file.
pub(super) fn canonical(cache: &super::cache::Cache, table: Table) -> Result<(Vec<u8>, Sums)> {
    let by = table.order();
    let sql = format!("SELECT id, rec, proj FROM {} WHERE shown ORDER BY {by}, id", table.name());
    let mut q = cache.db.prepare_cached(&sql)?;
    let mut rows = q.query([])?;
    let (mut bytes, mut changed) = (Vec::new(), Vec::new());
    while let Some(r) = rows.next()? {
        let rec =
            r.get_ref(1)?.as_str().map_err(|e| StoreError::Cache { path: "a row".to_owned(), why: e.to_string() })?;
        let now = sum(rec.as_bytes());
        if r.get::<_, Option<i64>>(2)? != Some(now) {
            changed.push((r.get(0)?, now));
        }
        bytes.extend_from_slice(rec.as_bytes());
        bytes.push(b'\n');
    }
    Ok((bytes, changed))
}

#[cfg(test)]
mod tests {
    use crate::domain::{AgentId, Draft};
    use crate::store::{Store, StoreError};
    use crate::sys::fs;

    #[test]
    fn a_line_that_comes_right_before_ours_is_taken_in() {
        let (_dir, mut store) = crate::store::fresh();
        let create = |title: &str| {
            let data = serde_json::json!({"work_order_id": format!("wo-{title}"), "title": title});
            Draft::new("work_order.created", &AgentId::ceo(), data)
        };
        store.write::<_, StoreError>(|tx| tx.emit(&create("first"))).unwrap();
        let list = store.places.orders();
        let theirs = b"{\"id\":\"wo-py1\",\"title\":\"theirs\"}\n";
        store
            .with_state::<_, StoreError>(|tx| {
                tx.emit(&create("second"))?;
                tx.finish()?;
                fs::append(&mut fs::open_append_shared(&list).unwrap(), theirs).unwrap();
                tx.project()?;
                tx.finish().map(|_| ())
            })
            .unwrap();
        assert!(store.view().unwrap().order(&"wo-py1".parse().unwrap()).unwrap().is_some());
    }

    #[test]
    fn a_record_that_came_with_its_event_is_the_last_one_of_the_list() {
        let (_dir, mut store) = crate::store::fresh();
        let at = |minutes: i64| {
            crate::domain::Timestamp::from_millis(crate::sys::clock::now_millis() + minutes * 60_000).to_string()
        };
        let created = |id: &str, time: &str| {
            let data = format!("{{\"work_order_id\":\"wo-{id}\",\"title\":\"{id}\"}}");
            format!(
                "{{\"event_id\":\"evt-{id}\",\"event_type\":\"work_order.created\",\"timestamp\":\"{time}\",\"actor\":\"py\",\"data\":{data}}}\n"
            )
        };
        let append = |path: &std::path::Path, bytes: &[u8]| {
            fs::append(&mut fs::open_append_shared(path).unwrap(), bytes).unwrap();
        };
        let look = |store: &mut Store| {
            store
                .with_state::<_, StoreError>(|tx| tx.finish().and_then(|_| tx.project()).and_then(|()| tx.finish()))
                .unwrap();
        };
        let (log, list) = (store.places.log(), store.places.orders());
        append(&log, created("first", &at(1)).as_bytes());
        look(&mut store);
        let last = created("last", &at(3));
        append(&log, last.as_bytes());
        append(
            &list,
            &crate::wire::projection::of(&crate::wire::line::events_in(last.trim().as_bytes())).orders_bytes(),
        );
        look(&mut store);
        append(&log, created("between", &at(2)).as_bytes());
        look(&mut store);
        let text = String::from_utf8(fs::read(&list).unwrap()).unwrap();
        let places = ["first", "between", "last"].map(|id| text.find(&format!("\"wo-{id}\"")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_feed_that_is_asked_to_go_less_far_repeats_nothing() {
        let (_dir, mut store) = crate::store::fresh();
        let say = |store: &mut Store| {
            let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        };
        say(&mut store);
        store.with_state(|tx| tx.feed(0).and_then(|()| tx.finish())).unwrap();
        say(&mut store);
        assert_eq!(fs::read(&store.places.feed()).unwrap().iter().filter(|b| **b == b'\n').count(), 2);
    }
}
