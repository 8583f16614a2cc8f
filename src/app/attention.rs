//! What needs a person: what the program cannot settle, each with the command that goes on from there.

use serde::Serialize;

use super::fault::Fault;
use super::session::Session;
use super::status::Worker;
use crate::domain::message::Message;
use crate::domain::order::{Order, PLAIN_FIELDS};
use crate::domain::text::{headline, quoted};

/// At most so many of one kind are named one by one.
const MOST: u32 = 5;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// `conflict`, `contested`, `stopped`, `unstarted`, `waiting`, `asked`, `cycle`, `quarantine` or `unpublished`.
    pub kind: &'static str,
    pub text: String,
    pub hint: String,
}

/// Everything of that sort, the most pressing first.
pub fn of(session: &mut Session, workers: &[Worker], unread: &[Message]) -> Result<Vec<Attention>, Fault> {
    let mut all = Vec::new();
    all.extend(unread.iter().filter_map(asked));
    all.extend(
        workers
            .iter()
            .filter_map(stopped)
            .chain(workers.iter().filter_map(unstarted))
            .chain(workers.iter().filter_map(waiting)),
    );
    // What was set aside, and what is not published, is so now: it belongs to no past.
    let now = session.store.point().is_none();
    let quarantined = if now { crate::store::quarantined(session.store.places())? } else { Vec::new() };
    let view = session.view()?;
    for row in view.conflicted(MOST)? {
        if let Some(order) = row.id.parse().ok().map(|id| view.order(&id)).transpose()?.flatten() {
            all.extend(conflicts(&order));
        }
    }
    for a in view.assignments()? {
        let Some(target) = a.target() else { continue };
        for c in a.conflicts() {
            let text = format!("{} has {target}, and {} set its assignment to {}", a.agent, c.by, plain(&c.value));
            let hint = format!("git vermas assignment set {} TYPE:ID --replace", a.agent);
            all.push(Attention { kind: "conflict", text: text.replace("to null", "to nothing"), hint });
        }
    }
    let more = view.count_conflicts()? - i64::from(MOST);
    if more > 0 {
        let text = format!("{more} more work orders with concurrent changes");
        all.push(Attention { kind: "conflict", text, hint: "git vermas wo list --json".to_owned() });
    }
    let cycle = view.cycles()?;
    if let [first, rest @ ..] = cycle.as_slice() {
        let text = format!("{first} and {} more can never become ready: they wait for each other", rest.len());
        all.push(Attention { kind: "cycle", text, hint: format!("git vermas wo dep tree {first}") });
    }
    if let Some(last) = quarantined.last() {
        let count = quarantined.len();
        let text =
            format!("{count} {} set aside; the last: {}, line {}: {}", lines(count), last.file, last.line, last.reason);
        all.push(Attention { kind: "quarantine", text, hint: "git vermas doctor".to_owned() });
    }
    let loose = if now { view.count_loose()? } else { 0 };
    if loose > 0 {
        let text = format!("{loose} events are recorded and not on the state branch yet");
        all.push(Attention { kind: "unpublished", text, hint: "git vermas doctor".to_owned() });
    }
    Ok(all)
}

fn lines(count: usize) -> &'static str {
    if count == 1 { "line was" } else { "lines were" }
}

/// Somebody waits for an answer.
fn asked(m: &Message) -> Option<Attention> {
    let kind = m.message_type.as_deref().filter(|t| matches!(*t, "HELP" | "ESCALATION"))?;
    let text = format!("{kind} from {}: {}", m.from, headline(&m.subject, 80));
    Some(Attention { kind: "asked", text, hint: format!("git vermas read {}", m.id) })
}

/// A worker that has work and no session any more.
fn stopped(w: &Worker) -> Option<Attention> {
    let gone = w.session.as_deref().is_some_and(|s| s != "running")
        && matches!(w.state.as_str(), "starting" | "working" | "idle");
    let id = w.ref_id.as_ref().filter(|_| w.state == "stopped" || gone)?;
    let why = w.reason.as_ref().map(|r| format!(" ({})", headline(r, 60))).unwrap_or_default();
    let text = format!("slot{} stopped{why} and still has {id}", w.slot);
    Some(Attention { kind: "stopped", text, hint: format!("git vermas worker logs slot{}", w.slot) })
}

/// A worker's place that has an order and no worker: one that was given by hand, or by a command that was ended too soon.
fn unstarted(w: &Worker) -> Option<Attention> {
    let id = w.ref_id.as_ref().filter(|_| w.state == "assigned" && w.session.as_deref() == Some("none"))?;
    let text = format!("slot{} has {id}, and no worker was started for it", w.slot);
    Some(Attention { kind: "unstarted", text, hint: format!("git vermas worker spawn slot{}", w.slot) })
}

/// A worker whose program says that it waits for a person, or that it met an error.
fn waiting(w: &Worker) -> Option<Attention> {
    let reason = w.reason.as_ref().filter(|_| w.state == "idle" && stopped(w).is_none())?;
    let text = format!("slot{}: {}", w.slot, headline(reason, 80));
    Some(Attention { kind: "waiting", text, hint: format!("git vermas worker attach slot{}", w.slot) })
}

/// What concurrent writers of one order disagree on.
fn conflicts(order: &Order) -> Vec<Attention> {
    let holder = order.assignee().unwrap_or_default();
    let one = |c: crate::domain::order::Conflict| {
        if c.field == "assignee" {
            let text = format!("{} is held by {holder} and claimed by {} too", order.id, plain(&c.value));
            return Attention { kind: "contested", text, hint: format!("git vermas wo show {}", order.id) };
        }
        let text = format!("{}: {} was also set to {} by {}", order.id, c.field, quoted(&plain(&c.value)), c.by);
        // Writing the field again, whatever the value, settles it.
        if !PLAIN_FIELDS.contains(&c.field.as_str()) && !c.field.starts_with("metadata.") {
            return Attention { kind: "conflict", text, hint: format!("git vermas wo show {} --history", order.id) };
        }
        let option = if c.field == "issue_type" { "type" } else { c.field.split('.').next().unwrap_or_default() };
        Attention { kind: "conflict", text, hint: format!("git vermas wo update {} --{option} ...", order.id) }
    };
    order.conflicts().into_iter().map(one).collect()
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
