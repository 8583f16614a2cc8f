//! The work order: what its events add up to. How each event changes it is in `fold`, how it
//! begins in `creation`.

mod creation;
mod fold;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::Key;
use super::register::{Register, Written};
use super::time::Timestamp;

pub const STATUSES: &[&str] = &["open", "assigned", "in_progress", "closed"];
pub const TYPES: &[&str] = &["task", "bug", "feature", "epic", "merge-request"];
pub const LOWEST_PRIORITY: i64 = 4;
pub const DEFAULT_PRIORITY: i64 = 2;

/// Fields of the record that have a place of their own; all others are kept as they came.
pub const KNOWN_FIELDS: &[&str] = &[
    "id",
    "work_order_id",
    "title",
    "description",
    "status",
    "priority",
    "issue_type",
    "type",
    "created_at",
    "updated_at",
    "created_by",
    "assignee",
    "dependencies",
    "labels",
    "metadata",
    "parent",
    "adopted",
];

/// Fields that one value each stands for, and that `work_order.updated` may change.
pub const PLAIN_FIELDS: &[&str] = &["title", "description", "status", "priority", "issue_type"];

/// Somebody who took the work on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub agent: String,
    pub key: Key,
    pub by: String,
    /// Whether a remote has decided for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

/// That one order waits for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    pub depends_on_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub created_at: String,
    pub created_by: String,
    /// The events that put it there; it is gone when a remover knew them all.
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comment {
    pub key: Key,
    pub by: String,
    pub body: String,
    /// The events that took it back; none where it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<String>,
}

/// A closing, with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    pub key: Key,
    pub by: String,
    pub reason: String,
}

/// That QA landed the work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landing {
    pub key: Key,
    pub branch: String,
    pub base: String,
    pub commit: String,
}

/// That QA sent the work back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    pub key: Key,
    pub branch: String,
    pub reason: String,
}

/// A work order with everything its events say about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    /// Whether its creation has arrived; until then it is not shown.
    pub created: bool,
    created_at: Option<Timestamp>,
    created_by: Option<String>,
    updated_at: Timestamp,
    fields: BTreeMap<String, Register>,
    claims: Vec<Claim>,
    dependencies: Vec<Dependency>,
    labels: BTreeMap<String, Vec<String>>,
    metadata: BTreeMap<String, Register>,
    extra: BTreeMap<String, Register>,
    comments: Vec<Comment>,
    pub closings: Vec<Closing>,
    pub landings: Vec<Landing>,
    pub rejections: Vec<Rejection>,
    /// The latest event of another kind than a creation that wrote the assignee, the labels or the dependencies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    decided: BTreeMap<String, String>,
}

/// A field on which concurrent writers disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    pub field: String,
    pub value: Value,
    pub by: String,
    pub at: Timestamp,
    pub event: String,
}

impl Conflict {
    /// The disagreement that a write which did not win stands for.
    pub fn of(field: &str, w: &Written) -> Self {
        let (value, by, event) = (w.value.clone(), w.by.clone(), w.key.id.clone());
        Self { field: field.to_owned(), value, by, at: w.key.at, event }
    }
}

impl Order {
    pub fn title(&self) -> &str {
        self.fields.get("title").and_then(Register::text).unwrap_or_default()
    }

    pub fn description(&self) -> &str {
        self.fields.get("description").and_then(Register::text).unwrap_or_default()
    }

    /// `closed` wins over whatever was concurrent with it; else the latest.
    pub fn status(&self) -> &str {
        let Some(r) = self.fields.get("status") else { return "open" };
        let closed = r.writes().iter().any(|w| w.value == "closed");
        if closed { "closed" } else { r.text().unwrap_or("open") }
    }

    pub fn is_closed(&self) -> bool {
        self.status() == "closed"
    }

    pub fn priority(&self) -> i64 {
        self.fields.get("priority").and_then(Register::get).and_then(Value::as_i64).unwrap_or(DEFAULT_PRIORITY)
    }

    pub fn issue_type(&self) -> &str {
        self.fields.get("issue_type").and_then(Register::text).unwrap_or("task")
    }

    pub fn assignee(&self) -> Option<&str> {
        self.claims.first().map(|c| c.agent.as_str())
    }

    /// Claims that came too late, without their makers having known the first.
    pub fn contested(&self) -> &[Claim] {
        self.claims.get(1..).unwrap_or_default()
    }

    pub fn created_at(&self) -> Timestamp {
        self.created_at.unwrap_or_default()
    }

    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    pub fn created_by(&self) -> &str {
        self.created_by.as_deref().unwrap_or_default()
    }

    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }

    pub fn has_label(&self, label: &str) -> bool {
        self.labels.contains_key(label)
    }

    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// What was said and not taken back, in the total order.
    pub fn comments(&self) -> impl Iterator<Item = &Comment> {
        self.comments.iter().filter(|c| c.withdrawn.is_empty())
    }

    /// The writes that stand on a plain field, on `metadata.KEY`, or on a field of another program; the winner last.
    pub fn writes(&self, field: &str) -> &[Written] {
        let metadata = field.strip_prefix("metadata.").and_then(|k| self.metadata.get(k));
        let register = self.fields.get(field).or(metadata).or_else(|| self.extra.get(field));
        register.map(Register::writes).unwrap_or_default()
    }

    /// The claims that stand, the holder's first.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The orders that must be closed before this one is ready.
    pub fn blockers(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|d| d.kind == "blocks").map(|d| d.depends_on_id.as_str())
    }

    pub fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key).and_then(Register::get).filter(|v| !v.is_null())
    }

    /// The order this one is a part of: by metadata, or by a hierarchical foreign id.
    pub fn parent(&self) -> Option<String> {
        let by_id = || self.id.rsplit_once('.').map(|(p, _)| p.to_owned());
        self.metadata("parent").and_then(Value::as_str).map(str::to_owned).or_else(by_id)
    }

    /// Values of concurrent writers that lost, until a later write settles them.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let conflict = Conflict::of;
        let mut all = Vec::new();
        for (name, r) in &self.fields {
            let winner =
                if name == "status" { Value::from(self.status()) } else { r.get().cloned().unwrap_or_default() };
            all.extend(r.others(&winner).map(|w| conflict(name, w)));
        }
        for (name, r) in &self.metadata {
            let winner = r.get().cloned().unwrap_or_default();
            all.extend(r.others(&winner).map(|w| conflict(&format!("metadata.{name}"), w)));
        }
        for (name, r) in &self.extra {
            let winner = r.get().cloned().unwrap_or_default();
            all.extend(r.others(&winner).map(|w| conflict(name, w)));
        }
        for c in self.contested() {
            all.push(Conflict {
                field: "assignee".to_owned(),
                value: c.agent.clone().into(),
                by: c.by.clone(),
                at: c.key.at,
                event: c.key.id.clone(),
            });
        }
        all
    }

    /// The record of FORMATS: one JSON object with its fields in a fixed order, foreign fields after ours.
    pub fn record(&self) -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("id".into(), self.id.clone().into());
        m.insert("title".into(), self.title().into());
        m.insert("description".into(), self.description().into());
        m.insert("status".into(), self.status().into());
        m.insert("priority".into(), self.priority().into());
        m.insert("issue_type".into(), self.issue_type().into());
        m.insert("created_at".into(), self.created_at().to_string().into());
        m.insert("updated_at".into(), self.updated_at.to_string().into());
        m.insert("created_by".into(), self.created_by().into());
        m.insert("assignee".into(), self.assignee().into());
        let dependency = |d: &Dependency| {
            serde_json::json!({"depends_on_id": d.depends_on_id, "type": d.kind,
                "created_at": d.created_at, "created_by": d.created_by})
        };
        m.insert("dependencies".into(), self.dependencies.iter().map(dependency).collect());
        m.insert("labels".into(), self.labels().map(Value::from).collect());
        let metadata = self.metadata.iter().filter_map(|(k, r)| Some((k.clone(), r.get()?.clone())));
        m.insert("metadata".into(), Value::Object(metadata.filter(|(_, v)| !v.is_null()).collect()));
        for (name, r) in &self.extra {
            if let Some(v) = r.get() {
                m.insert(name.clone(), v.clone());
            }
        }
        m
    }
}
