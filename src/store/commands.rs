//! Which events one command wrote, and on which clone.
//!
//! The events of a command are written in one piece, and all but the first name the first as their cause.

use rusqlite::{OptionalExtension, params};

use super::error::Result;
use super::fold::event_at;
use super::open::Store;
use super::view::View;
use crate::domain::event::Event;

impl Store {
    /// This clone's own name, under which it keeps its events on the branch; `None` before it has kept any.
    pub fn replica(&self) -> Option<String> {
        let bytes = crate::sys::fs::read_if_there(&self.places.replica()).ok().flatten()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines().next().map(|id| id.trim().to_owned()).filter(|id| crate::wire::segment::is_replica(id))
    }
}

impl View<'_> {
    /// The clone that an event was first recorded in, by the name under which the branch keeps it; `None` for one that is
    /// not on the branch yet, which was recorded here.
    pub fn replica_of(&self, e: &Event) -> Result<Option<String>> {
        let mut q = self.cache.db.prepare_cached("SELECT home FROM events WHERE id=? AND sum=?")?;
        let home: Option<Option<String>> =
            q.query_row(params![e.id, super::cache::sum(&e.raw)], |r| r.get(0)).optional()?;
        Ok(home.flatten().and_then(|h| h.split_once('/').map(|(replica, _)| replica.to_owned())))
    }

    /// The newest event recorded by the clone `replica` for which `is` holds.
    pub fn last_recorded_by(&self, replica: &str, is: impl Fn(&Event) -> bool) -> Result<Option<Event>> {
        let mut q = self.cache.db.prepare_cached(
            "SELECT off, len FROM events WHERE home IS NULL OR home LIKE ? || '/%' ORDER BY off DESC",
        )?;
        let mut rows = q.query([replica])?;
        while let Some(r) = rows.next()? {
            if let Some(e) = event_at(self.log, r.get(0)?, r.get(1)?)?.filter(|e| is(e)) {
                return Ok(Some(e));
            }
        }
        Ok(None)
    }

    /// All events of the command that an event is part of, in their order: of one agent, on one clone. What another did
    /// because of it is no part of it, whatever it names as its cause.
    pub fn command_of(&self, e: &Event) -> Result<Vec<Event>> {
        let causes = e.caused_by.as_ref().map(|id| self.event(id)).transpose()?.unwrap_or_default();
        let cause = causes.into_iter().find(|c| c.actor == e.actor);
        let mut all = cause.map(|c| self.caused_by(c)).transpose()?.unwrap_or_default();
        if !all.iter().any(|a| a.id == e.id && a.raw == e.raw) {
            all = self.caused_by(e.clone())?;
        }
        // A writer that names no causes leaves its pairs side by side.
        if let [one] = all.as_slice()
            && let Some(other) = self.pair_of(one)?
        {
            all.push(other);
            all.sort_by(Event::order);
        }
        Ok(all)
    }

    /// An event, and those that its writer recorded with it.
    fn caused_by(&self, first: Event) -> Result<Vec<Event>> {
        let start: Option<i64> = {
            let mut q = self.cache.db.prepare_cached("SELECT off FROM events WHERE id=? AND sum=?")?;
            q.query_row(params![first.id, super::cache::sum(&first.raw)], |r| r.get(0)).optional()?
        };
        let here = self.replica_of(&first)?;
        let mut q = self.cache.db.prepare_cached("SELECT off, len FROM events WHERE off > ? ORDER BY off")?;
        let mut rows = q.query([start.unwrap_or(i64::MAX)])?;
        let mut all = vec![first];
        while let Some(r) = rows.next()? {
            let Some(next) = event_at(self.log, r.get(0)?, r.get(1)?)? else { continue };
            let (first, last) = (&all[0], all[all.len() - 1].at);
            let clone = self.replica_of(&next)?;
            if next.caused_by.as_ref() == Some(&first.id) && next.actor == first.actor && clone == here {
                all.push(next);
            } else if clone == here || next.at > last {
                // On other clones events of the same instant may stand between, and nothing else.
                break;
            }
        }
        Ok(all)
    }

    /// The other half of a change of status that says what for: closing, or giving the order to an agent.
    fn pair_of(&self, e: &Event) -> Result<Option<Event>> {
        let Some(subject) = e.subject().filter(|_| e.caused_by.is_none()) else { return Ok(None) };
        let is_pair = |a: &Event, b: &Event| {
            a.kind == "work_order.status_changed"
                && (a.text("to_status") == Some("closed") && b.kind == "work_order.closed"
                    || a.text("to_status") == Some("assigned") && b.kind == "work_order.assigned")
                && (a.actor == b.actor && a.at == b.at && b.caused_by.is_none())
        };
        let all = self.events_of(&subject)?;
        let pair = all.windows(2).find(|w| is_pair(&w[0], &w[1]) && (w[0].id == e.id || w[1].id == e.id));
        Ok(pair.map(|w| if w[0].id == e.id { w[1].clone() } else { w[0].clone() }))
    }
}
