//! What the events say: what a merge can bring about, and what we do not know.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Report, Severity};
use crate::domain::Timestamp;
use crate::domain::event::{Event, TRUSTED_SKEW_MS};
use crate::domain::graph;
use crate::domain::kinds;
use crate::domain::message::MESSAGE_TYPES;
use crate::domain::order::{LOWEST_PRIORITY, Order, STATUSES, TYPES};
use crate::domain::record::whole_number;
use crate::domain::text::quoted;
use crate::wire::projection;

/// Checks the state that these events add up to.
pub fn check(events: &[Event], now_ms: i64, report: &mut Report) {
    let state = projection::of(events);
    (report.events, report.orders, report.messages) = (events.len(), state.orders.len(), state.messages.len());
    report.newest = events.iter().map(|e| e.at).filter(|t| t.millis() - now_ms <= TRUSTED_SKEW_MS).max();
    ids_and_times(events, now_ms, report);
    unknown(events, report);
    misfits(events, report);
    let orders: BTreeMap<&str, &Order> = state.orders.iter().map(|(id, o)| (id.as_str(), o)).collect();
    for id in cycles(&orders) {
        let mend = format!("take one of its dependencies away: git vermas wo dep tree {id}");
        report.add(Severity::Warning, id, "waits for itself, through its dependencies", Some(&mend));
    }
    for (id, order) in &orders {
        for claim in order.contested() {
            let what =
                format!("{} claimed it too, not knowing of {}", claim.agent, order.assignee().unwrap_or_default());
            report.add(Severity::Warning, *id, what, Some(&format!("settle it: git vermas wo show {id}")));
        }
        for d in order.dependencies().iter().filter(|d| !orders.contains_key(d.depends_on_id.as_str())) {
            let what = format!("waits for {}, which has not arrived", quoted(&d.depends_on_id));
            report.add(Severity::Info, *id, what, Some("git vermas sync"));
        }
        for (what, value, known) in [("status", order.status(), STATUSES), ("type", order.issue_type(), TYPES)] {
            if !known.contains(&value) {
                report.add(Severity::Info, *id, format!("the {what} {} is not known here", quoted(value)), None);
            }
        }
        if !(0..=LOWEST_PRIORITY).contains(&order.priority()) {
            report.add(Severity::Info, *id, format!("the priority {} is not known here", order.priority()), None);
        }
    }
    for m in &state.messages {
        if let Some(kind) = m.message_type.as_deref().filter(|t| !MESSAGE_TYPES.contains(t)) {
            report.add(Severity::Info, m.id.clone(), format!("the type {} is not known here", quoted(kind)), None);
        }
    }
}

fn ids_and_times(events: &[Event], now_ms: i64, report: &mut Report) {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for e in events {
        *ids.entry(&e.id).or_default() += 1;
        if e.at.millis().saturating_sub(now_ms) > TRUSTED_SKEW_MS {
            let what = format!("dated {}, more than a day ahead", e.at);
            report.add(Severity::Warning, e.id.clone(), what, Some("set the clock of the machine that wrote it"));
        }
        let family = e.kind.split('.').next().unwrap_or_default();
        if kinds::is_known(&e.kind) && family != "patrol" && e.subject().is_none() && !e.kind.starts_with("adopted.") {
            report.add(Severity::Info, e.id.clone(), format!("a {} about nothing with a valid id", e.kind), None);
        }
    }
    for (id, count) in ids.into_iter().filter(|(_, n)| *n > 1) {
        let what = format!("{count} different lines carry this id; all of them count");
        report.add(Severity::Warning, id, what, None);
    }
}

/// Values of another type than their field has: they are carried, and change nothing.
fn misfits(events: &[Event], report: &mut Report) {
    for e in events {
        let changes = e.data.get("changes").filter(|_| e.kind == "work_order.updated");
        let fields: Vec<(&str, &Value)> = match (e.kind.as_str(), changes) {
            (_, Some(Value::Object(changes))) => changes.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            (_, Some(changes)) => vec![("changes", changes)],
            ("work_order.created", None) => e.data.iter().map(|(name, value)| (name.as_str(), value)).collect(),
            (kind, None) => {
                let texts: &[&str] = match kind {
                    "work_order.status_changed" => &["to_status"],
                    "work_order.dependency_added" | "work_order.dependency_removed" => &["depends_on_id"],
                    "work_order.assigned" | "assignment.set" | "assignment.cleared" => &["agent", "ref_type", "ref_id"],
                    "mail.sent" => &["from", "to", "subject", "body", "message_type"],
                    _ => &[],
                };
                texts.iter().filter_map(|name| Some((*name, e.data.get(*name)?))).collect()
            }
        };
        for (name, wanted) in fields.into_iter().filter_map(|(name, value)| Some((name, misfit(name, value)?))) {
            let about = e.subject_id().unwrap_or_else(|| e.id.clone());
            let what = format!("'{name}' in {} is not {wanted}, and changes nothing", e.id);
            report.add(Severity::Info, about, what, None);
        }
    }
}

/// What a field with this name is made of, where a value is something else.
fn misfit(name: &str, value: &Value) -> Option<&'static str> {
    let is_list_of = |fits: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|l| l.iter().all(fits));
    let (fits, wanted) = match name {
        "title" | "description" | "status" | "issue_type" | "type" | "assignee" => (value.is_string(), "text"),
        "to_status" | "depends_on_id" | "agent" | "ref_type" | "ref_id" => (value.is_string(), "text"),
        "from" | "to" | "subject" | "body" | "message_type" => (value.is_string(), "text"),
        "created_at" | "updated_at" => (value.as_str().is_some_and(|t| t.parse::<Timestamp>().is_ok()), "a time"),
        "priority" => (whole_number(value).is_some(), "a whole number"),
        "labels" => (is_list_of(&Value::is_string), "a list of texts"),
        "dependencies" => (is_list_of(&|d| d["depends_on_id"].is_string()), "a list of dependencies"),
        "metadata" | "changes" => (value.is_object(), "an object"),
        _ => return None,
    };
    (!fits && !value.is_null()).then_some(wanted)
}

fn unknown(events: &[Event], report: &mut Report) {
    let mut kinds_seen: BTreeMap<&str, usize> = BTreeMap::new();
    for e in events.iter().filter(|e| !kinds::is_known(&e.kind)) {
        *kinds_seen.entry(&e.kind).or_default() += 1;
    }
    for (kind, count) in kinds_seen {
        let what = format!("{count} events of this type, which has no meaning here; they are carried");
        report.add(Severity::Info, quoted(kind), what, None);
    }
}

/// Orders on a circle of dependencies, or between two circles.
fn cycles(orders: &BTreeMap<&str, &Order>) -> Vec<String> {
    let known = |(_, on): &(&str, &str)| orders.contains_key(on);
    let pairs: Vec<(&str, &str)> =
        orders.iter().flat_map(|(id, o)| o.blockers().map(|on| (*id, on))).filter(known).collect();
    let waiting = graph::tied(pairs.iter().copied());
    // Those that only wait for a circle are no part of it: nobody in the rest waits for them.
    let rest = pairs.iter().filter(|(id, on)| waiting.contains(id) && waiting.contains(on));
    graph::tied(rest.map(|(id, on)| (*on, *id))).into_iter().map(str::to_owned).collect()
}
