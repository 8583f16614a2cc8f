//! Undo: which events are meant, what brings back what they changed, and recording that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::fault::Fault;
use super::history;
use super::past;
use super::session::Session;
use super::told;
use crate::domain::decide::undo::{self as decide, Change, Obstacle, is_noise};
use crate::domain::event::Event;
use crate::domain::text::quoted;
use crate::domain::{AgentId, Draft, Timestamp};
use crate::store::View;

/// The field of an event's data that names the first event of what it undoes.
pub const UNDOES: &str = "undoes";

/// What goes back on one order, message or agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub id: String,
    pub title: Option<String>,
    pub changes: Vec<Change>,
}

/// What was undone, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// The events that are undone.
    pub meant: Vec<Event>,
    pub parts: Vec<Part>,
    /// What was left as it is.
    pub left: Vec<Obstacle>,
    /// The events that undo it; none where it was only looked at.
    pub events: Vec<String>,
}

impl Undone {
    pub fn record(&self, dry_run: bool) -> Value {
        let meant = self.meant.iter().map(|e| {
            json!({"event_id": e.id, "event_type": e.kind, "timestamp": e.at, "actor": e.actor, "subject": e.subject_id()})
        });
        let changes = self
            .parts
            .iter()
            .flat_map(|p| p.changes.iter().map(|c| json!({"id": p.id, "field": c.field, "from": c.from, "to": c.to})));
        let left = self.left.iter().map(|o| json!({"id": o.field, "why": o.why}));
        json!({"undone": meant.collect::<Vec<_>>(), "changes": changes.collect::<Vec<_>>(),
            "left": left.collect::<Vec<_>>(), "events": self.events, "dry_run": dry_run})
    }
}

/// How it is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Leave what stands in the way as it is, and undo the rest.
    pub force: bool,
    /// Only look.
    pub dry_run: bool,
}

/// Undoes the events and commits that are named, or else the last command of the one who asks, on this machine.
pub fn undo(session: &mut Session, names: &[String], how: How) -> Result<Undone, Fault> {
    let meant = if names.is_empty() { last(session)? } else { named(session, names)? };
    let actor = session.actor.clone();
    if how.dry_run {
        let (undone, _) = plan(&session.view()?, meant, &actor, Timestamp::default())?;
        return settled(undone, how.force);
    }
    let done = session.write_noted(|tx| {
        let now = tx.now();
        let (undone, drafts) = plan(&tx.view()?, meant, &actor, now)?;
        let undone = settled(undone, how.force)?;
        tx.emit_all(&drafts)?;
        Ok(undone)
    })?;
    Ok(Undone { events: done.events, ..done.value })
}

/// The plan, unless something stands in its way or nothing is left to do.
fn settled(undone: Undone, force: bool) -> Result<Undone, Fault> {
    let nothing = undone.parts.iter().all(|p| p.changes.is_empty());
    if undone.left.is_empty() && nothing {
        return Err(Fault::failed("there is nothing left to undo: everything is as it would be without it")
            .hint("see what happened: git vermas log"));
    }
    if undone.left.is_empty() || (force && !nothing) {
        return Ok(undone);
    }
    let first = &undone.left[0];
    let mut fault = Fault::conflict(format!("this cannot be undone: {}: {}", first.field, first.why));
    for o in undone.left.iter().skip(1).take(MOST_NAMED) {
        fault = fault.hint(format!("nor can this: {}: {}", o.field, o.why));
    }
    Err(if nothing { fault } else { fault.hint("leave that as it is and undo the rest: --force") })
}

/// How many obstacles are named beside the first.
const MOST_NAMED: usize = 8;

/// What undoing takes, subject by subject, the latest first; and the events that do it.
fn plan(view: &View<'_>, meant: Vec<Event>, actor: &AgentId, now: Timestamp) -> Result<(Undone, Vec<Draft>), Fault> {
    let mut subjects: BTreeMap<String, usize> = BTreeMap::new();
    let (mut left, mut parts, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
    for (n, e) in meant.iter().enumerate() {
        match e.subject() {
            Some(subject) => *subjects.entry(subject).or_default() = n,
            None if is_noise(e) => {}
            None => left.push(Obstacle { field: e.id.clone(), why: format!("an event {} is about nothing", e.kind) }),
        }
    }
    let mut order: Vec<(usize, String)> = subjects.into_iter().map(|(s, n)| (n, s)).collect();
    order.sort_by(|a, b| b.cmp(a));
    let ids: BTreeSet<String> = meant.iter().map(|e| e.id.clone()).collect();
    let first = meant.first().map(|e| e.id.clone()).unwrap_or_default();
    for (_, subject) in order {
        let mut plan = decide::plan(&view.events_of(&subject)?, &ids, actor, now);
        left.append(&mut plan.obstacles);
        for mut draft in plan.drafts {
            if let Some(why) = circle(view, &draft)? {
                left.push(why);
                plan.changes.retain(|c| c.field != "dependencies" || c.to != draft.data["depends_on_id"]);
                continue;
            }
            draft.data.insert(UNDOES.to_owned(), first.clone().into());
            drafts.push(draft);
        }
        if !plan.changes.is_empty() {
            let id = subject.split_once('/').map_or(subject.as_str(), |(_, id)| id).to_owned();
            parts.push(Part { title: told::title(view, &subject)?, id, changes: plan.changes });
        }
    }
    Ok((Undone { meant, parts, left, events: Vec::new() }, drafts))
}

/// A dependency that comes back may close a circle by now.
fn circle(view: &View<'_>, draft: &Draft) -> Result<Option<Obstacle>, Fault> {
    let id = |name: &str| draft.data.get(name).and_then(Value::as_str).and_then(|t| t.parse().ok());
    let (Some(from), Some(on)) = (id("work_order_id"), id("depends_on_id")) else { return Ok(None) };
    if draft.kind != "work_order.dependency_added" || !view.reaches(&on, &from)? {
        return Ok(None);
    }
    Ok(Some(Obstacle { field: from.to_string(), why: format!("{on} waits for it by now: that would be a circle") }))
}

/// Events in one line: who did what when, and how much else there is.
pub fn what(session: &mut Session, events: &[Event]) -> Result<String, Fault> {
    let view = session.view()?;
    let halves = told::said_by_others(events.iter());
    let mut whole = events.iter().filter(|e| !halves.contains(e.id.as_str()));
    let Some(first) = whole.next() else { return Ok(String::new()) };
    let more = whole.count();
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(format!("{} {} ({}){and}", first.actor, told::told(&view, first)?.sentence(), first.at))
}

/// The events of the last command of the one who asks, on this machine.
fn last(session: &mut Session) -> Result<Vec<Event>, Fault> {
    let (actor, replica) = (session.actor.clone(), session.store.replica().unwrap_or_default());
    let view = session.view()?;
    let last = view.last_recorded_by(&replica, |e| e.actor == actor.as_str() && !is_noise(e))?;
    let last = last.ok_or_else(|| {
        Fault::failed(format!("there is nothing that {actor} did on this machine"))
            .hint("name a commit or an event: git vermas log")
    })?;
    Ok(view.command_of(&last)?)
}

/// The events that names stand for: all that a commit brought; for an event, all that its command did to the same thing.
fn named(session: &mut Session, names: &[String]) -> Result<Vec<Event>, Fault> {
    // Commits first: to take in what others left, which any look does, may add one, and `state~1` is meant as it was said.
    let commits = names.iter().map(|name| commit(session, name)).collect::<Result<Vec<_>, _>>()?;
    let mut all: Vec<Event> = Vec::new();
    for (name, commit) in names.iter().zip(commits) {
        let found = match commit {
            Some(events) => events,
            None => {
                let event = past::one_event(&session.store, name)?.ok_or_else(|| unknown(name))?;
                let mut command = session.view()?.command_of(&event)?;
                command.retain(|e| e.subject() == event.subject());
                command
            }
        };
        all.extend(found);
    }
    all.sort_by(Event::order);
    all.dedup_by(|a, b| a.id == b.id && a.raw == b.raw);
    Ok(all)
}

fn unknown(name: &str) -> Fault {
    let fault = Fault::not_found(format!("{} is no event and no commit of the state branch", quoted(name)));
    if name.starts_with("wo-") {
        return fault.hint(format!("the events of a work order: git vermas wo show {name} --history"));
    }
    fault.hint("commits and events: git vermas log")
}

/// What the commit that a name means brought; `None` where it means none.
fn commit(session: &mut Session, name: &str) -> Result<Option<Vec<Event>>, Fault> {
    if name.starts_with("evt-") {
        return Ok(None);
    }
    let repo = session.store.repo();
    let Some(oid) = repo.commit_named(name) else { return Ok(None) };
    if !session.store.is_of_the_state(oid)? {
        return Err(Fault::not_found(format!("{} is no commit of the state branch", quoted(name)))
            .hint("commits and events: git vermas log"));
    }
    let joins = repo.commit(oid)?.parents.len() > 1;
    let events = history::brought_by(session, oid)?;
    if events.is_empty() {
        let why = if joins { "joins two histories and brought no events itself" } else { "brought no events" };
        return Err(Fault::failed(format!("the commit {} {why}: there is nothing to undo", quoted(name)))
            .hint("commits and what they brought: git vermas log"));
    }
    Ok(Some(events))
}
