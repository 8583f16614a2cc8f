//! Mail: what its events add up to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::causal::Fold;
use super::event::Event;
use super::record::{APART, apart};
use super::time::Timestamp;

/// Message types with a meaning of their own; free-form mail has none.
pub const MESSAGE_TYPES: &[&str] = &[
    "WORKER_DONE",
    "READY_FOR_QA",
    "MERGED",
    "REWORK_REQUEST",
    "NUDGE",
    "SUPERVISOR_PING",
    "HELP",
    "HANDOFF",
    "ESCALATION",
];
pub const PRIORITIES: &[&str] = &["urgent", "normal", "low"];

const KNOWN_FIELDS: &[&str] = &[
    "id",
    "message_id",
    "from",
    "to",
    "subject",
    "body",
    "message_type",
    "type",
    "timestamp",
    "read_at",
    "priority",
    "metadata",
    "adopted",
];

/// A message and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    pub sent: bool,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub body: String,
    pub message_type: Option<String>,
    pub timestamp: Timestamp,
    pub read_at: Option<Timestamp>,
    pub delivered: bool,
    pub archived: bool,
    /// The events that say it was read, and when; the earliest counts.
    reads: Vec<(String, Timestamp)>,
    /// The events that put it away and were not taken back.
    archivals: Vec<String>,
    pub priority: String,
    pub metadata: Map<String, Value>,
    extra: Map<String, Value>,
}

impl Message {
    /// 0 for urgent, 1 for everything between, 2 for low: the inbox's first order.
    pub fn rank(&self) -> u8 {
        match self.priority.as_str() {
            "urgent" => 0,
            "low" => 2,
            _ => 1,
        }
    }

    /// The record of FORMATS, fields in a fixed order.
    pub fn record(&self) -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("id".into(), self.id.clone().into());
        m.insert("from".into(), self.from.clone().into());
        m.insert("to".into(), self.to.clone().into());
        m.insert("subject".into(), self.subject.clone().into());
        m.insert("body".into(), self.body.clone().into());
        m.insert("message_type".into(), self.message_type.clone().into());
        m.insert("timestamp".into(), self.timestamp.to_string().into());
        m.insert("read_at".into(), self.read_at.map(|t| t.to_string()).into());
        m.insert("priority".into(), self.priority.clone().into());
        m.insert("metadata".into(), Value::Object(self.metadata.clone()));
        for (k, v) in &self.extra {
            m.insert(k.clone(), v.clone());
        }
        m
    }

    fn apply_sent(&mut self, e: &Event) {
        let text = |name: &str| e.text(name).filter(|t| !t.is_empty()).map(str::to_owned);
        if !std::mem::replace(&mut self.sent, true) {
            self.from = e.actor.clone();
            self.timestamp = e.at;
            "normal".clone_into(&mut self.priority);
        }
        // A second event of one message says more of it, or the same: what it leaves out or empty it does not deny.
        let set = |field: &mut String, new: Option<String>| {
            if let Some(new) = new {
                *field = new;
            }
        };
        set(&mut self.from, text("from"));
        set(&mut self.to, text("to"));
        set(&mut self.subject, text("subject"));
        set(&mut self.body, text("body"));
        set(&mut self.priority, text("priority"));
        self.message_type = text("message_type").or_else(|| text("type")).or(self.message_type.take());
        self.timestamp = e.text("timestamp").and_then(|t| t.parse().ok()).unwrap_or(self.timestamp);
        self.metadata.extend(e.data.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default());
        if let Some(at) = e.text("read_at").and_then(|t| t.parse().ok()) {
            self.read(e, at);
        }
        let is_adopted = e.data.get("adopted") == Some(&Value::Bool(true));
        let is_own = |name: &str| KNOWN_FIELDS.contains(&name) || (is_adopted && name == APART);
        let foreign = e.data.iter().filter(|(k, _)| !is_own(k));
        self.extra.extend(foreign.chain(apart(&e.data)).map(|(k, v)| (k.clone(), v.clone())));
    }

    fn read(&mut self, e: &Event, at: Timestamp) {
        self.reads.push((e.id.clone(), at));
        self.read_at = self.reads.iter().map(|(_, at)| *at).min();
    }

    /// Somebody takes back what they knew of: it counts as unread again.
    fn unread(&mut self, knows: &dyn Fn(&str) -> bool) {
        self.reads.retain(|(id, _)| !knows(id));
        self.read_at = self.reads.iter().map(|(_, at)| *at).min();
    }
}

impl Fold for Message {
    fn apply(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        let undone = e.data.get("undone") == Some(&Value::Bool(true));
        if self.id.is_empty() {
            self.id = e.subject_id().unwrap_or_default();
        }
        match e.kind.as_str() {
            "mail.sent" => self.apply_sent(e),
            "mail.delivered" => self.delivered = true,
            "mail.read" if undone => self.unread(knows),
            "mail.read" => self.read(e, e.text("read_at").and_then(|t| t.parse().ok()).unwrap_or(e.at)),
            "mail.archived" => {
                if undone {
                    self.archivals.retain(|id| !knows(id));
                } else {
                    self.archivals.push(e.id.clone());
                }
                self.archived = !self.archivals.is_empty();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::causal::testing::event;
    use crate::domain::causal::{Folded, fold};
    use serde_json::json;

    #[test]
    fn a_second_event_of_a_message_takes_nothing_of_it_away() {
        let full = json!({"message_id": "msg-1", "from": "py", "to": "ceo", "subject": "Help", "body": "broken",
            "message_type": "HELP", "priority": "urgent", "metadata": {"k": 1}, "ticket": 7, "adopted": true});
        let short = json!({"message_id": "msg-1", "from": "py", "to": "ceo", "subject": "Help", "body": ""});
        let alone: Folded<Message> = fold(vec![event("mail.sent", 1, "e1", None, full.clone())]);
        for (first, second) in [(full.clone(), short.clone()), (short, full)] {
            let f: Folded<Message> =
                fold(vec![event("mail.sent", 1, "e1", None, first), event("mail.sent", 2, "e2", None, second)]);
            let of = |f: &Folded<Message>| {
                let mut r = f.state.record();
                r.remove("timestamp");
                r
            };
            assert_eq!(of(&f), of(&alone));
        }
    }

    #[test]
    fn the_first_reading_counts() {
        let data = json!({"message_id": "msg-1"});
        let f: Folded<Message> = fold(vec![
            event("mail.sent", 1, "e1", Some(&[]), json!({"message_id": "msg-1", "to": "ceo", "type": "HELP"})),
            event("mail.read", 5, "e2", Some(&["e1"]), data.clone()),
            event("mail.read", 9, "e3", Some(&["e1"]), data),
        ]);
        assert_eq!(f.state.read_at, Some(Timestamp::from_millis(5)));
        assert_eq!(f.state.record()["message_type"], json!("HELP"));
    }
}
