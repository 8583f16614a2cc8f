//! What is wrong with one file of the state branch, line by line: what a hook refuses and what `fsck` reports.
//!
//! Reading is lenient everywhere else; here a file is held to what we would write ourselves.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{json, line, segment, toml};
use crate::domain::assignment::Target;
use crate::domain::record;
use crate::domain::text::{quoted, title_fault};

/// How many flaws of one file are named; a broken file shows in its first lines.
const MOST_NAMED: usize = 20;

/// A flaw, and the line (from 1) where it shows; `None` where it is about the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub line: Option<usize>,
    pub reason: String,
}

impl Flaw {
    pub fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }

    pub fn whole(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }
}

/// What a path on the state branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Segment,
    Orders,
    Messages,
    Assignment,
    Template,
    Settings,
    Routes,
    Process,
    /// A path below `events/` that is no segment's.
    NoSegment,
    /// Evidence, and what is somebody else's: kept and not looked into.
    Other,
}

/// What the file at a path of the branch is.
pub fn part_of(path: &str) -> Part {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["events", replica, name] if segment::is_replica(replica) && segment::number(name).is_some() => Part::Segment,
        ["events", ..] => Part::NoSegment,
        ["work_orders.jsonl"] => Part::Orders,
        ["messages.jsonl"] => Part::Messages,
        ["config.toml"] => Part::Settings,
        ["routes.jsonl"] => Part::Routes,
        ["templates", name] if name.ends_with(".toml") => Part::Template,
        ["processes", name] if name.ends_with(".json") => Part::Process,
        [name] if name.starts_with(".assignment-") => Part::Assignment,
        _ => Part::Other,
    }
}

/// Everything that is wrong with a file. `known` is what a person's commit changes: lines of a projection that stand
/// there already are not held against whoever changes another, and new ones must be as FORMATS say. Without it the file
/// is one that a program projected, which may carry values of a foreign writer that we do not know.
pub fn flaws(path: &str, bytes: &[u8], known: Option<&[u8]>) -> Vec<Flaw> {
    let part = part_of(path);
    let mut found = match part {
        Part::Other => return Vec::new(),
        Part::NoSegment => {
            return vec![Flaw::whole("below events/ stand only events/REPLICA/000001.jsonl and the like")];
        }
        Part::Segment => segment_flaws(bytes),
        Part::Orders | Part::Messages => record_flaws(part, bytes, known),
        Part::Routes => by_line(bytes, |l| json::object(l).err()),
        Part::Process => json::object(bytes).err().map(Flaw::whole).into_iter().collect(),
        Part::Assignment => assignment_flaws(bytes),
        Part::Template | Part::Settings => toml_flaws(part, bytes),
    };
    found.truncate(MOST_NAMED);
    let markers = markers(bytes);
    if markers.is_empty() { found } else { markers }
}

/// Lines that git leaves where it could not merge.
fn markers(bytes: &[u8]) -> Vec<Flaw> {
    let is_marker = |l: &[u8]| {
        if !l.first().is_some_and(|b| b"<>|=".contains(b)) {
            return false;
        }
        let l = l.trim_ascii_end();
        l == b"=======" || [&b"<<<<<<< "[..], b">>>>>>> ", b"||||||| "].iter().any(|m| l.starts_with(m))
    };
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| is_marker(l));
    lines.take(MOST_NAMED).map(|(n, _)| Flaw::at(n + 1, "a conflict marker: a merge was not finished here")).collect()
}

fn by_line(bytes: &[u8], fault: impl Fn(&[u8]) -> Option<String>) -> Vec<Flaw> {
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty());
    lines.filter_map(|(n, l)| fault(l).map(|reason| Flaw::at(n + 1, reason))).take(MOST_NAMED).collect()
}

fn segment_flaws(bytes: &[u8]) -> Vec<Flaw> {
    let mut found = by_line(bytes, |l| line::event(l).err());
    let lines = bytes.iter().filter(|b| **b == b'\n').count();
    if !bytes.ends_with(b"\n") {
        found.push(Flaw::at(lines + 1, "the last line does not end in a newline"));
    }
    if bytes.len() > segment::LARGEST && lines > 1 {
        found.push(Flaw::whole(format!(
            "a segment of {} bytes; at most {} unless it is one line",
            bytes.len(),
            segment::LARGEST
        )));
    }
    found
}

fn record_flaws(part: Part, bytes: &[u8], known: Option<&[u8]>) -> Vec<Flaw> {
    let by_hand = known.is_some();
    let known: BTreeSet<&[u8]> = known.unwrap_or_default().split(|b| *b == b'\n').collect();
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for (n, l) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty()) {
        let map = match json::object(l) {
            Ok(map) => map,
            Err(reason) => {
                found.push(Flaw::at(n + 1, reason));
                continue;
            }
        };
        if let Some(id) = map.get("id").and_then(Value::as_str)
            && !ids.insert(id.to_owned())
        {
            found.push(Flaw::at(n + 1, format!("{} has a line above already", quoted(id))));
        }
        if !known.contains(l) {
            found.extend(faults_of(part, &map, by_hand).into_iter().map(|reason| Flaw::at(n + 1, reason)));
        }
    }
    found
}

/// What is wrong with a record. A title or priority of a foreign writer's that we would not write is a fault in a
/// person's own line only.
fn faults_of(part: Part, map: &Map<String, Value>, by_hand: bool) -> Vec<String> {
    if part == Part::Messages {
        return record::message_faults(map);
    }
    let mut faults = record::order_faults(map);
    if map.get("dependencies").is_some_and(|d| !d.is_array()) {
        faults.push("'dependencies' is no array".to_owned());
    }
    if by_hand {
        faults.extend(map.get("title").and_then(Value::as_str).and_then(title_fault));
    } else if map.get("priority").is_some_and(Value::is_number) {
        faults.retain(|f| !f.starts_with("'priority'"));
    }
    faults
}

fn assignment_flaws(bytes: &[u8]) -> Vec<Flaw> {
    let text = String::from_utf8_lossy(bytes);
    let fault = |text: &str| text.parse::<Target>().err().map(|e| Flaw::at(1, e.to_string()));
    match text.trim() {
        "" => Vec::new(),
        text if text.contains('\n') => vec![Flaw::at(2, "an assignment is one line")],
        text => fault(text).into_iter().collect(),
    }
}

fn toml_flaws(part: Part, bytes: &[u8]) -> Vec<Flaw> {
    let Ok(text) = std::str::from_utf8(bytes) else { return vec![Flaw::whole("the file is no UTF-8 text")] };
    let faults = match part {
        Part::Template => toml::template(text).err().unwrap_or_default(),
        _ => toml::settings(text).err().into_iter().collect(),
    };
    faults.into_iter().map(|f| Flaw { line: f.line, reason: f.message }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"event_id":"evt-1","event_type":"x.y","timestamp":"2026-01-06T12:00:00Z","actor":"ceo","data":{}}"#;

    #[test]
    fn a_segment_is_whole_lines_of_events() {
        let path = "events/0123456789/000001.jsonl";
        assert_eq!(flaws(path, format!("{EVENT}\n").as_bytes(), None), []);
        assert_eq!(flaws(path, EVENT.as_bytes(), None)[0].line, Some(1));
        assert_eq!(flaws(path, format!("{EVENT}\n{{}}\n").as_bytes(), None)[0].line, Some(2));
        assert_eq!(flaws("events/notes.txt", b"x", None).len(), 1);
    }

    #[test]
    fn a_conflict_marker_is_named_before_what_it_breaks() {
        let found = flaws("config.toml", b"a = 1\n<<<<<<< ours\nb = 1\n=======\nb = 2\n>>>>>>> theirs\n", None);
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [Some(2), Some(4), Some(6)]);
    }

    #[test]
    fn a_line_that_stood_there_before_is_not_held_against_anybody() {
        let line = b"{\"id\":\"wo-1\",\"title\":\"a\",\"priority\":9}\n";
        assert!(flaws("work_orders.jsonl", line, Some(b"")).iter().any(|f| f.reason.contains("priority")));
        assert!(!flaws("work_orders.jsonl", line, None).iter().any(|f| f.reason.contains("priority")));
        assert_eq!(flaws("work_orders.jsonl", line, Some(line)), []);
        assert_eq!(flaws("work_orders.jsonl", &line.repeat(2), Some(line)).len(), 1);
    }

    #[test]
    fn assignments_and_settings_are_checked_too() {
        assert_eq!(flaws(".assignment-ceo", b"work_order:wo-1\n", None), []);
        assert_eq!(flaws(".assignment-ceo", b"", None), []);
        assert_eq!(flaws(".assignment-ceo", b"wo-1\n", None).len(), 1);
        assert_eq!(flaws("config.toml", b"[qa]\ntest = \"make\"\n", None)[0].line, Some(2));
        assert_eq!(flaws("evidence/wo-1/out.txt", b"<<<<<<< any\n", None), []);
    }
}
