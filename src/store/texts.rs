//! Files that people write under `.work/`: templates, settings, routes, and evidence. They travel as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::bounds::{Budget, MOST_TEXTS};
use super::branch;
use super::error::{Result, StoreError};
use super::open::Store;
use super::places::Places;
use super::tx::Tx;
use crate::git::{Entry, EntryKind, Oid, Repo};
use crate::sys::clock::{self, Deadline};
use crate::sys::fs::{self, Stamp};
use crate::wire::check::flaws;

/// The largest file that is taken onto the branch, or from it, in bytes.
const LARGEST: u64 = 4 << 20;
/// How many of these files the branch puts under `.work/` at a time, each synced; the next change of it goes on.
const MOST_AT_ONCE: usize = 2_000;
/// How many bytes of them it puts there altogether.
const MOST_ON_DISK: u64 = 1 << 30;
/// How long a file that was just taken away is waited for: a little longer than until it counts as removed.
const REMOVAL_WAIT: Duration = Duration::from_millis(1200);
/// Where all of them stand.
const PLACE: &str = "beside events/";
/// How deep the folders of evidence may go.
const DEEPEST: usize = 6;

/// Whether a path on the branch is one of these files, under a name that is safe to write below `.work/`.
pub(super) fn is_text_path(path: &str) -> bool {
    let safe = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.len() <= 128
            && !part.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
    };
    let parts: Vec<&str> = path.split('/').collect();
    let known = match parts.as_slice() {
        ["config.toml" | "routes.jsonl"] => true,
        [kept] => kept.starts_with("config-conflict-") || kept.starts_with("routes-conflict-"),
        ["templates", name] => name.ends_with(".toml"),
        ["evidence", rest @ ..] => !rest.is_empty() && rest.len() < DEEPEST,
        _ => false,
    };
    known && parts.iter().all(|p| safe(p))
}

/// These files of a root tree, by path. More than a state has are an error.
pub(super) fn texts_of(repo: &Repo, root: Oid) -> Result<BTreeMap<String, Oid>> {
    let mut all = BTreeMap::new();
    each(repo, root, &mut |path, oid| {
        all.insert(path, oid);
    })?;
    Ok(all)
}

/// Whether a root tree names no more of these files than a state has. Where they are those of an accepted one they are
/// not looked at again: evidence grows with the history.
pub(super) fn check(repo: &Repo, root: Oid, accepted: Option<Oid>) -> Result<()> {
    let folders = |root: Oid| -> Result<Vec<Entry>> {
        let entries = repo.tree(root)?.into_iter();
        Ok(entries.filter(|e| e.kind == EntryKind::Tree && is_looked_into(&e.name, 0)).collect())
    };
    if let Some(accepted) = accepted.and_then(|root| folders(root).ok())
        && accepted == folders(root)?
    {
        return Ok(());
    }
    each(repo, root, &mut |_, _| {})
}

fn each(repo: &Repo, root: Oid, found: &mut dyn FnMut(String, Oid)) -> Result<()> {
    walk_tree(repo, root, "", 0, &mut Budget::new(PLACE, MOST_TEXTS), found)
}

fn walk_tree(
    repo: &Repo,
    tree: Oid,
    prefix: &str,
    depth: usize,
    budget: &mut Budget,
    found: &mut dyn FnMut(String, Oid),
) -> Result<()> {
    // The root is the state's; of the others none keeps anybody from anything else.
    for e in if depth == 0 { repo.tree(tree)? } else { repo.tree_or_empty(tree)? } {
        let path = format!("{prefix}{}", e.name);
        budget.spend_on(&path)?;
        match e.kind {
            EntryKind::File if is_text_path(&path) => found(path, e.oid),
            EntryKind::Tree if is_looked_into(&e.name, depth) => {
                walk_tree(repo, e.oid, &format!("{path}/"), depth + 1, budget, found)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The files of two root trees that are not the same in both. Folders that are the same are not looked into.
pub(super) fn differing(repo: &Repo, ours: Oid, theirs: Oid) -> Result<Differing> {
    let mut all = BTreeMap::new();
    let mut budget = Budget::new(PLACE, MOST_TEXTS);
    compare(repo, (Some(ours), Some(theirs)), "", 0, &mut budget, &mut all)?;
    Ok(all)
}

/// A file that was changed here.
pub(super) struct Changed {
    pub path: String,
    /// `None` where a person took it away.
    pub content: Option<Vec<u8>>,
    /// What the file was when it was read; `None` with the content.
    pub stamp: Option<String>,
}

/// By path what either side has there.
type Differing = BTreeMap<String, (Option<Oid>, Option<Oid>)>;

fn compare(
    repo: &Repo,
    trees: (Option<Oid>, Option<Oid>),
    prefix: &str,
    depth: usize,
    budget: &mut Budget,
    all: &mut Differing,
) -> Result<()> {
    let mut names: BTreeMap<String, [Option<(EntryKind, Oid)>; 2]> = BTreeMap::new();
    for (side, tree) in [trees.0, trees.1].into_iter().enumerate() {
        for e in tree.map(|t| repo.tree(t)).transpose()?.unwrap_or_default() {
            budget.spend_on(&e.name)?;
            names.entry(e.name).or_default()[side] = Some((e.kind, e.oid));
        }
    }
    for (name, [ours, theirs]) in names.into_iter().filter(|(_, [ours, theirs])| ours != theirs) {
        let path = format!("{prefix}{name}");
        let of = |entry: Option<(EntryKind, Oid)>, kind| entry.filter(|(k, _)| *k == kind).map(|(_, oid)| oid);
        let files = (of(ours, EntryKind::File), of(theirs, EntryKind::File));
        let folders = (of(ours, EntryKind::Tree), of(theirs, EntryKind::Tree));
        if files != (None, None) && is_text_path(&path) {
            budget.spend_on(&path)?;
            all.insert(path.clone(), files);
        }
        if folders != (None, None) && is_looked_into(&name, depth) {
            compare(repo, folders, &format!("{path}/"), depth + 1, budget, all)?;
        }
    }
    Ok(())
}

/// Whether a folder may hold files of these.
fn is_looked_into(name: &str, depth: usize) -> bool {
    depth < DEEPEST && (depth > 0 || ["templates", "evidence"].contains(&name))
}

/// One of these files of a root tree.
pub(super) fn text_at(repo: &Repo, root: Oid, path: &str) -> Result<Option<Oid>> {
    let (mut tree, mut rest) = (root, path);
    while let Some((folder, below)) = rest.split_once('/') {
        let Some(entry) = branch::child(repo, tree, folder, EntryKind::Tree)? else { return Ok(None) };
        (tree, rest) = (entry.oid, below);
    }
    let below = if tree == root { repo.tree(tree)? } else { repo.tree_or_empty(tree)? };
    Ok(below.into_iter().find(|e| e.name == rest && e.kind == EntryKind::File).map(|e| e.oid))
}

impl Store {
    /// The files under `.work/` that differ from what the branch was last seen to have. Evidence is looked through only when
    /// `deep`.
    fn changed_texts_in(&self, deep: bool) -> Result<Vec<Changed>> {
        let Some(cache) = &self.cache else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in fs::list(&self.places.work).map_err(StoreError::io("look into .work"))? {
            found.push(name);
        }
        for folder in ["templates", "evidence"].into_iter().filter(|f| deep || *f == "templates") {
            let path = self.places.work.join(folder);
            if fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
                walk(&path, folder, 0, &mut found)?;
            }
        }
        let mut changed = Vec::new();
        let mut seen = BTreeSet::new();
        for path in found.into_iter().filter(|p| is_text_path(p)) {
            let Some(stamp) = Stamp::of(&self.places.work.join(&path)).filter(|s| s.size <= LARGEST) else { continue };
            let shown = serde_json::to_string(&stamp).unwrap_or_default();
            let mut q = cache.db.prepare_cached("SELECT stamp FROM texts WHERE path=?")?;
            let known: Option<String> = q.query_row([&path], |r| r.get(0)).optional()?;
            if known.as_deref() != Some(&shown) {
                let what = format!("read .work/{path}");
                let content = fs::read(&self.places.work.join(&path)).map_err(StoreError::io(what))?;
                changed.push(Changed { path: path.clone(), content: Some(content), stamp: Some(shown) });
            }
            seen.insert(path);
        }
        let mut q = cache.db.prepare_cached("SELECT path FROM texts WHERE path NOT LIKE 'evidence/%'")?;
        let known: Vec<String> = q.query_map([], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?;
        let gone: Vec<String> = known.into_iter().filter(|p| !seen.contains(p)).collect();
        let now = clock::now_millis();
        if !gone.is_empty() && !cache.was_swept(now)? && self.places.are_settled(now) {
            changed.extend(gone.into_iter().map(|path| Changed { path, content: None, stamp: None }));
        }
        Ok(changed)
    }

    /// Whoever shares the state right after taking a file away means it: waited for until that counts, and no longer.
    pub(super) fn await_removals(&self) -> Result<()> {
        let deadline = Deadline::after(REMOVAL_WAIT);
        while !deadline.passed() && !self.places.are_settled(clock::now_millis()) {
            let Some(cache) = &self.cache else { return Ok(()) };
            let mut q = cache.db.prepare_cached("SELECT path FROM texts WHERE path NOT LIKE 'evidence/%'")?;
            let known: Vec<String> = q.query_map([], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?;
            if known.iter().all(|path| fs::exists(&self.places.work.join(path)))
                || cache.was_swept(clock::now_millis())?
            {
                return Ok(());
            }
            clock::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// [`Self::changed_texts_in`] against what the branch has now: only real differences.
    pub(super) fn changed_texts(&mut self, tip: Option<Oid>) -> Result<Vec<Changed>> {
        let deep = std::mem::take(&mut self.look_for_evidence);
        let candidates = self.changed_texts_in(deep)?;
        if candidates.is_empty() {
            return Ok(candidates);
        }
        let root = tip.map(|t| self.repo.commit(t)).transpose()?.map(|c| c.tree);
        let mut changed = Vec::new();
        for text in candidates {
            let Changed { path, content, .. } = &text;
            if let Some(flaw) = content.as_deref().and_then(|bytes| flaws(path, bytes, None).into_iter().next()) {
                // On the branch it would be refused by every remote that looks, and nothing could be shared any more.
                let line = flaw.line.map(|n| format!("{n}:")).unwrap_or_default();
                self.warnings.push(format!(".work/{path}:{line} {}; not shared until it is mended", flaw.reason));
                continue;
            }
            // What cannot be read there gives way to what is here, folders too.
            let old = root.map(|r| text_at(&self.repo, r, path)).transpose()?.flatten();
            let old = old.and_then(|oid| self.repo.blob(oid).ok());
            if old != *content {
                changed.push(text);
            }
        }
        Ok(changed)
    }

    /// Writes a file of evidence below `.work/evidence/{work order}/`; the next publishing commits it.
    pub fn add_evidence(&mut self, order: &str, name: &str, bytes: &[u8]) -> Result<String> {
        let path = format!("evidence/{order}/{name}");
        if !is_text_path(&path) || passes_link(&self.places, &path) {
            let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
            return Err(StoreError::Io { what: format!("write .work/{path}"), source });
        }
        let file = self.places.work.join(&path);
        let folder = file.parent().unwrap_or(&self.places.work).to_owned();
        fs::create_dir_all(&folder).map_err(StoreError::io("make the folder of evidence"))?;
        fs::replace_synced(&file, bytes).map_err(StoreError::io(format!("write .work/{path}")))?;
        self.look_for_evidence = true;
        Ok(path)
    }
}

/// Whether something on the way to a file below `.work/` is a link.
fn passes_link(places: &Places, path: &str) -> bool {
    let mut at = places.work.clone();
    path.split('/').any(|part| {
        at.push(part);
        fs::metadata(&at).is_ok_and(|m| m.is_symlink())
    })
}

fn walk(dir: &std::path::Path, prefix: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
    if depth > DEEPEST {
        return Ok(());
    }
    for name in fs::list(dir).map_err(StoreError::io("look into .work"))? {
        let path = dir.join(&name);
        let below = format!("{prefix}/{name}");
        match fs::metadata(&path) {
            Ok(m) if m.is_dir() => walk(&path, &below, depth + 1, found)?,
            Ok(m) if m.is_file() => found.push(below),
            _ => {}
        }
    }
    Ok(())
}

impl Tx<'_> {
    /// Remembers that the file which had this stamp is what the branch has, or that neither has one.
    pub(super) fn note_text(&self, path: &str, stamp: Option<&str>) -> Result<()> {
        match stamp {
            Some(stamp) => {
                let mut q = self.cache.db.prepare_cached("INSERT OR REPLACE INTO texts(path, stamp) VALUES(?,?)")?;
                q.execute(params![path, stamp])?;
            }
            None => {
                self.cache.db.prepare_cached("DELETE FROM texts WHERE path=?")?.execute([path])?;
            }
        }
        Ok(())
    }

    /// Brings the files on disk up to the branch's: where they are missing, or where nobody changed them since they were
    /// last the same. One that was changed on both sides stays as it is on disk.
    pub(super) fn take_in_texts(&mut self) -> Result<()> {
        self.tip.map_or(Ok(()), |tip| self.take_in_texts_of(tip))
    }

    /// Takes away what somebody took off the branch since it was `seen`, and nobody has changed here. Only where the branch went
    /// on from there: one that was put back to an earlier state lacks what came later.
    pub(super) fn take_out_texts(&mut self, seen: &str) -> Result<()> {
        let seen = crate::git::objects::parse_oid(seen);
        let Some((tip, seen)) =
            self.tip.zip(seen).filter(|(tip, seen)| self.repo.merge_base(*tip, *seen) == Some(*seen))
        else {
            return Ok(());
        };
        let (old, new) = (self.repo.commit(seen)?.tree, self.repo.commit(tip)?.tree);
        let gone = differing(self.repo, old, new)?.into_iter().filter(|(_, (old, new))| old.is_some() && new.is_none());
        for (path, (was, _)) in gone.filter(|(path, _)| !path.starts_with("evidence/")) {
            let file = self.places.work.join(&path);
            let was = was.and_then(|oid| self.repo.blob(oid).ok());
            if was.is_some() && fs::read(&file).ok() == was && !passes_link(self.places, &path) {
                fs::remove_file(&file).map_err(StoreError::io(format!("take away .work/{path}")))?;
                self.note_text(&path, None)?;
            }
        }
        Ok(())
    }

    /// The same from another commit, where the branch is gone too and will be put back from that one.
    pub(super) fn take_in_texts_of(&mut self, tip: Oid) -> Result<()> {
        let (mut new, mut on_disk, mut left) = (0, 0, 0);
        for (path, oid) in texts_of(self.repo, self.repo.commit(tip)?.tree)? {
            let stamp = Stamp::of(&self.places.work.join(&path));
            if let Some(stamp) = stamp {
                on_disk += stamp.size;
                let mut q = self.cache.db.prepare_cached("SELECT stamp FROM texts WHERE path=?")?;
                let known: Option<String> = q.query_row([&path], |r| r.get(0)).optional()?;
                if known != Some(serde_json::to_string(&stamp).unwrap_or_default()) {
                    continue;
                }
            }
            // One that cannot be read is left on the branch: it keeps nobody from anything else.
            let Ok(size) = self.repo.check_blob(oid) else { continue };
            let grows = size.saturating_sub(stamp.map_or(0, |s| s.size));
            if size > LARGEST || on_disk + grows > MOST_ON_DISK || (stamp.is_none() && new == MOST_AT_ONCE) {
                left += 1;
                continue;
            }
            let Ok(bytes) = self.repo.blob(oid) else { continue };
            self.write_text(&path, &bytes)?;
            on_disk += grows;
            new += usize::from(stamp.is_none());
        }
        if left > 0 {
            let what = "are not put below .work, for their size or number";
            self.notices.push(format!("texts of the branch {what}: {left}"));
        }
        Ok(())
    }

    /// Writes one of these files and remembers it as the branch's.
    pub(super) fn write_text(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.places.work.join(path);
        let folder = file.parent().unwrap_or(&self.places.work).to_owned();
        // What a person put in the way keeps nobody from anything else, and is not written through or over.
        if passes_link(self.places, path) || fs::metadata(&file).is_ok_and(|m| !m.is_file()) {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(StoreError::io(format!("write .work/{path}")))?;
        let there = Stamp::of(&file);
        let stamp = if fs::read_if_there(&file).ok().flatten().as_deref() == Some(bytes) {
            there
        } else {
            fs::replace_stamped(&file, bytes, true).map_err(StoreError::io(format!("write .work/{path}")))?
        };
        // One that somebody has changed since it stands there is theirs, and is looked at again.
        let stamp = stamp.map(|s| serde_json::to_string(&s).unwrap_or_default());
        self.note_text(path, Some(stamp.as_deref().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::is_text_path;
    use crate::sys::fs;

    #[test]
    fn a_text_that_is_saved_again_while_it_is_published_is_published_next() {
        let (_dir, mut store) = crate::store::fresh();
        let path = store.places.work.join("templates/feature.toml");
        let text = fs::read_to_string(&path).unwrap();
        let save = |version: &str| fs::replace(&path, format!("{text}# {version}\n").as_bytes()).unwrap();
        save("one");
        let tip = store.tip().unwrap();
        let load = store.load(false, tip).unwrap();
        save("two");
        store.settle(&load, None).unwrap();
        let tip = store.checkpoint().unwrap().unwrap();
        let root = store.repo.commit(tip).unwrap().tree;
        let there = super::text_at(&store.repo, root, "templates/feature.toml").unwrap().unwrap();
        assert!(String::from_utf8(store.repo.blob(there).unwrap()).unwrap().ends_with("# two\n"));
    }

    #[test]
    fn only_known_names_below_work_are_ever_written() {
        for good in ["config.toml", "templates/feature.toml", "evidence/wo-1/qa/output.txt"] {
            assert!(is_text_path(good), "{good}");
        }
        for bad in
            ["events.jsonl", "templates/../x.toml", "templates/.git.toml", "evidence", "a/b", "templates/x/y.toml"]
        {
            assert!(!is_text_path(bad), "{bad}");
        }
    }
}
