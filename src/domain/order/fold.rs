//! How events change an order.

use serde_json::Value;

use super::{Claim, Closing, Comment, Dependency, Landing, Order, PLAIN_FIELDS, Rejection};
use crate::domain::causal::Fold;
use crate::domain::event::{Event, Key};
use crate::domain::record::whole_number;
use crate::domain::text::{LONGEST_BODY_READ, beginning};

impl Order {
    /// A value of the wrong type changes nothing.
    pub(super) fn write(&mut self, field: &str, value: Value, e: &Event, knows: &dyn Fn(&str) -> bool) {
        if let Some(value) = fitted(field, value) {
            self.fields.entry(field.to_owned()).or_default().write(value, e, knows);
        }
    }

    /// One is put where it belongs among the others, which are sorted.
    fn depend(&mut self, d: &Value, e: &Event) {
        let Some(new) = dependency(d, e) else { return };
        match self.dependencies.binary_search_by(|have| place(have).cmp(&place(&new))) {
            Ok(at) => tag(&mut self.dependencies[at].tags, e),
            Err(at) => self.dependencies.insert(at, new),
        }
    }

    /// A list, which may be long, is sorted in as a whole. Of two that are the same the earlier one stays.
    pub(super) fn depend_on_all(&mut self, list: Option<&Value>, e: &Event) {
        let list = list.and_then(Value::as_array).into_iter().flatten();
        self.dependencies.extend(list.filter_map(|d| dependency(d, e)));
        self.dependencies.sort_by(|a, b| place(a).cmp(&place(b)));
        self.dependencies.dedup_by(|later, have| {
            let same = place(later) == place(have);
            if same {
                tag(&mut have.tags, e);
            }
            same
        });
    }

    /// The first claim holds until it is released; one by the same agent changes nothing. One that a remote decided for comes
    /// before those that it did not know and that no remote has decided for, whatever their times.
    pub(super) fn claim(&mut self, agent: &str, e: &Event, knows: &dyn Fn(&str) -> bool) {
        let exclusive = e.data.get("exclusive").and_then(Value::as_bool) == Some(true);
        let (have, mut claim) = match self.claims.iter().position(|c| c.agent == agent) {
            Some(at) if !exclusive || self.claims[at].exclusive => return,
            Some(at) => (at, self.claims.remove(at)),
            None => {
                let claim = Claim { agent: agent.to_owned(), key: e.key(), by: e.actor.clone(), exclusive };
                (self.claims.len(), claim)
            }
        };
        claim.exclusive = exclusive;
        let stands = |c: &Claim| c.exclusive || knows(&c.key.id);
        let at = if exclusive { self.claims[..have].iter().rposition(stands).map_or(0, |at| at + 1) } else { have };
        self.claims.insert(at, claim);
    }

    fn apply_updated(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        let Some(Value::Object(changes)) = e.data.get("changes") else { return };
        for (name, value) in changes {
            match name.as_str() {
                "type" => self.write("issue_type", value.clone(), e, knows),
                field if PLAIN_FIELDS.contains(&field) => self.write(field, value.clone(), e, knows),
                "assignee" if e.text("released").is_some() => {
                    // Who comes after moves up; the value says who that is to those who do not know of claims.
                    self.decide("assignee", e);
                    let agent = e.text("released").unwrap_or_default();
                    self.claims.retain(|c| c.agent != agent || !knows(&c.key.id));
                }
                "assignee" => {
                    self.decide("assignee", e);
                    // Whoever is named by an update holds it: this is a decision, no claim.
                    self.claims.retain(|c| !knows(&c.key.id));
                    if let Some(agent) = value.as_str().filter(|a| !a.is_empty()) {
                        self.claims.retain(|c| c.agent != agent);
                        let (agent, by) = (agent.to_owned(), e.actor.clone());
                        self.claims.insert(0, Claim { agent, key: e.key(), by, exclusive: false });
                    }
                }
                "parent" if value.is_string() || value.is_null() => {
                    self.metadata.entry("parent".to_owned()).or_default().write(value.clone(), e, knows);
                }
                "metadata" => {
                    let Some(new) = value.as_object().cloned() else { continue };
                    let old: Vec<String> = self.metadata.keys().filter(|k| !new.contains_key(*k)).cloned().collect();
                    for k in old {
                        self.metadata.entry(k).or_default().write(Value::Null, e, knows);
                    }
                    for (k, v) in new {
                        self.metadata.entry(k).or_default().write(v, e, knows);
                    }
                }
                "labels" if value.is_array() => self.set_labels(value, e, knows),
                "dependencies" if value.is_array() => self.set_dependencies(value, e, knows),
                "labels" | "dependencies" | "parent" => {}
                "id" | "created_at" | "updated_at" => {}
                "created_by" => self.created_by = value.as_str().map(str::to_owned).or(self.created_by.take()),
                other => match other.strip_prefix("metadata.") {
                    Some(k) => self.metadata.entry(k.to_owned()).or_default().write(value.clone(), e, knows),
                    None => self.extra.entry(other.to_owned()).or_default().write(value.clone(), e, knows),
                },
            }
        }
    }

    /// A whole list given at once (foreign writers do that): what the writer knew and left out is removed.
    fn set_labels(&mut self, list: &Value, e: &Event, knows: &dyn Fn(&str) -> bool) {
        self.decide("labels", e);
        for tags in self.labels.values_mut() {
            tags.retain(|t| !knows(t));
        }
        self.labels.retain(|_, tags| !tags.is_empty());
        for label in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            tag(self.labels.entry(label.to_owned()).or_default(), e);
        }
    }

    fn set_dependencies(&mut self, list: &Value, e: &Event, knows: &dyn Fn(&str) -> bool) {
        self.decide("dependencies", e);
        for d in &mut self.dependencies {
            d.tags.retain(|t| !knows(t));
        }
        self.dependencies.retain(|d| !d.tags.is_empty());
        self.depend_on_all(Some(list), e);
    }

    /// A comment, or that one is taken back or stands again: a comment cannot be unsaid, only marked.
    fn apply_comment(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        let named = |field: &str| e.text(field).map(str::to_owned);
        if let Some(id) = named("withdraws") {
            let of = self.comments.iter_mut().filter(|c| c.key.id == id);
            of.for_each(|c| c.withdrawn.push(e.id.clone()));
        } else if let Some(id) = named("restores") {
            let of = self.comments.iter_mut().filter(|c| c.key.id == id);
            of.for_each(|c| c.withdrawn.retain(|w| !knows(w)));
        } else {
            let body = beginning(e.text("body").unwrap_or_default(), LONGEST_BODY_READ);
            let new = Comment { key: e.key(), by: e.actor.clone(), body, withdrawn: Vec::new() };
            insert(&mut self.comments, new, |c| &c.key);
        }
    }

    fn apply_labels(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        self.decide("labels", e);
        let list = |name: &str| -> Vec<String> {
            let values = e.data.get(name).and_then(Value::as_array).into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for label in list("removed") {
            if let Some(tags) = self.labels.get_mut(&label) {
                tags.retain(|t| !knows(t));
                if tags.is_empty() {
                    self.labels.remove(&label);
                }
            }
        }
        for label in list("added") {
            tag(self.labels.entry(label).or_default(), e);
        }
    }
}

/// What a dependency in an event's data says; `None` where it names no order.
fn dependency(d: &Value, e: &Event) -> Option<Dependency> {
    let text = |name: &str| d.get(name).and_then(Value::as_str);
    let at = text("created_at").and_then(|t| t.parse().ok()).unwrap_or(e.at);
    Some(Dependency {
        depends_on_id: text("depends_on_id")?.to_owned(),
        kind: text("type").unwrap_or("blocks").to_owned(),
        created_at: at.to_string(),
        created_by: text("created_by").unwrap_or(&e.actor).to_owned(),
        tags: vec![e.id.clone()],
    })
}

/// By what dependencies are sorted, and told apart.
fn place(d: &Dependency) -> (&str, &str) {
    (&d.depends_on_id, &d.kind)
}

/// Notes that an event put something there.
pub(super) fn tag(tags: &mut Vec<String>, e: &Event) {
    if tags.last() != Some(&e.id) {
        tags.push(e.id.clone());
    }
}

/// Puts something at its place in a list that is sorted by time: as a rule at the end.
fn insert<T>(list: &mut Vec<T>, new: T, key: impl Fn(&T) -> &Key) {
    let at = list.partition_point(|have| key(have) <= key(&new));
    list.insert(at, new);
}

/// A value of the type that its field is made of; `None` where it is another.
pub(super) fn fitted(field: &str, value: Value) -> Option<Value> {
    if field == "priority" { whole_number(&value) } else { Some(value).filter(Value::is_string) }
}

impl Fold for Order {
    fn apply(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
        if self.id.is_empty() {
            self.id = e.subject_id().unwrap_or_default();
        }
        if e.kind.starts_with("work_order.") {
            self.updated_at = self.updated_at.max(e.at);
        }
        let text = |name: &str| e.text(name).unwrap_or_default().to_owned();
        match e.kind.as_str() {
            "work_order.created" => self.apply_created(e, knows),
            "work_order.updated" => self.apply_updated(e, knows),
            "work_order.status_changed" => {
                if let Some(to) = e.data.get("to_status").or_else(|| e.data.get("status")).filter(|v| v.is_string()) {
                    self.write("status", to.clone(), e, knows);
                }
            }
            "work_order.assigned" => {
                let Some(agent) = e.text("agent").or_else(|| e.text("assignee")) else { return };
                self.decide("assignee", e);
                self.claim(agent, e, knows);
                if self.status() == "open" && self.assignee() == Some(agent) {
                    self.write("status", "assigned".into(), e, knows);
                }
            }
            "work_order.dependency_added" => {
                self.decide("dependencies", e);
                self.depend(&Value::Object(e.data.clone()), e);
            }
            "work_order.dependency_removed" => {
                self.decide("dependencies", e);
                let (on, kind) = (text("depends_on_id"), e.text("type"));
                for d in self.dependencies.iter_mut().filter(|d| d.depends_on_id == on) {
                    if kind.is_none_or(|k| k == d.kind) {
                        d.tags.retain(|t| !knows(t));
                    }
                }
                self.dependencies.retain(|d| !d.tags.is_empty());
            }
            "work_order.labels_changed" => self.apply_labels(e, knows),
            "work_order.commented" => {
                self.apply_comment(e, knows);
            }
            "work_order.closed" => {
                if !self.is_closed() {
                    // A foreign writer may leave the change of status unsaid.
                    self.write("status", "closed".into(), e, knows);
                }
                let reason = beginning(e.text("reason").unwrap_or_default(), LONGEST_BODY_READ);
                insert(&mut self.closings, Closing { key: e.key(), by: e.actor.clone(), reason }, |c| &c.key);
            }
            "qa.merged" => {
                let (branch, base, commit) = (text("branch"), text("base"), text("commit"));
                insert(&mut self.landings, Landing { key: e.key(), branch, base, commit }, |l| &l.key);
            }
            "qa.rejected" => {
                let reason = beginning(e.text("reason").unwrap_or_default(), LONGEST_BODY_READ);
                insert(&mut self.rejections, Rejection { key: e.key(), branch: text("branch"), reason }, |r| &r.key);
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

    fn order(events: Vec<Event>) -> Order {
        let f: Folded<Order> = fold(events);
        f.state
    }

    fn created() -> Event {
        event("work_order.created", 1, "e1", Some(&[]), json!({"title": "T", "labels": ["a"]}))
    }

    #[test]
    fn a_whole_number_counts_however_it_is_written() {
        for (written, counts) in [(json!(1.0), 1), (json!(3), 3), (json!(1.5), 2), (json!("1"), 2), (json!(null), 2)] {
            let data = json!({"work_order_id": "wo-1", "title": "T", "priority": written});
            let f: Folded<Order> = fold(vec![event("work_order.created", 1, "e1", None, data)]);
            assert_eq!((f.state.priority(), &f.state.record()["priority"]), (counts, &json!(counts)), "{written}");
        }
    }

    #[test]
    fn a_record_always_has_the_required_fields() {
        let r = order(vec![created()]).record();
        for f in
            ["id", "title", "description", "status", "priority", "issue_type", "created_at", "updated_at", "created_by"]
        {
            assert!(!r[f].is_null(), "{f}");
        }
        assert_eq!(r["dependencies"], json!([]));
    }

    #[test]
    fn closed_beats_a_concurrent_change_of_status() {
        let change =
            |ms, id, to: &str| event("work_order.status_changed", ms, id, Some(&["e1"]), json!({"to_status": to}));
        let o = order(vec![created(), change(2, "e2", "closed"), change(3, "e3", "in_progress")]);
        assert_eq!(o.status(), "closed");
        assert_eq!(o.conflicts()[0].value, json!("in_progress"));
        let reopen = event("work_order.status_changed", 4, "e4", Some(&["e2", "e3"]), json!({"to_status": "open"}));
        let o = order(vec![created(), change(2, "e2", "closed"), change(3, "e3", "in_progress"), reopen]);
        assert_eq!((o.status(), o.conflicts().len()), ("open", 0));
    }

    #[test]
    fn a_concurrent_value_stays_visible_until_a_later_write() {
        let set = |ms, id, prev: &[&str], v: i64| {
            event("work_order.updated", ms, id, Some(prev), json!({"changes": {"priority": v}}))
        };
        let o = order(vec![created(), set(2, "e2", &["e1"], 1), set(3, "e3", &["e1"], 3)]);
        assert_eq!(o.priority(), 3);
        assert_eq!(o.conflicts()[0].value, json!(1));
        let o =
            order(vec![created(), set(2, "e2", &["e1"], 1), set(3, "e3", &["e1"], 3), set(4, "e4", &["e2", "e3"], 0)]);
        assert_eq!((o.priority(), o.conflicts().len()), (0, 0));
    }

    #[test]
    fn the_first_claim_holds_and_the_second_is_contested() {
        let claim = |ms, id, agent: &str| event("work_order.assigned", ms, id, Some(&["e1"]), json!({"agent": agent}));
        let o = order(vec![created(), claim(3, "e3", "b"), claim(2, "e2", "a")]);
        assert_eq!(o.assignee(), Some("a"));
        assert_eq!(o.status(), "assigned");
        assert_eq!(o.contested()[0].agent, "b");
    }

    #[test]
    fn a_claim_that_the_remote_decided_for_comes_before_those_that_nobody_had_seen() {
        let claim = |ms, id, prev: &[&str], agent: &str, exclusive: bool| {
            let data = if exclusive { json!({"agent": agent, "exclusive": true}) } else { json!({"agent": agent}) };
            event("work_order.assigned", ms, id, Some(prev), data)
        };
        let (tentative, taken) = (claim(2, "e2", &["e1"], "a", false), claim(3, "e3", &["e1"], "b", true));
        let o = order(vec![created(), tentative.clone(), taken.clone()]);
        assert_eq!((o.assignee(), o.contested()[0].agent.as_str()), (Some("b"), "a"));
        // Nor does one that came later and did not know of it, and of two the first stays.
        let o = order(vec![created(), taken.clone(), claim(4, "e4", &["e1"], "c", false)]);
        assert_eq!(o.assignee(), Some("b"));
        let o = order(vec![created(), taken, claim(4, "e4", &["e1"], "c", true)]);
        assert_eq!(o.assignee(), Some("b"));
        // Who holds it already makes sure of it, also beside one that is contested by then.
        let sure = claim(5, "e5", &["e2", "e4"], "a", true);
        let o = order(vec![created(), tentative, claim(4, "e4", &["e1"], "c", false), sure]);
        assert_eq!((o.assignee(), o.claims().len(), o.claims()[0].exclusive), (Some("a"), 2, true));
    }

    #[test]
    fn an_added_label_survives_a_concurrent_removal() {
        let change = |ms, id, data| event("work_order.labels_changed", ms, id, Some(&["e1"]), data);
        let o = order(vec![
            created(),
            change(2, "e2", json!({"added": [], "removed": ["a"]})),
            change(3, "e3", json!({"added": ["a"], "removed": []})),
        ]);
        assert!(o.has_label("a"));
    }

    #[test]
    fn dependencies_that_come_as_one_list_are_those_that_come_one_by_one() {
        let on = |id: &str| json!({"depends_on_id": id, "type": "blocks"});
        let ids = ["wo-c", "wo-a", "wo-b", "wo-a"];
        let list = json!({"title": "T", "dependencies": ids.map(on)});
        let at_once = order(vec![event("work_order.created", 1, "e1", Some(&[]), list)]);
        let one = |(n, id): (usize, &&str)| {
            event("work_order.dependency_added", 2 + i64::try_from(n).unwrap(), &format!("d{n}"), None, on(id))
        };
        let one_by_one = order([created()].into_iter().chain(ids.iter().enumerate().map(one)).collect());
        let named = |o: &Order| o.dependencies().iter().map(|d| d.depends_on_id.clone()).collect::<Vec<_>>();
        assert_eq!(named(&at_once), ["wo-a", "wo-b", "wo-c"]);
        assert_eq!(named(&one_by_one), named(&at_once));
    }

    #[test]
    fn comments_stand_in_the_order_of_their_times_and_are_read_to_a_bound() {
        let comment = |ms, id, body: &str| event("work_order.commented", ms, id, Some(&["e1"]), json!({"body": body}));
        let long = "ä".repeat(LONGEST_BODY_READ);
        let late_cause = event("work_order.commented", 2, "e2", Some(&["e3"]), json!({"body": long}));
        let o = order(vec![created(), comment(3, "e3", "b"), late_cause, comment(5, "e5", "c")]);
        let ids: Vec<&str> = o.comments().map(|c| c.key.id.as_str()).collect();
        assert_eq!(ids, ["e2", "e3", "e5"]);
        let kept = o.comments().next().unwrap().body.len();
        assert!((LONGEST_BODY_READ..LONGEST_BODY_READ + 8).contains(&kept), "{kept}");
    }

    #[test]
    fn a_set_given_as_something_else_changes_nothing() {
        for nothing in [json!(null), json!("x"), json!(7)] {
            let all = json!({"title": "T", "labels": ["a"], "metadata": {"k": 1}, "dependencies": [{"depends_on_id": "wo-2"}]});
            let changes = json!({"changes": {"labels": nothing, "metadata": nothing, "dependencies": nothing}});
            let create = event("work_order.created", 1, "e1", None, all);
            let o = order(vec![create.clone(), event("work_order.updated", 2, "e2", None, changes)]);
            let mut without = order(vec![create]);
            without.updated_at = o.updated_at;
            assert_eq!(o, without);
        }
    }

    #[test]
    fn the_order_above_may_be_given_as_a_field() {
        let set = |parent: Value| {
            let change = event("work_order.updated", 2, "e2", None, json!({"changes": {"parent": parent}}));
            order(vec![created(), change]).parent()
        };
        assert_eq!((set(json!("wo-9")), set(json!(null)), set(json!(7))), (Some("wo-9".to_owned()), None, None));
    }

    #[test]
    fn who_gives_an_order_back_gives_back_their_own_claim_and_the_next_moves_up() {
        let claim = |ms, id, agent: &str| event("work_order.assigned", ms, id, Some(&["e1"]), json!({"agent": agent}));
        let release = |agent: &str| {
            let data = json!({"changes": {"assignee": null}, "released": agent});
            order(vec![
                created(),
                claim(2, "e2", "a"),
                claim(3, "e3", "b"),
                claim(4, "e4", "c"),
                event("work_order.updated", 5, "e5", Some(&["e2", "e3", "e4"]), data),
            ])
        };
        assert_eq!((release("a").assignee(), release("a").contested().len()), (Some("b"), 1));
        assert_eq!((release("b").assignee(), release("b").contested().len()), (Some("a"), 1));
    }

    #[test]
    fn foreign_fields_come_back_in_the_record() {
        let e = event(
            "work_order.created",
            1,
            "e1",
            None,
            json!({"title": "T", "type": "bug", "sprint": 7, "adopted": true}),
        );
        let r = order(vec![e]).record();
        assert_eq!((&r["issue_type"], &r["sprint"]), (&json!("bug"), &json!(7)));
    }
}
