//! The event: what happened, to what, by whom, knowing what.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::crockford;
use super::id::{AgentId, RefId};
use super::time::Timestamp;

/// Fields of an event that name what it is about, in the order in which they are looked for.
const ORDER_KEYS: &[&str] = &["work_order_id", "id"];
const MESSAGE_KEYS: &[&str] = &["message_id", "id"];

/// One event, as a line carried it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub at: Timestamp,
    pub actor: String,
    pub correlation_id: Option<String>,
    pub caused_by: Option<String>,
    /// The newest events of the same subject that the writer knew; `None` for a writer that does not say.
    pub prev: Option<Vec<String>>,
    pub data: Map<String, Value>,
    /// The line's bytes without its newline: the identity together with the id.
    pub raw: Vec<u8>,
    /// The line's length, also where the bytes are not kept.
    pub size: usize,
}

/// The place in the one total order of events: time, id, bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Key {
    #[serde(with = "super::time::exact")]
    pub at: Timestamp,
    pub id: String,
}

impl Event {
    pub fn key(&self) -> Key {
        Key { at: self.at, id: self.id.clone() }
    }

    /// Total order, without copying.
    pub fn order(&self, other: &Self) -> Ordering {
        (self.at, &self.id, &self.raw).cmp(&(other.at, &other.id, &other.raw))
    }

    /// A text field of the data.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str)
    }

    /// The id or agent in the subject, without its family.
    pub fn subject_id(&self) -> Option<String> {
        self.subject().and_then(|s| s.split_once('/').map(|(_, id)| id.to_owned()))
    }

    /// What the event is about; see [`subject_of`].
    pub fn subject(&self) -> Option<String> {
        subject_of(&self.kind, &self.actor, &self.data)
    }
}

/// The key under which events add up: `order/{id}`, `mail/{id}`, `process/{id}`, `sprint/{id}`, `assignment/{agent}` or
/// `agent/{agent}`. `None` for an event about nothing that is projected, or about an id of no valid form.
pub fn subject_of(kind: &str, actor: &str, data: &Map<String, Value>) -> Option<String> {
    let id = |family: &str, keys: &[&str]| {
        let text = keys.iter().find_map(|k| data.get(*k)).and_then(Value::as_str)?;
        text.parse::<RefId>().ok().map(|id| format!("{family}/{id}"))
    };
    let agent = |prefix: &str, fallback: Option<&str>| {
        let text = data.get("agent").and_then(Value::as_str).or(fallback)?;
        text.parse::<AgentId>().ok().map(|a| format!("{prefix}/{a}"))
    };
    match kind.split('.').next().unwrap_or_default() {
        "work_order" => id("order", ORDER_KEYS),
        "verify" | "qa" => id("order", &ORDER_KEYS[..1]),
        "mail" => id("mail", MESSAGE_KEYS),
        "assignment" if kind != "assignment.checked" => agent("assignment", None),
        "agent" | "assignment" => agent("agent", Some(actor)),
        "process" => id("process", &["process_id"]),
        "sprint" => id("sprint", &["sprint_id"]),
        _ => None,
    }
}

/// An event before it is stamped: what a decision gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub kind: String,
    pub actor: AgentId,
    pub data: Map<String, Value>,
    pub correlation_id: Option<String>,
    pub caused_by: Option<String>,
}

impl Draft {
    /// `data` must be a JSON object; anything else counts as empty.
    pub fn new(kind: &str, actor: &AgentId, data: Value) -> Self {
        let data = if let Value::Object(map) = data { map } else { Map::new() };
        Self { kind: kind.to_owned(), actor: actor.clone(), data, correlation_id: None, caused_by: None }
    }

    pub fn subject(&self) -> Option<String> {
        subject_of(&self.kind, self.actor.as_str(), &self.data)
    }
}

/// How far ahead of our clock another's stamp may be and still move it, in milliseconds.
pub const TRUSTED_SKEW_MS: i64 = 24 * 60 * 60 * 1000;

/// A hybrid logical clock: a new event is never earlier than the newest seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clock {
    /// Milliseconds of the newest stamp seen or given.
    pub ms: i64,
    /// The counter that the next event of the same millisecond gets.
    pub next: u32,
}

const COUNTERS: u32 = 1 << 16;

impl Clock {
    /// Takes in an event that another wrote. A stamp more than a day ahead of `now_ms` does not move the clock.
    pub fn see(&mut self, at: Timestamp, id: &str, now_ms: i64) {
        let ms = at.millis();
        if ms.saturating_sub(now_ms) > TRUSTED_SKEW_MS || ms < self.ms {
            return;
        }
        if ms > self.ms {
            *self = Self { ms, next: 0 };
        }
        let counter = id.strip_prefix("evt-").filter(|d| d.len() == 12).and_then(crockford::decode).map(|n| n >> 44);
        self.next = match counter.and_then(|c| u32::try_from(c).ok()) {
            Some(c) if !at.finer_than_millis() => self.next.max(c + 1),
            // An id of another form, or a finer time: only the next millisecond sorts after it for certain.
            _ => COUNTERS,
        };
    }

    /// The stamp and id of a new event: 16 bits of counter, 44 of `random`.
    pub fn tick(&mut self, now_ms: i64, random: u64) -> (Timestamp, String) {
        // Ahead by more than a day we only are where our own clock was wrong, and has been set since.
        if now_ms > self.ms || self.ms.saturating_sub(now_ms) > TRUSTED_SKEW_MS {
            *self = Self { ms: now_ms, next: 0 };
        } else if self.next >= COUNTERS {
            *self = Self { ms: self.ms + 1, next: 0 };
        }
        let bits = u64::from(self.next) << 44 | random & ((1 << 44) - 1);
        self.next += 1;
        (Timestamp::from_millis(self.ms), format!("evt-{}", crockford::encode(bits, 12)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_never_sorts_before_its_cause() {
        let mut c = Clock::default();
        let foreign: Timestamp = "2026-01-06T12:00:00.123456789Z".parse().unwrap();
        let now = foreign.millis();
        c.see(foreign, "zzz", now);
        let (at, id) = c.tick(now - 5_000, 7);
        assert!((at, id.as_str()) > (foreign, "zzz"));
        let (at2, id2) = c.tick(now - 5_000, 0);
        assert!((at2, id2) > (at, id));
    }

    #[test]
    fn a_machine_a_year_ahead_does_not_drag_us_along() {
        let mut c = Clock::default();
        c.see(Timestamp::from_millis(400 * 86_400_000), "evt-000000000000", 1_000);
        assert_eq!(c.tick(1_000, 0).0.millis(), 1_000);
    }

    #[test]
    fn a_clock_of_our_own_that_was_a_year_ahead_and_was_set_does_not_stay_there() {
        let mut c = Clock::default();
        let year = 365 * 86_400_000;
        assert_eq!(c.tick(year, 0).0.millis(), year);
        assert_eq!(c.tick(year - 60_000, 0).0.millis(), year);
        assert_eq!(c.tick(1_000, 0).0.millis(), 1_000);
    }

    #[test]
    fn a_full_counter_moves_to_the_next_millisecond() {
        let mut c = Clock { ms: 50, next: COUNTERS };
        assert_eq!(c.tick(10, 0).0.millis(), 51);
    }

    #[test]
    fn ids_that_could_be_paths_are_about_nothing() {
        let data = serde_json::json!({"work_order_id": "../../etc"});
        assert_eq!(subject_of("work_order.created", "ceo", data.as_object().unwrap()), None);
    }
}
