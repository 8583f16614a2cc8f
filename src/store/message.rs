//! The commit message of a change: who did what to which, and the events it holds.

use crate::domain::event::Event;
use crate::domain::text::{headline, is_steering};

/// The longest subject line, in characters.
const SUBJECT: usize = 72;
/// How many events are named one by one; more are counted.
const MOST_TRAILERS: usize = 64;

/// The message for a commit that holds these events, in the order of writing. `title` finds a subject's title.
pub fn of(events: &[Event], title: impl Fn(&str) -> Option<String>) -> String {
    let mut message = subject(events, title);
    message.push('\n');
    if !events.is_empty() {
        message.push('\n');
    }
    for e in events.iter().take(MOST_TRAILERS) {
        message.push_str(&format!("Vermas-Event: {}\n", clean(&e.id)));
    }
    if events.len() > MOST_TRAILERS {
        message.push_str(&format!("Vermas-Events: {}\n", events.len()));
    }
    message
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_steering(*c)).collect()
}

fn subject(events: &[Event], title: impl Fn(&str) -> Option<String>) -> String {
    let Some(main) = events.iter().min_by_key(|e| rank(&e.kind)) else {
        return "vermas: bring the projections up to date".to_owned();
    };
    let subjects: std::collections::BTreeSet<_> =
        events.iter().filter(|e| rank(&e.kind) == rank(&main.kind)).filter_map(Event::subject).collect();
    let id = main.subject_id().unwrap_or_default();
    let name = main
        .text("title")
        .or_else(|| main.text("subject"))
        .map(str::to_owned)
        .or_else(|| main.subject().and_then(|s| title(&s)))
        .unwrap_or_default();
    let text = if subjects.len() > 1 {
        format!("{}: {} {} {}", main.actor, verb(&main.kind), subjects.len(), things(&main.kind))
    } else {
        format!("{}: {} {id} {name}", main.actor, verb(&main.kind))
    };
    headline(clean(&text).trim_end(), SUBJECT)
}

/// Which event of a change speaks for it: the smallest.
fn rank(kind: &str) -> u8 {
    match kind {
        "qa.merged" | "qa.rejected" => 0,
        "work_order.created" => 1,
        "work_order.closed" => 2,
        "work_order.assigned" => 3,
        "agent.started" | "agent.stopped" => 4,
        "work_order.updated" | "work_order.labels_changed" | "work_order.commented" => 5,
        "work_order.dependency_added" | "work_order.dependency_removed" => 6,
        "work_order.status_changed" => 7,
        "mail.sent" => 8,
        "assignment.set" | "assignment.cleared" => 9,
        _ => 10,
    }
}

fn things(kind: &str) -> &'static str {
    match kind.split('.').next().unwrap_or_default() {
        "work_order" | "qa" => "work orders",
        "mail" => "messages",
        _ => "agents",
    }
}

/// An event's type as a verb.
pub fn verb(kind: &str) -> &str {
    match kind {
        "work_order.created" => "create",
        "work_order.updated" => "update",
        "work_order.status_changed" => "move",
        "work_order.closed" => "close",
        "work_order.assigned" => "assign",
        "work_order.commented" => "comment on",
        "work_order.labels_changed" => "label",
        "work_order.dependency_added" => "link",
        "work_order.dependency_removed" => "unlink",
        "mail.sent" => "send",
        "mail.read" => "read",
        "mail.archived" => "archive",
        "mail.delivered" => "deliver",
        "assignment.set" => "assign",
        "assignment.cleared" => "unassign",
        "agent.started" => "start",
        "agent.stopped" => "stop",
        "qa.merged" => "merge",
        "qa.rejected" => "reject",
        other => other.rsplit('.').next().unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::causal::testing::event;
    use serde_json::json;

    #[test]
    fn the_subject_says_who_did_what_to_which() {
        let e = event(
            "work_order.created",
            1,
            "evt-1",
            None,
            json!({"work_order_id": "wo-3f9k2m8q1x", "title": "Add a flag"}),
        );
        assert_eq!(of(&[e], |_| None), "ceo: create wo-3f9k2m8q1x Add a flag\n\nVermas-Event: evt-1\n");
    }

    #[test]
    fn a_long_title_is_cut_and_control_characters_are_dropped() {
        let title = format!("a\u{1b}[31m{}", "x".repeat(100));
        let e = event("work_order.created", 1, "evt-1", None, json!({"work_order_id": "wo-1", "title": title}));
        let m = of(&[e], |_| None);
        let first = m.lines().next().unwrap();
        assert_eq!(first.chars().count(), SUBJECT);
        assert!(!first.contains('\u{1b}'));
    }
}
