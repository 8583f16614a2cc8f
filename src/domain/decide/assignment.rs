//! What may be done with assignments.

use serde_json::json;

use crate::domain::assignment::{Assignment, Target};
use crate::domain::event::Draft;
use crate::domain::id::AgentId;
use crate::domain::refusal::{Refusal, Why};

/// Sets an agent's one assignment. One that is there already is not pushed out unless `replace` is said; `others` are
/// the agents that have an assignment file.
pub fn set(
    current: &Assignment,
    agent: &AgentId,
    target: &Target,
    actor: &AgentId,
    replace: bool,
    others: &[AgentId],
) -> Result<Vec<Draft>, Refusal> {
    if let Some(other) = others.iter().find(|o| *o != agent && o.assignment_file() == agent.assignment_file()) {
        return Err(Refusal::new(
            Why::Conflict,
            format!("{agent} and {other} fall on the same file name {}", agent.assignment_file()),
        )
        .hint("choose another name for one of them"));
    }
    match current.target() {
        // Where machines disagree, setting the same again settles it.
        Some(t) if t == *target && current.conflicts().is_empty() => Ok(Vec::new()),
        Some(t) if t != *target && !replace => {
            Err(Refusal::new(Why::Conflict, format!("{agent} already has an assignment: {t}"))
                .hint("take it away first (git vermas assignment clear AGENT), or say --replace"))
        }
        _ => Ok(vec![Draft::new(
            "assignment.set",
            actor,
            json!({"agent": agent, "ref_type": target.ref_type, "ref_id": target.ref_id}),
        )]),
    }
}

/// Takes an agent's assignment away; an agent without one is left as it is.
pub fn clear(current: &Assignment, agent: &AgentId, actor: &AgentId) -> Vec<Draft> {
    let Some(target) = current.target() else { return Vec::new() };
    vec![Draft::new("assignment.cleared", actor, json!({"agent": agent, "previous_ref": target.to_string()}))]
}
