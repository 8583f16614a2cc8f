//! Events in words: what happened, to what, by its title.

use std::collections::BTreeSet;

use serde_json::Value;

use super::events::summary;
use super::fault::Fault;
use crate::domain::OrderId;
use crate::domain::event::Event;
use crate::domain::text::headline;
use crate::store::View;

/// The longest detail, in characters: a list is no place for whole texts.
const DETAIL: usize = 80;

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was done: `closed`, `claimed`.
    pub did: String,
    /// To what: an id or an agent; empty where it is about nothing.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What else there is to say: a reason, the new values.
    pub detail: String,
    /// The first event of what it undoes.
    pub undoes: Option<String>,
}

impl Told {
    /// All of it in one sentence.
    pub fn sentence(&self) -> String {
        let title = if self.title.is_empty() { String::new() } else { format!("\"{}\"", self.title) };
        let words = [self.did.as_str(), &self.id, &title];
        let text = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        let undoes = self.undoes.as_ref().map(|id| format!(" (undoes {id})")).unwrap_or_default();
        if self.detail.is_empty() { text + &undoes } else { format!("{text}: {}{undoes}", self.detail) }
    }
}

/// The title of an order, the subject of a message; `None` for what has none.
pub fn title(view: &View<'_>, subject: &str) -> Result<Option<String>, Fault> {
    Ok(match subject.split_once('/') {
        Some(("order", id)) => view.order_row(id)?.map(|r| r.title),
        Some(("mail", id)) => match id.parse() {
            Ok(id) => view.message(&id)?.map(|m| m.subject),
            Err(_) => None,
        },
        _ => None,
    })
}

/// The ids of events that say nothing beside another one of the same list: the change of status that closing an order, or
/// giving it to an agent, comes with.
pub fn said_by_others<'a>(events: impl Iterator<Item = &'a Event> + Clone) -> BTreeSet<&'a str> {
    let with = |e: &'a Event, kind: &str| (kind.to_owned(), e.actor.as_str(), e.subject(), e.at);
    let pairs = ["work_order.closed", "work_order.assigned"];
    let said: BTreeSet<_> =
        events.clone().filter(|e| pairs.contains(&e.kind.as_str())).map(|e| with(e, &e.kind)).collect();
    let by_another = |e: &&'a Event| match (e.kind.as_str(), e.text("to_status")) {
        ("work_order.status_changed", Some("closed")) => said.contains(&with(e, "work_order.closed")),
        ("work_order.status_changed", Some("assigned")) => said.contains(&with(e, "work_order.assigned")),
        _ => false,
    };
    events.filter(by_another).map(|e| e.id.as_str()).collect()
}

/// Tells an event in the words of a list; titles are the present ones.
pub fn told(view: &View<'_>, e: &Event) -> Result<Told, Fault> {
    let told = told_in_full(view, e)?;
    Ok(Told { detail: headline(&told.detail, DETAIL), ..told })
}

/// Like [`told`], with the whole of what was said.
pub fn told_in_full(view: &View<'_>, e: &Event) -> Result<Told, Fault> {
    let id = e.subject_id().unwrap_or_default();
    let title = match e.subject() {
        Some(subject) => title(view, &subject)?,
        None => None,
    };
    let text = |name: &str| e.text(name).filter(|t| !t.is_empty()).unwrap_or_default();
    let (did, detail) = words(e);
    let other = match e.kind.as_str() {
        "work_order.dependency_added" | "work_order.dependency_removed" => text("depends_on_id"),
        "assignment.set" => text("ref_id"),
        _ => "",
    };
    let detail = match other.parse::<OrderId>() {
        Ok(other) => match view.order_row(other.as_str())? {
            Some(row) => format!("{detail} \"{}\"", row.title),
            None => detail,
        },
        Err(_) => detail,
    };
    let undoes = e.text(super::undo::UNDOES).map(str::to_owned);
    let detail = detail.trim().to_owned();
    Ok(Told { did, id, title: title.unwrap_or_default(), detail, undoes })
}

/// The verb, and what is to be said beside it.
fn words(e: &Event) -> (String, String) {
    let text = |name: &str| e.text(name).filter(|t| !t.is_empty()).unwrap_or_default().to_owned();
    let short = |name: &str| text(name).chars().take(10).collect::<String>();
    let undone = e.data.get("undone") == Some(&Value::Bool(true));
    let adopted =
        if e.data.get("adopted") == Some(&Value::Bool(true)) { "taken over from another program" } else { "" };
    let (did, detail) = match e.kind.as_str() {
        "work_order.created" => ("created", adopted.to_owned()),
        "work_order.updated" => ("changed", summary(e)),
        "work_order.status_changed" => match text("to_status").as_str() {
            "closed" => ("closed", String::new()),
            to => ("moved", if text("from_status").is_empty() { to.to_owned() } else { summary(e) }),
        },
        "work_order.labels_changed" => ("labelled", summary(e)),
        "work_order.commented" if e.text("withdraws").is_some() => ("withdrew a comment on", String::new()),
        "work_order.commented" if e.text("restores").is_some() => ("brought back a comment on", String::new()),
        "work_order.commented" => ("commented on", text("body")),
        "work_order.dependency_added" => ("linked", format!("waits for {}", text("depends_on_id"))),
        "work_order.dependency_removed" => ("unlinked", format!("no longer waits for {}", text("depends_on_id"))),
        "work_order.assigned" if text("agent") == e.actor => ("claimed", String::new()),
        "work_order.assigned" => ("gave", format!("to {}", text("agent"))),
        "work_order.closed" => ("closed", text("reason")),
        "qa.merged" => ("landed", format!("on {} as {}", text("base"), short("commit"))),
        "qa.rejected" => ("sent back", text("reason")),
        "mail.sent" => ("sent", format!("to {}", text("to"))),
        "mail.read" if undone => ("marked as unread", String::new()),
        "mail.read" => ("read", String::new()),
        "mail.archived" if undone => ("brought back", String::new()),
        "mail.archived" => ("archived", String::new()),
        "mail.delivered" => ("delivered", String::new()),
        "assignment.set" => ("gave an assignment to", text("ref_id")),
        "assignment.cleared" => ("took the assignment of", text("previous_ref")),
        "agent.started" => ("started", text("work_order_id")),
        "agent.stopped" => ("stopped", text("reason")),
        "agent.assignment_checked" | "assignment.checked" => ("found the assignment of", String::new()),
        kind => (kind, summary(e)),
    };
    (did.to_owned(), detail)
}
