//! Events as they are: which, how many, what an order went through, and writing one by hand.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::session::Session;
use crate::domain::decide::event as decide;
use crate::domain::event::Event;
use crate::domain::text::headline;
use crate::domain::{AgentId, Timestamp, glob};

/// Which events are meant; everything `None` means all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A pattern for the type, with `*` and `?`.
    pub kind: Option<String>,
    pub actor: Option<String>,
    pub since: Option<Timestamp>,
    /// Up to and with this time.
    pub until: Option<Timestamp>,
}

impl Wanted {
    pub fn fits(&self, e: &Event) -> bool {
        self.kind.as_deref().is_none_or(|k| glob::matches(k, &e.kind))
            && self.actor.as_deref().is_none_or(|a| glob::matches(a, &e.actor))
            && self.since.is_none_or(|t| e.at >= t)
            && self.until.is_none_or(|t| e.at <= t)
    }
}

/// Gives events in their total order, one at a time; with a limit, the newest.
pub fn each(
    session: &mut Session,
    wanted: &Wanted,
    limit: Option<usize>,
    mut give: impl FnMut(Event),
) -> Result<(), Fault> {
    session.view()?.each_event(
        |e| wanted.fits(e),
        limit,
        |e| {
            give(e);
            Ok(())
        },
    )
}

/// The event as its line says it, unknown fields included.
pub fn value(e: &Event) -> Value {
    crate::wire::json::object(e.raw.trim_ascii()).map(Value::Object).unwrap_or_default()
}

/// What an event says beside its type, in a few words.
pub fn summary(e: &Event) -> String {
    let text = |name: &str| e.text(name).filter(|t| !t.is_empty()).map(str::to_owned);
    let words = match e.kind.as_str() {
        "work_order.status_changed" => {
            format!("{} → {}", text("from_status").unwrap_or_default(), text("to_status").unwrap_or_default())
        }
        "work_order.updated" => {
            let changes = e.data.get("changes").and_then(Value::as_object);
            changes.into_iter().flatten().map(|(k, v)| format!("{k}: {}", plain(v))).collect::<Vec<_>>().join(", ")
        }
        "work_order.dependency_added" | "work_order.dependency_removed" => text("depends_on_id").unwrap_or_default(),
        "work_order.labels_changed" => {
            let list = |name: &str, sign: char| {
                let labels = e.data.get(name).and_then(Value::as_array).into_iter().flatten();
                labels.filter_map(Value::as_str).map(|l| format!("{sign}{l}")).collect::<Vec<_>>()
            };
            [list("added", '+'), list("removed", '-')].concat().join(" ")
        }
        "work_order.assigned" => text("agent").unwrap_or_default(),
        "assignment.set" => {
            format!("{}:{}", text("ref_type").unwrap_or_default(), text("ref_id").unwrap_or_default())
        }
        "mail.sent" => format!("to {}: {}", text("to").unwrap_or_default(), text("subject").unwrap_or_default()),
        _ => ["title", "name", "body", "reason", "work_order_id", "verdict", "commit"]
            .iter()
            .find_map(|n| text(n).filter(|t| e.subject_id().as_ref() != Some(t)))
            .unwrap_or_default(),
    };
    headline(&words, 80)
}

/// A value in a line of text: without quotes where it is text.
pub fn plain(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

/// How many events there are, by type, actor and day.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Stats {
    pub total: usize,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub by_type: BTreeMap<String, usize>,
    pub by_actor: BTreeMap<String, usize>,
    pub by_day: BTreeMap<String, usize>,
}

impl Stats {
    pub fn add(&mut self, e: &Event) {
        self.total += 1;
        self.first = Some(self.first.map_or(e.at, |t| t.min(e.at)));
        self.last = Some(self.last.map_or(e.at, |t| t.max(e.at)));
        *self.by_type.entry(e.kind.clone()).or_default() += 1;
        *self.by_actor.entry(e.actor.clone()).or_default() += 1;
        *self.by_day.entry(e.at.day()).or_default() += 1;
    }
}

/// Writes one event that a person or an agent made up. What it is about must be there.
pub fn emit(
    session: &mut Session,
    kind: &str,
    data: Map<String, Value>,
    actor: Option<AgentId>,
    allow_secret: bool,
) -> Result<Value, Fault> {
    let actor = actor.unwrap_or_else(|| session.actor.clone());
    let draft = decide::emit(kind, data, &actor, allow_secret)?;
    let done = session.write_noted(|tx| {
        let subject = draft.subject().unwrap_or_default();
        let there = match subject.split_once('/') {
            Some(("order", id)) if kind != "work_order.created" => {
                id.parse().is_ok_and(|id| tx.order(&id).ok().flatten().is_some())
            }
            Some(("mail", id)) if kind != "mail.sent" => {
                id.parse().is_ok_and(|id| tx.message(&id).ok().flatten().is_some())
            }
            _ => true,
        };
        if !there {
            let id = subject.split('/').next_back().unwrap_or_default();
            return Err(Fault::not_found(format!("there is nothing with the id {id}"))
                .hint("an event about an order or a mail comes after the one that makes it"));
        }
        Ok(tx.emit(&draft)?)
    })?;
    let written = session.view().and_then(|view| Ok(view.event(&done.value)?));
    let written = written.map_err(|f| f.behind_a_change(&done.value))?;
    Ok(written.first().map(value).unwrap_or_else(|| json!({"event_id": done.value})))
}
