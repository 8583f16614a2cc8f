//! JSON as others write it: Python's `NaN` and lone surrogates are read, where the strict reader gives up.

use serde_json::{Map, Value};

/// The largest line that is read, in bytes.
pub const LONGEST_LINE: usize = 1 << 20;

/// The largest line of a list that is read, in bytes: what many events say of one record stands there in one line.
pub const LONGEST_RECORD: usize = 16 << 20;

/// How deep a record may be nested. The parser would take twice that; but what is kept of a record stands some levels
/// deeper there, and is to be read again, too.
pub const DEEPEST: usize = 64;

/// An object from a line. The error says what is wrong, in the reader's words.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    object_up_to(LONGEST_LINE, bytes)
}

/// A record from a line of a list.
pub fn record(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    object_up_to(LONGEST_RECORD, bytes)
}

fn object_up_to(longest: usize, bytes: &[u8]) -> Result<Map<String, Value>, String> {
    if bytes.len() > longest {
        return Err(format!("a line of {} bytes is longer than {longest}", bytes.len()));
    }
    // Lines of junk come by the million; this is most of what there is to know of them.
    if bytes.trim_ascii_start().first().is_none_or(|b| !b"{[\"n".contains(b)) {
        return Err("no JSON: a record is an object, in braces".to_owned());
    }
    let strict = serde_json::from_slice::<Value>(bytes);
    let value = match strict {
        Ok(v) => v,
        Err(e) if !has_peculiarities(bytes) && !e.to_string().starts_with("number out of range") => {
            return Err(reason(&e));
        }
        Err(e) => match serde_json::from_slice(&tamed(bytes)) {
            Ok(v) => v,
            Err(_) => return Err(reason(&e)),
        },
    };
    match value {
        Value::Object(_) if may_be_deep(bytes) && !is_flat(&value, DEEPEST) => {
            Err(format!("nested deeper than {DEEPEST} levels"))
        }
        Value::Object(m) => Ok(m),
        Value::Null => Err("null is no record".to_owned()),
        _ => Err("a record is a JSON object, in braces".to_owned()),
    }
}

/// Why a line that is about to be written could not be read again; `None` where it could.
pub fn why_unreadable(bytes: &[u8]) -> Option<String> {
    let doubtful = bytes.len() > LONGEST_LINE || may_be_deep(bytes);
    doubtful.then(|| object(bytes).err()).flatten()
}

/// Whether a text has what it takes to be nested too deep. Brackets may be written as escapes, too.
fn may_be_deep(bytes: &[u8]) -> bool {
    bytes.iter().filter(|b| matches!(**b, b'[' | b'{' | b'\\')).count() > DEEPEST
}

/// Whether a value has at most so many levels.
fn is_flat(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(list) => levels > 0 && list.iter().all(|v| is_flat(v, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|v| is_flat(v, levels - 1)),
        _ => true,
    }
}

fn reason(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let plain = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("no JSON: {plain}, at byte {}", e.column())
}

/// Whether [`tamed`] would change anything.
fn has_peculiarities(bytes: &[u8]) -> bool {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    has(b"NaN") || has(b"Infinity") || has(b"\\u") || std::str::from_utf8(bytes).is_err()
}

/// The same text with what strict JSON lacks replaced: `NaN`, `Infinity` and numbers beyond the range of a float by null,
/// lone surrogates by U+FFFD, bytes that are no UTF-8 by U+FFFD.
fn tamed(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        if inside && c == '\\' {
            let (replacement, used) = escape(rest);
            out.push_str(&replacement);
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        if c == '"' {
            inside = !inside;
        }
        if let (false, Some(number)) = (inside, number_at(rest)) {
            out.push_str(if number.parse().is_ok_and(f64::is_infinite) { "null" } else { number });
            rest = &rest[number.len()..];
            continue;
        }
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !inside && rest.starts_with(w));
        if let Some(w) = word {
            out.push_str("null");
            rest = &rest[w.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out.into_bytes()
}

/// The number at the start of `text`.
fn number_at(text: &str) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let begins = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    begins.then(|| &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())])
}

/// What an escape at the start of `text` becomes, and how many bytes it takes.
fn escape(text: &str) -> (String, usize) {
    let unit = |at: usize| {
        let digits = text.get(at + 2..at + 6)?;
        text.get(at..at + 2).filter(|s| *s == "\\u").and_then(|_| u32::from_str_radix(digits, 16).ok())
    };
    match unit(0) {
        Some(0xD800..=0xDBFF) if matches!(unit(6), Some(0xDC00..=0xDFFF)) => (text[..12].to_owned(), 12),
        Some(0xD800..=0xDFFF) => ("\\ufffd".to_owned(), 6),
        _ => {
            let used = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
            (text[..used].to_owned(), used)
        }
    }
}

/// How many opening braces of a torn line are tried in vain, from the left.
const MOST_TRIED: usize = 256;
/// How many bytes are read for that in all: a line that fails at its end each time is no reason to read it 256 times.
const MOST_READ: usize = 8 << 20;

/// What a line that is no record may still hold.
#[derive(Debug, PartialEq)]
pub struct Pieces<'a, T> {
    /// The whole records, each with its offset in the line and the bytes that it was read from.
    pub whole: Vec<(usize, &'a [u8], T)>,
    /// What is left of others.
    pub torn: Vec<&'a [u8]>,
}

/// Takes a line apart whose writers left out a newline, or were stopped in the middle: the whole objects that `read` takes,
/// each of which ends the line or stands right before another brace, and what is left between them.
pub fn pieces<T>(raw: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Pieces<'_, T> {
    let mut pieces = Pieces { whole: Vec::new(), torn: Vec::new() };
    let (mut at, mut torn_from) = (0, 0);
    let mut tries = MOST_TRIED.min(1 + MOST_READ / raw.len().max(1));
    if raw.len() > LONGEST_LINE {
        tries = 0;
    }
    while tries > 0
        && let Some(begin) = memchr::memchr(b'{', &raw[at..]).map(|n| at + n)
    {
        let found = [raw.len(), whole_until(raw, begin)].into_iter().find_map(|end| {
            let text = raw.get(begin..end)?.trim_ascii_end();
            read(text).map(|value| (end, text, value))
        });
        let Some((end, text, value)) = found else {
            (at, tries) = (begin + 1, tries - 1);
            continue;
        };
        pieces.torn.push(&raw[torn_from..begin]);
        pieces.whole.push((begin, text, value));
        (at, torn_from) = (end, end);
    }
    pieces.torn.push(&raw[torn_from..]);
    pieces.torn.retain(|t| !t.trim_ascii().is_empty());
    pieces
}

/// Where the object that begins at `begin` ends, if another brace follows; the line's beginning where there is none.
fn whole_until(raw: &[u8], begin: usize) -> usize {
    let mut values = serde_json::Deserializer::from_slice(&raw[begin..]).into_iter::<serde::de::IgnoredAny>();
    if !matches!(values.next(), Some(Ok(_))) {
        return 0;
    }
    let end = begin + values.byte_offset();
    if raw[end..].trim_ascii_start().starts_with(b"{") { end } else { 0 }
}

/// A record as one line, without its newline.
pub fn line(map: &Map<String, Value>) -> String {
    // A map of values with text keys always serializes.
    serde_json::to_string(map).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_and_go_peculiarities_are_read() {
        let m = object(br#"{"a": NaN, "b": -Infinity, "c": "NaN \ud800 x \ud83d\ude00", "d": "\u003c"}"#).unwrap();
        assert!(m["a"].is_null() && m["b"].is_null());
        assert_eq!(m["c"], "NaN \u{fffd} x \u{1f600}");
        assert_eq!(m["d"], "<");
        let long = "9".repeat(400);
        let m = object(format!(r#"{{"a":1e400,"b":-{long},"c":[{long}.5],"d":"1e400","e":1.5e3,"f":NaN}}"#).as_bytes());
        let m = m.unwrap();
        assert!(m["a"].is_null() && m["b"].is_null() && m["c"][0].is_null() && m["f"].is_null());
        assert_eq!((&m["d"], m["e"].as_f64()), (&Value::from("1e400"), Some(1500.0)));
    }

    #[test]
    fn whole_objects_in_a_torn_line_are_found_and_nothing_inside_of_others() {
        let read = |line: &'static str| {
            let pieces = pieces(line.as_bytes(), |text| object(text).ok()?.get("id")?.as_i64());
            let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
            let whole: Vec<(usize, i64)> = pieces.whole.iter().map(|(at, _, id)| (*at, *id)).collect();
            (whole, pieces.torn.into_iter().map(text).collect::<Vec<_>>())
        };
        assert_eq!(read(r#"{"id":1}{"id":2}"#), (vec![(0, 1), (8, 2)], vec![]));
        assert_eq!(read(r#"{"i{"id":1} {"id":2}{"x"#), (vec![(3, 1), (12, 2)], vec!["{\"i".into(), "{\"x".into()]));
        assert_eq!(read(r#"{"id":1}junk"#), (vec![], vec![r#"{"id":1}junk"#.into()]));
        assert_eq!(read(r#"{"a":{"id":1}}"#), (vec![], vec![r#"{"a":{"id":1}}"#.into()]));
        assert_eq!(read(r#"{"a":{"id":1},"#), (vec![], vec![r#"{"a":{"id":1},"#.into()]));
    }

    #[test]
    fn what_is_no_record_says_why() {
        assert!(object(b"{\"a\":").unwrap_err().starts_with("no JSON"));
        assert!(object(b"[1]").unwrap_err().contains("braces"));
        assert!(object(&vec![b'['; 500]).is_err());
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_however_it_is_written() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(object(nested(DEEPEST - 1).as_bytes()).is_ok());
        assert!(object(nested(DEEPEST).as_bytes()).unwrap_err().contains("64 levels"));
        // The parser takes a text under this name for JSON, whose brackets may be escapes.
        let smuggled = format!(
            "{{\"$serde_json::private::RawValue\":\"{{\\u0022a\\u0022:{}{}}}\"}}",
            "\\u005b".repeat(100),
            "]".repeat(100)
        );
        assert!(object(smuggled.as_bytes()).is_err());
    }
}
