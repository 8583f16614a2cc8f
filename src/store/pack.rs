//! Packing: a command leaves about six small files in git; from time to time those of our branch become one pack.
//!
//! The work is done by a process of its own, at low priority, that nobody waits for. It packs what the branch has gained
//! since the last pack (`git pack-objects --revs`, which knows the paths and so finds the deltas), reads the pack back,
//! syncs it, and only then removes the loose copies of exactly the objects that it holds. Packs are joined as a binary
//! counter carries: their number grows with the logarithm of the history, and each commit is packed that often.
//!
//! The packs have no `.keep`: the person's own `git gc` may take them into its own pack, as it does with everything that a
//! branch reaches; a kept pack would stay behind for ever where the branch is deleted. What gc took is then simply packed.
//!
//! **Invariant:** at each moment every object of the branch is loose or in a synced pack. A crash leaves a copy too many,
//! which the next packing removes, and never one too few.

use std::collections::HashSet;
use std::path::PathBuf;

use super::error::{Result, StoreError};
use super::open::Store;
use crate::git::pack::Packs;
use crate::git::program::{Git, GitError};
use crate::git::{Oid, objects};
use crate::sys::{fs, lock};

/// After how many commits a packing is due. Their loose objects are half of what makes git itself think of a `gc` in the
/// person's next command.
pub const COMMITS: u64 = 500;
/// The meta key of the number of commits since the last packing was begun.
const UNPACKED: &str = "unpacked";

/// What a packing did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Packed {
    /// The commits in the new pack.
    pub commits: u64,
    /// The objects in it.
    pub objects: usize,
    /// Loose copies that were removed.
    pub loose_removed: usize,
    /// Packs of ours that the new one stands for now.
    pub joined: usize,
}

/// A pack of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    pack: String,
    /// The tip that it was made of.
    tip: Oid,
    commits: u64,
}

/// What is written down about our packs: those in use, the oldest first, and those that another stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Notes {
    packs: Vec<Known>,
    joined: Vec<String>,
}

impl Notes {
    fn parse(text: &str) -> Self {
        let mut notes = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let is_name = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_hexdigit());
            match words.as_slice() {
                ["joined", pack] if is_name(pack) => notes.joined.push((*pack).to_owned()),
                [pack, tip, commits] if is_name(pack) => {
                    if let (Some(tip), Ok(commits)) = (objects::parse_oid(tip), commits.parse()) {
                        notes.packs.push(Known { pack: (*pack).to_owned(), tip, commits });
                    }
                }
                _ => {}
            }
        }
        notes
    }

    fn text(&self) -> String {
        let packs = self.packs.iter().map(|k| format!("{} {} {}\n", k.pack, k.tip, k.commits));
        packs.chain(self.joined.iter().map(|p| format!("joined {p}\n"))).collect()
    }
}

fn failed(e: GitError) -> StoreError {
    StoreError::io("pack the state branch")(std::io::Error::other(e.to_string()))
}

impl Store {
    /// Whether the next packing is due. Asking sets it back: who asks starts one.
    pub fn packing_is_due(&mut self) -> bool {
        let Some(cache) = self.cache.as_ref().filter(|_| self.committed) else { return false };
        self.committed = false;
        let off = self.repo.settings().get("vermas.pack").is_some_and(|s| s == "off");
        let count: u64 = cache.meta(UNPACKED).ok().flatten().and_then(|t| t.parse().ok()).unwrap_or(0);
        !off && count >= COMMITS && cache.set_meta(UNPACKED, "0").is_ok()
    }

    /// Counts a commit, inside a transaction of the cache.
    pub(super) fn count_commit(cache: &super::cache::Cache) -> Result<()> {
        let sql = "INSERT INTO meta(k,v) VALUES(?,'1') ON CONFLICT(k) DO UPDATE SET v=CAST(v+1 AS TEXT)";
        cache.db.prepare_cached(sql)?.execute([UNPACKED])?;
        Ok(())
    }

    /// How many commits of the branch stand in no pack of ours.
    pub fn unpacked(&self) -> Result<u64> {
        let Some(tip) = self.tip()? else { return Ok(0) };
        let git = Git::new(self.repo.common_dir());
        let last = self.notes()?.packs.last().map(|k| k.tip).filter(|t| self.repo.has_object(*t));
        Packs::of(&git).count(tip, last).map_err(failed)
    }

    /// Packs what the branch has gained since the last time. Where somebody else packs, or `git gc` is at work, nothing is
    /// done.
    pub fn pack(&self) -> Result<Packed> {
        let git = Git::new(self.repo.common_dir());
        let packs = Packs::of(&git);
        let lock = lock::try_acquire(&self.places.private.join("pack.lock")).map_err(StoreError::io("lock packing"))?;
        let (Some(_lock), Some(tip)) = (lock, self.tip()?) else { return Ok(Packed::default()) };
        if packs.are_collected() {
            return Ok(Packed::default());
        }
        let mut notes = self.notes()?;
        let mut packed = Packed { loose_removed: self.finish_last(&packs, &mut notes)?, ..Packed::default() };
        // The branch may have been put back behind the last pack: then all that is loose is packed.
        if notes.packs.last().is_some_and(|k| self.repo.merge_base(k.tip, tip) != Some(k.tip)) {
            notes.packs.clear();
        }
        let base = |notes: &Notes| notes.packs.last().map(|k| k.tip);
        packed.commits = packs.count(tip, base(&notes)).map_err(failed)?;
        if packed.commits == 0 {
            return Ok(packed);
        }
        let mut joined: Vec<Known> = Vec::new();
        while !packs.have_common_index()
            && let Some(last) = notes.packs.pop_if(|k| k.commits <= packed.commits && packs.has(&k.pack))
        {
            packed.commits += last.commits;
            joined.push(last);
        }
        let Some(name) = packs.make(tip, base(&notes), joined.is_empty()).map_err(failed)? else {
            return Ok(packed);
        };
        packs.check_and_sync(&name).map_err(failed)?;
        let inside = packs.objects(&name).map_err(failed)?;
        packed.objects = inside.len();
        for old in joined.iter().filter(|k| k.pack != name) {
            if packs.objects(&old.pack).map_err(failed)?.is_subset(&inside) {
                notes.joined.push(old.pack.clone());
            }
        }
        packed.joined = notes.joined.len();
        notes.packs.push(Known { pack: name, tip, commits: packed.commits });
        self.note(&notes)?;
        packed.loose_removed += self.finish(&packs, &mut notes, &inside)?;
        Ok(packed)
    }

    /// Removes what the last packing may have left twice, had it been stopped.
    fn finish_last(&self, packs: &Packs<'_>, notes: &mut Notes) -> Result<usize> {
        let Some(last) = notes.packs.last().filter(|k| packs.has(&k.pack)) else { return Ok(0) };
        let inside = packs.objects(&last.pack).map_err(failed)?;
        self.finish(packs, notes, &inside)
    }

    fn finish(&self, packs: &Packs<'_>, notes: &mut Notes, inside: &HashSet<Oid>) -> Result<usize> {
        let removed = packs.remove_loose(inside).map_err(failed)?;
        // Somebody may have made a common index since they were joined: it names them.
        if !notes.joined.is_empty() && !packs.have_common_index() {
            for pack in std::mem::take(&mut notes.joined) {
                packs.remove(&pack).map_err(failed)?;
            }
            self.note(notes)?;
        }
        Ok(removed)
    }

    fn notes_file(&self) -> PathBuf {
        self.places.private.join("packs")
    }

    fn notes(&self) -> Result<Notes> {
        let bytes = fs::read_if_there(&self.notes_file()).map_err(StoreError::io("read what is packed"))?;
        Ok(Notes::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default())))
    }

    fn note(&self, notes: &Notes) -> Result<()> {
        fs::replace_durably(&self.notes_file(), notes.text().as_bytes()).map_err(StoreError::io("note what is packed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, Draft};
    use crate::git::Repo;
    use crate::store::StoreError;
    use crate::sys::process::Cmd;

    fn git(dir: &std::path::Path, args: &[&str]) -> String {
        Cmd::new("git").cwd(dir).args(args).run().unwrap().text()
    }

    fn set_up() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        let (store, _) = crate::store::init(Repo::discover(dir.path()).unwrap(), None).unwrap();
        // A tree on the way to another is nobody's.
        git(dir.path(), &["prune", "--expire=now"]);
        (dir, store)
    }

    fn say(store: &mut Store, times: usize) {
        for _ in 0..times {
            let draft = Draft::new("test.said", &AgentId::ceo(), serde_json::json!({}));
            store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
        }
    }

    fn counted(dir: &std::path::Path) -> (u64, u64) {
        let text = git(dir, &["count-objects", "-v"]);
        let of = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim().parse().unwrap();
        (of("count:"), of("packs:"))
    }

    fn is_whole(dir: &std::path::Path) {
        assert_eq!(git(dir, &["fsck", "--full", "--no-dangling"]), "");
        git(dir, &["rev-list", "--objects", "vermas/state"]);
    }

    #[test]
    fn objects_of_the_branch_are_packed_and_no_others() {
        let (dir, mut store) = set_up();
        fs::replace(&dir.path().join("mine"), b"mine").unwrap();
        let mine = git(dir.path(), &["hash-object", "-w", "mine"]);
        say(&mut store, 5);
        let packed = store.pack().unwrap();
        assert!(packed.commits >= 6 && packed.objects == packed.loose_removed, "{packed:?}");
        assert_eq!(counted(dir.path()), (1, 1));
        assert_eq!(git(dir.path(), &["cat-file", "-p", &mine]), "mine");
        assert_eq!((store.unpacked().unwrap(), store.pack().unwrap()), (0, Packed::default()));
        say(&mut store, 1);
        is_whole(dir.path());
    }

    #[test]
    fn packs_are_joined_so_that_there_are_few() {
        let (dir, mut store) = set_up();
        for round in 1..=9 {
            say(&mut store, 3);
            store.pack().unwrap();
            assert!(counted(dir.path()).1 <= 4, "round {round}");
            assert_eq!(counted(dir.path()).0, 0);
        }
        is_whole(dir.path());
        // The person's own packing takes them over, and ours goes on from there.
        git(dir.path(), &["repack", "-a", "-d", "-q"]);
        say(&mut store, 3);
        store.pack().unwrap();
        assert_eq!(counted(dir.path()), (0, 2));
        is_whole(dir.path());
    }

    #[test]
    fn a_packing_that_was_stopped_is_finished_by_the_next() {
        let (dir, mut store) = set_up();
        say(&mut store, 3);
        store.pack().unwrap();
        let old = store.notes().unwrap();
        say(&mut store, 3);
        // Stopped before it was noted: the pack is there, and all objects are loose as well.
        let git_program = Git::new(store.repo.common_dir());
        let packs = Packs::of(&git_program);
        let tip = store.tip().unwrap().unwrap();
        let name = packs.make(tip, None, false).unwrap().unwrap();
        is_whole(dir.path());
        // Stopped after it was noted, before anything was removed.
        let pack = Known { pack: name, tip, commits: 7 };
        store.note(&Notes { packs: vec![pack], joined: vec![old.packs[0].pack.clone()] }).unwrap();
        say(&mut store, 1);
        let packed = store.pack().unwrap();
        assert!(packed.loose_removed > packed.objects, "{packed:?}");
        assert_eq!(counted(dir.path()), (0, 2));
        is_whole(dir.path());
    }

    #[test]
    fn a_pack_that_a_common_index_names_stays() {
        let (dir, mut store) = set_up();
        say(&mut store, 3);
        store.pack().unwrap();
        let old = store.notes().unwrap().packs[0].pack.clone();
        say(&mut store, 3);
        // Stopped between noting the new pack and removing the one that it stands for.
        let git_program = Git::new(store.repo.common_dir());
        let packs = Packs::of(&git_program);
        let tip = store.tip().unwrap().unwrap();
        let pack = packs.make(tip, None, false).unwrap().unwrap();
        store.note(&Notes { packs: vec![Known { pack, tip, commits: 7 }], joined: vec![old.clone()] }).unwrap();
        git(dir.path(), &["multi-pack-index", "write"]);
        say(&mut store, 1);
        store.pack().unwrap();
        assert!(packs.has(&old));
        git(dir.path(), &["multi-pack-index", "verify"]);
        is_whole(dir.path());
        fs::remove_file(&packs.folder().join("multi-pack-index")).unwrap();
        say(&mut store, 1);
        store.pack().unwrap();
        assert!(!packs.has(&old));
        is_whole(dir.path());
    }

    #[test]
    fn a_branch_that_was_put_back_is_packed_all_the_same() {
        let (dir, mut store) = set_up();
        say(&mut store, 3);
        store.pack().unwrap();
        git(dir.path(), &["update-ref", "refs/heads/vermas/state", "vermas/state~2"]);
        say(&mut store, 2);
        store.pack().unwrap();
        assert_eq!(store.unpacked().unwrap(), 0);
        is_whole(dir.path());
    }

    #[test]
    fn notes_are_read_back_and_nonsense_is_passed_over() {
        let tip = objects::parse_oid(&"a".repeat(40)).unwrap();
        let known = Known { pack: "0a1b".to_owned(), tip, commits: 12 };
        let notes = Notes { packs: vec![known], joined: vec!["ff".to_owned()] };
        let text = format!("../x {tip} 1\n{}joined ../../y\nmore\n", notes.text());
        assert_eq!(Notes::parse(&text), notes);
    }
}
