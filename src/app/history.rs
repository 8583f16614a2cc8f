//! The state branch as a history: commit by commit, who changed what.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};

use serde_json::{Value, json};

use super::brought::Reader;
use super::fault::Fault;
use super::past;
use super::session::Session;
use super::told::{self, Told};
use crate::domain::event::Event;
use crate::domain::{OrderId, Timestamp};
use crate::git::objects::CommitInfo;
use crate::git::{Oid, Repo};
use crate::store::Point;

/// A commit of the state branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub commit: Oid,
    pub parents: usize,
    pub at: Timestamp,
    pub author: String,
    pub subject: String,
    /// What it brought, in the total order, each in words: with an order asked for, only what concerns it.
    pub events: Vec<(Event, Told)>,
}

impl Entry {
    pub fn record(&self) -> Value {
        let event = |(e, told): &(Event, Told)| {
            json!({"event_id": e.id, "event_type": e.kind, "timestamp": e.at, "actor": e.actor, "subject": e.subject_id(),
                "did": told.did, "title": told.title, "detail": told.detail, "undoes": told.undoes})
        };
        json!({"commit": self.commit.to_string(), "parents": self.parents, "timestamp": self.at, "author": self.author,
            "subject": self.subject, "events": self.events.iter().map(event).collect::<Vec<_>>()})
    }
}

/// Which part of the history is meant; everything `None` means all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only commits with events that concern this order.
    pub order: Option<OrderId>,
    pub since: Option<Timestamp>,
    /// Leave out commits that brought no events: those that join histories, or bring projections up to date.
    pub only_with_events: bool,
    /// At most so many commits.
    pub most: Option<usize>,
}

/// How far a commit may be dated before the events that it brings, in milliseconds: clocks differ.
const SKEW: i64 = 24 * 60 * 60 * 1000;

/// The history on all its lines, newest first, from where the session looks.
pub fn of(session: &mut Session, wanted: &Wanted) -> Result<Vec<Entry>, Fault> {
    session.view()?;
    let concerned = wanted.order.as_ref().map(|id| events_about(session, id)).transpose()?;
    let mut walk = Walk::from(past::commit_in_view(&session.store)?);
    let mut reader = Reader::for_walk(session)?;
    let mut found = Vec::new();
    while let Some((oid, commit)) = walk.next(session.store.repo())? {
        if wanted.most.is_some_and(|n| found.len() >= n) {
            break;
        }
        let at = Timestamp::from_millis(commit.author.seconds.saturating_mul(1000));
        if wanted.since.is_some_and(|since| at.millis().saturating_add(SKEW) < since.millis()) {
            continue;
        }
        let mut events = reader.events(session.store.repo(), &commit)?;
        events.retain(|e| {
            concerned.as_ref().is_none_or(|ids| ids.contains(&e.id)) && wanted.since.is_none_or(|since| e.at >= since)
        });
        let view = session.view()?;
        let mut told = Vec::with_capacity(events.len());
        for mut e in events {
            // A commit may have brought more than the past that is looked at holds.
            if !view.event(&e.id)?.is_empty() {
                let words = told::told(&view, &e)?;
                // The words say it; a whole history of lines would fill the memory.
                e.raw = Vec::new();
                told.push((e, words));
            }
        }
        let is_of_then = matches!(session.store.point(), Some(Point::Time(_) | Point::Event(_)));
        let partial = wanted.only_with_events || concerned.is_some() || wanted.since.is_some() || is_of_then;
        if partial && told.is_empty() {
            continue;
        }
        found.push(Entry {
            commit: oid,
            parents: commit.parents.len(),
            at,
            author: commit.author.name,
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            events: told,
        });
    }
    Ok(found)
}

/// Commits by date, each once, a child before its parents.
struct Walk {
    open: BinaryHeap<(i64, Reverse<usize>, Oid)>,
    seen: HashSet<Oid>,
    first: Option<Oid>,
}

impl Walk {
    fn from(first: Option<Oid>) -> Self {
        Self { open: BinaryHeap::new(), seen: HashSet::new(), first }
    }

    fn add(&mut self, repo: &Repo, oid: Oid) -> Result<(), Fault> {
        if self.seen.insert(oid) {
            let seconds = repo.commit(oid)?.author.seconds;
            self.open.push((seconds, Reverse(self.seen.len()), oid));
        }
        Ok(())
    }

    fn next(&mut self, repo: &Repo) -> Result<Option<(Oid, CommitInfo)>, Fault> {
        if let Some(first) = self.first.take() {
            self.add(repo, first)?;
        }
        let Some((_, _, oid)) = self.open.pop() else { return Ok(None) };
        let commit = repo.commit(oid)?;
        for parent in &commit.parents {
            // Where the clone is shallow, history ends.
            let _ = self.add(repo, *parent);
        }
        Ok(Some((oid, commit)))
    }
}

/// The events that one commit of the state branch brought, in the total order; an error where its parents are not here.
pub fn brought_by(session: &Session, commit: Oid) -> Result<Vec<Event>, Fault> {
    let repo = session.store.repo();
    let info = repo.commit(commit)?;
    if info.parents.iter().any(|p| repo.commit(*p).is_err()) {
        return Err(Fault::failed(format!(
            "what the commit {commit} brought cannot be told: what was before it is not here"
        ))
        .hint("this clone may be shallow; an event can be named instead: git vermas log --json"));
    }
    Ok(Reader::default().events(repo, &info)?)
}

/// The ids of all events about an order: its own, and assignments that point at it.
fn events_about(session: &mut Session, id: &OrderId) -> Result<BTreeSet<String>, Fault> {
    let view = session.view()?;
    let own = view.events_of(&format!("order/{id}"))?;
    let own: BTreeSet<String> = own.into_iter().map(|e| e.id).collect();
    Ok(own.into_iter().chain(assignments_to(session, id)?.into_iter().map(|e| e.id)).collect())
}

/// The events by which an order became somebody's assignment, or ceased to be.
pub fn assignments_to(session: &mut Session, id: &OrderId) -> Result<Vec<Event>, Fault> {
    let view = session.view()?;
    let target = format!("work_order:{id}");
    let mut all = Vec::new();
    for agent in view.agents()? {
        let events = view.events_of(&format!("assignment/{agent}"))?;
        let is_it = |e: &Event| e.text("ref_id") == Some(id.as_str()) || e.text("previous_ref") == Some(&target);
        all.extend(events.into_iter().filter(is_it));
    }
    Ok(all)
}
