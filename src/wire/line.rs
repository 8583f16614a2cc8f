//! Event lines: from bytes to an [`Event`] and back, and the salvage of torn ones.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::json;
use crate::domain::Timestamp;
use crate::domain::event::{Draft, Event};

/// The longest line that we write, in bytes with its newline. A longer one would not be one `write`.
pub const LONGEST_WRITTEN: usize = 64 * 1024;

/// The longest id of an event, in bytes.
const LONGEST_ID: usize = 256;
/// How many others an event names in `prev`; of more, those behind are passed over on reading.
pub const MOST_NAMED: usize = 1024;

/// An event from a line without its newline. It keeps the line's bytes as they are, a carriage return at the end
/// included. The error names what is missing.
pub fn event(bytes: &[u8]) -> Result<Event, String> {
    let mut m = json::object(trim(bytes))?;
    let id = text(&m, "event_id")?;
    if id.is_empty() || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
        return Err("'event_id' is no id".to_owned());
    }
    let kind = text(&m, "event_type")?;
    let at = text(&m, "timestamp")?.parse().map_err(|e| format!("'timestamp': {e}"))?;
    let actor = text(&m, "actor")?;
    let Some(Value::Object(data)) = m.shift_remove("data") else {
        return Err("'data' is missing or no object".to_owned());
    };
    let optional = |name: &str| m.get(name).and_then(Value::as_str).map(str::to_owned);
    let prev = m.get("prev").and_then(Value::as_array).map(|list| named(list));
    Ok(Event {
        correlation_id: optional("correlation_id"),
        caused_by: optional("caused_by"),
        id,
        kind,
        at,
        actor,
        prev,
        data,
        raw: bytes.to_vec(),
        size: bytes.len(),
    })
}

/// The ids in a `prev`, each once. What can be no id names nothing; nor does what is beyond what one event may name.
fn named(list: &[Value]) -> Vec<String> {
    let mut seen = HashSet::new();
    let ids = list.iter().filter_map(Value::as_str).filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
    ids.filter(|id| seen.insert(*id)).take(MOST_NAMED).map(str::to_owned).collect()
}

fn text(m: &Map<String, Value>, name: &str) -> Result<String, String> {
    m.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("'{name}' is missing or no text"))
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// A new event with its line, whose fields stand in the order of FORMATS.
pub fn written(draft: &Draft, id: String, at: Timestamp, prev: Vec<String>) -> Event {
    let mut m = Map::new();
    m.insert("event_id".into(), id.clone().into());
    m.insert("event_type".into(), draft.kind.clone().into());
    m.insert("timestamp".into(), at.to_string().into());
    m.insert("actor".into(), draft.actor.as_str().into());
    m.insert("correlation_id".into(), draft.correlation_id.clone().into());
    m.insert("caused_by".into(), draft.caused_by.clone().into());
    m.insert("data".into(), Value::Object(draft.data.clone()));
    m.insert("prev".into(), prev.iter().cloned().map(Value::from).collect());
    let raw = json::line(&m).into_bytes();
    Event {
        id,
        kind: draft.kind.clone(),
        at,
        actor: draft.actor.to_string(),
        correlation_id: draft.correlation_id.clone(),
        caused_by: draft.caused_by.clone(),
        prev: Some(prev),
        data: draft.data.clone(),
        size: raw.len(),
        raw,
    }
}

/// Whether a line was written by one of us: it says what its writer knew.
pub fn says_prev(raw: &[u8]) -> bool {
    let mark = b"\"prev\":[";
    raw.windows(mark.len()).rev().any(|w| w == mark)
}

/// What a line that is no event may still hold: writers that left out a newline, or were stopped in the middle.
pub fn salvage(bytes: &[u8]) -> json::Pieces<'_, Event> {
    json::pieces(bytes, |text| event(text).ok())
}

/// The events that a line holds: as a rule one.
pub fn events_in(bytes: &[u8]) -> Vec<Event> {
    match event(bytes) {
        Ok(e) => vec![e],
        Err(_) => salvage(bytes).whole.into_iter().map(|(_, _, e)| e).collect(),
    }
}

/// The complete lines of a piece of a file: (offset within the piece, bytes without the newline). What follows the last
/// newline is not complete and not given.
pub fn complete(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let end = memchr::memchr(b'\n', rest)?;
        let start = at;
        at += end + 1;
        Some((start, &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentId;
    use serde_json::json;

    fn good() -> Vec<u8> {
        let d = Draft::new("work_order.created", &AgentId::ceo(), json!({"work_order_id": "wo-1"}));
        let at = "2026-01-06T12:00:00.000Z".parse().unwrap();
        written(&d, "evt-1".to_owned(), at, vec!["evt-0".to_owned()]).raw
    }

    #[test]
    fn what_is_written_is_read_back() {
        let e = event(&good()).unwrap();
        assert_eq!((e.id.as_str(), e.subject().as_deref()), ("evt-1", Some("order/wo-1")));
        assert_eq!(e.prev, Some(vec!["evt-0".to_owned()]));
        assert_eq!(e.raw, good());
    }

    #[test]
    fn what_is_made_is_what_its_line_says() {
        let d = Draft::new("work_order.created", &AgentId::ceo(), json!({"work_order_id": "wo-1", "n": [1, "ä"]}));
        let made = written(&d, "evt-1".to_owned(), Timestamp::from_millis(1_767_225_600_123), vec![]);
        assert_eq!(event(&made.raw).unwrap(), made);
        assert!(says_prev(&made.raw) && !says_prev(b"{}"));
    }

    #[test]
    fn a_torn_line_gives_back_the_whole_events_in_it() {
        let mut torn = br#"{"event_id":"evt-9","event_ty"#.to_vec();
        torn.extend(good());
        torn.extend(good());
        let pieces = salvage(&torn);
        let at: Vec<usize> = pieces.whole.iter().map(|(at, ..)| *at).collect();
        assert_eq!((at, pieces.torn), (vec![29, 29 + good().len()], vec![&torn[..29]]));
        assert_eq!(events_in(&torn).len(), 2);
        assert!(salvage(b"not json at all").whole.is_empty());
    }

    #[test]
    fn every_cut_of_a_log_reads_back_its_complete_lines() {
        let mut log = good();
        log.push(b'\n');
        let one = log.len();
        log.extend_from_within(..);
        for cut in 0..log.len() {
            assert_eq!(complete(&log[..cut]).count(), usize::from(cut >= one));
        }
    }

    #[test]
    fn of_what_an_event_names_only_ids_are_kept_and_each_once() {
        let read = |prev: &Value| {
            let line = json!({"event_id": "a", "event_type": "b", "timestamp": "2026-01-01T00:00:00Z", "actor": "c",
                "data": {}, "prev": prev});
            event(line.to_string().as_bytes()).unwrap().prev.unwrap()
        };
        assert_eq!(read(&json!(["", "x", "", "y", "x", 7, "z".repeat(257)])), ["x", "y"]);
        assert!(read(&json!(vec![""; 10])).is_empty());
        let many: Vec<String> = (0..MOST_NAMED + 9).map(|n| n.to_string()).collect();
        assert_eq!(read(&json!(many)), many[..MOST_NAMED]);
    }

    #[test]
    fn a_missing_field_is_named() {
        let e = event(br#"{"event_id":"a","event_type":"b","timestamp":"2026-01-01T00:00:00Z","data":{}}"#);
        assert_eq!(e.unwrap_err(), "'actor' is missing or no text");
    }
}
