//! What a commit by hand changes in what is written from the events, and no event says: it would be there to be read, and
//! have no effect.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::merge_driver::events_in;
use crate::domain::record::whole_number;
use crate::git::{Oid, Repo, Staged};
use crate::store::state_tree;
use crate::wire::check::{self, Flaw, Part};
use crate::wire::projection::{self, Projection};
use crate::wire::{json, line};

/// The flaws of what is staged, with their paths. What ends a merge or the like is not only the committer's doing, and is
/// let pass.
pub fn flaws(repo: &Repo, staged: &[Staged]) -> Result<Vec<(String, Flaw)>, Fault> {
    let is_written = |s: &&Staged| matches!(check::part_of(&s.path), Part::Orders | Part::Messages | Part::Assignment);
    let mut found = Vec::new();
    if repo.is_in_operation() || !staged.iter().any(|s| is_written(&s)) {
        return Ok(found);
    }
    let Some(said) = said(repo, staged) else { return Ok(found) };
    let text = |oid: Option<Oid>| Ok::<_, Fault>(oid.map(|o| repo.blob(o)).transpose()?.unwrap_or_default());
    for s in staged.iter().filter(is_written) {
        let (old, new) = (text(s.old)?, text(s.new)?);
        let flaws = match check::part_of(&s.path) {
            Part::Orders => of_list(&said.orders_bytes(), &old, &new),
            Part::Messages => of_list(&said.messages_bytes(), &old, &new),
            _ => of_assignment(said.assignment_files().get(&s.path), &new),
        };
        found.extend(flaws.into_iter().map(|f| (s.path.clone(), f)));
    }
    Ok(found)
}

/// What the events of the next commit add up to; `None` where they cannot be read.
fn said(repo: &Repo, staged: &[Staged]) -> Option<Projection> {
    let mut tree = repo.commit_named("HEAD").map_or_else(|| Some(Default::default()), |c| state_tree(repo, c).ok())?;
    for s in staged {
        match s.new {
            Some(new) => tree.files.insert(s.path.clone(), new),
            None => tree.files.remove(&s.path),
        };
    }
    Some(projection::of(&events_in(repo, &tree)?))
}

fn of_list(said: &[u8], old: &[u8], new: &[u8]) -> Vec<Flaw> {
    let (said, old, now) = (by_id(said), by_id(old), by_id(new));
    let mut found = Vec::new();
    for (id, (number, record)) in &now {
        let stands =
            |list: &BTreeMap<String, (usize, Map<String, Value>)>| list.get(id).is_some_and(|(_, r)| r == record);
        if !stands(&said) && !stands(&old) {
            found.push(Flaw::at(*number, format!("no event says this of {id}, so that it would have no effect")));
        }
    }
    found.sort_by_key(|f| f.line);
    let gone = old.keys().filter(|id| said.contains_key(*id) && !now.contains_key(*id));
    found.extend(gone.map(|id| Flaw::whole(format!("{id} is missing, though no event takes it away"))));
    found
}

fn of_assignment(said: Option<&String>, new: &[u8]) -> Vec<Flaw> {
    if said.map_or("", |s| s.trim()).as_bytes() == new.trim_ascii() {
        return Vec::new();
    }
    vec![Flaw::whole("no event says this, so that it would have no effect")]
}

/// The records of a list with the numbers of their lines; of two with one id the last.
fn by_id(list: &[u8]) -> BTreeMap<String, (usize, Map<String, Value>)> {
    let records = line::complete(list).enumerate().filter_map(|(n, (_, raw))| {
        let mut record = json::record(raw).ok()?;
        if let Some(priority) = record.get_mut("priority") {
            *priority = whole_number(priority).unwrap_or_else(|| priority.take());
        }
        Some((record.get("id")?.as_str()?.to_owned(), (n + 1, record)))
    });
    records.collect()
}
