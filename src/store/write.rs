//! The one way in: a decision, run under the state lock on the present state, and what it leads to.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::cache::{Cache, sum};
use super::error::{Result, StoreError};
use super::fold::{Overlay, Subject};
use super::open::Store;
use super::places::{Places, Restored};
use super::quarantine::Quarantine;
use super::view::View;
use crate::domain::agent::Agent;
use crate::domain::assignment::Assignment;
use crate::domain::event::{Clock, Draft, Event};
use crate::domain::message::Message;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId, RefId, Refusal, Timestamp};
use crate::git::{Oid, Repo};
use crate::sys::{clock, fs, lock, random};
use crate::wire::line;

/// How long a command waits for the state lock, which others hold for about a millisecond.
const STATE_WAIT: Duration = Duration::from_secs(30);

/// A change under way: the present state, and the events that are being added to it.
pub struct Tx<'a> {
    pub(super) cache: &'a Cache,
    pub(super) places: &'a Places,
    pub(super) repo: &'a Repo,
    pub(super) log: File,
    pub(super) overlay: Overlay,
    pub(super) unsaved: Vec<Event>,
    /// The first event of this change: the later ones name it as their cause, which tells what one command did.
    first: Option<String>,
    pub(super) clock: Clock,
    /// The clock as the cache has it.
    kept_clock: String,
    pub(super) now_ms: i64,
    pub(super) warnings: Vec<String>,
    /// What is said whoever asked for the change, and for whatever.
    pub(super) notices: Vec<String>,
    pub(super) quarantine: Quarantine,
    pub(super) tip: Option<Oid>,
    pub(super) rebuild: bool,
    pub(super) rebuilt: bool,
    /// Whether events are only noted: subjects are folded when all of them are there, each once.
    pub(super) folds_later: bool,
    pub(super) restored: Restored,
    pub(super) arrived: usize,
    /// Whether the projections are to be as on every other machine: no room between their lines.
    pub(super) plain: bool,
    /// Whether events of this change stand in the log.
    pub(super) appended: bool,
    /// Up to which offset the log's newlines were counted, and how many there are.
    pub(super) counted: (u64, u64),
    /// Replaced files that were read: what each is called from now on, or nothing where it may go. Done when recorded.
    pub(super) read: Vec<(PathBuf, Option<PathBuf>)>,
}

/// What stands in the log, up to where it is to be published: by the next command, where that is not known.
struct Recorded<T> {
    value: T,
    events: Vec<String>,
    /// The order that it is about, of several the first.
    about: Option<OrderId>,
    end: Option<u64>,
}

/// Who ended a change.
enum Failed<E> {
    Decision(E),
    Store(StoreError),
}

impl<E> From<StoreError> for Failed<E> {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

/// A change that is recorded.
#[derive(Debug)]
pub struct Done<T> {
    pub value: T,
    /// The ids of the events written, in order.
    pub events: Vec<String>,
    /// What the person should be told beside the result.
    pub warnings: Vec<String>,
}

impl<'a> Tx<'a> {
    pub(super) fn begin(store: &'a Store, cache: &'a Cache, restored: Restored) -> Result<Self> {
        let log = fs::open_read(&store.places.log()).map_err(StoreError::io("read .work/events.jsonl"))?;
        cache.begin()?;
        let kept_clock = cache.meta("clock")?.unwrap_or_default();
        let clock = serde_json::from_str(&kept_clock).unwrap_or_default();
        Ok(Self {
            cache,
            places: &store.places,
            repo: &store.repo,
            log,
            overlay: Overlay::default(),
            unsaved: Vec::new(),
            first: None,
            clock,
            kept_clock,
            now_ms: clock::now_millis(),
            warnings: Vec::new(),
            notices: Vec::new(),
            quarantine: Quarantine::default(),
            tip: None,
            rebuild: false,
            rebuilt: false,
            folds_later: false,
            restored,
            arrived: 0,
            plain: store.plain,
            appended: false,
            counted: (0, 0),
            read: Vec::new(),
        })
    }

    /// The time that new events of this change carry at the earliest.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms)
    }

    pub fn factory(&self) -> &str {
        &self.places.factory
    }

    pub fn new_id(&self, prefix: &str) -> RefId {
        RefId::new(prefix, random::bits())
    }

    /// Adds an event. It counts at once for whoever asks this change, and is recorded when the change ends well.
    pub fn emit(&mut self, draft: &Draft) -> std::result::Result<String, StoreError> {
        let caused = self.first.clone().filter(|_| draft.caused_by.is_none());
        let written = match caused {
            Some(first) => self.stamp(&Draft { caused_by: Some(first), ..draft.clone() })?,
            None => self.stamp(draft)?,
        };
        if written.raw.len() + 1 > line::LONGEST_WRITTEN {
            let refusal = Refusal::usage(format!(
                "this would be an event of {} bytes, at most {} fit into a line",
                written.raw.len(),
                line::LONGEST_WRITTEN
            ));
            return Err(refusal.hint("put long text into a file of the repository and name it").into());
        }
        self.first.get_or_insert_with(|| written.id.clone());
        self.add(written)
    }

    /// Adds an event for what a foreign writer left, which may be longer than what we would write.
    pub(super) fn emit_adopted(&mut self, draft: &Draft) -> Result<String> {
        let written = self.stamp(draft)?;
        self.add(written)
    }

    pub fn emit_all(&mut self, drafts: &[Draft]) -> Result<Vec<String>> {
        drafts.iter().map(|d| self.emit(d)).collect()
    }

    fn stamp(&mut self, draft: &Draft) -> Result<Event> {
        let prev = match draft.subject() {
            Some(s) => named(self.overlay.heads(self.cache, &self.log, &self.unsaved, &s)?),
            None => Vec::new(),
        };
        let (at, id) = self.clock.tick(self.now_ms, random::bits());
        Ok(line::written(draft, id, at, prev))
    }

    fn add(&mut self, event: Event) -> Result<String> {
        let id = event.id.clone();
        self.overlay.apply(self.cache, &event)?;
        self.unsaved.push(event);
        Ok(id)
    }

    /// The records as they are with this change.
    pub fn view(&mut self) -> Result<View<'_>> {
        self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
        Ok(View::new(self.cache, &self.log))
    }

    fn subject(&mut self, subject: &str) -> Result<Option<&Subject>> {
        self.overlay.get(self.cache, &self.log, &self.unsaved, subject)
    }

    /// A work order; `None` where its creation is not known.
    pub fn order(&mut self, id: &OrderId) -> Result<Option<Order>> {
        match self.subject(&format!("order/{id}"))? {
            Some(Subject::Order(f)) if f.state.created => Ok(Some(f.state.clone())),
            _ => Ok(None),
        }
    }

    /// Whether an event came here from another clone.
    pub fn is_from_elsewhere(&self, event: &str) -> Result<bool> {
        let sql = "SELECT home FROM events WHERE id=? LIMIT 1";
        let home: Option<Option<String>> =
            self.cache.db.prepare_cached(sql)?.query_row([event], |r| r.get(0)).optional()?;
        let own = format!("{}/", super::replica::current(self.places)?);
        Ok(home.flatten().is_some_and(|h| !h.starts_with(&own)))
    }

    pub fn message(&mut self, id: &RefId) -> Result<Option<Message>> {
        match self.subject(&format!("mail/{id}"))? {
            Some(Subject::Mail(f)) if f.state.sent => Ok(Some(f.state.clone())),
            _ => Ok(None),
        }
    }

    pub fn assignment(&mut self, agent: &AgentId) -> Result<Assignment> {
        match self.subject(&format!("assignment/{agent}"))? {
            Some(Subject::Assignment(f)) => Ok(f.state.clone()),
            _ => Ok(Assignment::default()),
        }
    }

    pub fn agent(&mut self, agent: &AgentId) -> Result<Agent> {
        match self.subject(&format!("agent/{agent}"))? {
            Some(Subject::Agent(f)) => Ok(f.state.clone()),
            _ => Ok(Agent::default()),
        }
    }

    /// Writes what was added into the log, in one `write`, and the cache to match. Gives the ids of the events and the
    /// offset behind the last.
    ///
    /// A crash before the `write` leaves nothing; one after it leaves events that the next command takes in.
    pub(super) fn finish(&mut self) -> Result<(Vec<String>, u64)> {
        let mut built = self.cache.built()?;
        let events = std::mem::take(&mut self.unsaved);
        if !events.is_empty() {
            let mut bytes = Vec::with_capacity(events.iter().map(|e| e.raw.len() + 1).sum());
            for e in &events {
                bytes.extend_from_slice(&e.raw);
                bytes.push(b'\n');
            }
            let start = super::append::lines(&self.places.log(), &bytes)?;
            self.appended = true;
            let mut at = start;
            for e in &events {
                self.record_row(e, at)?;
                at += e.raw.len() as u64 + 1;
            }
            if start == built.offset {
                built.offset = at;
                built.tail = self.tail_of(&bytes, at)?;
            } else {
                self.take_in_log(&mut built)?;
            }
            self.cache.set_built(&built)?;
        }
        self.leave()?;
        self.quarantine.save(self.places)?;
        self.settle_retired()?;
        Ok((events.into_iter().map(|e| e.id).collect(), built.offset))
    }

    /// Writes back what was changed of the subjects, and the clock that saw it.
    fn leave(&mut self) -> Result<()> {
        if self.overlay.is_changed() {
            self.overlay.flush(self.cache, &self.log, &self.unsaved)?;
        }
        // Not every event has a subject that is kept; each moves the clock.
        let clock = serde_json::to_string(&self.clock).unwrap_or_default();
        if clock != self.kept_clock {
            self.cache.set_meta("clock", &clock)?;
            self.kept_clock = clock;
        }
        Ok(())
    }

    /// The checksum kept as the log's tail, from the bytes just written where they suffice.
    fn tail_of(&self, bytes: &[u8], end: u64) -> Result<i64> {
        if let Some(from) = bytes.len().checked_sub(64) {
            return Ok(sum(&bytes[from..]));
        }
        let start = end.saturating_sub(64);
        let len = usize::try_from(end - start).unwrap_or_default();
        fs::read_at(&self.log, start, len).map(|b| sum(&b)).map_err(StoreError::io("read .work/events.jsonl"))
    }

    fn record_row(&self, e: &Event, at: u64) -> Result<()> {
        self.cache
            .db
            .prepare_cached("INSERT OR REPLACE INTO events(off,len,id,sum,subject,home) VALUES(?,?,?,?,?,NULL)")?
            .execute(params![
                at.cast_signed(),
                i64::try_from(e.raw.len()).unwrap_or_default(),
                e.id,
                sum(&e.raw),
                e.subject()
            ])?;
        Ok(())
    }
}

/// How many bytes of ids a new event names in `prev`.
const MOST_NAMED: usize = 16 * 1024;

/// What a new event names of the events that no other knows: the newest, as far as its line has room. Those left out stay
/// concurrent with it until a later event names them; thousands of them, which only a hostile writer leaves, are no
/// reason that nothing can be written any more.
fn named(mut heads: Vec<String>) -> Vec<String> {
    let mut room = MOST_NAMED;
    let fits = |id: &&String| {
        room = room.saturating_sub(id.len() + 3);
        room > 0
    };
    let count = heads.iter().rev().take(line::MOST_NAMED).take_while(fits).count();
    heads.split_off(heads.len() - count)
}

impl Store {
    /// Runs a decision on the present state and records what it adds, in one commit. A decision that fails records
    /// nothing.
    ///
    /// When this returns `Ok`, the events are synced to the disk, and on the state branch. After a crash at any point
    /// they are all there or a first part of them is; the next command brings everything derived up to date.
    pub fn write<T, E: From<StoreError>>(
        &mut self,
        decide: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<Done<T>, E> {
        let Recorded { value, events, about, end } = self.record(decide)?;
        if let Some(end) = end {
            let published = self.has_loose().and_then(|loose| if loose { self.publish_through(end) } else { Ok(()) });
            published.or_else(|e| self.is_in_the_log(e)).map_err(|e| e.about(about.as_ref()))?;
        }
        Ok(Done { value, events, warnings: std::mem::take(&mut self.warnings) })
    }

    /// Once its events stand in the log, what fails behind that is a warning where the log can be synced, and an outcome
    /// that is not known where it cannot.
    fn record<T, E: From<StoreError>>(
        &mut self,
        decide: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<Recorded<T>, E> {
        let (mut decided, mut appended) = (None, false);
        let ended = self.with_state(|tx| {
            let value = decide(tx).map_err(Failed::Decision)?;
            let order = |e: &Event| e.subject()?.strip_prefix("order/")?.parse().ok();
            let about: Option<OrderId> = tx.unsaved.iter().find_map(order);
            decided = Some((value, tx.unsaved.iter().map(|e| e.id.clone()).collect(), about));
            let finished = tx.finish();
            appended = tx.appended;
            Ok((finished?.1, std::mem::take(&mut tx.warnings)))
        });
        match (ended, decided) {
            (Ok((end, warnings)), Some((value, events, about))) => {
                self.warnings.extend(warnings);
                Ok(Recorded { value, events, about, end: Some(end) })
            }
            (Err(Failed::Store(e)), Some((value, events, about))) if appended => {
                self.is_in_the_log(e).map_err(|e| e.about(about.as_ref()))?;
                Ok(Recorded { value, events, about, end: None })
            }
            (Err(Failed::Decision(e)), _) => Err(e),
            (Err(Failed::Store(e)), _) => Err(e.into()),
            (Ok(_), None) => Err(StoreError::NotInitialised.into()),
        }
    }

    /// Takes the state lock, brings the cache up to date, takes in what foreign writers left, and runs `f`.
    pub(super) fn with_state<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.with_prepared_state(|_| Ok(()), f)
    }

    /// Like [`Self::with_state`], with something the cache is to know before it is compared with log and branch.
    pub(super) fn with_prepared_state<T, E: From<StoreError>>(
        &mut self,
        prepare: impl FnOnce(&Cache) -> Result<()>,
        f: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.be_present()?;
        self.looked = None;
        let _lock = self.lock_state()?;
        let restored = self.places.restore()?;
        if !self.cache.as_ref().is_some_and(Cache::is_of_this_boot) {
            self.cache = Cache::open_sound(&self.places.cache())?;
        }
        let tip = self.present_tip()?;
        let (rebuild, mut warnings) = (std::mem::take(&mut self.rebuild), Vec::new());
        let result = {
            let cache = self.cache.as_ref().ok_or(StoreError::NotInitialised)?;
            let run = || -> std::result::Result<T, E> {
                let mut tx = Tx::begin(self, cache, restored)?;
                tx.rebuild = rebuild;
                tx.see_tip(tip);
                prepare(cache)?;
                tx.catch_up()?;
                if restored.log_was_gone && cache.built()?.offset > 0 {
                    cache.note_sweep(tx.now_ms)?;
                }
                if restored.log_was_gone || restored.log_was_replaced || cache.was_swept(tx.now_ms)? {
                    let whole = tip.filter(|t| self.is_whole(*t));
                    if let Some(from) = whole.map_or_else(|| self.lost_tip(), |t| Ok(Some(t)))? {
                        tx.take_in_texts_of(from)?;
                    }
                }
                tx.adopt()?;
                if !tx.unsaved.is_empty() || tx.rebuilt || tx.arrived > 0 {
                    // What others left stays recorded even where our own decision is refused.
                    tx.finish()?;
                    cache.commit()?;
                    cache.begin()?;
                    tx.appended = false;
                }
                match f(&mut tx) {
                    Ok(value) => {
                        // What the log has gained counts as read now, so that it must be seen, too.
                        tx.leave()?;
                        warnings.append(&mut tx.notices);
                        cache.commit()?;
                        Ok(value)
                    }
                    Err(e) => {
                        warnings.append(&mut tx.warnings);
                        Err(e)
                    }
                }
            };
            let result = run();
            if result.is_err() {
                cache.rollback();
            }
            result
        };
        self.warnings.append(&mut warnings);
        result
    }

    /// The tip, or `None` where it is broken: the log has what was on it, and the publisher mends it. Where the log has
    /// nothing, nor an earlier tip, a broken one is an error and never an empty state.
    fn present_tip(&self) -> Result<Option<Oid>> {
        let log = fs::Stamp::of(&self.places.log());
        let log_is_empty = log.is_none_or(|s| s.size == 0);
        let found = match self.repo.ref_target(&self.places.state_ref) {
            Err(e) if log_is_empty && !self.repo.is_garbled(&self.places.state_ref)? => return Err(e.into()),
            found => found.unwrap_or_default(),
        };
        let Some(tip) = found else { return Ok(None) };
        if self.made == Some(tip) {
            return Ok(Some(tip));
        }
        let built = self.cache.as_ref().map(Cache::built).transpose()?.unwrap_or_default();
        if crate::git::objects::parse_oid(&built.tip) != Some(tip) {
            self.refuse_code(tip)?;
        }
        // What was read of another log is about to be forgotten.
        let is_kept = !self.rebuild
            && built.boot == fs::boot_id()
            && log.is_some_and(|s| s.inode == built.inode && s.size >= built.offset);
        let is_sound = match is_kept {
            true => crate::git::objects::parse_oid(&built.tip) == Some(tip) || self.has_segments(tip),
            false => self.has_segments_beside(tip, &BTreeMap::new()),
        };
        let lost = if is_sound || !log_is_empty { None } else { self.lost_tip()? };
        Ok(Some(tip).filter(|_| is_sound || (log_is_empty && lost.is_none())))
    }

    /// Refuses a branch that never held a state: a setting that names the wrong one would put events beside a person's code. A
    /// branch of ours that somebody moved elsewhere is mended: one that held a state, or the one that states have by default,
    /// where there is a state.
    pub(super) fn refuse_code(&self, tip: Oid) -> Result<()> {
        if self.places.has_default_branch() && (fs::exists(&self.places.pin()) || fs::exists(&self.places.log())) {
            return Ok(());
        }
        let holds = |tip: Oid| super::tree::is_state(&self.repo, tip).unwrap_or(true);
        if holds(tip) || self.repo.reflog(&self.places.state_ref)?.into_iter().any(|t| self.is_whole(t) && holds(t)) {
            return Ok(());
        }
        let refusal = Refusal::state(format!("the branch {} holds no state, but something else", self.places.branch()));
        Err(refusal.hint("name a branch of its own for it: git vermas config set vermas.branch NAME").into())
    }

    pub(super) fn lock_state(&self) -> Result<lock::FileLock> {
        fs::create_private_dir(&self.places.private).map_err(StoreError::io("make the private folder"))?;
        let taken = lock::acquire(&self.places.state_lock(), STATE_WAIT).map_err(StoreError::io("lock the state"))?;
        taken.ok_or(StoreError::Busy { what: "the state", seconds: STATE_WAIT.as_secs() })
    }
}
