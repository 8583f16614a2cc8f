//! The cache: an SQLite file that answers questions without reading the log, and that may vanish at any time.
//!
//! Written only under the state lock, without syncing: after a power cut (another boot id) it is made anew.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Result, StoreError};
use super::schema;
use crate::sys::fs::{self, Stamp};
use crate::sys::world::{Act, point};

/// How long after everything was taken away it goes on being put back, in milliseconds.
const SWEPT_FOR_MS: i64 = 10_000;
/// The meta key that says that something waits for a `git gc` to end before it goes to the branch.
pub(super) const WAITING: &str = "waiting";
/// The meta key of a number that is another each time the log is read anew.
pub(super) const READING: &str = "reading";
/// How long a reader waits for a writer's commit.
const BUSY: Duration = Duration::from_secs(10);

pub struct Cache {
    pub db: Connection,
    /// The file that was opened, and its inode; `None` for one in memory.
    file: Option<(PathBuf, u64)>,
    /// Whether the settings that only a writer needs are made.
    is_tuned: Cell<bool>,
}

/// What tells whether the cache shows the present state, read at once.
#[derive(Debug, Default)]
pub struct Keys {
    pub built: Built,
    /// Other values of the `meta` table.
    pub meta: BTreeMap<String, String>,
    /// The assignment files, with their stamps.
    pub files: BTreeMap<String, Option<String>>,
}

/// What the cache was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    pub inode: u64,
    pub offset: u64,
    /// A checksum of the bytes right before `offset`.
    pub tail: i64,
    pub tip: String,
    pub boot: String,
    /// When the log was changed last, in nanoseconds, as far as nothing stood behind `offset` then; 0 where that is not known.
    pub mtime_ns: i64,
}

impl Built {
    /// Whether a log is the one that this was built from, as far as that is told without reading it: nobody has written to it
    /// since, or only behind its end.
    pub fn fits(&self, log: &Stamp) -> bool {
        let untouched = self.mtime_ns == 0 || log.size > self.offset || log.mtime_ns == self.mtime_ns;
        self.inode == log.inode && self.offset <= log.size && untouched
    }

    fn set(&mut self, key: &str, value: String) {
        match key {
            "inode" => self.inode = value.parse().unwrap_or_default(),
            "offset" => self.offset = value.parse().unwrap_or_default(),
            "tail" => self.tail = value.parse().unwrap_or_default(),
            "tip" => self.tip = value,
            "mtime" => self.mtime_ns = value.parse().unwrap_or_default(),
            _ => self.boot = value,
        }
    }
}

impl Cache {
    /// Opens the file; one of another version, or broken, is replaced by an empty one. Call under the state lock when
    /// `may_create` is set; without it, anything but a good cache is `None`.
    pub fn open(path: &Path, may_create: bool) -> Result<Option<Self>> {
        if !may_create && !fs::exists(path) {
            return Ok(None);
        }
        if let Ok(Some(cache)) = Self::attempt(path, may_create) {
            return Ok(Some(cache));
        }
        if !may_create {
            return Ok(None);
        }
        Self::discard(path)?;
        Self::attempt(path, true)
    }

    /// Removes the file, and then its journal: SQLite throws away a journal whose database is empty. Under the state lock.
    pub(super) fn discard(path: &Path) -> Result<()> {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            fs::remove_file(Path::new(&name)).map_err(StoreError::io("replace the cache"))?;
        }
        Ok(())
    }

    /// Opens the file under the state lock. One that was written before a power cut may be spoiled anywhere, as it is not
    /// synced: an empty one takes its place.
    pub fn open_sound(path: &Path) -> Result<Option<Self>> {
        if let Some(cache) = Self::open(path, true)?
            && cache.is_of_this_boot()
        {
            return Ok(Some(cache));
        }
        Self::discard(path)?;
        Self::attempt(path, true)
    }

    /// Whether no power cut has come since it was written.
    pub fn is_of_this_boot(&self) -> bool {
        self.built().is_ok_and(|b| b.boot.is_empty() || b.boot == fs::boot_id())
    }

    /// A cache that lives in memory only, where the disk cannot be written.
    pub fn in_memory() -> Result<Self> {
        let db = Connection::open_in_memory()?;
        db.execute_batch(schema::CREATE)?;
        Ok(Self { db, file: None, is_tuned: Cell::new(true) })
    }

    fn attempt(path: &Path, may_create: bool) -> Result<Option<Self>> {
        use rusqlite::OpenFlags;
        // A link in the file's place is no cache: another takes its place.
        if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            return Ok(None);
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if may_create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let inode = || Stamp::of(path).map(|s| s.inode);
        let before = inode();
        let db = Connection::open_with_flags(path, flags)?;
        let Some(inode) = inode().filter(|now| before.is_none_or(|b| b == *now)) else { return Ok(None) };
        db.busy_timeout(BUSY)?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch("PRAGMA temp_store=MEMORY;")?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        if version == 0 && may_create {
            let empty: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
            if empty != 0 {
                return Ok(None);
            }
            fs::set_mode(path, 0o600).map_err(StoreError::io("make the cache private"))?;
            db.execute_batch(&format!(
                "BEGIN IMMEDIATE; {} PRAGMA user_version={}; COMMIT;",
                schema::CREATE,
                schema::VERSION
            ))?;
        } else if version != schema::VERSION {
            return Ok(None);
        }
        let file = Some((path.to_owned(), inode));
        Ok(Some(Self { db, file, is_tuned: Cell::new(false) }))
    }

    /// Whether the file that was opened still stands in its place. The journal is found by its name: one that was moved or
    /// taken away has the journal of whichever took its place played into it, and shows what never was.
    pub(super) fn is_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, inode)| Stamp::of(path).is_some_and(|s| s.inode == *inode))
    }

    /// A value of the `meta` table.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut q = self.db.prepare_cached("SELECT v FROM meta WHERE k=?")?;
        Ok(q.query_row([key], |r| r.get(0)).optional()?)
    }

    pub fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        self.db.prepare_cached("INSERT OR REPLACE INTO meta(k,v) VALUES(?,?)")?.execute(params![key, value])?;
        Ok(())
    }

    pub fn built(&self) -> Result<Built> {
        let mut b = Built::default();
        let mut q = self
            .db
            .prepare_cached("SELECT k, v FROM meta WHERE k IN ('inode','offset','tail','tip','boot','mtime')")?;
        let mut rows = q.query([])?;
        while let Some(row) = rows.next()? {
            b.set(&row.get::<_, String>(0)?, row.get(1)?);
        }
        Ok(b)
    }

    pub fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::default();
        let mut q = self.db.prepare_cached(
            "SELECT 0, k, v FROM meta
             WHERE k IN ('inode','offset','tail','tip','boot','mtime','orders_stamp','messages_stamp','waiting')
             UNION ALL SELECT 1, name, stamp FROM files",
        )?;
        let mut rows = q.query([])?;
        while let Some(row) = rows.next()? {
            let (is_file, name): (bool, String) = (row.get(0)?, row.get(1)?);
            if is_file {
                keys.files.insert(name, row.get(2)?);
            } else if name.ends_with("_stamp") || name == WAITING {
                keys.meta.insert(name, row.get(2)?);
            } else {
                keys.built.set(&name, row.get(2)?);
            }
        }
        Ok(keys)
    }

    pub fn set_built(&self, b: &Built) -> Result<()> {
        self.set_meta("inode", &b.inode.to_string())?;
        self.set_meta("offset", &b.offset.to_string())?;
        self.set_meta("tail", &b.tail.to_string())?;
        self.set_meta("tip", &b.tip)?;
        self.set_meta("mtime", &b.mtime_ns.to_string())?;
        self.set_meta("boot", &b.boot)
    }

    /// Notes that what stood below `.work` was taken away.
    pub fn note_sweep(&self, now_ms: i64) -> Result<()> {
        self.set_meta("swept", &now_ms.to_string())
    }

    /// Whether that was a moment ago: whoever does it may not be through, and what is missing is no choice of anybody's.
    pub fn was_swept(&self, now_ms: i64) -> Result<bool> {
        let at = self.meta("swept")?.and_then(|t| t.parse::<i64>().ok());
        Ok(at.is_some_and(|at| (0..SWEPT_FOR_MS).contains(&(now_ms - at))))
    }

    /// The segments of the branch that were read, and the objects they were.
    pub fn segments(&self) -> Result<BTreeMap<String, String>> {
        let mut q = self.db.prepare_cached("SELECT path, oid FROM segments")?;
        let rows = q.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// Runs several questions on one state of the cache, which are looked up and locked together.
    pub fn reading<T>(&self, questions: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.db.is_autocommit() {
            return questions();
        }
        self.db.execute_batch("BEGIN")?;
        let answers = questions();
        self.rollback();
        answers
    }

    /// Begins a change.
    pub fn begin(&self) -> Result<()> {
        Self::point()?;
        if !self.is_tuned.replace(true) {
            // Pages in memory, in KiB: a rebuild touches them in no order.
            self.db.execute_batch("PRAGMA synchronous=OFF; PRAGMA journal_mode=TRUNCATE; PRAGMA cache_size=-32768;")?;
        }
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub fn commit(&self) -> Result<()> {
        Self::point()?;
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// SQLite reaches the disk by itself; what it would say of a failure is said here.
    fn point() -> Result<()> {
        point(Act::Cache, Path::new("cache.sqlite")).map_err(|e| match e.kind() {
            std::io::ErrorKind::StorageFull => StoreError::cache(super::error::FULL),
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::cache("attempt to write a readonly database"),
            _ => StoreError::cache(&e.to_string()),
        })
    }

    /// Undoes what was not committed; harmless where nothing was begun.
    pub fn rollback(&self) {
        if !self.db.is_autocommit() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    pub fn clear(&self) -> Result<()> {
        Ok(self.db.execute_batch(schema::CLEAR)?)
    }
}

/// A number that is the same for the same text, everywhere and always.
pub fn number_of(text: &str) -> u64 {
    sum(text.as_bytes()).cast_unsigned()
}

/// A checksum that tells one line from another (64-bit FNV-1a). Not for use against somebody who wants a collision: two
/// lines of one id with one checksum would count as one.
pub fn sum(bytes: &[u8]) -> i64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for b in bytes {
        h = (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h.cast_signed()
}
