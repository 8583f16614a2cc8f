//! Two versions of a projection made one, record by record, where the events behind them are not at hand.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json;
use crate::domain::Timestamp;

/// What stands for one id: its line, and what it says.
type Line<'a> = (&'a [u8], Map<String, Value>);

/// The union of both by id, in the order of a projection. Of two lines for one id the newer one stays: the work order
/// that was changed later, the message that was read first. A line that is no record is kept, at the end. There is never a
/// conflict, and the result is the same whichever side is called ours.
pub fn records(messages: bool, ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut all: BTreeMap<String, Line<'_>> = BTreeMap::new();
    let mut others: Vec<&[u8]> = Vec::new();
    for raw in ours.split(|b| *b == b'\n').chain(theirs.split(|b| *b == b'\n')) {
        let raw = raw.trim_ascii();
        let map = json::record(raw).unwrap_or_default();
        let Some(id) = map.get("id").and_then(Value::as_str).map(str::to_owned) else {
            if !raw.is_empty() && !others.contains(&raw) {
                others.push(raw);
            }
            continue;
        };
        let line = (raw, map);
        match all.get(&id) {
            Some(have) if rank(messages, have) >= rank(messages, &line) => {}
            _ => drop(all.insert(id, line)),
        }
    }
    let made = if messages { "timestamp" } else { "created_at" };
    let mut list: Vec<(String, Line<'_>)> = all.into_iter().collect();
    list.sort_by_cached_key(|(id, (_, map))| (time(map, made).unwrap_or_default().millis(), id.clone()));
    others.sort_unstable();
    let lines = list.iter().map(|(_, (raw, _))| *raw).chain(others);
    lines.flat_map(|raw| [raw, b"\n"].concat()).collect()
}

/// What decides between two lines for one id: the greater one stays; where all else is equal, by the bytes.
fn rank<'a>(messages: bool, (raw, map): &'a Line<'_>) -> (Option<Timestamp>, Option<Reverse<Timestamp>>, &'a [u8]) {
    if messages { (None, time(map, "read_at").map(Reverse), raw) } else { (time(map, "updated_at"), None, raw) }
}

fn time(map: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    map.get(name).and_then(Value::as_str).and_then(|t| t.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, day: u32, title: &str) -> String {
        format!(
            r#"{{"id":"{id}","title":"{title}","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-{day:02}T00:00:00Z"}}"#
        )
    }

    #[test]
    fn the_later_change_stays_whichever_side_it_is_on() {
        let ours = format!("{}\n{}\n", order("wo-b", 2, "old"), order("wo-c", 1, "ours"));
        let theirs = format!("{}\n{}\ntorn", order("wo-b", 3, "new"), order("wo-a", 1, "theirs"));
        let merged = records(false, ours.as_bytes(), theirs.as_bytes());
        let expected =
            [order("wo-a", 1, "theirs"), order("wo-b", 3, "new"), order("wo-c", 1, "ours"), "torn".to_owned()];
        assert_eq!(String::from_utf8(merged.clone()).unwrap(), expected.join("\n") + "\n");
        assert_eq!(records(false, theirs.as_bytes(), ours.as_bytes()), merged);
    }

    #[test]
    fn a_message_was_read_when_it_was_first_read() {
        let mail = |read: &str| format!(r#"{{"id":"msg-1","timestamp":"2026-01-01T00:00:00Z","read_at":{read}}}"#);
        let (unread, first, second) =
            (mail("null"), mail("\"2026-01-02T00:00:00Z\""), mail("\"2026-01-03T00:00:00Z\""));
        for (a, b) in [(&unread, &first), (&first, &unread), (&second, &first), (&first, &second)] {
            assert_eq!(records(true, a.as_bytes(), b.as_bytes()), format!("{first}\n").into_bytes());
        }
    }
}
