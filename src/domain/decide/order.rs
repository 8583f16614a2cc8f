//! What may be done with a work order.

use serde_json::{Map, Value, json};

use crate::domain::event::Draft;
use crate::domain::id::{AgentId, OrderId};
use crate::domain::order::{LOWEST_PRIORITY, Order, STATUSES, TYPES};
use crate::domain::refusal::{Refusal, Why};
use crate::domain::secret;
use crate::domain::text::{body_fault, label_fault, quoted, title_fault};

/// The wish for a new work order.
#[derive(Debug, Clone, Default)]
pub struct NewOrder {
    pub title: String,
    pub description: String,
    pub issue_type: Option<String>,
    pub priority: Option<i64>,
    pub labels: Vec<String>,
    pub parent: Option<OrderId>,
    pub dependencies: Vec<OrderId>,
    pub metadata: Map<String, Value>,
    pub assignee: Option<AgentId>,
    /// Set when the author knows that the text looks like a secret and wants it written all the same.
    pub allow_secret: bool,
}

type Decided = Result<Vec<Draft>, Refusal>;

fn draft(kind: &str, actor: &AgentId, data: Value) -> Draft {
    Draft::new(&format!("work_order.{kind}"), actor, data)
}

const MORE_TEXT: &str = "put the details into --description, or into a file with -F";

/// Checks a title as it was given on a command line or in a batch.
pub fn check_title(title: &str) -> Result<(), Refusal> {
    title_fault(title).map_or(Ok(()), |fault| {
        let refusal = Refusal::usage(fault);
        Err(if title.trim().is_empty() { refusal } else { refusal.hint(MORE_TEXT) })
    })
}

fn check_body(what: &str, body: &str, allow_secret: bool) -> Result<(), Refusal> {
    if let Some(fault) = body_fault(what, body) {
        return Err(Refusal::usage(fault));
    }
    check_secret(what, body, allow_secret)
}

/// Refuses text that would push a recognised secret to every clone.
pub fn check_secret(what: &str, text: &str, allowed: bool) -> Result<(), Refusal> {
    match secret::found_in(text) {
        Some(kind) if !allowed => Err(Refusal::new(
            Why::NotPermitted,
            format!("{what} holds what looks like {kind}; it would be pushed to every clone"),
        )
        .hint("take it out, or say --allow-secret if it is none")),
        _ => Ok(()),
    }
}

pub fn check_type(issue_type: &str) -> Result<(), Refusal> {
    one_of("type", issue_type, TYPES)
}

pub fn check_status(status: &str) -> Result<(), Refusal> {
    one_of("status", status, STATUSES)
}

fn one_of(what: &str, given: &str, known: &[&str]) -> Result<(), Refusal> {
    if known.contains(&given) {
        return Ok(());
    }
    Err(Refusal::usage(format!("{} is no {what}", quoted(given))).hint(format!("use one of: {}", known.join(", "))))
}

pub fn check_priority(priority: i64) -> Result<(), Refusal> {
    if (0..=LOWEST_PRIORITY).contains(&priority) {
        return Ok(());
    }
    Err(Refusal::usage(format!("{priority} is no priority")).hint("use 0 (critical) to 4 (backlog); 2 is the default"))
}

fn check_labels(labels: &[String]) -> Result<(), Refusal> {
    labels.iter().try_for_each(|l| label_fault(l).map_or(Ok(()), |f| Err(Refusal::usage(f))))
}

/// Creates `id`. The caller has made sure that the parent and the dependencies exist.
pub fn create(id: &OrderId, wish: &NewOrder, actor: &AgentId) -> Decided {
    check_title(&wish.title)?;
    check_secret("the title", &wish.title, wish.allow_secret)?;
    check_body("the description", &wish.description, wish.allow_secret)?;
    let issue_type = wish.issue_type.as_deref().unwrap_or("task");
    check_type(issue_type)?;
    let priority = wish.priority.unwrap_or(crate::domain::order::DEFAULT_PRIORITY);
    check_priority(priority)?;
    check_labels(&wish.labels)?;
    let mut metadata = wish.metadata.clone();
    if let Some(parent) = &wish.parent {
        metadata.insert("parent".to_owned(), parent.as_str().into());
    }
    let data = json!({
        "work_order_id": id, "title": wish.title, "description": wish.description, "issue_type": issue_type,
        "priority": priority, "created_by": actor, "labels": wish.labels, "assignee": null, "metadata": metadata,
        "parent": wish.parent,
    });
    let mut drafts = vec![draft("created", actor, data)];
    for on in &wish.dependencies {
        drafts.push(dependency("dependency_added", id, on, actor));
    }
    if let Some(agent) = &wish.assignee {
        drafts.push(status(id, "open", "assigned", actor));
        drafts.push(assigned(id, agent, actor));
    }
    Ok(drafts)
}

fn dependency(kind: &str, id: &OrderId, on: &OrderId, actor: &AgentId) -> Draft {
    draft(kind, actor, json!({"work_order_id": id, "depends_on_id": on, "type": "blocks"}))
}

/// The bare event of a change of status.
pub fn status(id: &OrderId, from: &str, to: &str, actor: &AgentId) -> Draft {
    draft("status_changed", actor, json!({"work_order_id": id, "from_status": from, "to_status": to}))
}

/// The bare event of an assignment to an agent.
pub fn assigned(id: &OrderId, agent: &AgentId, actor: &AgentId) -> Draft {
    let path = agent.assignment_file();
    draft("assigned", actor, json!({"work_order_id": id, "agent": agent, "assignment_path": path}))
}

/// Changes of the plain fields, labels and metadata of an order.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub title: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub priority: Option<i64>,
    pub issue_type: Option<String>,
    /// `Some(None)` releases.
    pub assignee: Option<Option<AgentId>>,
    pub add_labels: Vec<String>,
    pub remove_labels: Vec<String>,
    /// A null removes the entry.
    pub metadata: Map<String, Value>,
    pub allow_secret: bool,
}

/// Updates an order; what already is as wished is left out, and nothing left means no event.
pub fn update(order: &Order, id: &OrderId, wish: &Changes, actor: &AgentId) -> Decided {
    let mut changes = Map::new();
    let disputed = |field: &str| order.conflicts().iter().any(|c| c.field == field);
    let mut change = |name: &str, old: Value, new: Value| {
        if old != new || disputed(name) {
            changes.insert(name.to_owned(), new);
        }
    };
    if let Some(title) = &wish.title {
        check_title(title)?;
        check_secret("the title", title, wish.allow_secret)?;
        change("title", order.title().into(), title.as_str().into());
    }
    if let Some(text) = &wish.description {
        check_body("the description", text, wish.allow_secret)?;
        change("description", order.description().into(), text.as_str().into());
    }
    if let Some(p) = wish.priority {
        check_priority(p)?;
        change("priority", order.priority().into(), p.into());
    }
    if let Some(t) = &wish.issue_type {
        check_type(t)?;
        change("issue_type", order.issue_type().into(), t.as_str().into());
    }
    if let Some(agent) = &wish.assignee {
        change("assignee", order.assignee().into(), agent.as_ref().map(AgentId::as_str).into());
    }
    for (key, value) in &wish.metadata {
        let old = order.metadata(key).cloned().unwrap_or_default();
        change(&format!("metadata.{key}"), old, value.clone());
    }
    let mut drafts = Vec::new();
    if !changes.is_empty() {
        drafts.push(draft("updated", actor, json!({"work_order_id": id, "changes": changes})));
    }
    check_labels(&wish.add_labels)?;
    let added: Vec<_> = wish.add_labels.iter().filter(|l| !order.has_label(l)).collect();
    let removed: Vec<_> = wish.remove_labels.iter().filter(|l| order.has_label(l)).collect();
    if !added.is_empty() || !removed.is_empty() {
        let data = json!({"work_order_id": id, "added": added, "removed": removed});
        drafts.push(draft("labels_changed", actor, data));
    }
    if let Some(to) = &wish.status {
        check_status(to)?;
        if to == "closed" && !order.is_closed() {
            drafts.extend(close(order, id, "", actor)?);
        } else if to != order.status() || disputed("status") {
            drafts.push(status(id, order.status(), to, actor));
        }
    }
    Ok(drafts)
}

pub fn comment(id: &OrderId, body: &str, allow_secret: bool, actor: &AgentId) -> Decided {
    if body.trim().is_empty() {
        return Err(Refusal::usage("an empty comment says nothing"));
    }
    check_body("the comment", body, allow_secret)?;
    Ok(vec![draft("commented", actor, json!({"work_order_id": id, "body": body}))])
}

pub fn close(order: &Order, id: &OrderId, reason: &str, actor: &AgentId) -> Decided {
    if order.is_closed() {
        let why = order.closings.last().map(|c| format!(" by {} on {}", c.by, c.key.at)).unwrap_or_default();
        return Err(Refusal::state(format!("{id} is closed already{why}"))
            .hint(format!("to open it again: git vermas wo reopen {id}")));
    }
    check_body("the reason", reason, false)?;
    Ok(vec![
        status(id, order.status(), "closed", actor),
        draft("closed", actor, json!({"work_order_id": id, "reason": reason})),
    ])
}

pub fn reopen(order: &Order, id: &OrderId, actor: &AgentId) -> Decided {
    if !order.is_closed() {
        return Err(Refusal::state(format!("{id} is not closed, it is {}", order.status())));
    }
    let mut drafts = vec![status(id, "closed", "open", actor)];
    if order.assignee().is_some() {
        drafts.push(released(id, actor));
    }
    Ok(drafts)
}

fn released(id: &OrderId, actor: &AgentId) -> Draft {
    draft("updated", actor, json!({"work_order_id": id, "changes": {"assignee": null}}))
}

/// Takes an order on. Claiming what one holds already changes nothing.
pub fn claim(order: &Order, id: &OrderId, agent: &AgentId, actor: &AgentId) -> Decided {
    if order.is_closed() {
        return Err(
            Refusal::state(format!("{id} is closed")).hint(format!("to open it again: git vermas wo reopen {id}"))
        );
    }
    match order.assignee() {
        Some(holder) if holder == agent.as_str() => Ok(Vec::new()),
        Some(holder) => Err(Refusal::new(Why::Conflict, format!("{id} is held by {holder}"))
            .hint(format!("ask {holder}, or see what else is free: git vermas wo ready"))),
        None => {
            let mut drafts = Vec::new();
            if order.status() == "open" {
                drafts.push(status(id, "open", "assigned", actor));
            }
            drafts.push(assigned(id, agent, actor));
            Ok(drafts)
        }
    }
}

/// Gives an order back. Only its holder, or the ceo and supervisors, may.
pub fn release(order: &Order, id: &OrderId, actor: &AgentId) -> Decided {
    let Some(holder) = order.assignee() else {
        return Err(Refusal::state(format!("nobody holds {id}")));
    };
    let gives_up = |agent: &str, next: Option<&str>| {
        let data = json!({"work_order_id": id, "changes": {"assignee": next}, "released": agent});
        draft("updated", actor, data)
    };
    // A claim that came too late is given up before anybody else's.
    if holder != actor.as_str() && order.contested().iter().any(|c| c.agent == actor.as_str()) {
        return Ok(vec![gives_up(actor.as_str(), Some(holder))]);
    }
    if holder != actor.as_str() && actor.as_worker().is_some() {
        return Err(Refusal::new(Why::NotPermitted, format!("{id} is held by {holder}, not by you ({actor})")));
    }
    let next = order.contested().iter().map(|c| c.agent.as_str()).find(|a| *a != holder);
    let mut drafts = vec![gives_up(holder, next)];
    let then = if next.is_some() { "assigned" } else { "open" };
    if matches!(order.status(), "assigned" | "in_progress") && order.status() != then {
        drafts.push(status(id, order.status(), then, actor));
    }
    Ok(drafts)
}

/// Makes `id` wait for `on`. `reaches(a, b)` tells whether `a` waits for `b`, directly or through others.
pub fn add_dependency(
    order: &Order,
    id: &OrderId,
    on: &OrderId,
    actor: &AgentId,
    reaches: impl FnOnce(&OrderId, &OrderId) -> bool,
) -> Decided {
    if id == on {
        return Err(Refusal::usage(format!("{id} cannot wait for itself")));
    }
    if order.blockers().any(|b| b == on.as_str()) {
        return Ok(Vec::new());
    }
    if reaches(on, id) {
        return Err(Refusal::state(format!(
            "{on} already waits for {id}: this would be a cycle, and neither could ever be ready"
        ))
        .hint(format!("see what waits for what: git vermas wo dep tree {on}")));
    }
    Ok(vec![dependency("dependency_added", id, on, actor)])
}

pub fn remove_dependency(order: &Order, id: &OrderId, on: &OrderId, actor: &AgentId) -> Decided {
    if !order.dependencies().iter().any(|d| d.depends_on_id == on.as_str()) {
        return Err(Refusal::new(Why::NotFound, format!("{id} does not wait for {on}")));
    }
    Ok(vec![dependency("dependency_removed", id, on, actor)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::causal::testing::event;
    use crate::domain::causal::{Folded, fold};

    fn order(extra: Vec<crate::domain::Event>) -> (Order, OrderId) {
        let mut all = vec![event("work_order.created", 1, "e1", Some(&[]), json!({"title": "T"}))];
        all.extend(extra);
        let f: Folded<Order> = fold(all);
        (f.state, "wo-1".parse().unwrap())
    }

    #[test]
    fn closing_twice_is_refused() {
        let closed = event("work_order.status_changed", 2, "e2", Some(&["e1"]), json!({"to_status": "closed"}));
        let (o, id) = order(vec![closed]);
        assert!(close(&o, &id, "", &AgentId::ceo()).unwrap_err().message.contains("closed already"));
    }

    #[test]
    fn claiming_what_another_holds_is_a_conflict() {
        let (o, id) = order(vec![event("work_order.assigned", 2, "e2", Some(&["e1"]), json!({"agent": "a"}))]);
        let e = claim(&o, &id, &AgentId::ceo(), &AgentId::ceo()).unwrap_err();
        assert_eq!(e.why, Why::Conflict);
        assert!(claim(&o, &id, &"a".parse().unwrap(), &AgentId::ceo()).unwrap().is_empty());
    }

    #[test]
    fn an_update_that_changes_nothing_is_no_event() {
        let (o, id) = order(vec![]);
        let wish = Changes { title: Some("T".into()), priority: Some(2), ..Changes::default() };
        assert!(update(&o, &id, &wish, &AgentId::ceo()).unwrap().is_empty());
    }

    #[test]
    fn a_cycle_is_refused() {
        let (o, id) = order(vec![]);
        let on: OrderId = "wo-2".parse().unwrap();
        assert!(add_dependency(&o, &id, &on, &AgentId::ceo(), |_, _| true).is_err());
        assert!(add_dependency(&o, &id, &id, &AgentId::ceo(), |_, _| false).is_err());
        assert_eq!(add_dependency(&o, &id, &on, &AgentId::ceo(), |_, _| false).unwrap().len(), 1);
    }

    #[test]
    fn bad_wishes_are_named() {
        let id: OrderId = "wo-1".parse().unwrap();
        let wish = |f: &dyn Fn(&mut NewOrder)| {
            let mut w = NewOrder { title: "T".into(), ..NewOrder::default() };
            f(&mut w);
            create(&id, &w, &AgentId::ceo()).unwrap_err().message
        };
        assert_eq!(wish(&|w| w.priority = Some(7)), "7 is no priority");
        assert_eq!(wish(&|w| w.issue_type = Some("x".into())), "'x' is no type");
        assert!(wish(&|w| w.title = String::new()).contains("at least one character"));
    }
}
