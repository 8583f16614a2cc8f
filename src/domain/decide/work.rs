//! The way of an order through a worker and QA: dispatch, done, landed, sent back.

use serde_json::json;

use crate::domain::assignment::Target;
use crate::domain::event::Draft;
use crate::domain::id::{AgentId, OrderId};
use crate::domain::order::Order;
use crate::domain::refusal::{Refusal, Why};

use super::order::{assigned, status};

/// Gives an order to a worker. `open_blockers` are the orders it still waits for.
pub fn dispatch(
    order: &Order,
    id: &OrderId,
    worker: &AgentId,
    open_blockers: &[String],
    actor: &AgentId,
) -> Result<Vec<Draft>, Refusal> {
    if order.is_closed() {
        return Err(
            Refusal::state(format!("{id} is closed")).hint(format!("to open it again: git vermas wo reopen {id}"))
        );
    }
    if !open_blockers.is_empty() {
        return Err(Refusal::state(format!("{id} is blocked by {}", open_blockers.join(", ")))
            .hint("see what can be done now: git vermas wo ready"));
    }
    if let Some(holder) = order.assignee().filter(|h| *h != worker.as_str()) {
        return Err(Refusal::new(Why::Conflict, format!("{id} is already with {holder}"))
            .hint("how to take it back first: git vermas wo release -h"));
    }
    let mut drafts = Vec::new();
    if order.status() == "open" {
        drafts.push(status(id, "open", "assigned", actor));
    }
    if order.assignee().is_none() {
        drafts.push(assigned(id, worker, actor));
    }
    let target = Target::order(id);
    drafts.push(Draft::new(
        "assignment.set",
        actor,
        json!({"agent": worker, "ref_type": target.ref_type, "ref_id": target.ref_id}),
    ));
    Ok(drafts)
}

/// A dispatch that could not be carried out: the order is free again.
pub fn undispatch(order: &Order, id: &OrderId, worker: &AgentId, reason: &str, actor: &AgentId) -> Vec<Draft> {
    let mut drafts = vec![Draft::new(
        "assignment.cleared",
        actor,
        json!({"agent": worker, "previous_ref": Target::order(id).to_string()}),
    )];
    if order.assignee() == Some(worker.as_str()) {
        drafts.push(Draft::new(
            "work_order.updated",
            actor,
            json!({"work_order_id": id, "changes": {"assignee": null}}),
        ));
        if matches!(order.status(), "assigned" | "in_progress") {
            drafts.push(status(id, order.status(), "open", actor));
        }
    }
    let data = json!({"agent": worker, "reason": reason, "work_order_id": id});
    drafts.push(Draft::new("agent.stopped", actor, data));
    drafts
}

/// QA has landed the work: the order closes with the commit recorded, and the worker is free.
pub fn merged(order: &Order, id: &OrderId, branch: &str, base: &str, commit: &str, actor: &AgentId) -> Vec<Draft> {
    let mut drafts = vec![Draft::new(
        "qa.merged",
        actor,
        json!({"work_order_id": id, "branch": branch, "base": base, "commit": commit}),
    )];
    if !order.is_closed() {
        let reason = format!("merged into {base} as {commit}");
        drafts.push(status(id, order.status(), "closed", actor));
        drafts.push(Draft::new("work_order.closed", actor, json!({"work_order_id": id, "reason": reason})));
    }
    drafts
}

/// QA sends the work back to the same worker.
pub fn rejected(order: &Order, id: &OrderId, branch: &str, reason: &str, actor: &AgentId) -> Vec<Draft> {
    let data = json!({"work_order_id": id, "branch": branch, "reason": reason});
    let mut drafts = vec![Draft::new("qa.rejected", actor, data)];
    if order.status() != "in_progress" && !order.is_closed() {
        drafts.push(status(id, order.status(), "in_progress", actor));
    }
    drafts
}
