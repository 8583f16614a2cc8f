//! Mail: what its events add up to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::causal::Fold;
use super::event::Event;
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
        let text = |name: &str| e.text(name).unwrap_or_default().to_owned();
        self.sent = true;
        self.from = e.text("from").unwrap_or(&e.actor).to_owned();
        self.to = text("to");
        self.subject = text("subject");
        self.body = text("body");
        let kind = e.text("message_type").or_else(|| e.text("type"));
        self.message_type = kind.filter(|t| !t.is_empty()).map(str::to_owned);
        self.timestamp = e.text("timestamp").and_then(|t| t.parse().ok()).unwrap_or(e.at);
        self.priority = e.text("priority").unwrap_or("normal").to_owned();
        self.metadata = e.data.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(at) = e.text("read_at").and_then(|t| t.parse().ok()) {
            self.read(e, at);
        }
        let foreign = e.data.iter().filter(|(k, _)| !KNOWN_FIELDS.contains(&k.as_str()));
        self.extra = foreign.map(|(k, v)| (k.clone(), v.clone())).collect();
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
