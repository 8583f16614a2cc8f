//! Undoing: the events that bring back what some events changed. History stays as it is.
//!
//! What a field goes back to is what it would be had those events changed nothing, with all others as they are: a later
//! change by anybody is never overwritten, it is an [`Obstacle`].

mod order;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::assignment::{Assignment, Target};
use crate::domain::causal::{Folded, fold, fold_without};
use crate::domain::event::{Draft, Event};
use crate::domain::id::AgentId;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;

/// One field that goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub field: String,
    pub from: Value,
    pub to: Value,
}

/// Why a part of it cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    pub field: String,
    pub why: String,
}

/// What undoing takes on one subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub drafts: Vec<Draft>,
    pub changes: Vec<Change>,
    pub obstacles: Vec<Obstacle>,
}

impl Plan {
    fn change(&mut self, field: &str, from: impl Into<Value>, to: impl Into<Value>) {
        self.changes.push(Change { field: field.to_owned(), from: from.into(), to: to.into() });
    }

    fn obstacle(&mut self, field: &str, why: impl Into<String>) {
        self.obstacles.push(Obstacle { field: field.to_owned(), why: why.into() });
    }
}

/// Whether an event says only that somebody looked or passed something on: no command's purpose, and nothing to undo.
pub fn is_noise(e: &Event) -> bool {
    matches!(
        e.kind.as_str(),
        "agent.assignment_checked" | "assignment.checked" | "mail.delivered" | "agent.idle" | "agent.working"
    ) || e.kind.starts_with("patrol.")
}

/// What undoing the events in `undone` takes on their subject, of which `all` are all events.
pub fn plan(all: &[Event], undone: &BTreeSet<String>, actor: &AgentId, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let these: Vec<&Event> = all.iter().filter(|e| undone.contains(&e.id) && !is_noise(e)).collect();
    for e in &these {
        if let Some(why) = lasting(e) {
            plan.obstacle(e.subject_id().as_deref().unwrap_or(&e.kind), why);
        }
    }
    let Some(subject) = these.iter().find_map(|e| e.subject()) else { return plan };
    match subject.split_once('/').map_or("", |(family, _)| family) {
        "order" => order::undo(all, &these, undone, actor, &mut plan),
        "mail" => mail(all, &these, undone, actor, now, &mut plan),
        "assignment" => assignment(all, undone, actor, &mut plan),
        _ => {}
    }
    plan
}

/// Why an event of this type cannot be undone; `None` where it can.
fn lasting(e: &Event) -> Option<String> {
    let known = match e.kind.as_str() {
        "qa.merged" => {
            return Some(format!("what landed stays on {}: revert it in git", e.text("base").unwrap_or("its base")));
        }
        "qa.rejected" => return Some("what QA said stays said".to_owned()),
        "agent.started" => return Some("a session was started; how to stop it: git vermas worker kill -h".to_owned()),
        "agent.stopped" => return Some("a session has ended: begin another with git vermas worker spawn".to_owned()),
        "agent.nudged" => return Some("a nudge that was sent is sent".to_owned()),
        kind => kind,
    };
    let undoable = known.starts_with("work_order.") || known.starts_with("mail.") || known.starts_with("assignment.");
    let has_meaning = crate::domain::kinds::is_known(known);
    (!undoable || !has_meaning).then(|| format!("nothing is known that takes an event {known} back"))
}

/// The latest event for which `is` holds, that is not undone and comes after the first undone one of which it holds.
fn later<'a>(all: &'a [Event], undone: &BTreeSet<String>, is: impl Fn(&Event) -> bool) -> Option<&'a Event> {
    let since = all.iter().filter(|e| is(e)).skip_while(|e| !undone.contains(&e.id));
    since.filter(|e| !undone.contains(&e.id)).last()
}

fn by_whom(e: Option<&Event>) -> String {
    e.map_or_else(String::new, |e| format!(" by {} at {}", e.actor, e.at))
}

fn mail(all: &[Event], these: &[&Event], undone: &BTreeSet<String>, actor: &AgentId, now: Timestamp, plan: &mut Plan) {
    let present: Folded<Message> = fold(all.to_vec());
    let without: Folded<Message> = fold_without(all.to_vec(), undone);
    let (present, without) = (present.state, without.state);
    let id = &present.id;
    if these.iter().any(|e| e.kind == "mail.sent") {
        if let Some(at) = present.read_at {
            return plan.obstacle(id, format!("{} read it at {at}: it cannot be unsent", present.to));
        }
        if present.archived {
            return plan.obstacle(id, "it was archived since");
        }
        plan.change("archived", false, true);
        return plan.drafts.push(Draft::new("mail.archived", actor, json!({"message_id": id})));
    }
    if these.iter().any(|e| e.kind == "mail.read") {
        match (present.read_at, without.read_at) {
            (Some(at), None) => {
                plan.change("read_at", at.to_string(), Value::Null);
                let data = json!({"message_id": id, "reader": actor, "read_at": null, "undone": true});
                plan.drafts.push(Draft::new("mail.read", actor, data));
            }
            (None, Some(_)) => {
                plan.change("read_at", Value::Null, now.to_string());
                let data = json!({"message_id": id, "reader": actor, "read_at": now});
                plan.drafts.push(Draft::new("mail.read", actor, data));
            }
            _ => plan.obstacle(id, "it was read or marked as unread again since"),
        }
    }
    if these.iter().any(|e| e.kind == "mail.archived") {
        if present.archived == without.archived {
            return plan.obstacle(id, "it was archived or brought back again since");
        }
        plan.change("archived", present.archived, without.archived);
        let mut data = json!({"message_id": id});
        if present.archived {
            data["undone"] = true.into();
        }
        plan.drafts.push(Draft::new("mail.archived", actor, data));
    }
}

fn assignment(all: &[Event], undone: &BTreeSet<String>, actor: &AgentId, plan: &mut Plan) {
    let present: Folded<Assignment> = fold(all.to_vec());
    let without: Folded<Assignment> = fold_without(all.to_vec(), undone);
    let (now, then) = (present.state.target(), without.state.target());
    let agent = &present.state.agent;
    if !present.state.writes().iter().any(|w| undone.contains(&w.key.id)) {
        let by = by_whom(later(all, undone, |e| e.kind.starts_with("assignment.")));
        return plan.obstacle(agent, format!("its assignment was changed since{by}"));
    }
    if now == then {
        return;
    }
    let shown = |t: &Option<Target>| t.as_ref().map(ToString::to_string);
    plan.change("assignment", shown(&now), shown(&then));
    plan.drafts.push(match &then {
        Some(t) => {
            Draft::new("assignment.set", actor, json!({"agent": agent, "ref_type": t.ref_type, "ref_id": t.ref_id}))
        }
        None => Draft::new("assignment.cleared", actor, json!({"agent": agent, "previous_ref": shown(&now)})),
    });
}

#[cfg(test)]
mod tests;
