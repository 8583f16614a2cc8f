//! The one way in: a decision, run under the state lock on the present state, and what it leads to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cache::Cache;
use super::error::{Result, StoreError};
use super::open::Store;
use super::turn::MOST_AGAIN;
use super::tx::Tx;
use crate::domain::event::Event;
use crate::domain::{OrderId, Refusal};
use crate::git::Oid;
use crate::sys::{fs, lock};
use crate::wire::line;

/// How long a command waits for the state lock, which others hold for about a millisecond.
const STATE_WAIT: Duration = Duration::from_secs(30);

/// What stands in the log, up to where it is to be published: by the next command, where that is not known.
struct Recorded<T> {
    value: T,
    /// The ids of the events, and their lines without the newline.
    events: Vec<(String, Vec<u8>)>,
    /// The order that it is about, of several the first.
    about: Option<OrderId>,
    end: Option<u64>,
}

/// How often events are appended again that were taken away while they were recorded.
const MOST_TAKEN_AWAY: usize = 4;

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
        self.appended = None;
        let Recorded { value, events, about, end } = self.record(decide)?;
        if let Some(end) = end {
            let loose = if events.is_empty() { self.has_loose() } else { Ok(true) };
            let published = loose.and_then(|loose| if loose { self.publish_through(end) } else { Ok(()) });
            published.or_else(|e| self.is_in_the_log(e)).map_err(|e| e.about(about.as_ref()))?;
        }
        let (events, lines): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        self.keep(&lines).map_err(|e| e.about(about.as_ref()))?;
        // A git gc that began while the objects were made may take them away again.
        let waits = self.warnings.iter().any(|w| w.starts_with(super::turn::NOT_YET)) || self.repo.is_collecting();
        if waits && !lines.is_empty() {
            self.keep_waiting(&lines);
        }
        self.appended = None;
        if !events.is_empty() {
            // Where it was recorded nobody looks any more.
            self.repo.be_in_place().map_err(|e| StoreError::from(e).leaving_it_open().about(about.as_ref()))?;
        }
        Ok(Done { value, events, warnings: std::mem::take(&mut self.warnings) })
    }

    /// Sees to it that events which were recorded are there still: the log may have been emptied, set back or replaced in
    /// the meantime. Those that are nowhere are recorded again.
    fn keep(&mut self, lines: &[Vec<u8>]) -> Result<()> {
        for _ in 0..MOST_TAKEN_AWAY {
            if lines.is_empty() || self.stand_in_the_log(lines) {
                return Ok(());
            }
            let found = self.with_state::<_, StoreError>(|tx| {
                let mut lost = Vec::new();
                for e in lines.iter().filter_map(|l| line::event(l).ok()) {
                    if tx.row_of(&e)?.is_none() {
                        lost.push(e);
                    }
                }
                let all_there = lost.is_empty();
                tx.put_again(lost)?;
                let end = tx.finish()?.1;
                Ok((all_there, end, tx.appended))
            });
            let (all_there, end, appended) = found.map_err(StoreError::leaving_it_open)?;
            // What was said of it is so no more, or is said again.
            self.warnings.retain(|w| !w.starts_with(super::turn::NOT_YET));
            // Those that are there stand in the log as it is now.
            self.appended = appended.or(self.appended.filter(|_| !all_there));
            self.publish_through(end).or_else(|e| self.is_in_the_log(e))?;
            if all_there {
                return Ok(());
            }
        }
        let source = std::io::Error::other("it is emptied again and again");
        Err(StoreError::io("keep .work/events.jsonl")(source).into_unknown())
    }

    /// Whether lines stand in the log where they were appended to it.
    fn stand_in_the_log(&self, lines: &[Vec<u8>]) -> bool {
        let Some(appended) = self.appended else { return false };
        let Ok(log) = fs::open_read(&self.places.log()) else { return false };
        if !fs::Stamp::of_file(&log).is_ok_and(|s| s.inode == appended.inode) {
            return false;
        }
        let mut wanted = lines.join(&b'\n');
        wanted.push(b'\n');
        fs::read_at(&log, appended.offset, wanted.len()).is_ok_and(|there| there == wanted)
    }

    /// Once its events stand in the log, what fails behind that is a warning where the log can be synced, and an outcome
    /// that is not known where it cannot.
    fn record<T, E: From<StoreError>>(
        &mut self,
        decide: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<Recorded<T>, E> {
        let (mut decided, mut appended) = (None, None);
        let ended = self.with_state(|tx| {
            let value = decide(tx).map_err(Failed::Decision)?;
            let order = |e: &Event| e.subject()?.strip_prefix("order/")?.parse().ok();
            let about: Option<OrderId> = tx.unsaved.iter().find_map(order);
            let lines = tx.unsaved.iter().map(|e| (e.id.clone(), e.raw.clone())).collect();
            decided = Some((value, lines, about));
            let finished = tx.finish();
            appended = tx.appended;
            Ok((finished?.1, std::mem::take(&mut tx.warnings)))
        });
        self.appended = appended;
        match (ended, decided) {
            (Ok((end, warnings)), Some((value, events, about))) => {
                self.warnings.extend(warnings);
                Ok(Recorded { value, events, about, end: Some(end) })
            }
            (Err(Failed::Store(e)), Some((value, events, about))) if appended.is_some() => {
                let end = self.take_up_from_the_log(e).map_err(|e| e.about(about.as_ref()))?;
                Ok(Recorded { value, events, about, end })
            }
            (Err(Failed::Decision(e)), _) => Err(e),
            (Err(Failed::Store(e)), _) => Err(e.into()),
            (Ok(_), None) => Err(StoreError::NotInitialised.into()),
        }
    }

    /// What failed once events stood in the log: where something of ours was taken away in that moment, they are taken in
    /// from there, and the answer is up to where the log is to be published. Else they are in the log for now.
    fn take_up_from_the_log(&mut self, mut e: StoreError) -> Result<Option<u64>> {
        for _ in 0..MOST_AGAIN {
            if !self.forgets_for(&e) {
                break;
            }
            match self.with_state(|tx| Ok(tx.finish()?.1)) {
                Ok(end) => return Ok(Some(end)),
                Err(why) => e = why,
            }
        }
        self.is_in_the_log(e).map(|()| None)
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
        self.refuse_code_before_all()?;
        let restored = self.places.restore()?;
        self.begin_on_sound_cache()?;
        let (rebuild, mut warnings) = (self.rebuild, Vec::new());
        let result = {
            let cache = self.cache.as_ref().ok_or(StoreError::NotInitialised)?;
            let run = || -> std::result::Result<T, E> {
                let tip = self.present_tip()?;
                let mut tx = Tx::begin(self, cache, restored)?;
                tx.rebuild = rebuild;
                tx.see_tip(tip);
                prepare(cache)?;
                tx.catch_up()?;
                if restored.log_was_gone && cache.built()?.offset > 0 {
                    cache.note_sweep(tx.now_ms)?;
                }
                // Nor does a cache that was made anew know what was removed on purpose.
                if tx.rebuilt || restored.log_was_gone || restored.log_was_replaced || cache.was_swept(tx.now_ms)? {
                    let whole = tip.filter(|t| self.is_whole(*t));
                    if let Some(from) = whole.map_or_else(|| self.lost_tip(), |t| Ok(Some(t)))? {
                        tx.take_in_texts_of(from)?;
                    }
                }
                match tx.adopt() {
                    // The log was rewritten in the moment before something was appended to it, which hid that.
                    Err(StoreError::Rewritten) => tx.read_anew()?,
                    adopted => adopted?,
                }
                if !tx.unsaved.is_empty() || tx.rebuilt || tx.arrived > 0 {
                    // What others left stays recorded even where our own decision is refused.
                    tx.finish()?;
                    cache.commit()?;
                    cache.begin()?;
                    tx.appended = None;
                }
                match f(&mut tx) {
                    Ok(value) => {
                        // What the log has gained counts as read now, so that it must be seen, too.
                        tx.leave()?;
                        warnings.append(&mut tx.warnings);
                        warnings.append(&mut tx.notices);
                        cache.commit()?;
                        if restored.log_was_gone {
                            self.places.note_restored()?;
                        }
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
        self.rebuild = false;
        self.warnings.append(&mut warnings);
        result
    }

    /// Begins a change of the cache; of one that a power cut may have spoiled, or that is not there, an empty one is made.
    fn begin_on_sound_cache(&mut self) -> Result<()> {
        if let Some(cache) = &self.cache {
            match cache.begin() {
                // Looked at once it has begun: nothing is played into it from then on.
                Ok(()) if cache.is_in_place() && cache.is_of_this_boot() => return Ok(()),
                Err(e) if cache.is_in_place() && cache.is_of_this_boot() => return Err(e),
                _ => cache.rollback(),
            }
        }
        let path = self.places.cache();
        for _ in 0..MOST_AGAIN {
            self.cache = None;
            self.cache = Cache::open_sound(&path)?;
            let cache = self.cache.as_ref().ok_or(StoreError::NotInitialised)?;
            cache.begin()?;
            if cache.is_in_place() {
                return Ok(());
            }
            cache.rollback();
        }
        Err(StoreError::cache("it is taken away again and again"))
    }

    /// Where nothing of a state stands on the disk, a branch of code is refused before anything is made for it.
    fn refuse_code_before_all(&self) -> Result<()> {
        if fs::exists(&self.places.work) || fs::exists(&self.places.pin()) {
            return Ok(());
        }
        match self.repo.ref_target(&self.places.state_ref) {
            Ok(Some(tip)) => self.refuse_code(tip),
            _ => Ok(()),
        }
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
        match (is_sound, log_is_empty) {
            (true, _) => Ok(Some(tip)),
            (false, false) => Ok(None),
            // Of a log that has nothing, what can be read takes the broken one's place, here as later on the branch.
            (false, true) => Ok(self.newest_readable()?.or(Some(tip))),
        }
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
        self.repo.be_in_place()?;
        fs::create_private_dir(&self.places.private).map_err(StoreError::io("make the private folder"))?;
        let taken = lock::acquire(&self.places.state_lock(), STATE_WAIT).map_err(StoreError::io("lock the state"))?;
        self.repo.be_in_place()?;
        taken.ok_or(StoreError::Busy { what: "the state", seconds: STATE_WAIT.as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{AgentId, Draft};
    use crate::git::Repo;
    use crate::store::{Store, StoreError, fresh};
    use crate::sys::fs;

    /// Records an event; what becomes of the log in the meantime is told.
    fn recorded(meanwhile: impl Fn(&std::path::Path)) -> (bool, Vec<u8>) {
        let (dir, mut store) = fresh();
        let log = store.places.log();
        let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
        let done = store.write::<_, StoreError>(|tx| {
            meanwhile(&log);
            tx.emit(&draft)
        });
        let id = done.unwrap().value;
        store.rebuild().unwrap();
        let known = !store.view().unwrap().event(&id).unwrap().is_empty();
        assert!(dir.path().exists());
        (known, fs::read(&log).unwrap())
    }

    #[test]
    fn a_log_that_is_taken_away_just_before_it_is_written_to_is_put_back() {
        let (known, _) = recorded(|log| fs::remove_file(log).unwrap());
        assert!(known);
    }

    #[test]
    fn what_was_appended_as_our_own_folder_went_is_on_the_branch() {
        let (dir, mut store) = fresh();
        let (private, work) = (store.places.private.clone(), store.places.work.clone());
        let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
        let done = store.write::<_, StoreError>(|tx| {
            fs::remove_dir_all(&private).unwrap();
            tx.emit(&draft)
        });
        let done = done.unwrap();
        assert_eq!(done.warnings, Vec::<String>::new());
        for path in [&private, &work] {
            fs::remove_dir_all(path).unwrap();
        }
        let mut again = Store::open(Repo::discover(dir.path()).unwrap()).unwrap();
        assert!(!again.view().unwrap().event(&done.value).unwrap().is_empty());
    }

    #[test]
    fn what_is_recorded_as_the_repository_is_moved_away_is_not_acknowledged_and_begins_none_anew() {
        let (dir, mut store) = fresh();
        let (here, there) = (dir.path().join(".git"), dir.path().join("moved"));
        let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
        let moved = || fs::rename(&here, &there).unwrap();
        let done = store.write::<_, StoreError>(|tx| {
            moved();
            tx.emit(&draft)
        });
        assert!(done.is_err());
        assert!(!here.exists());
        let again = store.write::<_, StoreError>(|tx| tx.emit(&draft));
        assert!(again.unwrap_err().to_string().contains("was moved away"));
        assert!(!here.exists());
        fs::rename(&there, &here).unwrap();
        store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        // Another in its place is not the one that was opened.
        moved();
        crate::sys::process::Cmd::new("git").cwd(dir.path()).args(["init", "-q"]).run().unwrap();
        assert!(store.write::<_, StoreError>(|tx| tx.emit(&draft)).is_err());
        assert!(!here.join("vermas").exists());
    }

    #[test]
    fn nothing_is_written_only_to_a_log_that_somebody_has_just_put_there() {
        let (known, log) = recorded(|log| fs::replace(log, b"{}\n").unwrap());
        assert!(known && log.starts_with(b"{}\n"), "{}", String::from_utf8_lossy(&log));
    }

    #[test]
    fn a_rewrite_that_an_append_hid_is_noticed_where_something_is_taken_in() {
        let (_dir, mut store) = fresh();
        for title in ["one", "another with a longer title", "last"] {
            let data = serde_json::json!({"work_order_id": format!("wo-{}", title.len()), "title": title});
            let draft = Draft::new("work_order.created", &AgentId::ceo(), data);
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        }
        let (log, list) = (store.places.log(), store.places.orders());
        let text = String::from_utf8(fs::read(&log).unwrap()).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(0, 1);
        fs::put(&log, format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
        let cache = store.cache.as_ref().unwrap();
        let mut built = cache.built().unwrap();
        built.mtime_ns = fs::Stamp::of(&log).unwrap().mtime_ns;
        cache.set_built(&built).unwrap();
        let shown = String::from_utf8(fs::read(&list).unwrap()).unwrap();
        fs::replace(&list, shown.replace("\"title\":\"one\"", "\"title\":\"ONE\"").as_bytes()).unwrap();
        let title = store.view().unwrap().order(&"wo-3".parse().unwrap()).unwrap().unwrap().title().to_owned();
        assert_eq!(title, "ONE");
    }
}
