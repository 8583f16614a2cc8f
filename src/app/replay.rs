//! The life of an order, event by event: what each changed, who wrote it, and on which machine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::brought::Reader;
use super::fault::Fault;
use super::session::Session;
use super::told::{self, Told};
use super::{history, past};
use crate::domain::causal::{Folded, fold};
use crate::domain::event::Event;
use crate::domain::order::{Conflict, Order};
use crate::domain::{AgentId, OrderId};

/// How many commits are looked through for the person behind a clone.
const MOST_LOOKED_AT: usize = 2_000;
/// Fields that follow from the event itself.
const IMPLIED: &[&str] = &["id", "created_at", "created_by", "updated_at"];

/// A field that an event changed. What was not there, or is not any more, is null.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub field: String,
    pub from: Value,
    pub to: Value,
}

/// An order after one of its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub event: Event,
    pub state: Map<String, Value>,
    pub changed: Vec<Changed>,
    /// Disagreements of concurrent writers that came up with it, and those that it settled.
    pub opened: Vec<Conflict>,
    pub settled: Vec<Conflict>,
}

/// The state of an order after each of its events.
pub fn replay(session: &mut Session, id: &OrderId) -> Result<Vec<Step>, Fault> {
    let events = session.view()?.events_of(&format!("order/{id}"))?;
    let mut folded: Folded<Order> = fold(Vec::new());
    let (mut before, mut disputed) = (Map::new(), Vec::new());
    let mut steps = Vec::with_capacity(events.len());
    for (n, event) in events.iter().enumerate() {
        if folded.is_extended_by(event) {
            folded.extend(event);
        } else {
            folded = fold(events[..=n].to_vec());
        }
        let (state, conflicts) = (folded.state.record(), folded.state.conflicts());
        steps.push(Step {
            event: event.clone(),
            changed: changes(&before, &state),
            opened: conflicts.iter().filter(|c| !disputed.contains(*c)).cloned().collect(),
            settled: disputed.iter().filter(|c| !conflicts.contains(*c)).cloned().collect(),
            state: state.clone(),
        });
        (before, disputed) = (state, conflicts);
    }
    Ok(steps)
}

/// The fields in which two records differ; of metadata the entries.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Changed> {
    let order = after.keys().chain(before.keys().filter(|k| !after.contains_key(*k)));
    let mut all = Vec::new();
    for name in order.filter(|n| !IMPLIED.contains(&n.as_str())) {
        let of = |m: &Map<String, Value>| m.get(name).cloned().unwrap_or_default();
        let (from, to) = (of(before), of(after));
        match (name.as_str(), &from, &to) {
            _ if from == to || is_nothing(&from) && is_nothing(&to) => {}
            ("metadata", ..) => {
                let none = Map::new();
                let (from, to) = (from.as_object().unwrap_or(&none), to.as_object().unwrap_or(&none));
                let inner = changes(from, to).into_iter();
                all.extend(inner.map(|c| Changed { field: format!("metadata.{}", c.field), ..c }));
            }
            ("dependencies", ..) => {
                let ids = |v: &Value| {
                    let list = v.as_array().into_iter().flatten();
                    list.map(|d| d["depends_on_id"].clone()).collect::<Value>()
                };
                all.push(Changed { field: name.clone(), from: ids(&from), to: ids(&to) });
            }
            _ => all.push(Changed { field: name.clone(), from, to }),
        }
    }
    all
}

/// Whether a value says no more than that the field is there.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(m) => m.is_empty(),
        _ => false,
    }
}

/// Where an event was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The clone's name, under which the branch keeps it; `None` for what is not on the branch yet.
    pub replica: Option<String>,
    /// Whether it is this clone.
    pub here: bool,
    /// Whose clone it is, as its commits say.
    pub person: Option<String>,
    /// Written by another program, as an event or into a list.
    pub foreign: bool,
}

/// An event of an order's life with all there is to say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub step: Step,
    pub told: Told,
    pub origin: Origin,
}

impl Entry {
    pub fn record(&self) -> Value {
        let (s, e) = (&self.step, &self.step.event);
        let changes = s.changed.iter().map(|c| json!({"field": c.field, "from": c.from, "to": c.to}));
        json!({
            "event_id": e.id, "event_type": e.kind, "timestamp": e.at, "actor": e.actor, "did": self.told.did,
            "detail": self.told.detail, "changes": changes.collect::<Vec<_>>(), "conflicts_opened": s.opened,
            "conflicts_settled": s.settled, "undoes": self.told.undoes, "caused_by": e.caused_by,
            "replica": self.origin.replica, "here": self.origin.here, "person": self.origin.person,
            "foreign": self.origin.foreign,
        })
    }
}

/// The whole life of an order, oldest first: its own events, and the assignments that point at it.
pub fn life(session: &mut Session, id: &OrderId) -> Result<Vec<Entry>, Fault> {
    let mut steps = replay(session, id)?;
    for event in history::assignments_to(session, id)? {
        let (state, changed, opened, settled) = Default::default();
        steps.push(Step { event, state, changed, opened, settled });
    }
    steps.sort_by(|a, b| a.event.order(&b.event));
    let own = session.store.replica();
    let mut entries = Vec::with_capacity(steps.len());
    let view = session.view()?;
    for step in steps {
        let replica = view.replica_of(&step.event)?;
        let here = replica.is_none() || replica == own;
        let e = &step.event;
        let adopted = e.actor == AgentId::foreign().as_str() || e.data.get("adopted") == Some(&Value::Bool(true));
        let foreign = e.prev.is_none() || adopted;
        let told = told::told_in_full(&view, &step.event)?;
        entries.push(Entry { told, origin: Origin { replica, here, person: None, foreign }, step });
    }
    let others = entries.iter().filter(|e| !e.origin.here).filter_map(|e| e.origin.replica.clone()).collect();
    let people = people(session, others)?;
    for e in &mut entries {
        e.origin.person = e.origin.replica.as_ref().and_then(|r| people.get(r).cloned());
    }
    Ok(entries)
}

/// Whose clones these are: the author of a commit that changed their folder.
fn people(session: &mut Session, mut wanted: BTreeSet<String>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut open: Vec<_> = past::commit_in_view(&session.store)?.into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut reader = Reader::default();
    while let Some(oid) = open.pop().filter(|_| !wanted.is_empty() && seen.len() < MOST_LOOKED_AT) {
        if !seen.insert(oid) {
            continue;
        }
        let Ok(commit) = session.store.repo().commit(oid) else { continue };
        // Other lines of history first: what this clone did itself is not looked for.
        open.extend(commit.parents.iter().copied());
        if commit.parents.len() > 1 {
            continue;
        }
        for replica in reader.replicas(session.store.repo(), &commit)? {
            if wanted.remove(&replica) {
                found.insert(replica, commit.author.name.clone());
            }
        }
    }
    Ok(found)
}
