//! Projections that were replaced: each lives on for a while under another name, in case somebody had it open, or put
//! another file there in the moment before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::adopt::{Table, Whence, quick_id};
use super::error::{Result, StoreError};
use super::lines::Parts;
use super::places::Places;
use super::tx::Tx;
use crate::sys::fs::{self, Stamp};
use crate::sys::{exchange, random, readers};
use crate::wire::json;

/// How many replaced files of a kind are looked at; beyond that the oldest go before their time.
const MOST: usize = 256;

/// In the place of a fingerprint: something in the file could not be read, and is looked at again before the file goes.
const UNREAD: u64 = 1;

/// What the name of a replaced file says: `orders-INODE-SEEN-SINCE-CHANGED-MARK`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    kind: String,
    inode: String,
    /// Up to which offset its lines were taken in.
    seen: u64,
    /// When it was replaced, in milliseconds.
    since: i64,
    /// Its time of change when it was looked at last, in nanoseconds; 0 where all of it is still to be looked at. An earlier
    /// version of this program did not note it.
    changed_ns: Option<i64>,
    /// A fingerprint of what stood there up to `seen`; 0 where that is not known, and [`UNREAD`] where some of it could not be
    /// read.
    mark: u64,
}

/// A number that is hardly ever the same for two texts. Not for use against somebody who wants that.
fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |h: u64, word: u64| (h.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let words = bytes.chunks(8).map(|c| {
        let mut word = [0; 8];
        word[..c.len()].copy_from_slice(c);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64 | 1, step)
}

/// The same of the beginning of a file; 0 where it is shorter, or nothing of it was seen.
fn mark_of(path: &Path, seen: u64) -> u64 {
    if seen == 0 {
        return 0;
    }
    let read = |f: std::fs::File| fs::read_at(&f, 0, usize::try_from(seen).unwrap_or(usize::MAX));
    readers::open_unnoticed(path).and_then(read).map_or(0, |bytes| fingerprint(&bytes))
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (kind, inode) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let (seen, since) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let changed_ns = parts.next().and_then(|p| p.parse().ok());
        let mark = parts.next().and_then(|p| u64::from_str_radix(p, 16).ok()).unwrap_or(0);
        Some(Self { kind, inode, seen, since, changed_ns, mark })
    }

    fn file_name(&self) -> String {
        let Self { kind, inode, seen, since, changed_ns, mark } = self;
        let changed = changed_ns.map(|c| format!("-{c}-{mark:x}")).unwrap_or_default();
        format!("{kind}-{inode}-{seen}-{since}{changed}")
    }

    /// Whether nobody has written to it since it was looked at.
    fn is_quiet(&self, now: &Stamp) -> bool {
        self.seen == now.size && self.changed_ns.is_none_or(|c| c == now.mtime_ns)
    }
}

/// Whether nobody has written to any replaced file since it was looked at.
pub(super) fn are_quiet(places: &Places) -> bool {
    let folder = places.retired();
    // What has another name is no replaced file, but one that a killed command was making.
    let names = fs::list(&folder).unwrap_or_default();
    let known = names.iter().filter_map(|name| Some((Name::parse(name)?, Stamp::of(&folder.join(name))?)));
    known.into_iter().all(|(name, now)| name.is_quiet(&now))
}

/// What became of a file that was to be replaced.
pub(super) struct Replaced {
    /// The new file's stamp, where nobody has written to it since.
    pub stamp: Option<Stamp>,
    /// Whether it can be told who reads it.
    pub tells: bool,
    /// Whether the old one was not as it was left.
    pub changed: bool,
}

impl Tx<'_> {
    /// Puts other bytes in a projection's place. The old file, whichever stands there in that very moment, is kept for a
    /// while.
    ///
    /// After a crash the file holds the old bytes or the new ones, and what it held is looked at again.
    pub(super) fn swap(&self, table: Table, bytes: &[u8], roomy: bool) -> Result<Replaced> {
        let (path, folder) = (self.path_of(table), self.places.retired());
        let known = self.known_stamp(table)?;
        // Only what was taken in counts as seen: a line that came since is found in the old inode.
        let seen: u64 = self.cache.meta(table.seen_key())?.and_then(|t| t.parse().ok()).unwrap_or(0);
        let name = |inode: String, seen, changed_ns, mark| {
            let since = self.now_ms;
            Name { kind: table.name().to_owned(), inode, seen, since, changed_ns: Some(changed_ns), mark }.file_name()
        };
        let failed = |e| StoreError::io(format!("write .work/{}", table.file_name()))(e);
        fs::create_private_dir(&folder).map_err(StoreError::io("keep a replaced file"))?;
        // Under a name that has all of it looked at, for whoever is stopped right behind the exchange.
        let new = folder.join(name(format!("x{:x}", random::bits() & 0xffff_ffff), 0, 0, 0));
        fs::replace(&new, bytes).map_err(failed)?;
        // It is laid out beside: who reads it is to be seen from the first moment on.
        let tells = roomy && readers::expect_none(&new).map_err(failed)?;
        let stamp = Stamp::of(&new).unwrap_or_default();
        match exchange::exchange(&new, &path) {
            Ok(true) => {}
            Ok(false) => return Ok(Replaced { stamp: stamp.unchanged_at(&path), tells, changed: false }),
            Err(e) if exchange::is_impossible(&e) => return self.put_over(table, &new, bytes, roomy),
            Err(e) => {
                let _ = fs::remove_file(&new);
                return Err(failed(e));
            }
        }
        if fs::metadata(&new).is_ok_and(|m| !m.is_file()) {
            // A link or a folder was put there just now: it stays.
            let back = exchange::exchange(&new, &path).and_then(|_| fs::remove_file(&new));
            return back.and_then(|()| Err(std::io::Error::other("not a regular file"))).map_err(failed);
        }
        let old = Stamp::of(&new).unwrap_or_default();
        let known = known.filter(|k| k.inode == old.inode);
        let (seen, changed_ns) = known.map_or((0, 0), |k| (seen, k.mtime_ns));
        // Of one that was written to since it was taken in, what stood in it then is not known: all of it is looked at.
        let mark = mark_of(&new, seen);
        let is_as_known = |k: &Stamp| Stamp::of(&new).is_some_and(|s| (s.size, s.mtime_ns) == (k.size, k.mtime_ns));
        let mark = if known.as_ref().is_some_and(is_as_known) { mark } else { 0 };
        fs::rename(&new, &folder.join(name(old.inode.to_string(), seen, changed_ns, mark))).map_err(failed)?;
        Ok(Replaced { stamp: stamp.unchanged_at(&path), tells, changed: old.mtime_ns != changed_ns })
    }

    /// The same where two files cannot change places: on a disk of another kind, or where `.work` stands on another one. What
    /// is put there in the moment of the renaming goes; without hard links so does what comes later into the old file.
    fn put_over(&self, table: Table, new: &Path, bytes: &[u8], roomy: bool) -> Result<Replaced> {
        let failed = |e| StoreError::io(format!("write .work/{}", table.file_name()))(e);
        fs::remove_file(new).map_err(failed)?;
        let path = self.path_of(table);
        if let Some(old) = Stamp::of(&path) {
            let known = self.known_stamp(table)?.filter(|k| k.inode == old.inode);
            let seen = self.cache.meta(table.seen_key())?.filter(|_| known.is_some()).unwrap_or_else(|| "0".to_owned());
            let changed_ns = known.map_or(0, |k| k.mtime_ns);
            let name = format!("{}-{}-{seen}-{}-{changed_ns}", table.name(), old.inode, self.now_ms);
            let _ = fs::hard_link(&path, &self.places.retired().join(name));
        }
        let beside = path.with_file_name(format!(".{}.laid-out", table.file_name()));
        fs::replace(&beside, bytes).map_err(failed)?;
        let tells = roomy && readers::expect_none(&beside).map_err(failed)?;
        let stamp = Stamp::of(&beside).unwrap_or_default();
        fs::rename(&beside, &path).map_err(failed)?;
        Ok(Replaced { stamp: stamp.unchanged_at(&path), tells, changed: false })
    }

    /// Takes in what replaced files have gained, and what they say since somebody wrote them over.
    pub(super) fn adopt_retired(&mut self, table: Table) -> Result<()> {
        let folder = self.places.retired();
        let names = fs::list(&folder).map_err(StoreError::io("look at replaced files"))?;
        let all: Vec<(PathBuf, Name)> = names
            .iter()
            .filter_map(|n| Some((folder.join(n), Name::parse(n)?)))
            .filter(|(_, n)| n.kind == table.name())
            .collect();
        let oldest = self.oldest_retired(&all);
        for (path, mut name) in all {
            let last = name.since < oldest;
            let is_unread = name.mark == UNREAD;
            if let Some(now) = Stamp::of(&path).filter(|now| !name.is_quiet(now) || (last && is_unread)) {
                // Of one that has only grown the rest is read.
                let is_same = name.mark > UNREAD && mark_of(&path, name.seen) == name.mark;
                let is_changed = is_unread || name.changed_ns.is_some_and(|c| c != now.mtime_ns);
                let (seen, mark) = if is_changed && !is_same {
                    // It is read whole once more when it changes; what was taken in of it is not taken in again.
                    let is_read = self.adopt_whole(table, &path, name.since, last)?;
                    (now.size, if is_read { 0 } else { UNREAD })
                } else {
                    let end = self.adopt_rest(table, &path, name.seen, last)?;
                    (end, mark_of(&path, end))
                };
                name = Name { seen, changed_ns: Some(now.mtime_ns), mark, ..name };
                let new = folder.join(name.file_name());
                if !last && new != path {
                    self.when_recorded(path.clone(), Some(new));
                }
            }
            if last {
                self.when_recorded(path, None);
            }
        }
        Ok(())
    }

    /// From which time on replaced files are still looked at.
    fn oldest_retired(&self, all: &[(PathBuf, Name)]) -> i64 {
        let mut times: Vec<i64> = all.iter().map(|(_, n)| n.since).collect();
        times.sort_unstable();
        let most = times.len().checked_sub(MOST).map_or(i64::MIN, |first| times[first]);
        most.max(self.now_ms - super::project::RETIRED_FOR_MS)
    }

    pub(super) fn count_retired(&self, table: Table) -> Result<usize> {
        let names = fs::list(&self.places.retired()).map_err(StoreError::io("look at replaced files"))?;
        Ok(names.iter().filter(|n| n.starts_with(table.name())).count())
    }

    /// Puts off what would let a line be forgotten until its event stands in the log.
    fn when_recorded(&mut self, path: PathBuf, new_name: Option<PathBuf>) {
        self.read.retain(|(p, _)| *p != path);
        self.read.push((path, new_name));
    }

    /// Notes how far replaced files were read, and lets those go whose time is over.
    pub(super) fn settle_retired(&mut self) -> Result<()> {
        for (path, new_name) in std::mem::take(&mut self.read) {
            match new_name {
                Some(new) => {
                    fs::rename(&path, &new).map_err(StoreError::io("note how far a replaced file was read"))?
                }
                None => fs::remove_file(&path).map_err(StoreError::io("let a replaced file go"))?,
            }
        }
        Ok(())
    }

    /// Takes in what a replaced file has gained behind `from`. A last line without its newline is waited for, until `last`:
    /// then it is taken whole, or set aside. Gives the offset behind what was taken.
    fn adopt_rest(&mut self, table: Table, path: &Path, from: u64, last: bool) -> Result<u64> {
        let failed = |e| StoreError::io("read a replaced file")(e);
        let file = fs::open_read(path).map_err(failed)?;
        let (mut seen, mut parts) = (BTreeSet::new(), Parts::from(from));
        while parts.read(&file).map_err(failed)? {
            for (_, raw) in parts.lines() {
                self.adopt_line(table, 0, raw, &mut seen, Whence::Behind)?;
            }
        }
        let mut end = parts.end();
        if last {
            let rest = parts.rest(&file).map_err(failed)?;
            self.adopt_line(table, 0, &rest, &mut seen, Whence::Behind)?;
            end += rest.len() as u64;
        }
        if !seen.is_empty() {
            self.forget_projected(table, &seen)?;
            self.cache.set_meta(table.rewrite_key(), "1")?;
        }
        Ok(end)
    }

    /// Takes in all lines of a replaced file that somebody has written over, or put there in the moment before it was
    /// replaced. False where something in it cannot be read and somebody may still be writing.
    fn adopt_whole(&mut self, table: Table, path: &Path, since: i64, last: bool) -> Result<bool> {
        let failed = |e| StoreError::io("read a replaced file")(e);
        let file = fs::open_read(path).map_err(failed)?;
        let (mut seen, mut parts, mut is_sound) = (BTreeSet::new(), Parts::from(0), true);
        let whence = Whence::Replaced { since, last };
        while parts.read(&file).map_err(failed)? {
            for (_, raw) in parts.lines() {
                let text = raw.trim_ascii();
                let is_readable = text.is_empty()
                    || quick_id(text).is_some_and(|id| self.shows(table, id, text, whence).unwrap_or(false))
                    || json::record(text).is_ok();
                self.adopt_line(table, 0, raw, &mut seen, whence)?;
                is_sound &= is_readable;
            }
        }
        let rest = parts.rest(&file).map_err(failed)?;
        if last {
            self.adopt_line(table, 0, &rest, &mut seen, whence)?;
        }
        Ok(last || (is_sound && rest.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::{AgentId, Draft};
    use crate::store::{Store, StoreError, fresh};

    /// A state with three orders, A, B and C.
    fn three() -> (tempfile::TempDir, Store) {
        let (dir, mut store) = fresh();
        for title in ["A", "B", "C"] {
            let data = serde_json::json!({"work_order_id": format!("wo-{}", title.to_lowercase()), "title": title});
            let draft = Draft::new("work_order.created", &AgentId::ceo(), data);
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        }
        (dir, store)
    }

    /// Rewrites the list, and right before that does something to it.
    fn rewritten(store: &mut Store, before: impl FnOnce()) {
        let rewrite = |tx: &mut Tx<'_>| {
            before();
            tx.rewrite_table(Table::Orders)?;
            tx.finish().map(|_| ())
        };
        store.with_state::<_, StoreError>(rewrite).unwrap();
    }

    /// The list as it is.
    fn listed(store: &Store) -> (PathBuf, String) {
        let list = store.places.orders();
        let text = String::from_utf8(fs::read(&list).unwrap()).unwrap();
        (list, text)
    }

    fn comment(store: &mut Store, id: &str) {
        let data = serde_json::json!({"work_order_id": id, "body": "ours"});
        let draft = Draft::new("work_order.commented", &AgentId::ceo(), data);
        store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
    }

    /// The list as somebody who saw it has changed it: other titles, and the time of the change.
    fn edited(text: &str, at_ms: i64) -> String {
        let at = crate::domain::Timestamp::from_millis(at_ms);
        let edit = |line: &str| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["title"] = format!("X{}", record["title"].as_str().unwrap()).into();
            record["updated_at"] = serde_json::to_value(at).unwrap();
            format!("{record}\n")
        };
        text.lines().map(edit).collect()
    }

    fn look(store: &mut Store) {
        store.with_state::<_, StoreError>(|tx| tx.finish().map(|_| ())).unwrap();
    }

    fn titles(store: &mut Store) -> String {
        look(store);
        let pick = crate::store::Pick::Matching(Box::default());
        let mut all = String::new();
        store.view().unwrap().each_line(&pick, |l| all.push_str(&format!("{} ", l.title))).unwrap();
        all
    }

    #[test]
    fn a_file_that_is_put_there_right_before_ours_is_taken_in() {
        let (_dir, mut store) = three();
        let (list, text) = listed(&store);
        let new = "{\"id\":\"wo-py\",\"title\":\"new\"}\n";
        let theirs = edited(&text, crate::sys::clock::now_millis()) + new;
        rewritten(&mut store, || fs::replace(&list, theirs.as_bytes()).unwrap());
        assert_eq!(titles(&mut store), "XA XB XC new ");
    }

    #[test]
    fn what_an_editor_that_leaves_the_time_alone_puts_there_right_before_ours_is_taken_in() {
        for in_place in [false, true] {
            let (_dir, mut store) = three();
            let (list, text) = listed(&store);
            let theirs = text.replace("\"title\":\"B\"", "\"title\":\"a longer one\"");
            rewritten(&mut store, || {
                match in_place {
                    true => fs::put(&list, theirs.as_bytes()).unwrap(),
                    false => fs::replace(&list, theirs.as_bytes()).unwrap(),
                }
                let mut appending = fs::open_append_shared(&list).unwrap();
                fs::append(&mut appending, b"{\"id\":\"wo-py\",\"title\":\"new\"}\n").unwrap();
            });
            assert_eq!(titles(&mut store), "A a longer one C new ", "in place: {in_place}");
            assert!(store.warnings.is_empty(), "{:?}", store.warnings);
        }
    }

    #[test]
    fn what_was_taken_in_of_a_replaced_file_takes_back_nothing_that_came_later() {
        for is_torn in [false, true] {
            let (_dir, mut store) = three();
            let (list, text) = listed(&store);
            let mut theirs = text.replace("\"title\":\"B\"", "\"title\":\"E1\"");
            if is_torn {
                theirs.push_str("{\"id\":\"wo-torn\",\"ti\n");
            }
            let mut opened = None;
            rewritten(&mut store, || {
                fs::replace(&list, theirs.as_bytes()).unwrap();
                opened = fs::open_append_shared(&list).ok();
            });
            assert_eq!(titles(&mut store), "A E1 C ", "torn: {is_torn}");
            let data = serde_json::json!({"work_order_id": "wo-b", "changes": {"title": "ours"}});
            let draft = Draft::new("work_order.updated", &AgentId::ceo(), data);
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
            assert_eq!(titles(&mut store), "A ours C ", "torn: {is_torn}");
            // Whoever put it there has it open still.
            let mut file = opened.unwrap();
            fs::append(&mut file, b"{\"id\":\"wo-py\",\"title\":\"new\"}\n").unwrap();
            assert_eq!(titles(&mut store), "A ours C new ", "torn: {is_torn}");
        }
    }

    #[test]
    fn a_file_that_was_open_while_it_was_replaced_is_taken_in_as_it_is_written_over() {
        for touched in ["wo-a", "wo-c"] {
            let (_dir, mut store) = three();
            let list = store.places.orders();
            let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&list).unwrap();
            let text = String::from_utf8(fs::read(&list).unwrap()).unwrap();
            let theirs = edited(&text, crate::sys::clock::now_millis());
            std::thread::sleep(std::time::Duration::from_millis(5));
            comment(&mut store, touched);
            assert_ne!(Stamp::of_file(&file).unwrap().inode, Stamp::of(&list).unwrap().inode);
            file.set_len(0).unwrap();
            // Half of a line may be all that is there for now.
            let (first, rest) = theirs.split_at(theirs.len() / 2);
            std::io::Write::write_all(&mut file, first.as_bytes()).unwrap();
            look(&mut store);
            std::io::Write::write_all(&mut file, rest.as_bytes()).unwrap();
            assert_eq!(titles(&mut store), "XA XB XC ", "{touched}");
            assert!(store.warnings.is_empty(), "{:?}", store.warnings);
            let order = store.view().unwrap().order(&touched.parse().unwrap()).unwrap().unwrap();
            assert_eq!(order.comments().count(), 1);
        }
    }

    #[test]
    fn a_stale_line_with_a_fresh_time_takes_back_nothing_that_we_have_changed_since() {
        for renamed in [false, true] {
            let (_dir, mut store) = three();
            let list = store.places.orders();
            let mut old = std::fs::OpenOptions::new().read(true).write(true).open(&list).unwrap();
            let text = String::from_utf8(fs::read(&list).unwrap()).unwrap();
            let data = serde_json::json!({"work_order_id": "wo-a", "changes": {"description": "ours"}});
            let draft = Draft::new("work_order.updated", &AgentId::ceo(), data);
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(3));
            let theirs = edited(&text, crate::sys::clock::now_millis());
            match renamed {
                true => fs::replace(&list, theirs.as_bytes()).unwrap(),
                false => {
                    old.set_len(0).unwrap();
                    std::io::Write::write_all(&mut old, theirs.as_bytes()).unwrap();
                }
            }
            assert_eq!(titles(&mut store), "XA XB XC ", "{renamed}");
            let order = store.view().unwrap().order(&"wo-a".parse().unwrap()).unwrap().unwrap();
            assert_eq!(order.record()["description"], "ours", "{renamed}");
        }
    }

    #[test]
    fn a_line_that_is_glued_to_a_torn_one_in_the_old_file_is_taken_at_once() {
        let (_dir, mut store) = three();
        let mut old = fs::open_append_shared(&store.places.orders()).unwrap();
        comment(&mut store, "wo-a");
        fs::append(&mut old, b"{\"id\":\"wo-torn\",\"ti").unwrap();
        fs::append(&mut old, b"{\"id\":\"wo-py\",\"title\":\"glued\"}\n").unwrap();
        assert_eq!(titles(&mut store), "A B C glued ");
    }

    #[test]
    fn a_name_says_what_is_known_of_the_file() {
        for name in ["orders-17-300-1767700000000-1767700000000000001-1f", "messages-x1f-0-1767700000000-0-0"] {
            assert_eq!(Name::parse(name).unwrap().file_name(), name);
        }
        let earlier = Name::parse("orders-17-300-1767700000000").unwrap();
        assert_eq!((earlier.changed_ns, earlier.file_name().as_str()), (None, "orders-17-300-1767700000000"));
        assert_eq!(Name::parse(".orders-17-300-1.4194399.ff.tmp"), None);
    }
}
