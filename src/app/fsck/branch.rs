//! The state branch at one commit.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Report, Severity, Sums};
use crate::app::validate;
use crate::domain::event::Event;
use crate::domain::text::counted;
use crate::git::{Oid, Repo};
use crate::store::{StateTree, StoreError, check_sizes, is_root, state_tree};
use crate::wire::check::{self, Part};
use crate::wire::{line, projection, segment};

/// Checks a commit with all that it names; gives its events.
pub fn check(repo: &Repo, commit: Oid, report: &mut Report) -> Vec<Event> {
    let bounded = |tree: StateTree| {
        let segments = tree.files.iter().filter(|(p, _)| check::part_of(p) == Part::Segment).map(|(p, oid)| (p, *oid));
        match check_sizes(repo, "", segments) {
            Err(e @ StoreError::TooMuch { .. }) => Err(e),
            _ => Ok(tree),
        }
    };
    let tree = match state_tree(repo, commit).and_then(bounded) {
        Ok(tree) => tree,
        Err(e) => {
            let mend = Some("any command puts the newest readable state back: git vermas rebuild");
            report.add(Severity::Error, commit.to_string(), e.to_string(), mend);
            return Vec::new();
        }
    };
    let faults = validate::state_faults(repo, commit, None).map(|f| f.0).unwrap_or_default();
    for (path, flaw) in faults {
        let place = flaw.line.map_or(path.clone(), |n| format!("{path}:{n}"));
        // A broken segment holds events that cannot be read; what is derived or written by people breaks no promise.
        let (severity, mend) = match check::part_of(&path) {
            Part::Segment => (Severity::Error, "what the log has of it goes to the branch again: git vermas rebuild"),
            Part::Orders | Part::Messages | Part::Assignment => (Severity::Warning, "git vermas sync writes it anew"),
            _ => (Severity::Warning, "mend the file in .work and run any command"),
        };
        report.add(severity, place, flaw.reason, Some(mend));
    }
    for path in tree.files.keys().filter(|p| check::part_of(p) == Part::NoSegment) {
        report.add(Severity::Info, path.clone(), "no segment of ours; it is carried and not read", None);
    }
    root(repo, commit, report);
    let events = segments(repo, &tree, report);
    projections(repo, commit, &tree, &events, report);
    events
}

/// Follows the first parents to the beginning.
fn root(repo: &Repo, tip: Oid, report: &mut Report) {
    let mut next = Some(tip);
    while let Some(oid) = next {
        let commit = match repo.commit(oid) {
            Ok(commit) => commit,
            Err(_) if repo.is_shallow() => {
                return report.add(Severity::Info, oid.to_string(), "the history ends here: a shallow clone", None);
            }
            Err(e) => {
                return report.add(
                    Severity::Error,
                    oid.to_string(),
                    e.to_string(),
                    Some("what can be read whole is built on, with all that the log has: git vermas rebuild"),
                );
            }
        };
        next = commit.parents.first().copied();
        if next.is_none() && !is_root(repo, &commit) {
            let what = "the history does not begin with the commit that all states share; a merge finds no common base";
            report.add(Severity::Info, oid.to_string(), what, None);
        }
    }
}

/// Reads all events; each belongs into one place.
fn segments(repo: &Repo, tree: &StateTree, report: &mut Report) -> Vec<Event> {
    let (sums, mut first) = (Sums::default(), HashMap::<_, String>::new());
    let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut events = Vec::new();
    // The first event that stands twice, with the place where it stood before, and how many there are.
    let (mut twice, mut doubled): (Option<(String, String)>, usize) = (None, 0);
    for (path, oid) in tree.files.iter().filter(|(p, _)| check::part_of(p) == Part::Segment) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        numbers.entry(folder.to_owned()).or_default().extend(segment::number(name));
        // One that cannot be read is reported already.
        let bytes = repo.blob(*oid).unwrap_or_default();
        for (n, raw) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
            let Ok(e) = line::event(raw) else { continue };
            let place = format!("{path}:{}", n + 1);
            match first.entry(sums.of(&e)) {
                Entry::Occupied(o) => {
                    doubled += 1;
                    twice.get_or_insert_with(|| (place, o.get().clone()));
                }
                Entry::Vacant(v) => {
                    v.insert(place);
                    events.push(e);
                }
            }
        }
    }
    if let Some((place, before)) = twice {
        // A sync that was killed can bring thousands: one line says it.
        let others = match doubled - 1 {
            0 => String::new(),
            n => format!(", and so does each of {} that stand twice", counted(n, "more event")),
        };
        report.add(Severity::Warning, place, format!("the same event as {before}; it counts once{others}"), None);
    }
    for (folder, list) in numbers {
        let last = list.iter().copied().max().unwrap_or(0);
        for n in (1..last).filter(|n| !list.contains(n)) {
            let place = format!("{folder}/{}", segment::name(n));
            report.add(Severity::Warning, place, "a segment is missing between others", Some("git vermas sync"));
        }
    }
    events
}

/// The projections on the branch are those of the commit that last wrote them.
fn projections(repo: &Repo, tip: Oid, tree: &StateTree, events: &[Event], report: &mut Report) {
    let now = projection::of(events);
    let said = now.assignment_files();
    let is_assignment = |path: &&String| check::part_of(path) == Part::Assignment;
    for path in tree.files.keys().filter(is_assignment).chain(said.keys()).collect::<BTreeSet<_>>() {
        let there = tree.files.get(path).and_then(|oid| repo.blob(*oid).ok()).unwrap_or_default();
        if there != said.get(path).map(String::as_bytes).unwrap_or_default() {
            report.add(
                Severity::Warning,
                path.clone(),
                "not what the events say",
                Some("git vermas sync writes it anew"),
            );
        }
    }
    for (name, bytes) in [("work_orders.jsonl", now.orders_bytes()), ("messages.jsonl", now.messages_bytes())] {
        let Some(oid) = tree.files.get(name).copied() else {
            let mend = "git vermas sync writes it";
            report.add(Severity::Info, name, "the branch has none yet", Some(mend));
            continue;
        };
        if repo.blob(oid).is_ok_and(|b| b == bytes) {
            continue;
        }
        let (writer, behind) = last_writer(repo, tip, name, oid);
        let then = state_tree(repo, writer).map(|t| segments(repo, &t, &mut Report::default())).unwrap_or_default();
        let then = projection::of(&then);
        let bytes = if name == "messages.jsonl" { then.messages_bytes() } else { then.orders_bytes() };
        if repo.blob(oid).is_ok_and(|b| b == bytes) {
            let what = format!("as of {} ago; brought up to date from time to time", counted(behind, "commit"));
            report.add(Severity::Info, name, what, Some("git vermas sync writes it anew"));
        } else {
            let what = format!("not what the events say, since {writer}");
            report.add(Severity::Warning, name, what, Some("git vermas sync writes it anew"));
        }
    }
}

/// The commit that gave a file its present content, and how many first parents ago that was.
fn last_writer(repo: &Repo, tip: Oid, name: &str, oid: Oid) -> (Oid, usize) {
    let has = |commit: Oid| {
        let entries = repo.commit(commit).and_then(|c| repo.tree(c.tree)).unwrap_or_default();
        entries.iter().any(|e| e.name == name && e.oid == oid)
    };
    let (mut writer, mut behind) = (tip, 0);
    while let Some(parent) = repo.commit(writer).ok().and_then(|c| c.parents.first().copied()).filter(|p| has(*p)) {
        (writer, behind) = (parent, behind + 1);
    }
    (writer, behind)
}
