//! From a set of events of one subject to its state: causal order first, clocks only between what is concurrent.
//!
//! An event that names others in `prev` knows them and all that they know. One without `prev` (a foreign writer's) is
//! taken to know everything of its subject that sorts before it in the total order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use super::event::{Event, Key};

/// Above this many events of one subject, concurrency is no longer told apart: each event knows all before it.
const MOST_COMPARED: usize = 4096;

/// State that events of one subject add up to. Applying is total: what makes no sense changes nothing.
pub trait Fold: Default {
    /// Applies one event. `knows(id)` tells whether its writer had seen the event `id`.
    fn apply(&mut self, event: &Event, knows: &dyn Fn(&str) -> bool);
}

/// The state of one subject and what the next event must name as `prev`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Folded<T> {
    pub state: T,
    /// The events that no other names: what a new one knows.
    pub heads: Vec<String>,
    /// The newest event in the total order.
    pub last: Key,
}

impl<T: Fold> Folded<T> {
    /// Whether `event` comes after everything folded so far, so that it can be applied without the others.
    pub fn is_extended_by(&self, event: &Event) -> bool {
        let later = event.key() > self.last;
        match &event.prev {
            None => later,
            Some(prev) => later && prev.len() == self.heads.len() && self.heads.iter().all(|h| prev.contains(h)),
        }
    }

    /// Applies an event for which [`Self::is_extended_by`] holds.
    pub fn extend(&mut self, event: &Event) {
        self.state.apply(event, &|_| true);
        self.heads = vec![event.id.clone()];
        self.last = event.key();
    }
}

/// Folds all events of one subject, given in any order.
pub fn fold<T: Fold>(mut events: Vec<Event>) -> Folded<T> {
    events.sort_by(Event::order);
    events.dedup_by(|a, b| a.id == b.id && a.raw == b.raw);
    let mut out = Folded { state: T::default(), heads: Vec::new(), last: Key::default() };
    if is_chain(&events) || events.len() > MOST_COMPARED {
        for e in &events {
            out.extend(e);
        }
        return out;
    }
    let places = places(&events);
    let line = linearize(&events, &places);
    let known = Knowledge::new(&events, &places, &line);
    for &i in &line {
        out.state.apply(&events[i], &|id| known.has(&places, i, id));
    }
    out.heads = known.heads(&events);
    out.last = events.last().map(Event::key).unwrap_or_default();
    out
}

/// Whether each event names exactly the one before it, or says nothing: the everyday case.
fn is_chain(sorted: &[Event]) -> bool {
    let mut before: Option<&str> = None;
    sorted.iter().all(|e| {
        let follows = match (&e.prev, before) {
            (None, _) => true,
            (Some(p), Some(b)) => p.len() == 1 && p[0] == b,
            (Some(p), None) => p.is_empty(),
        };
        let unique = before != Some(&e.id);
        before = Some(&e.id);
        follows && unique
    })
}

/// Where in the sorted list an id stands; the first of several with one id.
type Places<'a> = BTreeMap<&'a str, Vec<usize>>;

fn places(events: &[Event]) -> Places<'_> {
    let mut map: Places<'_> = BTreeMap::new();
    for (i, e) in events.iter().enumerate() {
        map.entry(&e.id).or_default().push(i);
    }
    map
}

/// Causes before effects, and otherwise the total order. A cycle (only a hostile writer makes one) is broken at its
/// smallest event.
fn linearize(events: &[Event], places: &Places<'_>) -> Vec<usize> {
    let n = events.len();
    let mut waits = vec![0_usize; n];
    let mut effects: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, e) in events.iter().enumerate() {
        for p in e.prev.iter().flatten().filter_map(|id| places.get(id.as_str())).flatten() {
            if *p != i {
                effects[*p].push(i);
                waits[i] += 1;
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..n).filter(|i| waits[*i] == 0).map(Reverse).collect();
    let mut done = vec![false; n];
    let mut line = Vec::with_capacity(n);
    let mut smallest = 0;
    while line.len() < n {
        let next = ready.pop().map_or_else(
            || {
                while done[smallest] {
                    smallest += 1;
                }
                smallest
            },
            |Reverse(i)| i,
        );
        if std::mem::replace(&mut done[next], true) {
            continue;
        }
        line.push(next);
        for &e in &effects[next] {
            waits[e] = waits[e].saturating_sub(1);
            if waits[e] == 0 && !done[e] {
                ready.push(Reverse(e));
            }
        }
    }
    line
}

/// For each event the set of those its writer knew, as bits.
struct Knowledge {
    words: usize,
    bits: Vec<u64>,
}

impl Knowledge {
    fn new(events: &[Event], places: &Places<'_>, line: &[usize]) -> Self {
        let words = events.len().div_ceil(64);
        let mut k = Self { words, bits: vec![0; words * events.len()] };
        let mut before: Vec<usize> = Vec::with_capacity(events.len());
        for &i in line {
            let causes: Vec<usize> = match &events[i].prev {
                Some(prev) => prev.iter().filter_map(|id| places.get(id.as_str())).flatten().copied().collect(),
                None => before.iter().copied().filter(|b| *b < i).collect(),
            };
            for c in causes.into_iter().filter(|c| *c != i) {
                k.learn(i, c);
            }
            before.push(i);
        }
        k
    }

    fn learn(&mut self, who: usize, what: usize) {
        for w in 0..self.words {
            let also = self.bits[what * self.words + w];
            self.bits[who * self.words + w] |= also;
        }
        self.bits[who * self.words + what / 64] |= 1 << (what % 64);
    }

    fn get(&self, who: usize, what: usize) -> bool {
        self.bits[who * self.words + what / 64] >> (what % 64) & 1 == 1
    }

    fn has(&self, places: &Places<'_>, who: usize, id: &str) -> bool {
        places.get(id).is_some_and(|at| at.iter().any(|p| self.get(who, *p)))
    }

    /// Events that no other knows, in total order.
    fn heads(&self, events: &[Event]) -> Vec<String> {
        let n = events.len();
        let mut ids: Vec<String> =
            (0..n).filter(|i| !(0..n).any(|j| j != *i && self.get(j, *i))).map(|i| events[i].id.clone()).collect();
        ids.dedup();
        ids
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Events made by hand, for the tests of this room.
    use super::*;
    use crate::domain::time::Timestamp;
    use serde_json::Value;

    pub fn event(kind: &str, ms: i64, id: &str, prev: Option<&[&str]>, data: Value) -> Event {
        let mut data = data;
        if data.get("work_order_id").is_none() {
            data["work_order_id"] = "wo-1".into();
        }
        Event {
            id: id.to_owned(),
            kind: kind.to_owned(),
            at: Timestamp::from_millis(ms),
            actor: "ceo".to_owned(),
            correlation_id: None,
            caused_by: None,
            prev: prev.map(|p| p.iter().map(|s| (*s).to_owned()).collect()),
            raw: format!("{id}{ms}{data}").into_bytes(),
            data: data.as_object().cloned().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::event;
    use super::*;
    use serde_json::json;

    /// Records which events each one knew.
    #[derive(Default, Debug, PartialEq, Clone)]
    struct Seen(Vec<(String, Vec<String>)>);
    impl Fold for Seen {
        fn apply(&mut self, e: &Event, knows: &dyn Fn(&str) -> bool) {
            let known = self.0.iter().map(|(id, _)| id.clone()).filter(|id| knows(id)).collect();
            self.0.push((e.id.clone(), known));
        }
    }

    fn ids(f: &Folded<Seen>) -> Vec<&str> {
        f.state.0.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn a_named_cause_comes_first_whatever_the_clocks_say() {
        let f: Folded<Seen> =
            fold(vec![event("x", 10, "b", Some(&["a"]), json!({})), event("x", 99_000, "a", Some(&[]), json!({}))]);
        assert_eq!(ids(&f), ["a", "b"]);
        assert_eq!(f.heads, ["b"]);
    }

    #[test]
    fn two_with_the_same_cause_do_not_know_each_other() {
        let f: Folded<Seen> = fold(vec![
            event("x", 1, "a", Some(&[]), json!({})),
            event("x", 2, "b", Some(&["a"]), json!({})),
            event("x", 3, "c", Some(&["a"]), json!({})),
        ]);
        assert_eq!(f.state.0[2], ("c".to_owned(), vec!["a".to_owned()]));
        assert_eq!(f.heads, ["b", "c"]);
    }

    #[test]
    fn a_writer_without_prev_knows_all_that_sorts_before() {
        let f: Folded<Seen> = fold(vec![
            event("x", 1, "a", Some(&[]), json!({})),
            event("x", 2, "b", Some(&["a"]), json!({})),
            event("x", 3, "c", Some(&["a"]), json!({})),
            event("x", 4, "f", None, json!({})),
        ]);
        assert_eq!(f.heads, ["f"]);
        assert_eq!(f.state.0[3].1.len(), 3);
    }

    #[test]
    fn a_cycle_is_broken_and_nothing_hangs() {
        let f: Folded<Seen> =
            fold(vec![event("x", 1, "a", Some(&["b"]), json!({})), event("x", 2, "b", Some(&["a"]), json!({}))]);
        assert_eq!(ids(&f).len(), 2);
    }
}
