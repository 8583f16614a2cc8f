//! Earlier versions of a record: what a foreign writer may have seen of it when they changed it.

use serde_json::{Map, Value};

use super::cache::sum;
use super::error::Result;
use super::fold::events_of;
use super::tx::Tx;
use crate::domain::causal::{Folded, fold};
use crate::domain::event::Event;
use crate::domain::order::Order;
use crate::domain::{RefId, Timestamp};
use crate::wire::json as wire_json;

/// How many versions of a record are tried to find the one that a file shows.
const MOST_VERSIONS: usize = 64;

impl Tx<'_> {
    /// The record as it was when the line was written: a line that we wrote and then changed is no foreign change.
    pub(super) fn record_at(&mut self, id: &RefId, at: Timestamp) -> Result<Option<Map<String, Value>>> {
        let mut events = events_of(self.cache, &self.log, &format!("order/{id}"))?;
        events.retain(|e| e.at.millis() <= at.millis());
        let f: Folded<Order> = fold(events);
        Ok(f.state.created.then(|| f.state.record()))
    }

    /// The versions of a record that were last changed at a time from `first` to `last`, the latest first. What a machine
    /// showed goes by the order in which it learned of the changes, what another did by that of their times.
    pub(super) fn versions_of_then(
        &self,
        id: &RefId,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<Vec<Map<String, Value>>> {
        let arrived = events_of(self.cache, &self.log, &format!("order/{id}"))?;
        let mut by_time = arrived.clone();
        by_time.retain(|e| e.at.millis() <= last.millis());
        by_time.sort_by(Event::order);
        let versions = |events| versions_of(events, first.millis()..=last.millis());
        Ok(versions(arrived).into_iter().chain(versions(by_time)).collect())
    }

    /// The versions that a record has had between two times (milliseconds), and the one it had before, the latest first.
    pub(super) fn versions_between(&self, id: &RefId, from_ms: i64, until_ms: i64) -> Result<Vec<Map<String, Value>>> {
        let mut events = events_of(self.cache, &self.log, &format!("order/{id}"))?;
        events.retain(|e| e.at.millis() <= until_ms);
        let (mut versions, mut next) = (Vec::new(), None);
        for _ in 0..MOST_VERSIONS {
            let is_seen = !next.as_ref().zip(events.last()).is_some_and(|(next, last)| goes_on(last, next));
            if is_seen {
                let f: Folded<Order> = fold(events.clone());
                versions.extend(f.state.created.then(|| f.state.record()));
            }
            if events.last().is_none_or(|e| is_seen && e.at.millis() < from_ms) {
                break;
            }
            next = events.pop();
        }
        Ok(versions)
    }

    /// The order as its line in the file shows it, where that is not long ago.
    pub(super) fn record_projected(&self, id: &RefId, projected: Option<i64>) -> Result<Option<Order>> {
        let Some(projected) = projected else { return Ok(None) };
        let mut events = events_of(self.cache, &self.log, &format!("order/{id}"))?;
        for _ in 0..MOST_VERSIONS {
            let f: Folded<Order> = fold(events.clone());
            if f.state.created && sum(wire_json::line(&f.state.record()).as_bytes()) == projected {
                return Ok(Some(f.state));
            }
            if events.pop().is_none() {
                break;
            }
        }
        Ok(None)
    }
}

/// The versions of a record that first parts of these events give and that were last changed in this time (milliseconds),
/// the latest first. Who states a later time than a version has knew of a later one. Between the events of one command
/// nobody ever saw one.
fn versions_of(mut events: Vec<Event>, time: std::ops::RangeInclusive<i64>) -> Vec<Map<String, Value>> {
    // When the version that the first so many events give was changed last, at the latest.
    let mut changed = Vec::with_capacity(events.len());
    for e in &events {
        let at = if e.kind.starts_with("work_order.") { e.at.millis() } else { i64::MIN };
        changed.push(changed.last().copied().unwrap_or(i64::MIN).max(at));
    }
    let (mut versions, mut next, mut folded) = (Vec::new(), None, 0);
    while folded < MOST_VERSIONS && changed.last().is_some_and(|at| at >= time.start()) {
        let is_seen = !next.as_ref().zip(events.last()).is_some_and(|(next, last)| goes_on(last, next));
        if is_seen && changed.pop().is_some_and(|at| time.contains(&at)) {
            folded += 1;
            let f: Folded<Order> = fold(events.clone());
            if f.state.created && time.contains(&f.state.updated_at().millis()) {
                versions.push(f.state.record());
            }
        }
        next = events.pop();
        changed.truncate(events.len());
    }
    versions
}

/// Whether one command wrote both events.
fn goes_on(first: &Event, next: &Event) -> bool {
    next.caused_by.as_ref().is_some_and(|cause| *cause == first.id || Some(cause) == first.caused_by.as_ref())
}
