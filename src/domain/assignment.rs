//! Assignments: which one thing an agent is to do now.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::causal::Fold;
use super::event::{Event, Key};
use super::id::RefId;
use super::order::Conflict;
use super::register::{Register, Written};
use super::text::quoted;

/// What an assignment may point at.
pub const REF_TYPES: &[&str] = &["work_order", "mail", "process"];

/// `{type}:{id}`, the content of an assignment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub ref_type: String,
    pub ref_id: RefId,
}

impl Target {
    pub fn order(id: &RefId) -> Self {
        Self { ref_type: "work_order".to_owned(), ref_id: id.clone() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ref_type, self.ref_id)
    }
}

/// The text is no `{type}:{id}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no assignment: write work_order:ID, mail:ID or process:ID")]
pub struct BadTarget(String);

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(quoted(text));
        // Some editors put a mark of the byte order before a text.
        let (kind, id) = text.trim_start_matches('\u{feff}').trim().split_once(':').ok_or_else(bad)?;
        if !REF_TYPES.contains(&kind) {
            return Err(bad());
        }
        Ok(Self { ref_type: kind.to_owned(), ref_id: id.parse().map_err(|_| bad())? })
    }
}

/// An agent's assignment as its events give it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    pub agent: String,
    current: Register,
    /// When the present target was set.
    pub since: Option<Key>,
    /// The first time the agent looked and found it.
    pub seen: Option<Key>,
}

impl Assignment {
    /// The writes that stand, the winner last. There are several where machines did not know of each other.
    pub fn writes(&self) -> &[Written] {
        self.current.writes()
    }

    /// What machines that did not know of each other set besides; a null is that one took it away.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let winner = self.current.get().cloned().unwrap_or_default();
        self.current.others(&winner).map(|w| Conflict::of("assignment", w)).collect()
    }

    pub fn target(&self) -> Option<Target> {
        self.current.text().and_then(|t| t.parse().ok())
    }
}

impl Fold for Assignment {
    fn apply(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        if let (true, Some(agent)) = (self.agent.is_empty(), e.text("agent")) {
            self.agent = agent.to_owned();
        }
        match e.kind.as_str() {
            "assignment.set" => {
                let (kind, id) = (e.text("ref_type").unwrap_or("work_order"), e.text("ref_id").unwrap_or_default());
                self.current.write(format!("{kind}:{id}").into(), e, knows);
                self.since = Some(e.key());
                self.seen = None;
            }
            "assignment.cleared" => {
                self.current.write(Value::Null, e, knows);
                self.since = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_forms_are_assignments() {
        assert_eq!("work_order:wo-1\n".parse::<Target>().unwrap().to_string(), "work_order:wo-1");
        for bad in ["", "wo-1", "order:wo-1", "work_order:../x", "mail:"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
