//! Events that somebody writes by hand: only such as the program itself could have written.

use serde_json::{Map, Value};

use super::order::{check_priority, check_secret, check_status, check_title};
use crate::domain::event::Draft;
use crate::domain::id::AgentId;
use crate::domain::refusal::Refusal;
use crate::domain::text::quoted;

/// Types with a meaning here, and the fields of their data without which they would say nothing.
const KNOWN: &[(&str, &[&str])] = &[
    ("work_order.created", &["work_order_id", "title"]),
    ("work_order.updated", &["work_order_id", "changes"]),
    ("work_order.status_changed", &["work_order_id", "to_status"]),
    ("work_order.dependency_added", &["work_order_id", "depends_on_id"]),
    ("work_order.dependency_removed", &["work_order_id", "depends_on_id"]),
    ("work_order.labels_changed", &["work_order_id"]),
    ("work_order.commented", &["work_order_id", "body"]),
    ("work_order.assigned", &["work_order_id", "agent"]),
    ("work_order.closed", &["work_order_id"]),
    ("mail.sent", &["message_id", "to", "subject"]),
    ("mail.delivered", &["message_id"]),
    ("mail.read", &["message_id"]),
    ("mail.archived", &["message_id"]),
    ("assignment.set", &["agent", "ref_type", "ref_id"]),
    ("assignment.cleared", &["agent"]),
    ("sprint.created", &["sprint_id", "name"]),
    ("qa.merged", &["work_order_id", "branch", "base", "commit"]),
    ("qa.rejected", &["work_order_id", "reason"]),
];
/// First parts of types that are about something, and the field that says about what.
const FAMILIES: &[(&str, &str)] = &[
    ("work_order", "work_order_id"),
    ("verify", "work_order_id"),
    ("qa", "work_order_id"),
    ("mail", "message_id"),
    ("assignment", "agent"),
    ("agent", "agent"),
    ("process", "process_id"),
    ("sprint", "sprint_id"),
];

/// The event, or what is missing of it.
pub fn emit(kind: &str, data: Map<String, Value>, actor: &AgentId, allow_secret: bool) -> Result<Draft, Refusal> {
    if !is_type(kind) {
        return Err(Refusal::usage(format!("{} is no type of event", quoted(kind)))
            .hint("a type is words of a-z and _ with full stops between them: review.requested"));
    }
    let needed = KNOWN.iter().find(|(name, _)| *name == kind).map(|(_, fields)| *fields).unwrap_or_default();
    let family = kind.split('.').next().unwrap_or_default();
    let about = FAMILIES.iter().find(|(name, _)| *name == family).map(|(_, field)| *field);
    for field in needed.iter().copied().chain(about) {
        if !data.get(field).is_some_and(|v| !v.is_null() && v.as_str() != Some("")) {
            return Err(
                Refusal::usage(format!("an event {kind} needs '{field}' in its data")).hint(example(kind, field))
            );
        }
    }
    let draft = Draft { kind: kind.to_owned(), actor: actor.clone(), data, correlation_id: None, caused_by: None };
    if about.is_some() && draft.subject().is_none() {
        return Err(Refusal::usage(format!("an event {kind} needs a valid '{}'", about.unwrap_or_default())));
    }
    check_values(&draft)?;
    check_secret("the event", &Value::Object(draft.data.clone()).to_string(), allow_secret)?;
    Ok(draft)
}

fn example(kind: &str, field: &str) -> String {
    format!("git vermas events emit {kind} --data '{{\"{field}\": …}}'")
}

/// `[a-z_]+(\.[a-z_]+)+`
fn is_type(kind: &str) -> bool {
    let parts: Vec<&str> = kind.split('.').collect();
    let is_word = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    kind.len() <= 128 && parts.len() > 1 && parts.iter().all(is_word)
}

/// The values that the commands for these changes would refuse, too.
fn check_values(draft: &Draft) -> Result<(), Refusal> {
    let text = |map: &Map<String, Value>, name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let changes = draft.data.get("changes").and_then(Value::as_object);
    for map in [Some(&draft.data), changes].into_iter().flatten() {
        if let Some(title) = text(map, "title").filter(|_| draft.kind.starts_with("work_order.")) {
            check_title(&title)?;
        }
        if let Some(status) = text(map, "status").or_else(|| text(map, "to_status"))
            && draft.kind.starts_with("work_order.")
        {
            check_status(&status)?;
        }
        if let Some(priority) = map.get("priority").filter(|_| draft.kind.starts_with("work_order.")) {
            let number = crate::domain::record::whole_number(priority).and_then(|p| p.as_i64());
            check_priority(number.ok_or_else(|| Refusal::usage(format!("{priority} is no priority")))?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn emitted(kind: &str, data: &Value) -> Result<Draft, String> {
        emit(kind, data.as_object().cloned().unwrap(), &AgentId::ceo(), false).map_err(|e| e.message)
    }

    #[test]
    fn an_event_about_something_says_about_what() {
        assert!(emitted("review.requested", &json!({})).is_ok());
        assert!(emitted("work_order.reviewed", &json!({"work_order_id": "wo-1"})).is_ok());
        for (kind, data) in [
            ("work_order.reviewed", json!({})),
            ("work_order.reviewed", json!({"work_order_id": "../x"})),
            ("work_order.created", json!({"work_order_id": "wo-1"})),
            ("work_order.created", json!({"work_order_id": "wo-1", "title": ""})),
            ("work_order.updated", json!({"work_order_id": "wo-1", "changes": {"priority": 9}})),
            ("work_order.status_changed", json!({"work_order_id": "wo-1", "to_status": "done"})),
            ("agent.idle", json!({"agent": "Not An Agent"})),
            ("nodots", json!({})),
            ("A.b", json!({})),
            ("a..b", json!({})),
        ] {
            assert!(emitted(kind, &data).is_err(), "{kind} {data}");
        }
    }
}
