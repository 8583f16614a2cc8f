//! Foreign changes to records: what somebody who edits a projection in place meant, as events.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::event::Draft;
use super::id::AgentId;
use super::order::{KNOWN_FIELDS, PLAIN_FIELDS};
use super::text::is_steering;

/// Where in an event's data those members of an adopted record stand that are called like one of the event's own.
pub const APART: &str = "members";

/// The events that lead from the record we wrote to the one that is there now.
///
/// A field that is missing is unchanged: a writer that does not know it leaves it out. What is to go is given empty.
pub fn changed_order(base: &Map<String, Value>, now: &Map<String, Value>) -> Vec<Draft> {
    let Some(id) = now.get("id").and_then(Value::as_str) else { return Vec::new() };
    let actor = AgentId::foreign();
    let mut drafts = Vec::new();
    let mut changes = Map::new();
    for field in PLAIN_FIELDS.iter().copied().chain(["assignee", "created_by"]) {
        let new = field_of(now, field);
        let is_same = |a: &Value, b: &Value| a == b || whole_number(a).is_some_and(|a| Some(a) == whole_number(b));
        let is_changed = match (new, field_of(base, field)) {
            (Some(new), Some(old)) => !is_same(new, old),
            (new, old) => new.is_some() || old.is_some(),
        };
        if is_there(now, field) && is_changed && field != "status" {
            changes.insert(field.to_owned(), new.cloned().unwrap_or_default());
        }
    }
    // A program that keeps the order above this one as a field of the record.
    let above = |r: &Map<String, Value>| r.get("metadata").and_then(|m| m.get("parent")).cloned();
    if let Some(parent) = now.get("parent").filter(|p| p.is_string() && Some(*p) != above(base).as_ref()) {
        changes.insert("metadata.parent".to_owned(), parent.clone());
    }
    let metadata = |r: &Map<String, Value>| r.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let (old_meta, new_meta) = (metadata(base), metadata(now));
    for key in old_meta.keys().chain(new_meta.keys()).collect::<BTreeSet<_>>() {
        if is_there(now, "metadata") && old_meta.get(key) != new_meta.get(key) {
            let new = new_meta.get(key).cloned().unwrap_or_default();
            changes.entry(format!("metadata.{key}")).or_insert(new);
        }
    }
    for (key, value) in now.iter().filter(|(k, _)| !KNOWN_FIELDS.contains(&k.as_str())) {
        if base.get(key) != Some(value) {
            changes.insert(key.clone(), value.clone());
        }
    }
    if !changes.is_empty() {
        drafts.push(draft("updated", &actor, json!({"work_order_id": id, "changes": changes})));
    }
    drafts.extend(changed_sets(id, base, now, &actor));
    let (from, to) = (field_of(base, "status"), field_of(now, "status"));
    if let (true, Some(to)) = (from != to, to.and_then(Value::as_str)) {
        let data = json!({"work_order_id": id, "from_status": from, "to_status": to, "adopted": true});
        drafts.push(draft("status_changed", &actor, data));
        if to == "closed" {
            let reason = now.get("close_reason").and_then(Value::as_str).unwrap_or_default();
            drafts.push(draft("closed", &actor, json!({"work_order_id": id, "reason": reason})));
        }
    }
    drafts
}

/// In how many fields and members of sets a record differs from another.
pub fn count_changes(base: &Map<String, Value>, now: &Map<String, Value>) -> usize {
    let members = |d: &Draft, name: &str| match d.data.get(name) {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(map)) => map.len(),
        _ => 0,
    };
    let weight = |d: &Draft| ["changes", "added", "removed"].into_iter().map(|name| members(d, name)).sum::<usize>();
    changed_order(base, now).iter().map(|d| weight(d).max(1)).sum()
}

/// Whether all that a line changes of one version of a record is so in another.
pub fn has_told(base: &Map<String, Value>, line: &Map<String, Value>, present: &Map<String, Value>) -> bool {
    let changes = |d: &Draft| d.data.get("changes").and_then(Value::as_object).cloned().unwrap_or_default();
    let (of_base, of_present) = (changed_order(base, line), changed_order(present, line));
    let left: Vec<_> = of_present.iter().map(changes).collect();
    of_base.iter().all(|d| match d.kind.as_str() {
        "work_order.updated" => changes(d).keys().all(|field| left.iter().all(|l| !l.contains_key(field))),
        _ => !of_present.iter().any(|p| p.kind == d.kind),
    })
}

fn changed_sets(id: &str, base: &Map<String, Value>, now: &Map<String, Value>, actor: &AgentId) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let labels = |r: &Map<String, Value>| -> BTreeSet<String> {
        let list = r.get("labels").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (old, new) = (labels(base), labels(now));
    if is_there(now, "labels") && old != new {
        let added: Vec<_> = new.difference(&old).collect();
        let removed: Vec<_> = old.difference(&new).collect();
        let data = json!({"work_order_id": id, "added": added, "removed": removed});
        drafts.push(draft("labels_changed", actor, data));
    }
    let (old, new) = (dependencies(base), dependencies(if is_there(now, "dependencies") { now } else { base }));
    for (kind, list) in [("dependency_added", new.difference(&old)), ("dependency_removed", old.difference(&new))] {
        for (on, how) in list {
            let data = json!({"work_order_id": id, "depends_on_id": on, "type": how});
            drafts.push(draft(kind, actor, data));
        }
    }
    drafts
}

fn dependencies(r: &Map<String, Value>) -> BTreeSet<(String, String)> {
    let list = r.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|d| {
        let kind = d.get("type").and_then(Value::as_str).unwrap_or("blocks");
        Some((d.get("depends_on_id")?.as_str()?.to_owned(), kind.to_owned()))
    })
    .collect()
}

/// A number without a fraction, however it is written (`1.0` as well as `1`), as an integer; `None` for every other value.
pub fn whole_number(value: &Value) -> Option<Value> {
    /// Up to here a floating-point number tells one integer from the next.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.is_i64() || value.is_u64() {
        return Some(value.clone());
    }
    let number = value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and not too large")]
    Some((number as i64).into())
}

/// Whether the record says anything of a field, under its name or its other spelling.
fn is_there(r: &Map<String, Value>, field: &str) -> bool {
    r.contains_key(field) || (field == "issue_type" && r.contains_key("type"))
}

/// A field by its name or its other spelling; null and missing are the same, and so are the defaults.
fn field_of<'a>(r: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    let other = if field == "issue_type" { "type" } else { field };
    r.get(field).or_else(|| r.get(other)).filter(|v| !v.is_null())
}

/// The event that explains a work order line which none explains.
pub fn adopted_order(record: &Map<String, Value>) -> Draft {
    draft("created", &author(record, "created_by"), adopted("work_order_id", record))
}

/// The data of an event that carries a record. What of its members is called like one of the event's own stands apart.
fn adopted(id: &str, record: &Map<String, Value>) -> Value {
    let own = [id, "adopted", APART];
    let mut all = Map::from_iter([(id.to_owned(), record.get("id").cloned().unwrap_or_default())]);
    let rest = record.iter().filter(|(k, _)| *k != "id");
    let (apart, plain): (Vec<_>, Vec<_>) = rest.partition(|(k, _)| own.contains(&k.as_str()));
    let copied = |(k, v): (&String, &Value)| (k.clone(), v.clone());
    all.extend(plain.into_iter().map(copied));
    if !apart.is_empty() {
        all.insert(APART.to_owned(), Value::Object(apart.into_iter().map(copied).collect()));
    }
    all.insert("adopted".to_owned(), true.into());
    Value::Object(all)
}

/// The members of an adopted record that stand apart, by name.
pub fn apart(data: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let is_adopted = data.get("adopted") == Some(&Value::Bool(true));
    data.get(APART).filter(|_| is_adopted).and_then(Value::as_object).into_iter().flatten()
}

/// What the record of a message says that is empty in the one that is known, as another event that says it was sent; `None`
/// where it says nothing more.
pub fn fuller_message(known: &Map<String, Value>, record: &Map<String, Value>) -> Option<Draft> {
    let is_empty = |v: &Value| match v {
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        other => other.is_null(),
    };
    let is_default = |field: &str, v: &Value| is_empty(v) || (field == "priority" && v == "normal");
    let more = |(field, v): &(&String, &Value)| match field.as_str() {
        "id" | "from" | "to" | "timestamp" | "read_at" | "message_id" | "adopted" | APART => false,
        "type" => !is_empty(v) && !record.contains_key("message_type") && is_empty(&known["message_type"]),
        name => !is_default(name, v) && known.get(name).is_none_or(|have| is_default(name, have)),
    };
    let more: Map<String, Value> = record.iter().filter(more).map(|(k, v)| (k.clone(), v.clone())).collect();
    if more.is_empty() {
        return None;
    }
    let kept = ["id", "from", "to", "subject", "timestamp"].into_iter().map(|k| (k.to_owned(), known[k].clone()));
    let all: Map<String, Value> = kept.chain(more).collect();
    Some(Draft::new("mail.sent", &author(&all, "from"), adopted("message_id", &all)))
}

/// The event that explains a message line which none explains.
pub fn adopted_message(record: &Map<String, Value>) -> Draft {
    Draft::new("mail.sent", &author(record, "from"), adopted("message_id", record))
}

/// That somebody set `read_at` in a message line.
pub fn message_read(id: &str, reader: &str, read_at: &str) -> Draft {
    let actor = reader.parse().unwrap_or_else(|_| AgentId::foreign());
    Draft::new("mail.read", &actor, json!({"message_id": id, "reader": reader, "read_at": read_at, "adopted": true}))
}

fn author(record: &Map<String, Value>, field: &str) -> AgentId {
    record.get(field).and_then(Value::as_str).and_then(|a| a.parse().ok()).unwrap_or_else(AgentId::foreign)
}

fn draft(kind: &str, actor: &AgentId, data: Value) -> Draft {
    Draft::new(&format!("work_order.{kind}"), actor, data)
}

/// What is missing or wrong in a work order's record, strictly read; empty where it is good.
pub fn order_faults(r: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ["id", "title", "description", "status", "created_at", "updated_at", "created_by"] {
        if !r.get(field).is_some_and(Value::is_string) {
            faults.push(format!("'{field}' is missing or no text"));
        }
    }
    if !field_of(r, "issue_type").is_some_and(Value::is_string) {
        faults.push("'issue_type' is missing or no text".to_owned());
    }
    let priority = r.get("priority").and_then(whole_number).and_then(|p| p.as_i64());
    if !priority.is_some_and(|n| (0..=4).contains(&n)) {
        faults.push("'priority' is missing or not between 0 and 4".to_owned());
    }
    faults.extend(id_and_time_faults(r, &["created_at", "updated_at"]));
    faults
}

/// What is missing or wrong in a message's record; empty where it is good.
pub fn message_faults(r: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ["id", "from", "to", "subject", "body", "timestamp"] {
        if !r.get(field).is_some_and(Value::is_string) {
            faults.push(format!("'{field}' is missing or no text"));
        }
    }
    faults.extend(id_and_time_faults(r, &["timestamp"]));
    faults
}

fn id_and_time_faults(r: &Map<String, Value>, times: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(id) = r.get("id").and_then(Value::as_str)
        && id.parse::<super::id::RefId>().is_err()
    {
        let shown: String = id.chars().filter(|c| !is_steering(*c)).take(64).collect();
        faults.push(format!("'{shown}' is no valid id"));
    }
    for name in times {
        if let Some(t) = r.get(*name).and_then(Value::as_str)
            && t.parse::<super::time::Timestamp>().is_err()
        {
            faults.push(format!("'{name}' is no time"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(v: Value) -> Map<String, Value> {
        v.as_object().cloned().unwrap()
    }

    #[test]
    fn a_line_edited_in_place_becomes_the_events_it_meant() {
        let base =
            map(json!({"id": "wo-1", "title": "a", "status": "open", "labels": [], "metadata": {}, "assignee": null}));
        let now = map(json!({"id": "wo-1", "title": "b", "status": "closed", "labels": ["x"], "metadata": {"k": 1}}));
        let drafts = changed_order(&base, &now);
        let kinds: Vec<&str> = drafts.iter().map(|d| d.kind.as_str()).collect();
        assert_eq!(
            kinds,
            ["work_order.updated", "work_order.labels_changed", "work_order.status_changed", "work_order.closed"]
        );
        assert_eq!(drafts[0].data["changes"], json!({"title": "b", "metadata.k": 1}));
    }

    #[test]
    fn a_field_left_out_is_unchanged_and_one_given_empty_is_removed() {
        let base = map(json!({"id": "wo-1", "title": "a", "status": "open", "assignee": "ceo", "labels": ["x"],
            "dependencies": [{"depends_on_id": "wo-2", "type": "blocks"}], "metadata": {"k": 1}}));
        let naive = map(json!({"id": "wo-1", "title": "a", "status": "open"}));
        assert_eq!(changed_order(&base, &naive), Vec::new());
        let emptied = map(json!({"id": "wo-1", "title": "a", "status": "open", "assignee": null, "labels": [],
            "dependencies": [], "metadata": {}}));
        let kinds: Vec<String> = changed_order(&base, &emptied).into_iter().map(|d| d.kind).collect();
        assert_eq!(kinds, ["work_order.updated", "work_order.labels_changed", "work_order.dependency_removed"]);
    }

    #[test]
    fn a_member_that_is_called_like_one_of_the_event_stands_apart() {
        let line = map(json!({"id": "mr-1", "title": "t", "work_order_id": "wo-9", "adopted": 7, "members": [1]}));
        let data = adopted_order(&line).data;
        assert_eq!(
            (&data["work_order_id"], &data["adopted"], &data["title"]),
            (&json!("mr-1"), &json!(true), &json!("t"))
        );
        assert_eq!(data["members"], json!({"work_order_id": "wo-9", "adopted": 7, "members": [1]}));
        let mail = map(json!({"id": "msg-1", "to": "ceo", "message_id": "msg-2"}));
        assert_eq!(adopted_message(&mail).data["message_id"], "msg-1");
    }

    #[test]
    fn of_a_fuller_record_of_a_message_what_is_missing_is_taken() {
        let known =
            map(json!({"id": "msg-1", "from": "py", "to": "ceo", "subject": "s", "body": "", "message_type": null,
            "timestamp": "t", "read_at": null, "priority": "normal", "metadata": {}}));
        let full = map(json!({"id": "msg-1", "from": "go", "to": "ceo", "subject": "x", "body": "b", "type": "HELP",
            "priority": "low", "ticket": 7}));
        let data = fuller_message(&known, &full).unwrap().data;
        assert_eq!((&data["from"], &data["subject"], &data["body"]), (&json!("py"), &json!("s"), &json!("b")));
        assert_eq!((&data["type"], &data["priority"], &data["ticket"]), (&json!("HELP"), &json!("low"), &json!(7)));
        assert_eq!(fuller_message(&known, &known), None);
    }

    #[test]
    fn the_order_above_is_found_where_others_keep_it() {
        let base = map(json!({"id": "wo-1", "metadata": {"k": 1, "parent": "wo-0"}}));
        let drafts = changed_order(&base, &map(json!({"id": "wo-1", "parent": "wo-2", "metadata": {"k": 1}})));
        assert_eq!(drafts[0].data["changes"], json!({"metadata.parent": "wo-2"}));
        assert!(changed_order(&base, &map(json!({"id": "wo-1", "parent": "wo-0"}))).is_empty());
    }

    #[test]
    fn another_spelling_is_no_change() {
        let base = map(json!({"id": "wo-1", "issue_type": "bug", "assignee": null, "labels": []}));
        let now = map(json!({"id": "wo-1", "type": "bug"}));
        assert!(changed_order(&base, &now).is_empty());
    }
}
