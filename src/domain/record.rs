//! Foreign changes to records: what somebody who edits a projection in place meant, as events.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::event::Draft;
use super::id::AgentId;
use super::order::{KNOWN_FIELDS, PLAIN_FIELDS};
use super::text::is_steering;

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
        if is_there(now, field) && new != field_of(base, field) && field != "status" {
            changes.insert(field.to_owned(), new.cloned().unwrap_or_default());
        }
    }
    let metadata = |r: &Map<String, Value>| r.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let (old_meta, new_meta) = (metadata(base), metadata(now));
    for key in old_meta.keys().chain(new_meta.keys()).collect::<BTreeSet<_>>() {
        if is_there(now, "metadata") && old_meta.get(key) != new_meta.get(key) {
            changes.insert(format!("metadata.{key}"), new_meta.get(key).cloned().unwrap_or_default());
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
    let mut data = record.clone();
    let id = data.shift_remove("id").unwrap_or_default();
    let mut all = Map::from_iter([("work_order_id".to_owned(), id)]);
    all.append(&mut data);
    all.insert("adopted".to_owned(), true.into());
    draft("created", &author(record, "created_by"), Value::Object(all))
}

/// The event that explains a message line which none explains.
pub fn adopted_message(record: &Map<String, Value>) -> Draft {
    let mut data = record.clone();
    let id = data.shift_remove("id").unwrap_or_default();
    let mut all = Map::from_iter([("message_id".to_owned(), id)]);
    all.append(&mut data);
    all.insert("adopted".to_owned(), true.into());
    Draft::new("mail.sent", &author(record, "from"), Value::Object(all))
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
    if !r.get("priority").is_some_and(|p| p.as_i64().is_some_and(|n| (0..=4).contains(&n))) {
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
    fn another_spelling_is_no_change() {
        let base = map(json!({"id": "wo-1", "issue_type": "bug", "assignee": null, "labels": []}));
        let now = map(json!({"id": "wo-1", "type": "bug"}));
        assert!(changed_order(&base, &now).is_empty());
    }
}
