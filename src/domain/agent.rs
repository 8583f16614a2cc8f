//! What is known of an agent: where it runs and what it last did.

use serde::{Deserialize, Serialize};

use super::causal::Fold;
use super::event::{Event, Key};

/// An agent as its events give it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: String,
    /// `starting`, `working`, `idle`, `stopped`, or `unknown` before the first event.
    pub state: String,
    /// Why it stopped, or what it waits for.
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    pub session_name: Option<String>,
    pub worktree: Option<String>,
    pub profile: Option<String>,
    pub work_order: Option<String>,
    pub log: Option<String>,
    pub started: Option<Key>,
    /// When it found its assignment, for the newest assignment.
    pub checked: Option<Key>,
    pub last: Key,
}

impl Agent {
    /// Whether it has run for an order, for all that is known: one that never started, or that was started for
    /// another and stopped, has not.
    pub fn has_run_for(&self, order: &str) -> bool {
        match self.state.as_str() {
            "" | "unknown" => false,
            "stopped" => self.work_order.as_deref().is_none_or(|o| o == order),
            _ => true,
        }
    }
}

impl Fold for Agent {
    fn apply(&mut self, e: &Event, _knows: &dyn Fn(&str) -> bool) {
        let text = |name: &str| e.text(name).map(str::to_owned);
        self.id = text("agent").unwrap_or_else(|| e.actor.clone());
        self.last = e.key();
        match e.kind.as_str() {
            "agent.started" => {
                *self = Self {
                    id: std::mem::take(&mut self.id),
                    state: "working".to_owned(),
                    session_name: text("session_name"),
                    worktree: text("worktree"),
                    profile: text("profile"),
                    work_order: text("assigned_work_order"),
                    log: text("log"),
                    started: Some(e.key()),
                    last: e.key(),
                    ..Self::default()
                };
            }
            "agent.working" => {
                self.state = "working".to_owned();
                self.reason = None;
                self.work_order = text("work_order_id").or(self.work_order.take());
            }
            "agent.idle" => {
                self.state = "idle".to_owned();
                self.reason = text("reason");
            }
            "agent.stopped" => {
                self.state = "stopped".to_owned();
                self.reason = text("reason");
                self.exit_code = e.data.get("exit_code").and_then(serde_json::Value::as_i64);
            }
            "agent.assignment_checked" | "assignment.checked" => self.checked = Some(e.key()),
            _ => {}
        }
    }
}
