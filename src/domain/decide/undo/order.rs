//! Undoing what events changed on a work order.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Plan, by_whom, later};
use crate::domain::causal::{Folded, fold, fold_without};
use crate::domain::event::{Draft, Event};
use crate::domain::id::AgentId;
use crate::domain::order::{Order, PLAIN_FIELDS};

/// A part of an order that an event changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A plain field, `metadata.KEY`, or a field of another program.
    Field(String),
    Assignee,
    Label(String),
    /// What it depends on, and how.
    Dependency(String, String),
    /// The event of the comment.
    Comment(String),
}

/// The parts that an event changes; an event that sets a whole set changes what is in it now and would be without it.
fn parts(e: &Event, states: [&Order; 2]) -> Vec<Part> {
    let text = |name: &str| e.text(name).map(str::to_owned);
    let list = |name: &str| {
        let values = e.data.get(name).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    match e.kind.as_str() {
        "work_order.updated" => {
            let changes = e.data.get("changes").and_then(Value::as_object).into_iter().flatten();
            changes.flat_map(|(name, value)| changed(name, value, states)).collect()
        }
        "work_order.status_changed" | "work_order.closed" => vec![Part::Field("status".to_owned())],
        "work_order.assigned" => {
            // It moves an order that is open, and no other.
            let moved = states[0].writes("status").iter().any(|w| w.key.id == e.id);
            std::iter::once(Part::Assignee).chain(moved.then(|| Part::Field("status".to_owned()))).collect()
        }
        "work_order.labels_changed" => [list("added"), list("removed")].concat().into_iter().map(Part::Label).collect(),
        "work_order.dependency_added" | "work_order.dependency_removed" => {
            let kind = text("type").unwrap_or_else(|| "blocks".to_owned());
            text("depends_on_id").map(|on| Part::Dependency(on, kind)).into_iter().collect()
        }
        "work_order.commented" => {
            vec![Part::Comment(text("withdraws").or_else(|| text("restores")).unwrap_or_else(|| e.id.clone()))]
        }
        _ => Vec::new(),
    }
}

/// The parts that one entry of an update changes.
fn changed(name: &str, value: &Value, states: [&Order; 2]) -> Vec<Part> {
    match name {
        "type" => vec![Part::Field("issue_type".to_owned())],
        "assignee" => vec![Part::Assignee],
        "id" | "created_at" | "updated_at" => Vec::new(),
        "labels" => states.iter().flat_map(|o| o.labels()).map(|l| Part::Label(l.to_owned())).collect(),
        "dependencies" => {
            let all = states.iter().flat_map(|o| o.dependencies());
            all.map(|d| Part::Dependency(d.depends_on_id.clone(), d.kind.clone())).collect()
        }
        "metadata" => {
            let records = states.map(Order::record);
            let there = records.iter().filter_map(|r| r.get("metadata")).filter_map(Value::as_object);
            let keys = there.chain(value.as_object()).flat_map(Map::keys);
            keys.map(|k| Part::Field(format!("metadata.{k}"))).collect()
        }
        field => vec![Part::Field(field.to_owned())],
    }
}

pub(super) fn undo(all: &[Event], these: &[&Event], undone: &BTreeSet<String>, actor: &AgentId, plan: &mut Plan) {
    let present: Folded<Order> = fold(all.to_vec());
    if these.iter().any(|e| e.kind == "work_order.created") {
        return uncreate(all, &present.state, undone, actor, plan);
    }
    let without: Folded<Order> = fold_without(all.to_vec(), undone);
    let mut undoing = Undoing {
        all,
        undone,
        actor,
        now: &present.state,
        then: &without.state,
        changes: Map::new(),
        added: Vec::new(),
        removed: Vec::new(),
        status: None,
        drafts: Vec::new(),
        plan,
    };
    let parts: BTreeSet<Part> = these.iter().flat_map(|e| parts(e, [undoing.now, undoing.then])).collect();
    for part in parts {
        undoing.part(part);
    }
    undoing.finish();
}

/// A creation is taken back by closing: an event is never removed.
fn uncreate(all: &[Event], now: &Order, undone: &BTreeSet<String>, actor: &AgentId, plan: &mut Plan) {
    let id = &now.id;
    if now.is_closed() {
        return plan.obstacle(id, "it is closed already");
    }
    // Wherever a clock has put it: who changed the order, knew it.
    if let Some(e) = all.iter().rfind(|e| !undone.contains(&e.id) && !super::is_noise(e)) {
        plan.obstacle(id, format!("it was changed since{} ({})", by_whom(Some(e)), e.kind));
    }
    plan.change("status", now.status(), "closed");
    plan.drafts.extend(closing(id, now.status(), "its creation was undone", actor));
}

fn closing(id: &str, from: &str, reason: &str, actor: &AgentId) -> [Draft; 2] {
    [
        Draft::new(
            "work_order.status_changed",
            actor,
            json!({"work_order_id": id, "from_status": from, "to_status": "closed"}),
        ),
        Draft::new("work_order.closed", actor, json!({"work_order_id": id, "reason": reason})),
    ]
}

/// The work under way, part by part.
struct Undoing<'a> {
    all: &'a [Event],
    undone: &'a BTreeSet<String>,
    actor: &'a AgentId,
    /// The order as it is, and as it would be had the events changed nothing.
    now: &'a Order,
    then: &'a Order,
    changes: Map<String, Value>,
    added: Vec<String>,
    removed: Vec<String>,
    status: Option<(String, String)>,
    drafts: Vec<Draft>,
    plan: &'a mut Plan,
}

impl Undoing<'_> {
    fn part(&mut self, part: Part) {
        match part {
            Part::Field(name) => self.field(&name),
            Part::Assignee => self.assignee(),
            Part::Label(label) => self.label(label),
            Part::Dependency(on, kind) => self.dependency(&on, &kind),
            Part::Comment(id) => self.comment(&id),
        }
    }

    /// The last later event that changes the same part.
    fn since(&self, part: &Part) -> Option<&Event> {
        later(self.all, self.undone, |e| parts(e, [self.now, self.then]).contains(part))
    }

    fn superseded(&mut self, part: &Part, name: &str) {
        if let Some(e) = self.since(part) {
            let why = format!("{name} was changed since{}", by_whom(Some(e)));
            self.plan.obstacle(&self.now.id, why);
        }
    }

    fn field(&mut self, name: &str) {
        let part = Part::Field(name.to_owned());
        let (now, then) = (value(self.now, name), value(self.then, name));
        let stands = name == "created_by" || self.now.writes(name).iter().any(|w| self.undone.contains(&w.key.id));
        let disputed = self.now.writes(name).len() > 1;
        if !stands {
            return self.superseded(&part, name);
        }
        if now == then && !disputed {
            return;
        }
        self.plan.change(name, now.clone(), then.clone());
        if name == "status" {
            let text = |v: &Value| v.as_str().unwrap_or("open").to_owned();
            self.status = Some((text(&now), text(&then)));
        } else {
            self.changes.insert(name.to_owned(), then);
        }
    }

    fn assignee(&mut self) {
        let (now, then) = (self.now.assignee(), self.then.assignee());
        let claimed = self.now.claims().iter().any(|c| self.undone.contains(&c.key.id));
        let released = now.is_none() && then.is_some();
        if !claimed && !released {
            return self.superseded(&Part::Assignee, "the assignee");
        }
        if now == then && self.now.contested().is_empty() {
            return;
        }
        self.plan.change("assignee", now, then);
        self.changes.insert("assignee".to_owned(), then.into());
    }

    fn label(&mut self, label: String) {
        let (now, then) = (self.now.has_label(&label), self.then.has_label(&label));
        match (now, then) {
            (true, false) => {
                self.plan.change("labels", label.as_str(), Value::Null);
                self.removed.push(label);
            }
            (false, true) => {
                self.plan.change("labels", Value::Null, label.as_str());
                self.added.push(label);
            }
            _ => self.superseded(&Part::Label(label.clone()), &format!("the label {label}")),
        }
    }

    fn dependency(&mut self, on: &str, kind: &str) {
        let find = |o: &Order| o.dependencies().iter().find(|d| d.depends_on_id == on && d.kind == kind).cloned();
        let mut data = json!({"work_order_id": self.now.id, "depends_on_id": on, "type": kind});
        let (event, from, to) = match (find(self.now), find(self.then)) {
            (Some(_), None) => ("work_order.dependency_removed", Value::from(on), Value::Null),
            (None, Some(was)) => {
                // It comes back as it was.
                data["created_at"] = was.created_at.into();
                data["created_by"] = was.created_by.into();
                ("work_order.dependency_added", Value::Null, Value::from(on))
            }
            _ => {
                let part = Part::Dependency(on.to_owned(), kind.to_owned());
                return self.superseded(&part, &format!("the dependency on {on}"));
            }
        };
        self.plan.change("dependencies", from, to);
        self.drafts.push(Draft::new(event, self.actor, data));
    }

    fn comment(&mut self, id: &str) {
        let find = |o: &Order| o.comments().find(|c| c.key.id == id).map(|c| c.body.clone());
        let (now, then) = (find(self.now), find(self.then));
        let (verb, said) = match (&now, &then) {
            (Some(_), None) => ("withdraws", "Withdrawn"),
            (None, Some(_)) => ("restores", "Stands again"),
            _ => return self.superseded(&Part::Comment(id.to_owned()), "the comment"),
        };
        self.plan.change("comment", now, then);
        let data = json!({"work_order_id": self.now.id, "body": format!("{said}: the comment {id}"), verb: id});
        self.drafts.push(Draft::new("work_order.commented", self.actor, data));
    }

    fn finish(self) {
        let id = &self.now.id;
        let mut drafts = Vec::new();
        if !self.changes.is_empty() {
            let data = json!({"work_order_id": id, "changes": self.changes});
            drafts.push(Draft::new("work_order.updated", self.actor, data));
        }
        if !self.added.is_empty() || !self.removed.is_empty() {
            let data = json!({"work_order_id": id, "added": self.added, "removed": self.removed});
            drafts.push(Draft::new("work_order.labels_changed", self.actor, data));
        }
        drafts.extend(self.drafts);
        match self.status {
            Some((from, to)) if to == "closed" => {
                let reason = self.then.closings.last().map_or("", |c| &c.reason);
                drafts.extend(closing(id, &from, reason, self.actor));
            }
            Some((from, to)) => drafts.push(Draft::new(
                "work_order.status_changed",
                self.actor,
                json!({"work_order_id": id, "from_status": from, "to_status": to}),
            )),
            None => {}
        }
        self.plan.drafts.extend(drafts);
    }
}

/// A field of the order, a null where it has none.
fn value(order: &Order, name: &str) -> Value {
    if let Some(key) = name.strip_prefix("metadata.") {
        return order.metadata(key).cloned().unwrap_or_default();
    }
    if PLAIN_FIELDS.contains(&name) || name == "created_by" || !order.writes(name).is_empty() {
        return order.record().get(name).cloned().unwrap_or_default();
    }
    Value::Null
}
