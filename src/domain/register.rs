//! A field that keeps what concurrent writers put there until somebody who saw all of it decides.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{Event, Key};

/// One value, who put it there and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    pub key: Key,
    pub by: String,
    pub value: Value,
    /// It was written by a creation of its subject, which knows of no later change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub creation: bool,
    /// Its event does not say what its writer knew. Whoever changes a subject knows how that began, whatever the clocks say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
}

/// The writes that no later one knew of. Usually one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Register(Vec<Written>);

impl Register {
    /// A write replaces those its writer knew.
    pub fn write(&mut self, value: Value, event: &Event, knows: &dyn Fn(&str) -> bool) {
        self.0.retain(|w| !knows(&w.key.id));
        let creation = event.kind == "work_order.created";
        let blind = event.prev.is_none();
        self.0.push(Written { key: event.key(), by: event.actor.clone(), value, creation, blind });
        self.0.sort_by(|a, b| a.key.cmp(&b.key));
    }

    pub fn is_written(&self) -> bool {
        !self.0.is_empty()
    }

    /// The latest in the total order.
    pub fn get(&self) -> Option<&Value> {
        self.0.last().map(|w| &w.value)
    }

    pub fn text(&self) -> Option<&str> {
        self.get().and_then(Value::as_str)
    }

    /// All writes that stand, the winner last.
    pub fn writes(&self) -> &[Written] {
        &self.0
    }

    /// Values that lost to `winner` without having been seen by its writer.
    pub fn others<'a>(&'a self, winner: &'a Value) -> impl Iterator<Item = &'a Written> {
        self.0.iter().filter(move |w| w.value != *winner)
    }
}
