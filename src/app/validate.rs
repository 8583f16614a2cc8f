//! What git's hooks ask: may this commit, push or update change the state branch?
//!
//! Two rules for any change of the branch: what it holds can be read, and no event that was there is gone. A commit on
//! another branch may not carry `.work/`, which is live state and no content of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::fault::Fault;
use super::unsaid;
use crate::domain::text::is_steering;
use crate::git::{EntryKind, Oid, Repo, RepoError};
use crate::store::{Places, StateTree, StoreError, check_sizes, state_tree};
use crate::wire::check::{self, Flaw, Part};
use crate::wire::line;

/// How many faults are named; the rest are counted.
const MOST_NAMED: usize = 20;
/// The state branch of a shared remote, which has no settings of ours.
const SHARED: &str = "refs/heads/vermas/state";

/// Everything that is wrong: the path, and what shows there.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<(String, Flaw)>);

impl Faults {
    fn add(&mut self, path: &str, flaw: &Flaw) {
        let clean = path.chars().map(|c| if is_steering(c) { '?' } else { c }).collect();
        self.0.push((clean, flaw.clone()));
    }

    fn refuse(self, what: &str, hints: &[&str]) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut message = what.to_owned();
        for (path, flaw) in self.0.iter().take(MOST_NAMED) {
            let line = flaw.line.map(|n| format!("{n}:")).unwrap_or_default();
            message.push_str(&format!("\n  {path}:{line} {}", flaw.reason));
        }
        if self.0.len() > MOST_NAMED {
            message.push_str(&format!("\n  and {} more", self.0.len() - MOST_NAMED));
        }
        Err(hints.iter().fold(Fault::failed(message), |f, h| f.hint(*h)))
    }
}

/// The pre-commit hook: what is staged for the state branch is valid and drops no event; what is staged for another
/// branch holds nothing of `.work/`.
pub fn pre_commit(repo: &Repo) -> Result<(), Fault> {
    let places = Places::of(repo);
    if repo.head_branch().as_deref() != Some(&places.state_ref) {
        return outside(repo, &places);
    }
    let mut faults = Faults::default();
    let mut change = Change::default();
    let staged = repo.staged()?;
    for s in &staged {
        let part = check::part_of(&s.path);
        if let Some(oid) = s.old.filter(|_| part == Part::Segment) {
            change.old.insert(s.path.clone(), oid);
        }
        let Some(new) = s.new else { continue };
        if s.kind != EntryKind::File && part != Part::Other {
            faults.add(&s.path, &Flaw::whole("this must be a plain file, no link and not executable"));
            continue;
        }
        let old = s.old.map(|oid| repo.blob(oid)).transpose()?.unwrap_or_default();
        for flaw in check::flaws(&s.path, &repo.blob(new)?, Some(&old)) {
            faults.add(&s.path, &flaw);
        }
        if part == Part::Segment {
            change.new.insert(s.path.clone(), new);
        }
    }
    change.dropped(repo, &mut faults)?;
    if faults.0.is_empty() {
        unsaid::flaws(repo, &staged)?.iter().for_each(|(path, flaw)| faults.add(path, flaw));
    }
    faults.refuse(
        &format!("the commit on {} is refused", places.branch()),
        &[
            "events are only ever added; to change something, use the commands of git vermas, or the files in .work",
            "git restore --staged FILE takes a file out of the commit",
        ],
    )
}

/// A commit on a branch of the project.
fn outside(repo: &Repo, places: &Places) -> Result<(), Fault> {
    let Some(here) = repo.here() else { return Ok(()) };
    let Some(top) = repo.main_worktree() else { return Ok(()) };
    let Ok(work) = places.work.strip_prefix(top) else { return Ok(()) };
    let plain = work.components().all(|c| matches!(c, Component::Normal(_)));
    if !plain || work.as_os_str().is_empty() {
        return Ok(());
    }
    let found = repo.staged_below(&here.join(work), MOST_NAMED + 1)?;
    let mut faults = Faults::default();
    for path in &found {
        faults.add(path, &Flaw::whole("live state, which does not belong to the project's own content"));
    }
    let name = Path::new(work).display();
    faults.refuse(
        &format!("the commit would carry {name}/"),
        &[
            &format!("take {name} out of the commit with git rm --cached"),
            "it stays on the disk, and the state branch has it already",
        ],
    )
}

/// One line of what git tells the pre-push hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub local_ref: String,
    pub local: Option<Oid>,
    pub remote_ref: String,
    pub remote: Option<Oid>,
}

/// Reads `<local ref> <local oid> <remote ref> <remote oid>` lines; others are passed over.
pub fn pushed(text: &str) -> Vec<Pushed> {
    let line = |l: &str| {
        let words: Vec<&str> = l.split(' ').collect();
        let &[local_ref, local, remote_ref, remote] = words.as_slice() else { return None };
        let oid = |hex: &str| crate::git::objects::parse_oid(hex).filter(|o| !o.is_null());
        Some(Pushed {
            local_ref: local_ref.to_owned(),
            local: oid(local),
            remote_ref: remote_ref.to_owned(),
            remote: oid(remote),
        })
    };
    text.lines().filter_map(line).collect()
}

/// The pre-push hook: a state that goes to a remote is sound and keeps all that the remote has.
pub fn pre_push(repo: &Repo, input: &str) -> Result<(), Fault> {
    let state = Places::of(repo).state_ref;
    for p in pushed(input).into_iter().filter(|p| p.remote_ref == state || p.local_ref == state) {
        let Some(new) = p.local else {
            return Err(Fault::failed(format!(
                "the push would delete {} on the remote, and the events with it",
                state
            ))
            .hint("whoever means it passes over hooks with git's own option --no-verify"));
        };
        if p.remote.is_some_and(|old| !repo.has_object(old)) {
            return Err(Fault::failed("the remote's state holds events that are not here yet").hint("git vermas sync"));
        }
        state_faults(repo, new, p.remote)?.refuse(
            &format!("the push of {} is refused", p.local_ref),
            &["see what is wrong: git vermas fsck", "git vermas sync joins both sides and pushes"],
        )?;
    }
    Ok(())
}

/// The update hook of a shared remote.
pub fn update(repo: &Repo, name: &str, old: &str, new: &str) -> Result<(), Fault> {
    if name != SHARED && name != Places::of(repo).state_ref {
        return Ok(());
    }
    let oid = |hex: &str| crate::git::objects::parse_oid(hex).filter(|o| !o.is_null());
    let Some(new) = oid(new) else {
        return Err(Fault::not_permitted(format!("{name} holds the state that everybody shares and is not deleted"))
            .hint("take the hook `update` out of this repository first"));
    };
    state_faults(repo, new, oid(old))?
        .refuse(&format!("the update of {name} is refused"), &["git vermas sync joins both sides and pushes"])
}

/// What is wrong with the state of a commit that is to follow `old`. Files that `old` has too are not looked at again.
pub fn state_faults(repo: &Repo, new: Oid, old: Option<Oid>) -> Result<Faults, Fault> {
    let mut faults = Faults::default();
    let tree = match state_tree(repo, new) {
        Ok(tree) => tree,
        Err(e) => {
            faults.add(&new.to_string(), &Flaw::whole(e.to_string()));
            return Ok(faults);
        }
    };
    // An old tip that cannot be read holds nothing that could be lost.
    let before = old.and_then(|o| state_tree(repo, o).ok()).unwrap_or_default();
    for path in &tree.odd {
        if check::part_of(path) != Part::Other {
            faults.add(path, &Flaw::whole("this must be a plain file, no link and not executable"));
        }
    }
    // What is no segment of ours is somebody else's, and is carried.
    let concerns = |path: &str| !matches!(check::part_of(path), Part::Other | Part::NoSegment);
    let new_files = || tree.files.iter().filter(|(p, oid)| concerns(p) && before.files.get(*p) != Some(oid));
    let segments = new_files().filter(|(p, _)| check::part_of(p) == Part::Segment).map(|(p, oid)| (p, *oid));
    if let Err(e @ StoreError::TooMuch { .. }) = check_sizes(repo, "", segments) {
        faults.add(&new.to_string(), &Flaw::whole(e.to_string()));
        return Ok(faults);
    }
    for (path, oid) in new_files() {
        match repo.blob(*oid) {
            Ok(bytes) => check::flaws(path, &bytes, None).iter().for_each(|f| faults.add(path, f)),
            Err(e) => faults.add(path, &Flaw::whole(e.to_string())),
        }
    }
    Change::between(&before, &tree).dropped(repo, &mut faults)?;
    Ok(faults)
}

/// Segments that differ between two states.
#[derive(Debug, Default)]
struct Change {
    old: BTreeMap<String, Oid>,
    new: BTreeMap<String, Oid>,
    same: Vec<Oid>,
}

impl Change {
    fn between(old: &StateTree, new: &StateTree) -> Self {
        let segments = |tree: &StateTree, other: &StateTree, same: bool| {
            let differs = |(path, oid): &(&String, &Oid)| {
                check::part_of(path) == Part::Segment && (other.files.get(*path) == Some(*oid)) == same
            };
            tree.files.iter().filter(differs).map(|(p, o)| (p.clone(), *o)).collect::<BTreeMap<_, _>>()
        };
        Self {
            old: segments(old, new, false),
            new: segments(new, old, false),
            same: segments(new, old, true).into_values().collect(),
        }
    }

    /// Reports events of the old segments that no new one has. One that moved to another segment is kept.
    fn dropped(&self, repo: &Repo, faults: &mut Faults) -> Result<(), RepoError> {
        let mut missing: BTreeMap<Vec<u8>, (&str, usize)> = BTreeMap::new();
        for (path, oid) in &self.old {
            for (n, raw) in lines(&repo.blob(*oid)?) {
                missing.entry(raw.to_vec()).or_insert((path.as_str(), n));
            }
        }
        let mut ids = BTreeSet::new();
        for oid in self.new.values().chain(&self.same) {
            if missing.is_empty() {
                return Ok(());
            }
            // One that cannot be read was reported as such.
            let bytes = repo.blob(*oid).unwrap_or_default();
            for (_, raw) in lines(&bytes) {
                if missing.remove(raw).is_none() {
                    ids.extend(line::event(raw).ok().map(|e| e.id));
                }
            }
        }
        let mut gone: Vec<(&str, usize, String)> = Vec::new();
        for (raw, (path, n)) in missing {
            let reason = match line::event(&raw) {
                Ok(e) if ids.contains(&e.id) => format!("the event {} was changed", cleaned(&e.id)),
                Ok(e) => format!("the event {} was dropped", cleaned(&e.id)),
                // What was no event is nothing that can be lost.
                Err(_) => continue,
            };
            gone.push((path, n, reason));
        }
        gone.sort();
        for (path, n, reason) in gone {
            faults.add(path, &Flaw::at(n, reason));
        }
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty()).map(|(n, l)| (n + 1, l))
}

fn cleaned(id: &str) -> String {
    id.chars().filter(|c| !is_steering(*c)).take(64).collect()
}
