//! Questions about the present state, answered from the cache.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::OptionalExtension;

use super::cache::Cache;
use super::error::{Result, StoreError};
use super::fold::{dependencies, event_at, events_of, events_where, parse};
use super::lines::{Lines, Window};
use super::lists::OrderRow;
use crate::domain::agent::Agent;
use crate::domain::assignment::Assignment;
use crate::domain::causal::Folded;
use crate::domain::event::{Event, Key};
use crate::domain::message::Message;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId, RefId};
use crate::wire::line;

/// Where an event stands, and its place in the total order.
#[derive(Debug, Clone)]
struct Place {
    key: Key,
    off: i64,
    len: i64,
}

/// The state as one transaction of the cache sees it.
pub struct View<'a> {
    pub(super) cache: &'a Cache,
    pub(super) log: &'a dyn Lines,
}

impl<'a> View<'a> {
    pub(super) fn new(cache: &'a Cache, log: &'a dyn Lines) -> Self {
        Self { cache, log }
    }

    /// A work order with all that its events say; `None` where its creation is not known.
    pub fn order(&self, id: &OrderId) -> Result<Option<Order>> {
        let mut q = self.cache.db.prepare_cached("SELECT fold FROM folds WHERE id=?")?;
        let text: Option<String> = q.query_row([id.as_str()], |r| r.get(0)).optional()?;
        Ok(text.map(|t| parse::<Folded<Order>>(&t)).transpose()?.map(|f| f.state).filter(|o| o.created))
    }

    pub fn message(&self, id: &RefId) -> Result<Option<Message>> {
        let mut q = self.cache.db.prepare_cached("SELECT fold FROM messages WHERE id=? AND shown")?;
        let text: Option<String> = q.query_row([id.as_str()], |r| r.get(0)).optional()?;
        Ok(text.map(|t| parse::<Folded<Message>>(&t)).transpose()?.map(|f| f.state))
    }

    /// Ids of work orders or messages that begin with `prefix`, in order, at most `most`.
    pub fn ids_from(&self, table: &'static str, prefix: &str, most: usize) -> Result<Vec<(String, String)>> {
        let sql = match table {
            "orders" => "SELECT id, title FROM orders WHERE id >= ?1 AND id < ?2 AND shown ORDER BY id LIMIT ?3",
            _ => {
                "SELECT id, json_extract(rec, '$.subject') FROM messages WHERE id >= ?1 AND id < ?2 AND shown ORDER BY id LIMIT ?3"
            }
        };
        let end = format!("{prefix}\u{10ffff}");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut q = self.cache.db.prepare_cached(sql)?;
        let rows = q.query_map(rusqlite::params![prefix, end, most], |r| {
            Ok((r.get(0)?, r.get::<_, Option<String>>(1)?.unwrap_or_default()))
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// What an order directly waits for: (id, row where it is known).
    pub fn dependencies(&self, id: &str) -> Result<Vec<(String, Option<OrderRow>)>> {
        dependencies(self.cache, id)?.into_iter().map(|dep| Ok((dep.clone(), self.order_row(&dep)?))).collect()
    }

    /// The ids of orders that wait for this one.
    pub fn dependents(&self, id: &str) -> Result<Vec<String>> {
        let mut q = self.cache.db.prepare_cached("SELECT id FROM deps WHERE dep=? ORDER BY id")?;
        Ok(q.query_map([id], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?)
    }

    /// Whether `from` waits for `to`, directly or through others.
    pub fn reaches(&self, from: &OrderId, to: &OrderId) -> Result<bool> {
        let mut q = self.cache.db.prepare_cached("SELECT dep FROM deps WHERE id=?")?;
        let mut seen = BTreeSet::from([from.to_string()]);
        let mut open = vec![from.to_string()];
        while let Some(id) = open.pop() {
            if id == to.as_str() {
                return Ok(true);
            }
            let next: Vec<String> = q.query_map([&id], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?;
            open.extend(next.into_iter().filter(|n| seen.insert(n.clone())));
        }
        Ok(false)
    }

    /// Orders on a circle of dependencies, which a merge may bring about.
    pub fn cycles(&self) -> Result<Vec<String>> {
        let mut q = self.cache.db.prepare_cached("SELECT id, dep FROM deps")?;
        let pairs = q.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let pairs: Vec<(String, String)> = pairs.collect::<std::result::Result<_, _>>()?;
        let tied = crate::domain::graph::tied(pairs.iter().map(|(who, what)| (who.as_str(), what.as_str())));
        Ok(tied.into_iter().map(str::to_owned).collect())
    }

    /// Mail to an agent: urgent first, then oldest first.
    pub fn inbox(&self, to: &AgentId, unread_only: bool, archived_too: bool) -> Result<Vec<Message>> {
        let mut q = self.cache.db.prepare_cached(
            "SELECT fold FROM messages WHERE recipient=?1 AND shown AND (?2 OR archived=0) AND (NOT ?3 OR unread=1)
             ORDER BY rank, ts, id",
        )?;
        let rows = q.query_map(rusqlite::params![to.as_str(), archived_too, unread_only], |r| r.get::<_, String>(0))?;
        rows.map(|t| Ok(parse::<Folded<Message>>(&t?)?.state)).collect()
    }

    /// All mail, oldest first.
    pub fn messages(&self) -> Result<Vec<Message>> {
        let mut q = self.cache.db.prepare_cached("SELECT fold FROM messages WHERE shown ORDER BY ts, id")?;
        let rows = q.query_map([], |r| r.get::<_, String>(0))?;
        rows.map(|t| Ok(parse::<Folded<Message>>(&t?)?.state)).collect()
    }

    pub fn unread_count(&self, to: &str) -> Result<i64> {
        let mut q = self
            .cache
            .db
            .prepare_cached("SELECT count(*) FROM messages WHERE recipient=? AND archived=0 AND unread=1 AND shown")?;
        Ok(q.query_row([to], |r| r.get(0))?)
    }

    fn other<T: serde::de::DeserializeOwned + Default>(&self, subject: &str) -> Result<Option<T>> {
        let mut q = self.cache.db.prepare_cached("SELECT fold FROM others WHERE subject=?")?;
        let text: Option<String> = q.query_row([subject], |r| r.get(0)).optional()?;
        Ok(text.map(|t| parse::<Folded<T>>(&t)).transpose()?.map(|f| f.state))
    }

    pub fn assignment(&self, agent: &AgentId) -> Result<Assignment> {
        Ok(self.other(&format!("assignment/{agent}"))?.unwrap_or_default())
    }

    /// What is known of an agent; `None` where nothing ever was.
    pub fn agent(&self, agent: &AgentId) -> Result<Option<Agent>> {
        self.other(&format!("agent/{agent}"))
    }

    /// Every agent's present assignment, by agent.
    pub fn assignments(&self) -> Result<Vec<Assignment>> {
        let all: Vec<Assignment> = self.others("assignment/")?;
        Ok(all.into_iter().filter(|a| a.target().is_some()).collect())
    }

    pub fn agent_states(&self) -> Result<Vec<Agent>> {
        self.others("agent/")
    }

    fn others<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>> {
        let mut q = self
            .cache
            .db
            .prepare_cached("SELECT fold FROM others WHERE subject >= ?1 AND subject < ?2 ORDER BY subject")?;
        let end = format!("{prefix}\u{10ffff}");
        let rows = q.query_map([prefix, &end], |r| r.get::<_, String>(0))?;
        rows.map(|t| Ok(parse::<Folded<T>>(&t?)?.state)).collect()
    }

    /// Every agent that an assignment, a session, a claim or mail has ever named.
    pub fn agents(&self) -> Result<BTreeSet<AgentId>> {
        let mut q = self.cache.db.prepare_cached(
            "SELECT substr(subject, instr(subject,'/')+1) FROM others UNION SELECT assignee FROM orders WHERE assignee
             IS NOT NULL UNION SELECT json_extract(rec,'$.from') FROM messages",
        )?;
        let rows = q.query_map([], |r| r.get::<_, Option<String>>(0))?;
        let mut all = BTreeSet::new();
        for name in rows {
            all.extend(name?.and_then(|n| n.parse().ok()));
        }
        Ok(all)
    }

    /// Orders by status.
    pub fn count_by(&self, column: &'static str) -> Result<BTreeMap<String, i64>> {
        let sql = match column {
            "type" => "SELECT type, count(*) FROM orders WHERE shown=1 GROUP BY type",
            "priority" => "SELECT priority, count(*) FROM orders WHERE shown=1 GROUP BY priority",
            _ => "SELECT status, count(*) FROM orders WHERE shown=1 GROUP BY status",
        };
        let mut q = self.cache.db.prepare_cached(sql)?;
        let rows = q.query_map([], |r| {
            let key: rusqlite::types::Value = r.get(0)?;
            let key = match key {
                rusqlite::types::Value::Text(t) => t,
                rusqlite::types::Value::Integer(n) => n.to_string(),
                _ => String::new(),
            };
            Ok((key, r.get(1)?))
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    pub fn count_ready(&self) -> Result<i64> {
        Ok(self.cache.db.query_row("SELECT count(*) FROM orders WHERE ready=1", [], |r| r.get(0))?)
    }

    pub fn count_conflicts(&self) -> Result<i64> {
        Ok(self.cache.db.query_row("SELECT count(*) FROM orders WHERE conflicts>0 AND shown", [], |r| r.get(0))?)
    }

    pub fn count_events(&self) -> Result<i64> {
        Ok(self.cache.db.query_row("SELECT count(*) FROM events", [], |r| r.get(0))?)
    }

    /// When the newest known event was stamped, in milliseconds since the epoch, and by whom, among the last that arrived.
    pub fn newest_event(&self) -> Result<Option<(i64, String)>> {
        let mut q = self.cache.db.prepare_cached("SELECT off, len FROM events ORDER BY off DESC LIMIT 64")?;
        let places: Vec<(i64, i64)> =
            q.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<std::result::Result<_, _>>()?;
        let mut newest = None;
        for (off, len) in places {
            if let Some(e) = event_at(self.log, off, len)? {
                newest = newest.max(Some((e.at.millis(), e.actor)));
            }
        }
        Ok(newest)
    }

    /// Events that are in the log and not yet on the branch.
    pub fn count_loose(&self) -> Result<i64> {
        Ok(self.cache.db.query_row("SELECT count(*) FROM events WHERE home IS NULL", [], |r| r.get(0))?)
    }

    /// How many bytes the known events take on the branch, where each of them stands once.
    pub fn bytes_on_branch(&self) -> Result<u64> {
        let sql = "SELECT coalesce(sum(len + 1), 0) FROM events WHERE home IS NOT NULL";
        Ok(self.cache.db.query_row(sql, [], |r| r.get::<_, i64>(0))?.cast_unsigned())
    }

    /// All events of a subject (`order/wo-…`, `mail/msg-…`, `assignment/…`, `agent/…`), in their total order.
    pub fn events_of(&self, subject: &str) -> Result<Vec<Event>> {
        let mut events = events_of(self.cache, self.log, subject)?;
        events.sort_by(Event::order);
        Ok(events)
    }

    /// One event by its id; several where two lines share it.
    pub fn event(&self, id: &str) -> Result<Vec<Event>> {
        events_where(self.cache, self.log, "id=?", id)
    }

    /// Gives the events that are `wanted`, in the total order, the newest `most` of them. Reads the whole log, and holds no
    /// more than one event at a time.
    pub fn each_event<E: From<StoreError>>(
        &self,
        wanted: impl Fn(&Event) -> bool,
        most: Option<usize>,
        mut give: impl FnMut(Event) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut places = self.places_of(wanted)?;
        places.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        // Lines that share time and id go by their bytes.
        for same in places.chunk_by_mut(|a, b| a.key == b.key).filter(|c| c.len() > 1) {
            let mut read: Vec<(Vec<u8>, Place)> = same
                .iter()
                .map(|p| Ok((self.event_at(p)?.map(|e| e.raw).unwrap_or_default(), p.clone())))
                .collect::<Result<_>>()?;
            read.sort_by(|a, b| a.0.cmp(&b.0));
            same.iter_mut().zip(read).for_each(|(place, (_, sorted))| *place = sorted);
        }
        let skip = most.map_or(0, |most| places.len().saturating_sub(most));
        for place in &places[skip..] {
            if let Some(e) = self.event_at(place)? {
                give(e)?;
            }
        }
        Ok(())
    }

    fn event_at(&self, place: &Place) -> Result<Option<Event>> {
        event_at(self.log, place.off, place.len)
    }

    fn places_of(&self, wanted: impl Fn(&Event) -> bool) -> Result<Vec<Place>> {
        let sql = "SELECT coalesce(max(off + len), 0) FROM events";
        let end: i64 = self.cache.db.query_row(sql, [], |r| r.get(0)).map_err(StoreError::from)?;
        let mut window = Window::new(self.log, end.cast_unsigned());
        let mut q = self.cache.db.prepare_cached("SELECT off, len FROM events ORDER BY off")?;
        let mut rows = q.query([])?;
        let mut places = Vec::new();
        while let Some(r) = rows.next()? {
            let (off, len): (i64, i64) = (r.get(0)?, r.get(1)?);
            let bytes = window
                .read(off.cast_unsigned(), usize::try_from(len).unwrap_or_default())
                .map_err(StoreError::io("read .work/events.jsonl"))?;
            if let Some(e) = line::event(bytes).ok().filter(&wanted) {
                places.push(Place { key: e.key(), off, len });
            }
        }
        Ok(places)
    }

    /// Event ids that stand for different lines.
    pub fn doubled_ids(&self) -> Result<Vec<String>> {
        let mut q = self.cache.db.prepare_cached("SELECT id FROM events GROUP BY id HAVING count(*)>1 ORDER BY id")?;
        Ok(q.query_map([], |r| r.get(0))?.collect::<std::result::Result<_, _>>()?)
    }
}
