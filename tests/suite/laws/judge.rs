//! The laws themselves, of any bytes: they panic where one is broken. The fuzzer in `tests/fuzz` is built of this file, too.

use git_vermas::domain::assignment::{Assignment, Target};
use git_vermas::domain::causal::{Fold, Folded, fold};
use git_vermas::domain::event::Event;
use git_vermas::domain::message::Message;
use git_vermas::domain::order::Order;
use git_vermas::domain::{AgentId, RefId, Timestamp, glob, text};
use git_vermas::wire::{check, json, line, merge, projection, toml};

/// Every law: of the bytes as one text, and of the parts between their NULs as lines of logs and projections.
pub fn all(bytes: &[u8]) {
    parsers(bytes);
    let parts: Vec<Vec<u8>> = bytes.split(|b| *b == 0).take(12).map(<[u8]>::to_vec).collect();
    let third = parts.len().div_ceil(3);
    let side = |n: usize| parts.chunks(third).nth(n).unwrap_or_default().join(&b'\n');
    merges(&side(0), &side(1), &side(2));
    let mut turn = 7;
    adds_up(&parts, |n| {
        turn += 5;
        turn % n.max(1)
    });
    reads_back(&parts.join(&b'\n'));
}

/// What is kept of a subject is read again, and is the same.
fn is_kept<T: Fold + serde::Serialize + serde::de::DeserializeOwned>(events: &[Event]) {
    let folded: Folded<T> = fold(events.to_vec());
    let text = serde_json::to_string(&folded).unwrap();
    let again: Folded<T> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

pub fn parsers(bytes: &[u8]) {
    if let Ok(e) = line::event(bytes) {
        assert_eq!(e.raw, bytes);
        let list = [e];
        is_kept::<Order>(&list);
        is_kept::<Message>(&list);
        is_kept::<Assignment>(&list);
        let order: Folded<Order> = fold(list.to_vec());
        let record = json::line(&order.state.record());
        assert_eq!(json::object(record.as_bytes()).map(|m| json::line(&m)), Ok(record.clone()), "{record}");
    }
    let pieces = line::salvage(bytes);
    assert!(pieces.whole.iter().all(|(at, text, e)| bytes[*at..].starts_with(text) && e.raw == *text));
    let kept = pieces.whole.iter().map(|(_, text, _)| *text).chain(pieces.torn.iter().copied());
    let dense = |b: &[u8]| b.iter().filter(|c| !c.is_ascii_whitespace()).count();
    assert_eq!(kept.map(dense).sum::<usize>(), dense(bytes));
    for path in [
        "events/0123456789/000001.jsonl",
        "work_orders.jsonl",
        "messages.jsonl",
        "config.toml",
        "templates/x.toml",
        "routes.jsonl",
        ".assignment-ceo",
        "processes/x.json",
    ] {
        check::flaws(path, bytes, None);
        check::flaws(path, bytes, Some(b""));
    }
    let lossy = String::from_utf8_lossy(bytes);
    let _ = (toml::template(&lossy), toml::settings(&lossy));
    for word in lossy.split(['"', ' ', ',', '/']).take(40) {
        if let Ok(t) = word.parse::<Timestamp>() {
            assert_eq!(t.to_string().parse::<Timestamp>().unwrap().millis(), t.millis(), "{word}");
        }
        if let Ok(id) = word.parse::<RefId>() {
            assert!(!id.as_str().contains(['/', '\\', '\n']) && !id.as_str().starts_with(['-', '.']));
        }
        if let Ok(agent) = word.parse::<AgentId>() {
            assert!(!agent.assignment_file().contains('/') && !agent.as_str().contains(".."));
        }
        if let Ok(target) = word.parse::<Target>() {
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        glob::matches(word, &lossy);
        let _ = git_vermas::app::when::parse(word, 1_767_700_000_000);
        assert!(!text::quoted(word).chars().any(text::is_steering));
        assert!(text::headline(word, 20).chars().count() <= 20);
    }
}

/// Merging two projections: whoever calls whom ours, in whatever order, however often.
pub fn merges(a: &[u8], b: &[u8], c: &[u8]) {
    for messages in [false, true] {
        let join = |x: &[u8], y: &[u8]| merge::records(messages, x, y);
        let ab = join(a, b);
        assert_eq!(ab, join(b, a));
        assert_eq!(join(&ab, &ab), ab);
        assert_eq!(join(&ab, a), ab);
        assert_eq!(join(&ab, c), join(a, &join(b, c)));
    }
}

/// Events add up to the same in whatever order they come, and however often.
pub fn adds_up(lines: &[Vec<u8>], mut roll: impl FnMut(usize) -> usize) {
    let mut events: Vec<Event> = lines.iter().filter_map(|l| line::event(l).ok()).collect();
    let whole = projection::of(&events);
    let said = |p: &projection::Projection| (p.orders_bytes(), p.messages_bytes(), p.assignment_files());
    for _ in 0..events.len() {
        let (i, j) = (roll(events.len()), roll(events.len()));
        events.swap(i, j);
    }
    events.extend(events.first().cloned());
    assert_eq!(said(&projection::of(&events)), said(&whole));
}

/// Every cut of a log gives back the complete lines before it.
pub fn reads_back(log: &[u8]) {
    let all: Vec<(usize, &[u8])> = line::complete(log).collect();
    for cut in (0..=log.len()).step_by(1 + log.len() / 200) {
        let part: Vec<(usize, &[u8])> = line::complete(&log[..cut]).collect();
        assert_eq!(part, all[..part.len()]);
        assert!(all.get(part.len()).is_none_or(|(at, l)| at + l.len() + 1 > cut));
    }
}
