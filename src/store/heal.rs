//! Mending what crashes, power cuts and the person's own git left of the branch, at the start of each publishing.
//!
//! Everything here is cheap where nothing is broken: it looks at what the publisher reads anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bounds::check_segments;
use super::error::{Result, StoreError};
use super::open::Store;
use super::places::Places;
use super::{branch, texts};
use crate::git::program::Git;
use crate::git::refs::{PACKED, RefMove};
use crate::git::{Entry, EntryKind, Oid, Repo, RepoError, history, index_lock};
use crate::sys::clock::Deadline;
use crate::sys::{clock, fs, holders, leftovers, running};

/// Objects of a commit are written at most this long before the intent's time, which moves on with each of its notes.
const WRITTEN_WITHIN_NS: i64 = 60_000_000_000;
/// A lock on packed refs comes at most this long after the intent: as long as others may keep us waiting for it, and some.
const LOCKED_WITHIN_NS: i64 = 5_000_000_000;
/// How many commits behind a broken tip are tried in its place, where nothing else is known.
const MOST_FATHERS: usize = 8;
/// From this age on it is taken for left, where nobody is seen who could hold it.
const LEFT_AFTER: Duration = Duration::from_secs(1);
/// How long somebody who could is waited for.
const HELD_WAIT: Duration = Duration::from_secs(1);
/// From this age on a git that is at work, and does not have it open, is not taken for its holder.
const NEVER_HELD: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// What is written down before the branch is locked, so that the next command knows a lock that was left for its own: it
/// may go by another setting of the branch.
fn intent_text(moves: &[RefMove]) -> String {
    let (pid, new) = (running::id(), moves.first().map(|m| m.new.to_string()).unwrap_or_default());
    let names: String = moves.iter().map(|m| format!(" {}", m.name)).collect();
    format!("{pid} {} {} {new}{names}\n", running::start_time(pid).unwrap_or_default(), fs::boot_id())
}

/// The tip that was published last, as far as that is noted.
fn noted_tip(places: &Places) -> Option<Oid> {
    let noted = fs::read_if_there(&places.committed()).ok().flatten()?;
    String::from_utf8_lossy(&noted).split_whitespace().nth(2).and_then(crate::git::objects::parse_oid)
}

/// The tips that are remembered beside the branch: the one last published, which git may have collected since, and the
/// copy against deletion.
pub(super) fn earlier_tips(repo: &Repo, places: &Places) -> Result<Vec<Oid>> {
    fs::check_readable(&places.committed()).map_err(StoreError::io("read what was published last"))?;
    let backup = match repo.ref_target(Places::BACKUP_REF) {
        Err(e) if !repo.is_garbled(Places::BACKUP_REF)? => return Err(e.into()),
        found => found.ok().flatten(),
    };
    Ok([noted_tip(places), backup].into_iter().flatten().collect())
}

/// Whether everything that a commit's tree names is there, and no more than a state has. A folder is looked at once,
/// wherever it stands.
pub(super) fn is_whole(repo: &Repo, tip: Oid) -> bool {
    let read = || -> Result<bool> {
        let root = repo.commit(tip)?.tree;
        check_segments(repo, branch::segments_of(repo, root)?.iter())?;
        texts::check(repo, root, None)?;
        let mut open = vec![root];
        let mut seen = BTreeSet::from([root]);
        while let Some(tree) = open.pop() {
            for e in repo.tree(tree)? {
                match e.kind {
                    crate::git::EntryKind::Tree => open.extend(Some(e.oid).filter(|oid| seen.insert(*oid))),
                    // What a partial clone has left with its remote is there when somebody asks for it.
                    _ if !repo.is_partial() && !repo.has_object(e.oid) => return Ok(false),
                    _ => {}
                }
            }
        }
        Ok(true)
    };
    read().unwrap_or(false)
}

impl Store {
    /// The tip to build on, with a stale lock, an emptied ref or a broken tip mended first. Called under the publishing
    /// lock. `None` where there is no branch.
    pub(super) fn sound_tip(&mut self) -> Result<Option<Oid>> {
        self.repo.forget_objects();
        self.reclaim_locks()?;
        self.clear_after_a_crash()?;
        self.give_back_indexes();
        match self.repo.ref_target(&self.places.state_ref) {
            Ok(Some(tip)) if self.is_readable(tip) => Ok(Some(tip)),
            Ok(None) => self.restore_branch(),
            // What cannot be read just now is not broken: nothing is taken away for it.
            Err(e) if !self.repo.is_garbled(&self.places.state_ref)? => Err(e.into()),
            Ok(Some(tip)) => {
                self.repo.check_objects_readable(tip).map_err(StoreError::io("read the state branch"))?;
                self.repo.check_promised(tip)?;
                self.replace_broken_tip()
            }
            Err(_) => self.replace_broken_tip(),
        }
    }

    /// A publisher that never came to its end left its intent behind. If a power cut ended it, objects that it was writing
    /// may be there empty or spoiled, which `git fsck` complains of: those written since are removed.
    fn clear_after_a_crash(&self) -> Result<()> {
        let Some(intent) = fs::Stamp::of(&self.places.intent()) else { return Ok(()) };
        let since = intent.mtime_ns.saturating_sub(WRITTEN_WITHIN_NS);
        self.repo.remove_spoiled_objects(since).map_err(StoreError::io("look for spoiled objects"))?;
        self.clear_leftovers()?;
        if self.our_locks().into_iter().chain([self.repo.lock_path(PACKED)]).any(|l| fs::exists(&l)) {
            // Without it nobody could ever tell whose lock that is.
            return Ok(());
        }
        fs::remove_file(&self.places.intent()).map_err(StoreError::io("clear the intent"))
    }

    /// Removes the locks on the person's indexes that a killed QA left: until then no `git add` of theirs goes through. One
    /// that cannot be removed now is no reason to refuse a change.
    fn give_back_indexes(&self) {
        let _ = index_lock::heal(&Git::new(self.repo.common_dir()));
    }

    /// Removes the temporary files of commands that were killed.
    pub(super) fn clear_leftovers(&self) -> Result<()> {
        for folder in [&self.places.work, &self.places.private, &self.places.retired()] {
            leftovers::remove(folder).map_err(StoreError::io("clear what a killed command left"))?;
        }
        Ok(())
    }

    /// Removes the locks that a killed publisher of ours left on refs. We hold the publishing lock, so that publisher is gone.
    pub(super) fn reclaim_locks(&self) -> Result<()> {
        for lock in self.our_locks() {
            self.reclaim_lock(&lock)?;
        }
        self.reclaim_packed_lock()
    }

    /// The locks of the refs that we move, and of those that the intent names.
    fn our_locks(&self) -> Vec<PathBuf> {
        let intent = fs::read_if_there(&self.places.intent()).ok().flatten().unwrap_or_default();
        let intent = String::from_utf8_lossy(&intent).into_owned();
        let named = intent.lines().next().unwrap_or_default().split_whitespace().skip(4);
        let named = named.filter(|n| crate::git::name::check_ref(n).is_ok());
        let names = [self.places.state_ref.as_str(), Places::BACKUP_REF].into_iter().chain(named);
        let names: BTreeSet<&str> = names.collect();
        names.into_iter().map(|name| self.repo.lock_path(name)).collect()
    }

    /// Where refs are packed, moving one locks `packed-refs`, too. That lock is empty, ours or not.
    fn reclaim_packed_lock(&self) -> Result<()> {
        let lock = self.repo.lock_path(PACKED);
        if fs::Stamp::of(&lock).is_some_and(|s| s.size == 0) { self.reclaim_unsigned(&lock) } else { Ok(()) }
    }

    /// Removes a lock that does not say whose it is, where it came right behind an intent that was left, and nobody is seen
    /// who could hold it.
    fn reclaim_unsigned(&self, lock: &Path) -> Result<()> {
        let (Some(found), Some(intent)) = (fs::Stamp::of(lock), fs::Stamp::of(&self.places.intent())) else {
            return Ok(());
        };
        let later = found.mtime_ns.saturating_sub(intent.mtime_ns);
        if !(0..=LOCKED_WITHIN_NS).contains(&later) {
            return Ok(());
        }
        let age = || {
            let age = clock::now_millis().saturating_sub(found.mtime_ns / 1_000_000);
            Duration::from_millis(u64::try_from(age).unwrap_or_default())
        };
        clock::sleep(LEFT_AFTER.saturating_sub(age()));
        let deadline = Deadline::after(HELD_WAIT);
        let folders = self.repo.folders();
        while fs::Stamp::of(lock) == Some(found) {
            let in_doubt = || age() < NEVER_HELD && holders::git_is_at_work(&folders);
            if !holders::have_open(lock) && !in_doubt() {
                return fs::remove_file(lock).map_err(StoreError::io("remove a lock that a killed command left"));
            }
            if deadline.passed() {
                // The intent stays, so that a later command looks again.
                let name = lock.strip_prefix(self.repo.common_dir()).unwrap_or(lock).with_extension("");
                let (name, path) = (name.display().to_string(), lock.display().to_string());
                return Err(RepoError::Locked { name, path }.into());
            }
            clock::sleep(PAUSE);
        }
        Ok(())
    }

    fn reclaim_lock(&self, lock: &Path) -> Result<()> {
        if !fs::exists(lock) {
            return Ok(());
        }
        let Some(intent) = fs::read_if_there(&self.places.intent()).map_err(StoreError::io("read the intent"))? else {
            return self.reclaim_old(lock);
        };
        let intent = String::from_utf8_lossy(&intent).into_owned();
        let new = intent.split_whitespace().nth(3).unwrap_or_default();
        let content = fs::read_if_there(lock).map_err(StoreError::io("read a lock"))?.unwrap_or_default();
        let content = String::from_utf8_lossy(&content).trim_matches(['\0', '\n', ' ']).to_owned();
        // A power cut may leave of the intent only that there was one.
        if new.is_empty() || content.is_empty() {
            return self.reclaim_unsigned(lock);
        }
        if new.starts_with(&content) {
            fs::remove_file(lock).map_err(StoreError::io("remove a lock that a killed command left"))
        } else {
            self.reclaim_old(lock)
        }
    }

    /// Removes a lock of which no note is left, where it was to move the ref to a state, is old, and nobody is seen who could
    /// hold it.
    fn reclaim_old(&self, lock: &Path) -> Result<()> {
        let Some(found) = fs::Stamp::of(lock) else { return Ok(()) };
        let age = clock::now_millis().saturating_sub(found.mtime_ns / 1_000_000);
        if u128::try_from(age).unwrap_or_default() < NEVER_HELD.as_millis() {
            return Ok(());
        }
        let content = fs::read_if_there(lock).map_err(StoreError::io("read a lock"))?.unwrap_or_default();
        let to = crate::git::objects::parse_oid(&String::from_utf8_lossy(&content));
        // The copy is nobody's but ours.
        let is_ours = lock == self.repo.lock_path(Places::BACKUP_REF)
            || to.is_some_and(|oid| super::tree::is_state(&self.repo, oid).unwrap_or(false));
        let is_held = || holders::have_open(lock) || holders::git_is_at_work(&self.repo.folders());
        if is_ours && !is_held() && fs::Stamp::of(lock) == Some(found) {
            return fs::remove_file(lock).map_err(StoreError::io("remove a lock that a killed command left"));
        }
        Ok(())
    }

    /// Whether every segment of a commit that was not read before can be read: there, a file, and whole.
    pub(super) fn has_segments(&self, tip: Oid) -> bool {
        let Some(cache) = &self.cache else { return self.has_segments_beside(tip, &BTreeMap::new()) };
        // Where the cache was just taken away, all are read.
        let known = || cache.reading(|| cache.segments()).unwrap_or_default();
        self.has_segments_beside(tip, &known())
    }

    /// Whether the cache was built from this very commit: each of its segments was read then.
    fn is_known(&self, tip: Oid) -> bool {
        let built = self.cache.as_ref().and_then(|c| c.built().ok()).unwrap_or_default();
        built.boot == fs::boot_id() && crate::git::objects::parse_oid(&built.tip) == Some(tip)
    }

    /// Whether the folders of all replicas are there: of a long history they are few, and their segments are many.
    fn has_folders(&self, tip: Oid) -> bool {
        let read = || -> Result<bool> {
            let root = self.repo.commit(tip)?.tree;
            let Some(events) = branch::child(&self.repo, root, "events", EntryKind::Tree)? else { return Ok(true) };
            let is_there = |e: &Entry| e.kind != EntryKind::Tree || self.repo.has_object(e.oid);
            Ok(self.repo.tree(events.oid)?.iter().all(is_there))
        };
        read().unwrap_or(false)
    }

    /// Whether every segment of a commit is there, but for those that are known, and the commit names no more than a state
    /// has.
    pub(super) fn has_segments_beside(&self, tip: Oid, known: &BTreeMap<String, String>) -> bool {
        let read = || -> Result<bool> {
            let root = self.repo.commit(tip)?.tree;
            let now = branch::segments_of(&self.repo, root)?;
            let new = || now.iter().filter(|(path, s)| known.get(*path) != Some(&s.oid.to_string()));
            check_segments(&self.repo, new())?;
            let built = self.cache.as_ref().and_then(|c| c.built().ok());
            let built = built.and_then(|b| crate::git::objects::parse_oid(&b.tip));
            if self.made != Some(tip) && built != Some(tip) {
                let accepted = built.and_then(|b| self.repo.commit(b).ok()).map(|c| c.tree);
                texts::check(&self.repo, root, accepted)?;
            }
            let oids: BTreeSet<Oid> = new().map(|(_, s)| s.oid).collect();
            Ok(oids.into_iter().all(|oid| self.repo.blob(oid).is_ok()))
        };
        read().unwrap_or(false)
    }

    /// Whether a commit and what a publisher needs of it can be read. Where what was published last is not known any more,
    /// or all is made anew, nothing is taken on trust.
    fn is_readable(&mut self, tip: Oid) -> bool {
        let doubted = self.thorough || noted_tip(&self.places).is_none();
        let has_segments = if doubted || !self.is_known(tip) { self.has_segments(tip) } else { self.has_folders(tip) };
        if !has_segments || (doubted && !self.is_whole(tip)) || (self.thorough && !self.has_history(tip)) {
            return false;
        }
        // Who cannot read that cannot publish, and says so; the branch is no worse for it.
        let Ok(replica) = super::replica::current(&self.places) else { return true };
        let read = || -> Result<Option<(Oid, Vec<u8>)>> {
            let root = self.repo.commit(tip)?.tree;
            for folder in branch::folders(&self.repo, root)?.iter().filter(|f| f.name == replica) {
                if let Some(last) = branch::segments_in(&self.repo, folder)?.last() {
                    return Ok(Some((last.oid, self.repo.blob(last.oid)?)));
                }
            }
            Ok(None)
        };
        read().map(|active| self.active = active).is_ok()
    }

    pub(super) fn is_whole(&self, tip: Oid) -> bool {
        is_whole(&self.repo, tip)
    }

    /// Whether everything behind a commit is there, too: a branch with a gap in its history cannot be pushed, and stops the
    /// person's own `git gc`. Where that cannot be asked there is taken to be none.
    fn has_history(&self, tip: Oid) -> bool {
        history::is_complete(&Git::new(self.repo.common_dir()), &tip.to_string()).unwrap_or(true)
    }

    /// The branch is gone (deleted, or never made): it begins again where the backup left off.
    fn restore_branch(&mut self) -> Result<Option<Oid>> {
        let Some(oid) = self.lost_tip()? else { return Ok(None) };
        let back = RefMove { name: self.places.state_ref.clone(), new: oid, old: None };
        self.move_state(&[back], "vermas: put the deleted state branch back")?;
        self.warnings.push(format!("the branch {} was gone; put back", self.places.branch()));
        Ok(Some(oid))
    }

    /// Where a branch that is gone begins again.
    pub(super) fn lost_tip(&self) -> Result<Option<Oid>> {
        Ok(earlier_tips(&self.repo, &self.places)?.into_iter().find(|b| self.is_whole(*b)))
    }

    /// The newest state that can be read, of those that the branch has had.
    pub(super) fn newest_readable(&self) -> Result<Option<Oid>> {
        let mut candidates = self.repo.reflog(&self.places.state_ref)?;
        candidates.extend(earlier_tips(&self.repo, &self.places)?);
        let mut tip = self.repo.ref_target(&self.places.state_ref).unwrap_or_default();
        for _ in 0..MOST_FATHERS {
            tip = tip.and_then(|t| self.repo.commit(t).ok()).and_then(|c| c.parents.first().copied());
            candidates.extend(tip);
        }
        let mut seen = BTreeSet::new();
        Ok(candidates.into_iter().find(|c| seen.insert(*c) && self.is_whole(*c) && self.has_history(*c)))
    }

    /// The tip cannot be read: the newest earlier state that can takes its place. Events that it lacks are published
    /// again from the log.
    fn replace_broken_tip(&mut self) -> Result<Option<Oid>> {
        let sound = self.newest_readable()?;
        for name in [self.places.state_ref.clone(), Places::BACKUP_REF.to_owned()] {
            let is_garbled = match self.repo.ref_target(&name) {
                Err(e) if !self.repo.is_garbled(&name)? => return Err(e.into()),
                found => found.is_err(),
            };
            if is_garbled {
                // An empty or garbled ref file stops the person's own fetch and gc.
                fs::remove_file(&self.repo.loose_ref_path(&name)).map_err(StoreError::io("remove a broken ref"))?;
            }
        }
        let (oid, what) = match sound {
            Some(oid) => (oid, format!("put back to {oid}, the newest state that can be read")),
            None => (self.begin()?, "begun anew from the log".to_owned()),
        };
        let name = |n: &str| Ok::<_, StoreError>((n.to_owned(), self.repo.ref_target(n)?));
        let names = [name(&self.places.state_ref)?, name(Places::BACKUP_REF)?];
        // A copy that can be read may hold what nothing else does but the log.
        let stays = |n: &str, old: &Option<Oid>| {
            *old == Some(oid) || n == Places::BACKUP_REF && old.is_some_and(|c| self.is_whole(c) && self.has_history(c))
        };
        let moves = names.into_iter().filter(|(name, old)| !stays(name, old));
        let moves: Vec<_> = moves.map(|(name, old)| RefMove { name, new: oid, old }).collect();
        self.move_state(&moves, "vermas: mend the state branch")?;
        // What its reflog still names of the broken states would stop the person's own gc.
        let _ = history::forget_broken(&Git::new(self.repo.common_dir()), &self.places.state_ref);
        self.warnings.push(format!("the branch {} could not be read; {what}", self.places.branch()));
        Ok(Some(oid))
    }

    /// The commit that every state begins with, synced.
    pub(super) fn begin(&self) -> Result<Oid> {
        let root = super::init::root_commit(&self.repo)?;
        self.repo.sync_objects(&[self.repo.commit(root)?.tree, root])?;
        Ok(root)
    }

    /// Moves the branch, and what moves with it, to a commit: the one way in which it ever moves. Called under the
    /// publishing lock.
    ///
    /// After a crash the branch is at the old commit or the new one, and a lock that is left is known for ours.
    pub(super) fn move_refs_noted(&self, moves: &[RefMove], message: &str) -> Result<()> {
        if moves.is_empty() {
            return Ok(());
        }
        fs::put(&self.places.intent(), intent_text(moves).as_bytes())
            .map_err(StoreError::io("note what is about to be committed"))?;
        let by = self.repo.author(crate::sys::clock::now_millis() / 1000);
        let moved = self.repo.move_refs(moves, message, &by, Some(&self.places.intent()));
        // A lock that could not be taken away is known as ours by the intent alone.
        let locks = self.our_locks().into_iter().chain([self.repo.lock_path(PACKED)]);
        if moved.is_err() || !locks.into_iter().any(|l| fs::exists(&l)) {
            let _ = fs::remove_file(&self.places.intent());
        }
        Ok(moved?)
    }

    /// Where the branch cannot be moved, what is not on it goes at least to where the copy against deletion is: the log alone
    /// could be emptied. The next publishing takes it up from the log, as ever.
    pub(super) fn back_up(&mut self) -> Result<()> {
        let last = noted_tip(&self.places).filter(|tip| self.repo.has_object(*tip));
        let backup = self.repo.ref_target(Places::BACKUP_REF)?;
        let Some(on) = last.or(backup) else { return Ok(()) };
        let mut load = self.load(false, Some(on))?;
        load.texts.clear();
        if load.events.is_empty() {
            return Ok(());
        }
        load.flushes_log = true;
        let base = self.base_of(Some(on))?;
        let commit = self.build_on(&load, base)?;
        let copy = RefMove { name: Places::BACKUP_REF.to_owned(), new: commit.oid, old: backup };
        let message = "vermas: keep what is not on the branch yet";
        // A note that was left tells whose the lock is that is in the way: it stays as it is.
        if fs::exists(&self.places.intent()) {
            let by = self.repo.author(clock::now_millis() / 1000);
            return Ok(self.repo.move_refs(&[copy], message, &by, None)?);
        }
        self.move_refs_noted(&[copy], message)
    }

    /// Moves refs, where nobody else did so first.
    fn move_state(&self, moves: &[RefMove], message: &str) -> Result<()> {
        match self.move_refs_noted(moves, message) {
            Ok(()) | Err(StoreError::Repo(RepoError::Moved { .. })) => Ok(()),
            other => other,
        }
    }
}
