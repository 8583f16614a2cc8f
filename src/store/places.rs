//! Where everything is, and putting back what somebody removed.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::error::{Result, StoreError};
use super::lines::Parts;
use crate::domain::Refusal;
use crate::domain::id::{is_segment, segment_from};
use crate::domain::text::quoted;
use crate::git::Repo;
use crate::sys::fs;

pub const DEFAULT_BRANCH: &str = "vermas/state";

/// How long a folder is unchanged before what is missing there counts as removed on purpose, in milliseconds.
const SETTLED_AFTER_MS: i64 = 1000;

/// The paths of one repository's state.
#[derive(Debug, Clone)]
pub struct Places {
    /// The main worktree, or the git directory of a bare repository.
    top: PathBuf,
    /// `.work/`, shared with other implementations.
    pub work: PathBuf,
    /// `<git common dir>/vermas/`, this machine's own.
    pub private: PathBuf,
    /// Where worktrees of slots are made.
    pub workers: PathBuf,
    /// The full name of the state branch.
    pub state_ref: String,
    pub factory: String,
}

impl Places {
    pub fn of(repo: &Repo) -> Self {
        let top = repo.main_worktree().unwrap_or_else(|| repo.common_dir()).to_owned();
        let setting = |key: &str, default: &str| repo.settings().get(key).unwrap_or_else(|| default.to_owned());
        let branch = setting("vermas.branch", DEFAULT_BRANCH);
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch).to_owned();
        let directory = || {
            let dir = if top.file_name().is_some_and(|n| n == ".git") { top.parent().unwrap_or(&top) } else { &top };
            let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            segment_from(name.trim_end_matches(".git"))
        };
        let factory = repo.settings().get("vermas.factory").filter(|f| is_segment(f)).unwrap_or_else(directory);
        Self {
            work: top.join(setting("vermas.workDir", ".work")),
            private: repo.common_dir().join("vermas"),
            workers: top.join(setting("vermas.workersDir", "workers")),
            state_ref: format!("refs/heads/{branch}"),
            factory,
            top,
        }
    }

    pub fn log(&self) -> PathBuf {
        self.work.join("events.jsonl")
    }
    pub fn feed(&self) -> PathBuf {
        self.work.join("feed.jsonl")
    }
    pub fn orders(&self) -> PathBuf {
        self.work.join("work_orders.jsonl")
    }
    pub fn messages(&self) -> PathBuf {
        self.work.join("messages.jsonl")
    }
    pub fn templates(&self) -> PathBuf {
        self.work.join("templates")
    }
    pub fn config(&self) -> PathBuf {
        self.work.join("config.toml")
    }
    pub fn evidence(&self) -> PathBuf {
        self.work.join("evidence")
    }
    pub fn pin(&self) -> PathBuf {
        self.private.join("events.pin")
    }
    pub fn cache(&self) -> PathBuf {
        self.private.join("cache.sqlite")
    }
    pub fn state_lock(&self) -> PathBuf {
        self.private.join("state.lock")
    }
    pub fn publish_lock(&self) -> PathBuf {
        self.private.join("publish.lock")
    }
    /// A copy of what waits for a `git gc` to end: beside our own folder, for that may be taken away.
    pub fn waiting(&self) -> PathBuf {
        self.private.with_extension("waiting")
    }
    /// An empty file that the disk has given room already: it becomes [`Self::waiting`], so that a full disk can hold that.
    pub fn reserve(&self) -> PathBuf {
        self.private.join("reserve")
    }
    pub fn committed(&self) -> PathBuf {
        self.private.join("committed")
    }
    pub fn replica(&self) -> PathBuf {
        self.private.join("replica")
    }
    /// Stands there from before what was taken away below `.work` is put back until all of it is.
    pub fn restoring(&self) -> PathBuf {
        self.private.join("restoring")
    }
    pub fn intent(&self) -> PathBuf {
        self.private.join("intent")
    }
    pub fn quarantine(&self) -> PathBuf {
        self.private.join("quarantine.jsonl")
    }
    pub fn vouched(&self) -> PathBuf {
        self.private.join("vouched")
    }
    pub fn retired(&self) -> PathBuf {
        self.private.join("retired")
    }
    pub fn bin(&self) -> PathBuf {
        self.private.join("bin")
    }
    pub fn sessions(&self) -> PathBuf {
        self.private.join("sessions")
    }
    pub fn logs(&self) -> PathBuf {
        self.private.join("logs")
    }
    pub fn scratch(&self) -> PathBuf {
        self.private.join("scratch")
    }

    /// Whether nobody chose another name for the state branch.
    pub(super) fn has_default_branch(&self) -> bool {
        self.branch() == DEFAULT_BRANCH
    }

    /// The short name of the state branch.
    pub fn branch(&self) -> &str {
        self.state_ref.strip_prefix("refs/heads/").unwrap_or(&self.state_ref)
    }

    /// Where the copy of the branch is kept against deletion.
    pub const BACKUP_REF: &'static str = "refs/vermas/backup";

    /// Whether nobody has taken anything away below `.work` for a moment, and what always stands there does: else somebody
    /// may just be removing all of it.
    pub fn are_settled(&self, now_ms: i64) -> bool {
        let templates = self.work.join("templates");
        let is_settled = |folder: &Path| {
            let changed = fs::metadata(folder).and_then(|m| m.modified()).ok();
            let changed = changed.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_millis());
            let age = changed.map_or(i64::MAX, |ms| now_ms.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)));
            !(0..SETTLED_AFTER_MS).contains(&age)
        };
        let all_there = [self.log(), self.orders(), self.messages()].iter().all(|p| fs::exists(p));
        all_there && is_settled(&self.work) && is_settled(&templates)
    }

    /// Makes directories, log and pin where they are missing, and joins a log that was replaced with the pinned one.
    /// Called under the state lock. Tells whether something had been taken away.
    ///
    /// After a crash at any point the log or its pin holds every line that either held before.
    pub fn restore(&self) -> Result<Restored> {
        self.check()?;
        // Who was killed in the middle of it left the log there, and nothing else that tells.
        let mut restored = Restored { log_was_gone: fs::exists(&self.restoring()), log_was_replaced: false };
        if !fs::exists(&self.log()) && !restored.log_was_gone {
            restored.log_was_gone = true;
            let noted = fs::replace_durably(&self.restoring(), b"");
            noted.map_err(StoreError::io("note that .work is being put back"))?;
        }
        let mut rounds = 1..MOST_ROUNDS;
        loop {
            match self.put_back(&mut restored) {
                // Somebody takes away or puts there something else at this very moment.
                Err(StoreError::Io { source, .. }) if was_moved(&source) && rounds.next().is_some() => {}
                other => return other.map(|()| restored),
            }
        }
    }

    /// Makes `.work/`, with what it stands in below the worktree. The worktree itself is there, or was moved away: then none is
    /// begun anew.
    pub(super) fn make_work(&self) -> Result<()> {
        let made = match self.work.strip_prefix(&self.top) {
            Ok(below) => fs::create_dirs_in(&self.top, below),
            Err(_) => fs::create_dir_all(&self.work),
        };
        made.map_err(StoreError::io("make .work"))
    }

    fn put_back(&self, restored: &mut Restored) -> Result<()> {
        if !fs::exists(&self.work) {
            self.make_work()?;
        }
        let (log, pin) = (self.log(), self.pin());
        let inode = |p: &Path| fs::Stamp::of(p).map(|s| s.inode);
        match (inode(&log), inode(&pin)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => {
                self.join_replaced_log()?;
                restored.log_was_replaced = true;
            }
            (Some(_), None) => self.make_pin(None)?,
            (None, Some(_)) => {
                restored.log_was_gone = true;
                self.clear_the_way(&log)?;
                match fs::hard_link(&pin, &log) {
                    // They stand on different disks by now: the lines themselves are put back.
                    Err(e) if has_no_links(&e) => {
                        fs::open_append_shared(&log).map_err(StoreError::io("make .work/events.jsonl"))?;
                        self.join_replaced_log()?;
                    }
                    other => other.map_err(StoreError::io("put back .work/events.jsonl"))?,
                }
            }
            (None, None) => {
                restored.log_was_gone = true;
                self.clear_the_way(&log)?;
                let new = fs::open_append_shared(&log).map_err(StoreError::io("make .work/events.jsonl"))?;
                self.make_pin(Some(&new))?;
            }
        }
        if restored.log_was_gone && !fs::exists(&self.feed()) {
            // Watchers open it before anything is written.
            fs::open_append_shared(&self.feed()).map_err(StoreError::io("make .work/feed.jsonl"))?;
        }
        Ok(())
    }

    /// A name that is none of a branch is refused: `refs/heads/HEAD` would make every git command speak of two. So is a link
    /// in the place of `.work/` or of our own folder: everything would be read from and written to wherever it leads. One
    /// that is not there is fine.
    pub(super) fn check(&self) -> Result<()> {
        if crate::git::name::check_branch(self.branch()).is_err() {
            let what = format!("vermas.branch is set to {}, which is no name of a branch", quoted(self.branch()));
            return Err(Refusal::state(what)
                .hint(format!("git vermas config set vermas.branch {DEFAULT_BRANCH}"))
                .into());
        }
        for path in [&self.work, &self.private] {
            if fs::metadata(path).is_ok_and(|m| !m.is_dir()) {
                let source = std::io::Error::other("it is no folder of its own; move it away, and it is put back");
                return Err(StoreError::Io { what: format!("use {}", path.display()), source });
            }
        }
        Ok(())
    }

    /// Whether a log that is open is the pinned one, so that nobody can take away what is appended to it.
    pub(super) fn is_pinned(&self, log: &File) -> bool {
        let pin = fs::Stamp::of(&self.pin());
        pin.is_none_or(|pin| fs::Stamp::of_file(log).is_ok_and(|log| log.inode == pin.inode))
    }

    /// A log that is no regular file (a link, a folder) is refused rather than written through.
    fn clear_the_way(&self, log: &Path) -> Result<()> {
        if fs::exists(log) {
            let source = std::io::Error::other("it is no regular file; move it away");
            return Err(StoreError::Io { what: format!("use {}", log.display()), source });
        }
        Ok(())
    }

    /// Says that everything which [`Self::restore`] found taken away is there again, or that the cache knows what is still to
    /// be put there.
    pub(super) fn note_restored(&self) -> Result<()> {
        fs::remove_file(&self.restoring()).map_err(StoreError::io("note that .work was put back"))
    }

    /// Pins the log, which must be this file where one is given: another that stands in its place by now may hold next to
    /// nothing. After a crash the pin is the old one or the new one.
    fn make_pin(&self, log: Option<&File>) -> Result<()> {
        let new = self.pin().with_extension("new");
        fs::remove_file(&new).map_err(StoreError::io("pin .work/events.jsonl"))?;
        let is_it = || -> std::io::Result<bool> {
            let Some(log) = log else { return Ok(true) };
            Ok(fs::Stamp::of(&new).map(|s| s.inode) == Some(fs::Stamp::of_file(log)?.inode))
        };
        let linked = fs::hard_link(&self.log(), &new).and_then(|()| match is_it()? {
            true => fs::rename(&new, &self.pin()),
            false => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "another file stands in its place")),
        });
        match linked {
            // The branch alone guards the log there.
            Err(e) if has_no_links(&e) => fs::remove_file(&self.pin()).map_err(StoreError::io("move the pin")),
            other => other.map_err(StoreError::io("pin .work/events.jsonl")),
        }
    }

    /// Somebody put another file in the log's place: what only the pinned one has is appended, then the new one is pinned.
    /// All in one file, whatever stands under its name by then.
    fn join_replaced_log(&self) -> Result<()> {
        let read = |e| StoreError::io("read .work/events.jsonl")(e);
        let old = fs::open_read(&self.pin()).map_err(StoreError::io("read the pinned log"))?;
        let mut log = fs::open_append_there(&self.log()).map_err(StoreError::io("open .work/events.jsonl"))?;
        // Either may be longer than the memory: of the new one's lines only a fingerprint is kept.
        let (one, other) = (RandomState::new(), RandomState::new());
        let print = |line: &[u8]| (one.hash_one(line), other.hash_one(line));
        let (mut parts, mut have) = (Parts::from(0), HashSet::new());
        while parts.read(&log).map_err(read)? {
            have.extend(parts.lines().map(|(_, line)| print(line)));
        }
        let torn = parts.rest(&log).map_err(read)?;
        let mut missing: Vec<u8> = if torn.is_empty() { Vec::new() } else { b"\n".to_vec() };
        have.insert(print(&torn));
        let put_back = |log: &mut File, lines: &mut Vec<u8>| {
            let put = fs::append(log, lines).map_err(StoreError::io("put back lines of .work/events.jsonl"));
            lines.clear();
            put
        };
        let mut parts = Parts::from(0);
        let mut take = |missing: &mut Vec<u8>, line: &[u8]| {
            if !line.is_empty() && have.insert(print(line)) {
                missing.extend_from_slice(line);
                missing.push(b'\n');
            }
        };
        while parts.read(&old).map_err(read)? {
            parts.lines().for_each(|(_, line)| take(&mut missing, line));
            if missing.len() > 1 {
                put_back(&mut log, &mut missing)?;
            }
        }
        take(&mut missing, &parts.rest(&old).map_err(read)?);
        if !missing.is_empty() {
            put_back(&mut log, &mut missing)?;
        }
        fs::sync_data(&log, &self.log()).map_err(StoreError::io("sync .work/events.jsonl"))?;
        self.make_pin(Some(&log))
    }
}

/// Whether an error says that a file came or went between two looks.
fn was_moved(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AlreadyExists, NotADirectory, NotFound};
    [NotFound, AlreadyExists, NotADirectory].contains(&e.kind())
}

/// Whether two files cannot be one: on different file systems, or on one without hard links (FAT says that it is not
/// permitted).
fn has_no_links(e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    [CrossesDevices, Unsupported, PermissionDenied, TooManyLinks].contains(&e.kind())
}

/// How often what is missing is put back, where it goes again at once.
const MOST_ROUNDS: usize = 16;

/// What [`Places::restore`] found missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    pub log_was_gone: bool,
    pub log_was_replaced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_whose_pin_is_on_another_disk_is_put_back_line_by_line() {
        use std::os::unix::fs::MetadataExt as _;
        let (here, Ok(there)) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm")) else { return };
        let device = |d: &Path| fs::metadata(d).unwrap().dev();
        if device(here.path()) == device(there.path()) {
            return;
        }
        crate::sys::process::Cmd::new("git").cwd(here.path()).args(["init", "-q"]).run().unwrap();
        let mut places = Places::of(&Repo::discover(here.path()).unwrap());
        places.private = there.path().join("vermas");
        fs::create_private_dir(&places.private).unwrap();
        fs::replace(&places.pin(), b"{\"event_id\":\"evt-1\"}\n").unwrap();
        assert!(places.restore().unwrap().log_was_gone);
        assert!(places.restore().unwrap().log_was_gone, "nobody has said yet that all of it is there");
        places.note_restored().unwrap();
        assert_eq!(fs::read(&places.log()).unwrap(), b"{\"event_id\":\"evt-1\"}\n");
        assert_eq!(places.restore().unwrap(), Restored::default());
    }
}
