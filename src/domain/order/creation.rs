//! What a creation says of an order.
//!
//! An order may be created more than once: by a line and by the event that belongs to it, or on two machines under one
//! foreign id. A creation tells how the order began, and its writer saw nothing of what was changed since, whatever the
//! clocks say: it never replaces what an event of another kind wrote.

use serde_json::Value;

use super::fold::{fitted, tag};
use super::{Closing, KNOWN_FIELDS, Order, PLAIN_FIELDS};
use crate::domain::event::Event;
use crate::domain::record::{APART, apart};
use crate::domain::register::Register;

impl Order {
    pub(super) fn apply_created(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        let again = std::mem::replace(&mut self.created, true);
        if !again {
            self.created_at = Some(e.text("created_at").and_then(|t| t.parse().ok()).unwrap_or(e.at));
            self.created_by = Some(e.text("created_by").unwrap_or(&e.actor).to_owned());
        }
        for field in PLAIN_FIELDS {
            let value = match *field {
                "issue_type" => e.data.get("issue_type").filter(|t| !t.is_null()).or_else(|| e.data.get("type")),
                name => e.data.get(name),
            };
            // It sets what it carries, and nothing else: what no event says has its default.
            if let Some(value) = value.and_then(|v| fitted(field, v.clone())) {
                begin(self.fields.entry((*field).to_owned()).or_default(), value, e, knows);
            }
        }
        if let Some(agent) = e.text("assignee").filter(|a| !a.is_empty() && !self.is_decided("assignee", knows)) {
            self.claim(agent, e, knows);
        }
        // Of a set the first creation adds what it carries to what is there already: none of it can have been removed.
        if !again || !self.is_decided("labels", knows) {
            let labels = e.data.get("labels").and_then(Value::as_array).into_iter().flatten();
            for label in labels.filter_map(Value::as_str) {
                tag(self.labels.entry(label.to_owned()).or_default(), e);
            }
        }
        if !again || !self.is_decided("dependencies", knows) {
            self.depend_on_all(e.data.get("dependencies"), e);
        }
        if let Some(Value::Object(m)) = e.data.get("metadata") {
            for (k, v) in m {
                begin(self.metadata.entry(k.clone()).or_default(), v.clone(), e, knows);
            }
        }
        if let Some(parent) = e.text("parent") {
            begin(self.metadata.entry("parent".to_owned()).or_default(), parent.into(), e, knows);
        }
        let is_adopted = e.data.get("adopted") == Some(&Value::Bool(true));
        let is_own = |name: &str| KNOWN_FIELDS.contains(&name) || (is_adopted && name == APART);
        for (k, v) in e.data.iter().filter(|(k, _)| !is_own(k)).chain(apart(&e.data)) {
            begin(self.extra.entry(k.clone()).or_default(), v.clone(), e, knows);
        }
        let closes = self.writes("status").iter().any(|w| w.key == e.key() && w.value == "closed");
        if closes && self.closings.is_empty() {
            let reason = e.text("close_reason").unwrap_or_default().to_owned();
            self.closings.push(Closing { key: e.key(), by: e.actor.clone(), reason });
        }
    }

    /// Notes that an event of another kind than a creation wrote the assignee or a set, of which the values alone do not
    /// tell it.
    pub(super) fn decide(&mut self, what: &str, e: &Event) {
        self.decided.insert(what.to_owned(), e.id.clone());
    }

    fn is_decided(&self, what: &str, knows: &dyn Fn(&str) -> bool) -> bool {
        self.decided.get(what).is_some_and(|id| knows(id))
    }
}

/// Writes what a creation says, unless it would replace what another event than a creation wrote.
fn begin(register: &mut Register, value: Value, e: &Event, knows: &dyn Fn(&str) -> bool) {
    if !register.writes().iter().any(|w| !w.creation && (w.blind || knows(&w.key.id))) {
        register.write(value, e, knows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::causal::testing::event;
    use crate::domain::causal::{Folded, fold};
    use serde_json::json;

    /// The state of these events, which is the same in whatever order they arrive, one by one or all at once.
    fn order(mut events: Vec<Event>) -> Order {
        let whole: Folded<Order> = fold(events.clone());
        for _ in 0..events.len() {
            events.rotate_left(1);
            let mut have: Vec<Event> = Vec::new();
            let mut state: Folded<Order> = fold(Vec::new());
            for e in &events {
                let extends = state.is_extended_by(e);
                have.push(e.clone());
                if extends {
                    state.extend(e);
                } else {
                    state = fold(have.clone());
                }
            }
            assert_eq!(state, whole);
        }
        whole.state
    }

    fn created(ms: i64, id: &str, prev: Option<&[&str]>) -> Event {
        let data = json!({"title": "orig", "status": "open", "priority": 2, "assignee": "dev", "labels": ["a", "b"],
            "dependencies": [{"depends_on_id": "wo-2"}], "metadata": {"k": "orig", "new": 1}, "sprint": 7});
        event("work_order.created", ms, id, prev, data)
    }

    #[test]
    fn a_creation_that_comes_late_takes_back_no_change() {
        let o = order(vec![
            created(1, "c1", Some(&[])),
            event(
                "work_order.updated",
                2,
                "u",
                Some(&["c1"]),
                json!({"changes": {"title": "new", "priority": 0, "assignee": null, "metadata.k": "new", "sprint": 8}}),
            ),
            event("work_order.labels_changed", 3, "l", Some(&["u"]), json!({"added": [], "removed": ["a"]})),
            event("work_order.dependency_removed", 4, "d", Some(&["l"]), json!({"depends_on_id": "wo-2"})),
            event("work_order.status_changed", 5, "s", Some(&["d"]), json!({"to_status": "closed"})),
            event("work_order.closed", 6, "x", Some(&["s"]), json!({"reason": "done"})),
            created(9, "c2", None),
        ]);
        let r = Value::Object(o.record());
        assert_eq!((&r["title"], &r["priority"], &r["status"]), (&json!("new"), &json!(0), &json!("closed")));
        assert_eq!((&r["assignee"], &r["labels"], &r["dependencies"]), (&json!(null), &json!(["b"]), &json!([])));
        assert_eq!((&r["metadata"], &r["sprint"]), (&json!({"k": "new", "new": 1}), &json!(8)));
        assert_eq!((o.conflicts().len(), o.closings.len()), (0, 1));
    }

    #[test]
    fn a_second_creation_fills_what_only_creations_wrote() {
        let second = json!({"title": "T2", "priority": 1, "labels": ["c"], "metadata": {"k": 2}});
        let o = order(vec![
            event("work_order.created", 1, "c1", None, json!({"title": "T1", "labels": ["a"]})),
            event("work_order.status_changed", 2, "s", None, json!({"to_status": "in_progress"})),
            event("work_order.created", 3, "c2", None, second),
        ]);
        assert_eq!((o.title(), o.priority(), o.status()), ("T2", 1, "in_progress"));
        assert_eq!(o.labels().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(o.metadata("k"), Some(&json!(2)));
    }

    #[test]
    fn an_order_whose_first_creation_sorts_behind_its_closing_stays_closed() {
        let o = order(vec![
            event("work_order.closed", 1, "a", None, json!({"reason": "done"})),
            event("work_order.labels_changed", 2, "b", None, json!({"added": ["x"], "removed": []})),
            created(3, "c", None),
        ]);
        assert_eq!((o.title(), o.status(), o.closings.len()), ("orig", "closed", 1));
        assert_eq!(o.labels().collect::<Vec<_>>(), ["a", "b", "x"]);
    }

    #[test]
    fn a_change_that_does_not_say_what_it_knew_knew_the_creation_whatever_the_clocks_say() {
        let ours = json!({"title": "orig", "priority": 2});
        let o = order(vec![
            event("work_order.updated", 2, "u", None, json!({"changes": {"title": "new", "priority": 0}})),
            event("work_order.status_changed", 3, "s", None, json!({"to_status": "in_progress"})),
            event("work_order.created", 9, "c", Some(&[]), ours),
        ]);
        assert_eq!((o.title(), o.priority(), o.status(), o.conflicts().len()), ("new", 0, "in_progress", 0));
    }

    #[test]
    fn a_creation_that_knew_nothing_stands_beside_the_change_as_a_conflict() {
        let change = event("work_order.updated", 2, "u", Some(&["c1"]), json!({"changes": {"title": "new"}}));
        let second = event("work_order.created", 1, "c2", Some(&[]), json!({"title": "other"}));
        let o = order(vec![created(1, "c1", Some(&[])), change, second]);
        assert_eq!((o.title(), &o.conflicts()[0].value), ("new", &json!("other")));
    }
}
