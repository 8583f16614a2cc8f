//! Opening the state, and reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::cache::Cache;
use super::error::{Result, StoreError};
use super::lines::Parts;
use super::past::Past;
use super::places::Places;
use super::view::View;
use crate::domain::{AgentId, OrderId, RefId, Refusal, Why};
use crate::git::{Oid, Repo};
use crate::sys::clock::Deadline;
use crate::sys::fs::{self, Stamp};
use crate::wire::line;

/// The state of one repository.
pub struct Store {
    pub(super) repo: Repo,
    pub(super) places: Places,
    pub(super) cache: Option<Cache>,
    log: Option<File>,
    pub(super) rebuild: bool,
    /// Whether the branch is to be read to its beginning before anything is built on it.
    pub(super) thorough: bool,
    pub(super) look_for_evidence: bool,
    /// Whether this process has moved the branch since it last thought of packing.
    pub(super) committed: bool,
    /// Where in the log stands what this process has just appended.
    pub(super) appended: Option<super::tx::Appended>,
    /// The commit that this process last moved the branch to.
    pub(super) made: Option<Oid>,
    /// The segment that is being filled, as it was last read.
    pub(super) active: Option<(Oid, Vec<u8>)>,
    /// Whether this process leaves the projections without room between their lines.
    pub(super) plain: bool,
    pub(super) warnings: Vec<String>,
    /// Until when the state needs no second look: one command asks several questions in a row.
    pub(super) looked: Option<Deadline>,
    /// The state that questions are about, where that is not the present one.
    pub(super) past: Option<Past>,
    /// Why the state cannot be changed, where the past stands in for the present for that reason.
    pub(super) unwritable: Option<String>,
}

/// How often the state is looked at again where the cache is taken away in the middle of it.
const MOST_LOOKS: usize = 4;
/// How long an answer counts as the present state.
const FRESH_FOR: Duration = Duration::from_millis(5);

impl Store {
    /// Opens the state of a repository that `init` has set up, here or, by its state branch, elsewhere.
    pub fn open(repo: Repo) -> Result<Self> {
        let mut store = Self::unopened(repo);
        store.places.check()?;
        if !store.is_initialised()? {
            return Err(StoreError::NotInitialised);
        }
        if store.repo.must_remember_worktree() {
            // Where that cannot be written, the worktree stood in is used all the same.
            let _ = store.move_to_worktree();
        }
        if store.repo.has_lost_main_worktree() && !fs::exists(&store.places.work) && fs::exists(&store.places.pin()) {
            return Err(Refusal::state(
                "where the main worktree of this repository is, and .work with it, is not known",
            )
            .hint("run git vermas status once in the main worktree, which remembers it")
            .hint("where there is no main worktree: git config core.bare true")
            .into());
        }
        store.cache = Cache::open(&store.places.cache(), false)?;
        Ok(store)
    }

    pub(super) fn unopened(repo: Repo) -> Self {
        let places = Places::of(&repo);
        let plain = repo.settings().get("vermas.projections").is_some_and(|s| s == "replace");
        Self {
            repo,
            places,
            cache: None,
            log: None,
            rebuild: false,
            thorough: false,
            look_for_evidence: false,
            committed: false,
            appended: None,
            made: None,
            active: None,
            plain,
            warnings: Vec::new(),
            looked: None,
            past: None,
            unwritable: None,
        }
    }

    /// Whether there is anything of ours: what was removed in part is put back by the next change.
    pub(super) fn is_initialised(&self) -> Result<bool> {
        if fs::exists(&self.places.replica()) || fs::exists(&self.places.pin()) || fs::exists(&self.places.log()) {
            return Ok(true);
        }
        match self.repo.ref_target(&self.places.state_ref) {
            Ok(tip) => Ok(tip.is_some() || self.repo.ref_target(Places::BACKUP_REF)?.is_some()),
            // A ref that cannot be read is a ref that is there: healing it is the next step.
            Err(_) => Ok(true),
        }
    }

    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The state branch's tip.
    pub fn tip(&self) -> Result<Option<Oid>> {
        Ok(self.repo.ref_target(&self.places.state_ref)?)
    }

    /// Makes objects that git wrote meanwhile (a fetch) visible.
    pub fn refresh_objects(&mut self) {
        self.repo.refresh_objects();
    }

    /// Things the person should be told, once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let mut said = BTreeSet::new();
        let mut all = std::mem::take(&mut self.warnings);
        all.retain(|w| said.insert(w.clone()));
        all
    }

    /// The present state. Takes in first what others left; where the disk cannot be written, what was there before.
    pub fn view(&mut self) -> Result<View<'_>> {
        if self.past.is_some() {
            return self.present();
        }
        let recently = self.looked.is_some_and(|d| !d.passed()) && self.has_cache_in_place();
        if !recently {
            for round in 1..=MOST_LOOKS {
                match self.is_fresh() {
                    Ok(true) => {}
                    // A cache that cannot be read is made anew under the state lock.
                    Ok(false) | Err(StoreError::Cache { .. }) => self.refresh()?,
                    Err(e) => return Err(e),
                }
                self.mend_after_a_crash();
                let (is_filled, is_in_place) = (self.is_filled(), self.has_cache_in_place());
                // A branch may hold nothing that can be read.
                if self.past.is_some() || (is_in_place && (is_filled || round == MOST_LOOKS)) {
                    break;
                }
                if round == MOST_LOOKS {
                    return Err(StoreError::cache("it is taken away again and again"));
                }
                self.cache = None;
                self.rebuild = is_in_place;
            }
            self.looked = Some(Deadline::after(FRESH_FOR));
        }
        self.present()
    }

    /// The state as it was when somebody last looked, or the log's where nobody ever did. Writes nothing and waits for
    /// nobody: for a shell that completes a word.
    pub fn glance(&mut self) -> Result<View<'_>> {
        if self.cache.is_none() && self.past.is_none() {
            self.read_without_writing("nothing is written here".to_owned())?;
        }
        self.present()
    }

    /// A publisher that was killed, or that lost its power, left a note. Where nobody publishes now, what it left half done
    /// is mended; a disk that cannot be written only puts that off.
    fn mend_after_a_crash(&mut self) {
        if !fs::exists(&self.places.intent()) {
            return;
        }
        if let Ok(Some(_lock)) = crate::sys::lock::try_acquire(&self.places.publish_lock()) {
            let _ = self.publish_locked(false);
        }
    }

    /// The state as the cache has it now, or as it was where that was asked for.
    pub(super) fn present(&mut self) -> Result<View<'_>> {
        if self.past.is_some() {
            return self.past.as_ref().map(Past::view).ok_or(StoreError::NotInitialised);
        }
        self.log = Some(fs::open_read(&self.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?);
        match (&self.cache, &self.log) {
            (Some(cache), Some(log)) => Ok(View::new(cache, log)),
            _ => Err(StoreError::NotInitialised),
        }
    }

    /// Whether there is a cache, and its file stands where it was opened; what is read from the past is in memory.
    fn has_cache_in_place(&self) -> bool {
        self.past.is_some() || self.cache.as_ref().is_some_and(Cache::is_in_place)
    }

    /// Whether the cache was filled, and not only made: the folder that it stands in may just have been taken away, and with it
    /// what was in it.
    fn is_filled(&self) -> bool {
        let sql = "SELECT EXISTS(SELECT 1 FROM meta WHERE k='boot' AND v<>'') AND
                   (EXISTS(SELECT 1 FROM events) OR NOT EXISTS(SELECT 1 FROM segments))";
        self.cache.as_ref().is_some_and(|c| c.db.query_row(sql, [], |r| r.get(0)).unwrap_or(false))
    }

    /// Brings the cache up to date, and publishes what waits. A cache that is taken away in the middle of it is made anew.
    fn refresh(&mut self) -> Result<()> {
        let mut rounds = 1..MOST_LOOKS;
        let refreshed = loop {
            match self.with_state(|tx| tx.finish().map(|_| ())) {
                Err(e) if e.is_taken_away() && rounds.next().is_some() => self.cache = None,
                other => break other,
            }
        };
        match refreshed {
            Ok(()) => {
                if self.has_loose()?
                    && let Err(e) = self.publish_unless_busy()
                {
                    self.warnings.push(format!("{} {}: {e}", super::turn::NOT_YET, self.places.branch()));
                }
                Ok(())
            }
            Err(e) if is_read_only(&e) => self.read_without_writing(e.to_string()),
            Err(e) => Err(e),
        }
    }

    /// A disk that cannot be written, or is full: the state is read into memory.
    fn read_without_writing(&mut self, why: String) -> Result<()> {
        let log = Stamp::of(&self.places.log());
        let published = log.and_then(|log| super::publish::covered(&self.places, log.inode));
        if log.is_none_or(|log| published.is_some_and(|end| log.size < end)) {
            // What was taken away of the log is on the branch, or in the pinned one.
            self.go_back(super::Point::Time(i64::MAX))?;
            self.unwritable = Some(why);
            self.warnings.push("the disk cannot be written: showing what is recorded, changes will fail".to_owned());
            return Ok(());
        }
        let cache = Cache::in_memory()?;
        let tip = self.repo.ref_target(&self.places.state_ref)?;
        cache.begin()?;
        {
            let mut tx = super::tx::Tx::begin(self, &cache, super::places::Restored::default())?;
            tx.see_tip(tip.filter(|_| false));
            tx.catch_up()?;
            tx.overlay.flush(&cache, &tx.log, &[])?;
        }
        cache.commit()?;
        self.cache = Some(cache);
        self.warnings.push("the disk cannot be written: showing what is there, changes will fail".to_owned());
        Ok(())
    }

    /// Whether the next command has nothing to take in: what the files say and the events do not is a cache that lies.
    pub fn is_caught_up(&self) -> bool {
        self.is_fresh().unwrap_or(false)
    }

    /// Whether cache, log, branch and what foreign writers can reach are as the cache was left.
    pub(super) fn is_fresh(&self) -> Result<bool> {
        let Some(cache) = &self.cache else { return Ok(false) };
        // One that a power cut spoiled cannot be read; that it is of another boot is told under the lock.
        let Ok(keys) = cache.keys() else { return Ok(false) };
        if keys.meta.contains_key(super::cache::WAITING) && !self.repo.is_collecting() {
            return Ok(false);
        }
        let built = &keys.built;
        let (log, pin) = (Stamp::of(&self.places.log()), Stamp::of(&self.places.pin()));
        let Some(log) = log else { return Ok(false) };
        if !built.fits(&log) || built.offset != log.size || pin.is_some_and(|p| p.inode != log.inode) {
            return Ok(false);
        }
        if built.boot != fs::boot_id() {
            return Ok(false);
        }
        let tip = self.repo.ref_target(&self.places.state_ref).ok().flatten();
        if built.tip != tip.map(|t| t.to_string()).unwrap_or_default() {
            return Ok(false);
        }
        for table in super::adopt::Table::BOTH {
            let stamp = shown(&self.places.work.join(table.file_name()));
            if stamp.is_none() || stamp.as_ref() != keys.meta.get(table.stamp_key()) {
                return Ok(false);
            }
        }
        Ok(super::retired::are_quiet(&self.places) && self.assignments_are_known(&keys.files)?)
    }

    fn assignments_are_known(&self, known: &BTreeMap<String, Option<String>>) -> Result<bool> {
        let names = fs::list(&self.places.work).map_err(StoreError::io("look into .work"))?;
        let mut count = 0;
        for name in names.iter().filter(|n| n.starts_with(".assignment-")) {
            let now = shown(&self.places.work.join(name));
            if now.is_none() || known.get(name) != Some(&now) {
                return Ok(false);
            }
            count += 1;
        }
        Ok(known.len() == count)
    }

    /// Whether an event that is known came here from another clone.
    pub fn is_from_elsewhere(&self, event: &str) -> Result<bool> {
        let Some(cache) = &self.cache else { return Ok(false) };
        super::tx::is_from_elsewhere(cache, &self.places, event)
    }

    /// Whether there is something to publish or to project.
    pub(super) fn has_loose(&self) -> Result<bool> {
        let Some(cache) = &self.cache else { return Ok(false) };
        let sql = "SELECT EXISTS(SELECT 1 FROM events WHERE home IS NULL) OR EXISTS(SELECT 1 FROM pending)
                   OR EXISTS(SELECT 1 FROM meta WHERE k IN ('orders_rewrite','messages_rewrite'))";
        Ok(cache.db.query_row(sql, [], |r| r.get(0))?)
    }

    /// The work order that an abbreviation means.
    pub fn find_order(&mut self, text: &str) -> Result<OrderId> {
        self.find("orders", "wo", text)
    }

    /// The message that an abbreviation means.
    pub fn find_message(&mut self, text: &str) -> Result<RefId> {
        self.find("messages", "msg", text)
    }

    fn find(&mut self, table: &'static str, prefix: &str, text: &str) -> Result<RefId> {
        let kind = if table == "orders" { "work order" } else { "message" };
        let full = if text.contains('-') { text.to_owned() } else { format!("{prefix}-{text}") };
        let malformed = || {
            let shown = crate::domain::text::quoted(text);
            Refusal::usage(format!("{shown} is no id of a {kind}"))
                .hint(format!("an id looks like {prefix}-3f9k2m8q1x; any unique beginning will do"))
        };
        let valid = full.parse::<RefId>().is_ok() || full == format!("{prefix}-");
        if !valid || text.is_empty() || full.ends_with('-') {
            return Err(malformed().into());
        }
        let mut candidates = self.view()?.ids_from(table, &full, 9)?;
        if candidates.is_empty() && !self.has_cache_in_place() {
            candidates = self.view()?.ids_from(table, &full, 9)?;
        }
        if candidates.is_empty() && self.past.is_none() && self.is_made_in_the_log(table, &full)? {
            self.looked = None;
            candidates = self.view()?.ids_from(table, &full, 9)?;
            if candidates.is_empty() {
                // Somebody wrote into the cache, an older copy of it for one, in a way that SQLite does not see.
                self.drop_cache()?;
                (self.rebuild, self.looked) = (true, None);
                candidates = self.view()?.ids_from(table, &full, 9)?;
            }
        }
        if let Some((id, _)) = candidates.iter().find(|(id, _)| *id == full) {
            return id.parse().map_err(|_| malformed().into());
        }
        match candidates.as_slice() {
            [] => Err(Refusal::new(Why::NotFound, format!("there is no {kind} {full}"))
                .hint(if table == "orders" {
                    "see them all: git vermas wo list"
                } else {
                    "see them all: git vermas mail list"
                })
                .into()),
            [(id, _)] => id.parse().map_err(|_| malformed().into()),
            many => {
                let mut refusal = Refusal::new(Why::Conflict, format!("{full} is ambiguous"));
                for (id, title) in many.iter().take(8) {
                    refusal = refusal.hint(format!("{id}  {}", crate::domain::text::headline(title, 72)));
                }
                Err(refusal.into())
            }
        }
    }

    /// Whether the log tells of the making of a work order or a message with this beginning of an id: whoever finds none of
    /// it in the cache asks, and reads all of the log for it.
    fn is_made_in_the_log(&self, table: &str, id: &str) -> Result<bool> {
        let (kind, family) = if table == "orders" { ("work_order.created", "order") } else { ("mail.sent", "mail") };
        let subject = format!("{family}/{id}");
        let failed = StoreError::io("read .work/events.jsonl");
        let look = || -> std::io::Result<bool> {
            let file = fs::open_read(&self.places.log())?;
            let mut parts = Parts::from(0);
            while parts.read(&file)? {
                let is_told = |raw: &[u8]| {
                    let events = line::events_in(raw);
                    events.iter().any(|e| e.kind == kind && e.subject().is_some_and(|s| s.starts_with(&subject)))
                };
                if parts.lines_with(id.as_bytes()).any(is_told) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        look().map_err(failed)
    }

    /// Every agent that was ever named here, and those whose role this machine's factory has.
    pub fn is_known_agent(&mut self, agent: &AgentId, slots: u32) -> Result<bool> {
        let factory = self.places.factory.clone();
        let role = agent.as_str() == "ceo"
            || agent.as_str() == "operations"
            || *agent == AgentId::supervisor(&factory)
            || *agent == AgentId::qa(&factory)
            || agent.as_worker().is_some_and(|(f, n)| f == factory && n < slots);
        Ok(role || self.view()?.agents()?.contains(agent))
    }
}

/// A file's stamp as the cache keeps it.
fn shown(path: &Path) -> Option<String> {
    Stamp::of(path).map(|s| serde_json::to_string(&s).unwrap_or_default())
}

fn is_read_only(e: &StoreError) -> bool {
    let source = match e {
        StoreError::Io { source, .. } | StoreError::Unknown { source, .. } => source,
        StoreError::Cache { why, .. } => {
            return ["readonly", "unable to open", super::error::FULL].iter().any(|w| why.contains(w));
        }
        _ => return false,
    };
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(source.kind(), ReadOnlyFilesystem | PermissionDenied | StorageFull)
}
