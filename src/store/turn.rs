//! Whose turn it is to publish: who waits for it, who does it, and what is said where it cannot be done just now.

use std::time::Duration;

use super::error::{Result, StoreError};
use super::open::Store;
use super::places::Places;
use super::publish::covered;
use crate::git::RepoError;
use crate::sys::clock::{self, Deadline, Stopwatch};
use crate::sys::{fs, lock};

/// How long a command waits for its events to be published.
const PUBLISH_WAIT: Duration = Duration::from_secs(60);
/// How long a command that only looks waits for whoever publishes.
const LOOK_WAIT: Duration = Duration::from_millis(100);
/// The shortest mean pause before the next look at whether somebody else has published.
const POLL: Duration = Duration::from_millis(1);
/// How long whoever needs the branch itself waits for a `git gc`.
const COLLECTING_WAIT: Duration = Duration::from_secs(10);
/// How many events wait to be published where the log is enough for now.
const MOST_LATER: i64 = 100;
/// Room kept for what waits, in bytes: a full disk lets the log gain no more than the rest of its last block.
const ROOM_TO_WAIT: u64 = 64 * 1024;
/// How often publishing is tried again where something of ours is taken away in the middle of it.
pub(super) const MOST_AGAIN: usize = 3;
/// How a warning begins that something is in the log alone.
pub(super) const NOT_YET: &str = "recorded, but not yet on";

impl Store {
    /// Waits until the log is published up to `end`, publishing itself when nobody else does.
    pub(super) fn publish_through(&mut self, end: u64) -> Result<()> {
        let asked = self.publishes_later()?;
        let collecting = !asked && self.repo.is_collecting();
        if asked || collecting {
            self.sync_log()?;
            if collecting {
                // Objects that are made now may be taken away by it.
                let branch = self.places.branch();
                self.warnings.push(format!("{NOT_YET} {branch}: git gc is at work (gc.pid in the git directory)"));
            }
            return self.with_state(|tx| {
                tx.project()?;
                tx.feed(end)?;
                if collecting {
                    tx.cache.set_meta(super::cache::WAITING, "1")?;
                }
                tx.finish().map(|_| ())
            });
        }
        let (deadline, waited) = (Deadline::after(PUBLISH_WAIT), Stopwatch::start());
        let mut first = true;
        loop {
            if !first && self.is_covered(end)? {
                return Ok(());
            }
            let taken = match lock::try_acquire(&self.places.publish_lock()) {
                // Somebody has just removed our own folder.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !deadline.passed() => {
                    self.repo.be_in_place()?;
                    fs::create_private_dir(&self.places.private).map_err(StoreError::io("make the private folder"))?;
                    continue;
                }
                taken => taken.map_err(StoreError::io("lock publishing"))?,
            };
            if let Some(_lock) = taken {
                // Whoever had it until now may just have published ours with theirs.
                return if !first && self.is_covered(end)? { Ok(()) } else { self.publish_or_warn() };
            }
            first = false;
            if deadline.passed() {
                return Err(StoreError::Busy { what: "publishing", seconds: PUBLISH_WAIT.as_secs() });
            }
            lock::pause(waited, POLL);
        }
    }

    /// Notes lines that are on no branch yet in a file beside our own folder, and syncs it: the log could be emptied before
    /// somebody publishes them. The log itself is synced; where that file cannot be written, for want of more room than was
    /// kept for it, that has to do.
    pub(super) fn keep_waiting(&self, lines: &[Vec<u8>]) {
        let mut text = lines.join(&b'\n');
        text.push(b'\n');
        let path = self.places.waiting();
        if !fs::exists(&path) {
            let _ = fs::rename(&self.places.reserve(), &path);
        }
        let _ = fs::open_append(&path).and_then(|mut file| {
            fs::append(&mut file, &text)?;
            fs::sync_data(&file, &path)
        });
    }

    /// Keeps room on the disk for [`Self::keep_waiting`], as far as it gives any.
    pub(super) fn keep_room_to_wait(&self) {
        let path = self.places.reserve();
        if !fs::exists(&path) && !fs::exists(&self.places.waiting()) {
            let kept = fs::open_append(&path).and_then(|file| fs::make_room(&file, 0, ROOM_TO_WAIT));
            if kept.is_err() {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Whether the log is enough for now.
    fn publishes_later(&self) -> Result<bool> {
        let log_suffices = self.repo.settings().get("vermas.durability").as_deref() == Some("log");
        Ok(log_suffices && self.count_loose()? < MOST_LATER)
    }

    /// Publishes what is loose, unless somebody is at it for longer than a moment: who only looks does not wait for that.
    pub(super) fn publish_unless_busy(&mut self) -> Result<()> {
        if self.repo.is_collecting() || self.publishes_later()? {
            return Ok(());
        }
        match lock::acquire(&self.places.publish_lock(), LOOK_WAIT).map_err(StoreError::io("lock publishing"))? {
            Some(_lock) => self.publish_or_warn(),
            None => Ok(()),
        }
    }

    /// Takes the publishing lock, waiting for it, and for a `git gc` that runs.
    pub(super) fn lock_publishing(&self) -> Result<lock::FileLock> {
        self.be_present()?;
        let deadline = Deadline::after(COLLECTING_WAIT);
        while self.repo.is_collecting() && !deadline.passed() {
            clock::sleep(Duration::from_millis(20));
        }
        lock::acquire(&self.places.publish_lock(), PUBLISH_WAIT)
            .map_err(StoreError::io("lock publishing"))?
            .ok_or(StoreError::Busy { what: "publishing", seconds: PUBLISH_WAIT.as_secs() })
    }

    /// Once the log is synced the change is safe; a branch that cannot be moved just now is a warning.
    fn publish_or_warn(&mut self) -> Result<()> {
        let Err(mut e) = self.publish_locked(false) else { return Ok(()) };
        for _ in 0..MOST_AGAIN {
            if !self.forgets_for(&e) {
                break;
            }
            let again = self.with_state(|tx| tx.finish().map(|_| ())).and_then(|()| self.publish_locked(false));
            match again {
                Ok(_) => return Ok(()),
                Err(why) => e = why,
            }
        }
        // A flush that failed on the way is never tried again into a success.
        if !e.is_unknown()
            && let Err(why) = self.back_up()
            && why.is_unknown()
        {
            e = why;
        }
        self.is_in_the_log(e)
    }

    /// Forgets what is known of the log where what failed may go at the next attempt. A cache that was just taken away is made
    /// anew, and so is what it says of a log that was emptied since.
    pub(super) fn forgets_for(&mut self, e: &StoreError) -> bool {
        if !self.may_go_again(e) {
            return false;
        }
        if !matches!(e, StoreError::Rewritten) {
            self.cache = None;
        }
        if e.is_spoiled_cache() && self.drop_cache().is_err() {
            return false;
        }
        self.rebuild = true;
        true
    }

    /// Whether what failed may go at the next attempt: because something of ours was just taken away, or the ref was emptied.
    fn may_go_again(&self, e: &StoreError) -> bool {
        match e {
            StoreError::Rewritten => true,
            StoreError::Repo(RepoError::Broken { .. }) => [self.places.state_ref.as_str(), Places::BACKUP_REF]
                .into_iter()
                .any(|name| self.repo.is_garbled(name).unwrap_or(false)),
            _ => e.is_taken_away(),
        }
    }

    /// What failed behind the append: a warning once the log is synced. A sync that failed is not tried again: it would
    /// say that all is well, of pages that the system has given up.
    pub(super) fn is_in_the_log(&mut self, e: StoreError) -> Result<()> {
        if e.is_unknown() {
            return Err(e);
        }
        self.repo.be_in_place().map_err(|gone| StoreError::from(gone).leaving_it_open())?;
        self.sync_log().map_err(StoreError::into_unknown)?;
        let why = if e.is_full_disk() { fs::plain(&fs::no_room()) } else { e.to_string() };
        self.warnings.push(format!("{NOT_YET} {}: {why}", self.places.branch()));
        Ok(())
    }

    /// Flushes the log to the disk. A failure is never tried again into a success.
    pub(super) fn sync_log(&self) -> Result<()> {
        // A log that was taken away or replaced since is where the pin is; one made anew here would be synced as empty.
        let is_ours = |file: &std::fs::File| {
            let inode = fs::Stamp::of_file(file).map(|s| s.inode).ok();
            self.appended.is_none_or(|a| inode == Some(a.inode))
        };
        let opened = match fs::open_append_there(&self.places.log()) {
            Ok(file) if !is_ours(&file) => fs::open_append_there(&self.places.pin()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => fs::open_append_there(&self.places.pin()),
            other => other,
        };
        let file = opened.map_err(StoreError::io("open .work/events.jsonl"))?;
        if !is_ours(&file) {
            let source = std::io::Error::other("another file stands in its place");
            return Err(StoreError::io("sync .work/events.jsonl")(source).into_unknown());
        }
        fs::sync_data(&file, &self.places.log())
            .map_err(|source| StoreError::Io { what: "sync .work/events.jsonl".to_owned(), source }.into_unknown())
    }

    fn is_covered(&self, end: u64) -> Result<bool> {
        let log = self.appended.map(|a| a.inode).or_else(|| fs::Stamp::of(&self.places.log()).map(|s| s.inode));
        Ok(log.and_then(|inode| covered(&self.places, inode)).is_some_and(|offset| offset >= end))
    }
}

#[cfg(test)]
mod tests {
    use super::covered;
    use crate::domain::{AgentId, Draft};
    use crate::store::{StoreError, fresh};
    use crate::sys::fs;

    #[test]
    fn what_waits_stands_in_room_that_was_kept_for_it() {
        let (_dir, mut store) = fresh();
        let text = "x".repeat(300);
        let tell = |store: &mut crate::store::Store| {
            let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({"text": text}));
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        };
        tell(&mut store);
        let kept = std::fs::metadata(store.places.reserve()).unwrap();
        assert_eq!(kept.len(), 0);
        let is_kept = |path: &std::path::Path| {
            use std::os::unix::fs::MetadataExt;
            let now = std::fs::metadata(path).unwrap();
            (now.ino(), now.blocks() * 512) == (kept.ino(), kept.blocks() * 512)
        };
        store.keep_waiting(&[b"{}".to_vec()]);
        store.keep_waiting(&[b"{}".to_vec()]);
        assert!(is_kept(&store.places.waiting()) && !fs::exists(&store.places.reserve()));
        assert_eq!(fs::read(&store.places.waiting()).unwrap(), b"{}\n{}\n");
        tell(&mut store);
        assert!(fs::exists(&store.places.reserve()) && !fs::exists(&store.places.waiting()));
    }

    #[test]
    fn what_was_published_of_a_log_before_it_was_emptied_covers_nothing_of_it_now() {
        let (_dir, mut store) = fresh();
        let append = |store: &mut crate::store::Store, text: &str| {
            let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({"text": text}));
            store.with_state::<_, StoreError>(|tx| tx.emit(&draft).and_then(|_| Ok(tx.finish()?.1))).unwrap()
        };
        append(&mut store, "which waits to be published");
        let load = store.load(false, store.tip().unwrap()).unwrap();
        std::fs::OpenOptions::new().write(true).open(store.places.log()).unwrap().set_len(0).unwrap();
        let end = append(&mut store, "shorter");
        assert!(end <= load.through);
        store.settle(&load, None).unwrap();
        let inode = fs::Stamp::of(&store.places.log()).unwrap().inode;
        assert!(covered(&store.places, inode).is_none_or(|through| through < end));
    }
}
