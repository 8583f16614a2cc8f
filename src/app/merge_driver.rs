//! What `git merge` of the state branch asks for each projection: never a conflict, and where it can be, the very bytes
//! that a sync would write.

use std::path::Path;

use super::fault::Fault;
use super::session;
use crate::domain::event::Event;
use crate::git::{Oid, Repo, objects};
use crate::store::{StateTree, state_tree};
use crate::sys::{env, fs};
use crate::wire::check::{self, Part};
use crate::wire::{line, merge, projection};

/// git names each commit that is being merged by a variable of this prefix.
const HEAD_VARIABLE: &str = "GITHEAD_";

/// Joins two versions of the projection at `path` and writes the result over `ours`.
pub fn run(ours: &Path, theirs: &Path, path: &str) -> Result<(), Fault> {
    let folded = session::repository().ok().and_then(|repo| fold(&repo, path));
    let joined = |part: Part| -> Result<Vec<u8>, Fault> {
        let (ours, theirs) = (fs::read(ours)?, fs::read(theirs)?);
        Ok(match part {
            // Without events nothing tells which came later: the same one wherever the two meet.
            Part::Assignment => ours.min(theirs),
            part => merge::records(part == Part::Messages, &ours, &theirs),
        })
    };
    let bytes = folded.map_or_else(|| joined(check::part_of(path)), Ok)?;
    Ok(fs::replace(ours, &bytes)?)
}

/// The projection of the events of `HEAD` and of all commits that are merged into it; `None` where this is no merge of
/// states, or some of it cannot be read.
fn fold(repo: &Repo, path: &str) -> Option<Vec<u8>> {
    let mut heads: Vec<Oid> =
        env::names().iter().filter_map(|n| n.strip_prefix(HEAD_VARIABLE)).filter_map(objects::parse_oid).collect();
    if heads.is_empty() {
        return None;
    }
    heads.push(repo.commit_named("HEAD")?);
    fold_of(repo, &heads, path)
}

/// The projection at `path` of the events of these commits together; `None` where some of it cannot be read.
pub fn fold_of(repo: &Repo, heads: &[Oid], path: &str) -> Option<Vec<u8>> {
    let mut events = Vec::new();
    for commit in heads {
        events.extend(events_of(repo, *commit)?);
    }
    let all = projection::of(&events);
    match check::part_of(path) {
        Part::Orders => Some(all.orders_bytes()),
        Part::Messages => Some(all.messages_bytes()),
        // Whoever has none has an empty file; the next command takes it away.
        Part::Assignment => Some(all.assignment_files().remove(path).unwrap_or_default().into_bytes()),
        _ => None,
    }
}

/// All events of a state's commit; `None` where it holds no segment, or one that is not sound.
fn events_of(repo: &Repo, commit: Oid) -> Option<Vec<Event>> {
    let tree = state_tree(repo, commit).ok()?;
    events_in(repo, &tree).filter(|_| segments(&tree).next().is_some())
}

fn segments(tree: &StateTree) -> impl Iterator<Item = Oid> {
    tree.files.iter().filter(|(p, _)| check::part_of(p) == Part::Segment).map(|(_, oid)| *oid)
}

/// All events of a state; `None` where it holds a segment that is not sound.
pub fn events_in(repo: &Repo, tree: &StateTree) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    for oid in segments(tree) {
        let bytes = repo.blob(oid).ok()?;
        for (_, raw) in line::complete(&bytes).filter(|(_, l)| !l.trim_ascii().is_empty()) {
            events.push(line::event(raw).ok()?);
        }
    }
    Some(events)
}
