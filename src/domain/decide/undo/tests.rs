//! Every field, back and forth, and what stands in the way.

use super::*;
use crate::domain::causal::testing::event;
use crate::domain::order::Order;

fn order_with(extra: Vec<Event>) -> Vec<Event> {
    let mut all = vec![event("work_order.created", 1, "e1", Some(&[]), json!({"title": "T", "labels": ["a"]}))];
    all.extend(extra);
    all
}

fn undoing(all: &[Event], ids: &[&str]) -> Plan {
    let undone = ids.iter().map(|s| (*s).to_owned()).collect();
    plan(all, &undone, &AgentId::ceo(), Timestamp::from_millis(99))
}

/// The order after the plan is carried out.
fn after(all: &[Event], plan: &Plan) -> Order {
    let mut all = all.to_vec();
    for (n, d) in plan.drafts.iter().enumerate() {
        let last = all.last().unwrap().id.clone();
        all.push(event(&d.kind, 100 + n as i64, &format!("u{n}"), Some(&[&last]), Value::Object(d.data.clone())));
    }
    let folded: Folded<Order> = fold(all);
    folded.state
}

fn update(ms: i64, id: &str, prev: &str, changes: Value) -> Event {
    event("work_order.updated", ms, id, Some(&[prev]), json!({"changes": changes}))
}

#[test]
fn every_field_goes_back_to_what_it_would_be() {
    let all = order_with(vec![
        update(2, "e2", "e1", json!({"title": "U", "priority": 0, "metadata.k": "v", "assignee": "a"})),
        event("work_order.labels_changed", 3, "e3", Some(&["e2"]), json!({"added": ["b"], "removed": ["a"]})),
        event(
            "work_order.dependency_added",
            4,
            "e4",
            Some(&["e3"]),
            json!({"depends_on_id": "wo-2", "type": "blocks"}),
        ),
        event("work_order.commented", 5, "e5", Some(&["e4"]), json!({"body": "hm"})),
        event("work_order.status_changed", 6, "e6", Some(&["e5"]), json!({"to_status": "closed"})),
        event("work_order.closed", 7, "e7", Some(&["e6"]), json!({"reason": "r"})),
    ]);
    let plan = undoing(&all, &["e2", "e3", "e4", "e5", "e6", "e7"]);
    assert_eq!(plan.obstacles, []);
    let o = after(&all, &plan);
    assert_eq!((o.title(), o.priority(), o.assignee(), o.status()), ("T", 2, None, "open"));
    assert_eq!((o.metadata("k"), o.has_label("a"), o.has_label("b")), (None, true, false));
    assert_eq!((o.dependencies().len(), o.comments().count()), (0, 0));
}

#[test]
fn a_later_change_of_the_same_field_stands_in_the_way_and_one_of_another_does_not() {
    let all = order_with(vec![
        update(2, "e2", "e1", json!({"title": "U"})),
        update(3, "e3", "e2", json!({"priority": 0})),
        update(4, "e4", "e3", json!({"title": "V"})),
    ]);
    let plan = undoing(&all, &["e2"]);
    assert!(plan.drafts.is_empty());
    assert!(plan.obstacles[0].why.starts_with("title was changed since by ceo"), "{:?}", plan.obstacles);
    assert_eq!(after(&all, &undoing(&all, &["e4"])).title(), "U");
    assert_eq!(after(&all, &undoing(&all, &["e3"])).priority(), 2);
}

#[test]
fn a_creation_is_undone_by_closing_and_only_while_nobody_has_touched_it() {
    let all = order_with(vec![]);
    assert_eq!(after(&all, &undoing(&all, &["e1"])).status(), "closed");
    let all = order_with(vec![event("work_order.assigned", 2, "e2", Some(&["e1"]), json!({"agent": "a"}))]);
    assert_eq!(undoing(&all, &["e1"]).obstacles.len(), 1);
}

#[test]
fn undoing_a_claim_frees_the_order_unless_it_was_released_since() {
    let claim = vec![
        event("work_order.status_changed", 2, "e2", Some(&["e1"]), json!({"to_status": "assigned"})),
        event("work_order.assigned", 3, "e3", Some(&["e2"]), json!({"agent": "a"})),
    ];
    let all = order_with(claim.clone());
    let o = after(&all, &undoing(&all, &["e2", "e3"]));
    assert_eq!((o.assignee(), o.status()), (None, "open"));
    let all = order_with([claim, vec![update(4, "e4", "e3", json!({"assignee": "b"}))]].concat());
    let plan = undoing(&all, &["e3"]);
    assert!(plan.drafts.is_empty() && plan.obstacles.len() == 1, "{plan:?}");
    let o = after(&all, &undoing(&all, &["e4"]));
    assert_eq!(o.assignee(), Some("a"));
}

#[test]
fn reopening_is_undone_with_the_reason_it_was_closed_for() {
    let all = order_with(vec![
        event("work_order.status_changed", 2, "e2", Some(&["e1"]), json!({"to_status": "closed"})),
        event("work_order.closed", 3, "e3", Some(&["e2"]), json!({"reason": "done"})),
        event("work_order.status_changed", 4, "e4", Some(&["e3"]), json!({"to_status": "open"})),
    ]);
    let o = after(&all, &undoing(&all, &["e4"]));
    assert_eq!((o.status(), o.closings.last().map(|c| c.reason.as_str())), ("closed", Some("done")));
}

#[test]
fn what_lasts_is_named() {
    let all = order_with(vec![event("qa.merged", 2, "e2", Some(&["e1"]), json!({"base": "main", "commit": "c"}))]);
    assert!(undoing(&all, &["e2"]).obstacles[0].why.contains("revert it in git"));
    let all = order_with(vec![event("work_order.reviewed", 2, "e2", Some(&["e1"]), json!({}))]);
    assert!(undoing(&all, &["e2"]).obstacles[0].why.contains("nothing is known"));
}

#[test]
fn mail_is_unsent_while_unread_and_unread_by_its_reader() {
    let data = json!({"message_id": "msg-1", "to": "a"});
    let sent = event("mail.sent", 1, "e1", Some(&[]), data.clone());
    let read = event("mail.read", 2, "e2", Some(&["e1"]), data);
    assert_eq!(undoing(std::slice::from_ref(&sent), &["e1"]).drafts[0].kind, "mail.archived");
    let all = [sent, read];
    assert!(undoing(&all, &["e1"]).obstacles[0].why.contains("cannot be unsent"));
    let plan = undoing(&all, &["e2"]);
    let mut all = all.to_vec();
    all.push(event("mail.read", 3, "e3", Some(&["e2"]), Value::Object(plan.drafts[0].data.clone())));
    let m: Folded<Message> = fold(all.clone());
    assert_eq!(m.state.read_at, None);
    assert_eq!(undoing(&all, &["e3"]).changes[0].from, Value::Null, "and that can be undone, too");
}

#[test]
fn an_assignment_goes_back_to_the_one_before() {
    let set = |ms, id: &str, prev: &[&str], to: &str| {
        event("assignment.set", ms, id, Some(prev), json!({"agent": "a", "ref_type": "work_order", "ref_id": to}))
    };
    let all = [set(1, "e1", &[], "wo-1"), set(2, "e2", &["e1"], "wo-2")];
    let plan = undoing(&all, &["e2"]);
    assert_eq!((plan.drafts[0].kind.as_str(), &plan.drafts[0].data["ref_id"]), ("assignment.set", &json!("wo-1")));
    assert_eq!(undoing(&all[..1], &["e1"]).drafts[0].kind, "assignment.cleared");
    assert_eq!(undoing(&all, &["e1"]).obstacles.len(), 1);
}
