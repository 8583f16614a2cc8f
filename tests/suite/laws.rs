//! The parsers and the merge, on seeds that are flipped, cut, spliced and doubled: nothing panics, and the laws hold.
//!
//! The seeds are the lines of the hostile corpus. The short form mutates a few thousand times with a fixed seed;
//! `VERMAS_LONG=1` two hundred thousand times, `VERMAS_SEED` chooses others.

use git_vermas::domain::assignment::{Assignment, Target};
use git_vermas::domain::causal::{Fold, Folded, fold};
use git_vermas::domain::event::Event;
use git_vermas::domain::message::Message;
use git_vermas::domain::order::Order;
use git_vermas::domain::{AgentId, RefId, Timestamp, glob, text};
use git_vermas::wire::{check, json, line, merge, projection, toml};

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % n.max(1)
    }
}

/// Bytes that parsers stumble over.
const MARKS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\x1b[",
    b"\\u",
    b"\\ud800",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-",
    b".",
    b":",
    b",",
    b"null",
    b"99999999999999999999",
    b"2026-13-45T99:99:99Z",
    b"/",
    b"..",
];

fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.roll(seeds.len())].clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            2 => drop(bytes.splice(at..at, MARKS[dice.roll(MARKS.len())].iter().copied())),
            3 => {
                let other = &seeds[dice.roll(seeds.len())];
                let from = dice.roll(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            4 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let part = bytes[at..(at + dice.roll(60)).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// The lines of the hostile corpus, the long ones left out.
fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (_, text) in super::hostile::lines::seeds() {
        all.extend(text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && l.len() < 3000).map(<[u8]>::to_vec));
    }
    all
}

/// What is kept of a subject is read again, and is the same.
fn is_kept<T: Fold + serde::Serialize + serde::de::DeserializeOwned>(events: &[Event]) {
    let folded: Folded<T> = fold(events.to_vec());
    let text = serde_json::to_string(&folded).unwrap();
    let again: Folded<T> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

fn parsers(bytes: &[u8]) {
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
    if let Some((e, torn)) = line::salvage(bytes) {
        assert!(bytes.trim_ascii().ends_with(&e.raw) && bytes.trim_ascii().starts_with(torn));
    }
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
fn merges(a: &[u8], b: &[u8], c: &[u8]) {
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
fn adds_up(lines: &[Vec<u8>], dice: &mut Dice) {
    let mut events: Vec<Event> = lines.iter().filter_map(|l| line::event(l).ok()).collect();
    let whole = projection::of(&events);
    let said = |p: &projection::Projection| (p.orders_bytes(), p.messages_bytes(), p.assignment_files());
    for _ in 0..events.len() {
        let (i, j) = (dice.roll(events.len()), dice.roll(events.len()));
        events.swap(i, j);
    }
    events.extend(events.first().cloned());
    assert_eq!(said(&projection::of(&events)), said(&whole));
}

/// Every cut of a log gives back the complete lines before it.
fn reads_back(log: &[u8]) {
    let all: Vec<(usize, &[u8])> = line::complete(log).collect();
    for cut in (0..=log.len()).step_by(1 + log.len() / 200) {
        let part: Vec<(usize, &[u8])> = line::complete(&log[..cut]).collect();
        assert_eq!(part, all[..part.len()]);
        assert!(all.get(part.len()).is_none_or(|(at, l)| at + l.len() + 1 > cut));
    }
}

#[test]
fn parsers_and_merge_keep_their_laws_on_mutated_seeds() {
    let rounds = if std::env::var_os("VERMAS_LONG").is_some() { 200_000 } else { 1_500 };
    let seed = std::env::var("VERMAS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1_u64);
    let (seeds, mut dice) = (seeds(), Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
    for round in 0..rounds {
        let bytes = mutated(&seeds, &mut dice);
        let shown = || String::from_utf8_lossy(&bytes).into_owned();
        let result = std::panic::catch_unwind(|| parsers(&bytes));
        assert!(result.is_ok(), "seed {seed}, round {round}: {}", shown());
        if round % 10 == 0 {
            let lines: Vec<Vec<u8>> = (0..8).map(|_| mutated(&seeds, &mut dice)).collect();
            merges(&lines[..3].join(&b'\n'), &lines[3..5].join(&b'\n'), &lines[5..].join(&b'\n'));
            adds_up(&lines, &mut dice);
            reads_back(&lines.join(&b'\n'));
        }
    }
    println!("laws: {rounds} mutations of {} seeds", seeds.len());
}
