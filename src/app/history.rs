//! The state branch as a history: commit by commit, who changed what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::fault::Fault;
use super::session::Session;
use crate::domain::event::Event;
use crate::domain::{OrderId, Timestamp};
use crate::git::objects::CommitInfo;
use crate::git::{Oid, Repo};
use crate::store::{Segment, StoreError, segments_of};
use crate::wire::line;

/// A trailer that names one event of a commit, and one that counts them where there are many.
const ONE: &str = "Vermas-Event: ";
const MANY: &str = "Vermas-Events: ";

/// A commit of the state branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub commit: Oid,
    pub parents: usize,
    pub at: Timestamp,
    pub author: String,
    pub subject: String,
    /// What it brought, in the total order: with an order asked for, only what concerns it.
    pub events: Vec<Event>,
}

impl Entry {
    pub fn record(&self) -> Value {
        let event = |e: &Event| json!({"event_id": e.id, "event_type": e.kind, "timestamp": e.at, "actor": e.actor, "subject": e.subject_id()});
        json!({"commit": self.commit.to_string(), "parents": self.parents, "timestamp": self.at, "author": self.author,
            "subject": self.subject, "events": self.events.iter().map(event).collect::<Vec<_>>()})
    }
}

/// The history, newest first, along the first parents. With an order, only commits with events that concern it.
pub fn of(session: &mut Session, order: Option<&OrderId>, most: Option<usize>) -> Result<Vec<Entry>, Fault> {
    session.view()?;
    let concerned = order.map(|id| events_about(session, id)).transpose()?;
    let mut next = session.store.tip()?;
    let mut found = Vec::new();
    while let Some(oid) = next {
        if most.is_some_and(|n| found.len() >= n) {
            break;
        }
        let commit = session.store.repo().commit(oid)?;
        next = commit.parents.first().copied();
        let named = named(&commit.message);
        let events = match (&concerned, &named) {
            (Some(ids), Some(named)) if named.iter().all(|id| !ids.contains(id)) => Vec::new(),
            (_, Some(named)) => lookup(session, named)?,
            (_, None) => brought(session.store.repo(), &commit)?,
        };
        let events: Vec<Event> =
            events.into_iter().filter(|e| concerned.as_ref().is_none_or(|ids| ids.contains(&e.id))).collect();
        if concerned.is_some() && events.is_empty() {
            continue;
        }
        found.push(Entry {
            commit: oid,
            parents: commit.parents.len(),
            at: Timestamp::from_millis(commit.author.seconds.saturating_mul(1000)),
            author: commit.author.name,
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            events,
        });
    }
    Ok(found)
}

/// The events that one commit of the state branch brought, in the total order.
pub fn brought_by(session: &mut Session, commit: Oid) -> Result<Vec<Event>, Fault> {
    let info = session.store.repo().commit(commit)?;
    Ok(brought(session.store.repo(), &info)?)
}

/// The ids of all events about an order: its own, and assignments that point at it.
fn events_about(session: &mut Session, id: &OrderId) -> Result<BTreeSet<String>, Fault> {
    let view = session.view()?;
    let own = view.events_of(&format!("order/{id}"))?;
    let mut ids: BTreeSet<String> = own.into_iter().map(|e| e.id).collect();
    for agent in view.agents()? {
        let assignments = view.events_of(&format!("assignment/{agent}"))?;
        ids.extend(assignments.into_iter().filter(|e| e.text("ref_id") == Some(id.as_str())).map(|e| e.id));
    }
    Ok(ids)
}

/// The events that a commit's message names; `None` where it names none, or not all.
fn named(message: &str) -> Option<Vec<String>> {
    if message.lines().any(|l| l.starts_with(MANY)) {
        return None;
    }
    let ids: Vec<String> = message.lines().filter_map(|l| l.strip_prefix(ONE)).map(|id| id.trim().to_owned()).collect();
    (!ids.is_empty()).then_some(ids)
}

fn lookup(session: &mut Session, ids: &[String]) -> Result<Vec<Event>, Fault> {
    let view = session.view()?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.extend(view.event(id)?);
    }
    all.sort_by(Event::order);
    Ok(all)
}

/// The events that a commit has and its first parent has not, from the segments that differ.
fn brought(repo: &Repo, commit: &CommitInfo) -> Result<Vec<Event>, StoreError> {
    let segments = |tree: Oid| -> Result<BTreeMap<String, Segment>, StoreError> { segments_of(repo, tree) };
    let now = segments(commit.tree)?;
    let before = match commit.parents.first() {
        Some(p) => segments(repo.commit(*p)?.tree)?,
        None => BTreeMap::new(),
    };
    let mut all = Vec::new();
    for (path, segment) in &now {
        let old = before.get(path);
        if old.is_some_and(|o| o.oid == segment.oid) {
            continue;
        }
        let old = old.map(|o| repo.blob(o.oid)).transpose()?.unwrap_or_default();
        let known: BTreeSet<&[u8]> = old.split(|b| *b == b'\n').collect();
        let bytes = repo.blob(segment.oid)?;
        let fresh = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !known.contains(l));
        all.extend(fresh.filter_map(|l| line::event(l).ok()));
    }
    all.sort_by(Event::order);
    Ok(all)
}
