//! From a set of events of one subject to its state: causal order first, clocks only between what is concurrent.
//!
//! An event that names others in `prev` knows them and all that they know. One without `prev` (a foreign writer's) is
//! taken to know everything of its subject that sorts before it in the total order.
//!
//! **Invariant:** applying events one by one, in whatever order they arrive, gives what folding all of them at once gives.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::{Deserialize, Serialize};

use super::event::{Event, Key};

/// Above this many events of one subject, concurrency is no longer told apart: each event knows all before it.
const MOST_COMPARED: usize = 4096;

/// A line longer than this is heavy, in bytes.
pub const HEAVY: usize = 4 << 10;
/// How many bytes of heavy lines count for one subject. Those behind, in the total order, are there and change nothing:
/// a state that only grows would have to be held, and written, with each event that comes.
pub const MOST_HEAVY: usize = 16 << 20;

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
    /// How many events these are.
    pub count: usize,
    /// Events that others name in `prev` and that are not here: when one comes, it goes before those.
    awaited: Vec<String>,
    /// The events were taken one after the other in the total order, for their number or because they name each other in
    /// a circle. It stays so whatever comes.
    sequential: bool,
    /// How many bytes of heavy lines there are.
    #[serde(default)]
    heavy: usize,
}

impl<T: Fold> Folded<T> {
    /// Whether `event` comes after everything folded so far, so that it can be applied without the others. Not to be asked
    /// of one whose id is folded already, with other bytes.
    pub fn is_extended_by(&self, event: &Event) -> bool {
        if event.key() <= self.last {
            return false;
        }
        if self.sequential {
            return true;
        }
        if self.count >= MOST_COMPARED || self.awaited.contains(&event.id) {
            return false;
        }
        match &event.prev {
            None => true,
            Some(prev) => prev.len() == self.heads.len() && self.heads.iter().all(|h| prev.contains(h)),
        }
    }

    /// Applies an event for which [`Self::is_extended_by`] holds.
    pub fn extend(&mut self, event: &Event) {
        if self.bears(event) {
            self.state.apply(event, &|_| true);
        }
        self.pass(event);
    }

    /// Weighs the next event in the total order; false where it is too much.
    fn bears(&mut self, event: &Event) -> bool {
        if event.size <= HEAVY {
            return true;
        }
        self.heavy = self.heavy.saturating_add(event.size);
        self.heavy <= MOST_HEAVY
    }

    /// Counts an event without applying it.
    fn pass(&mut self, event: &Event) {
        self.heads = vec![event.id.clone()];
        self.last = event.key();
        self.count += 1;
    }
}

/// Folds all events of one subject, given in any order.
pub fn fold<T: Fold>(events: Vec<Event>) -> Folded<T> {
    fold_without(events, &BTreeSet::new())
}

/// Like [`fold`], as if the events with these ids had changed nothing. Whoever knew them still knows what they knew.
pub fn fold_without<T: Fold>(mut events: Vec<Event>, left_out: &BTreeSet<String>) -> Folded<T> {
    events.sort_by(Event::order);
    events.dedup_by(|a, b| a.id == b.id && a.raw == b.raw);
    let mut out = Folded {
        state: T::default(),
        heads: Vec::new(),
        last: Key::default(),
        count: 0,
        awaited: Vec::new(),
        sequential: events.len() > MOST_COMPARED,
        heavy: 0,
    };
    let counts: Vec<bool> = events.iter().map(|e| out.bears(e) && !left_out.contains(&e.id)).collect();
    let places = places(&events);
    let mut line = None;
    if !out.sequential && !is_chain(&events) {
        line = linearize(&events, &places);
        out.sequential = line.is_none();
    }
    let Some(line) = line else {
        for (e, counts) in events.iter().zip(counts) {
            if counts {
                out.state.apply(e, &|_| true);
            }
            out.pass(e);
        }
        return out;
    };
    let known = Knowledge::new(&events, &places, &line);
    for &i in line.iter().filter(|i| counts[**i]) {
        out.state.apply(&events[i], &|id| known.has(&places, i, id));
    }
    let named: BTreeSet<&String> = events.iter().flat_map(|e| e.prev.iter().flatten()).collect();
    out.awaited = named.into_iter().filter(|id| !places.contains_key(id.as_str())).cloned().collect();
    out.heads = known.heads(&events);
    out.last = events.last().map(Event::key).unwrap_or_default();
    out.count = events.len();
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

/// Causes before effects, and otherwise the total order. `None` where events name each other in a circle, which only a
/// hostile writer makes them do.
fn linearize(events: &[Event], places: &Places<'_>) -> Option<Vec<usize>> {
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
    let mut line = Vec::with_capacity(n);
    while let Some(Reverse(next)) = ready.pop() {
        line.push(next);
        for &e in &effects[next] {
            waits[e] -= 1;
            if waits[e] == 0 {
                ready.push(Reverse(e));
            }
        }
    }
    (line.len() == n).then_some(line)
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
        let raw = format!("{id}{ms}{data}").into_bytes();
        Event {
            id: id.to_owned(),
            kind: kind.to_owned(),
            at: Timestamp::from_millis(ms),
            actor: "ceo".to_owned(),
            correlation_id: None,
            caused_by: None,
            prev: prev.map(|p| p.iter().map(|s| (*s).to_owned()).collect()),
            size: raw.len(),
            raw,
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
    #[derive(Default, Debug, PartialEq, Clone, Serialize, Deserialize)]
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

    /// What a replica holds that took the events in one by one, and kept its state as text in between.
    fn one_by_one(events: &[Event]) -> Folded<Seen> {
        let mut have: Vec<Event> = Vec::new();
        let mut state: Folded<Seen> = fold(Vec::new());
        for e in events {
            state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            let extends = !have.iter().any(|h| h.id == e.id) && state.is_extended_by(e);
            have.push(e.clone());
            if extends {
                state.extend(e);
            } else {
                state = fold(have.clone());
            }
        }
        state
    }

    #[test]
    fn times_finer_than_milliseconds_keep_their_order_whichever_came_first() {
        let mut fine = [event("x", 5, "a", None, json!({})), event("x", 5, "b", None, json!({}))];
        fine[0].at = "2026-01-06T12:00:00.000000900Z".parse().unwrap();
        fine[1].at = "2026-01-06T12:00:00.000000100Z".parse().unwrap();
        assert_eq!(one_by_one(&fine), fold(fine.to_vec()));
    }

    #[test]
    fn a_cause_that_arrives_late_and_is_stamped_later_still_comes_first() {
        let list = [event("x", 1, "effect", Some(&["cause"]), json!({})), event("x", 9, "cause", None, json!({}))];
        assert_eq!(one_by_one(&list), fold(list.to_vec()));
    }

    #[test]
    fn events_after_a_cycle_add_up_to_the_same_one_by_one() {
        let mut list = vec![event("x", 1, "a", Some(&["b"]), json!({})), event("x", 2, "b", Some(&["a"]), json!({}))];
        let heads = fold::<Seen>(list.clone()).heads;
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        list.push(event("x", 3, "c", Some(&heads), json!({})));
        list.push(event("x", 4, "d", Some(&["c"]), json!({})));
        list.push(event("x", 5, "e", None, json!({})));
        assert_eq!(one_by_one(&list), fold(list));
    }

    #[test]
    fn a_subject_that_outgrows_the_comparison_adds_up_to_the_same_one_by_one() {
        let mut list = vec![event("x", 2, "a", Some(&[]), json!({})), event("x", 1, "b", Some(&["a"]), json!({}))];
        let mut before = "b".to_owned();
        for n in 0..MOST_COMPARED + 8 {
            let id = format!("e{n:05}");
            list.push(event("x", 10 + i64::try_from(n).unwrap(), &id, Some(&[&before]), json!({})));
            before = id;
        }
        let last = list.split_off(MOST_COMPARED - 2);
        let mut state: Folded<First> = fold(list.clone());
        for e in last {
            list.push(e.clone());
            state = if state.is_extended_by(&e) {
                state.extend(&e);
                state
            } else {
                fold(list.clone())
            };
        }
        assert_eq!(state, fold(list));
    }

    /// The first two events.
    #[derive(Default, Debug, PartialEq, Clone, Serialize, Deserialize)]
    struct First(Vec<String>);
    impl Fold for First {
        fn apply(&mut self, e: &Event, _knows: &dyn Fn(&str) -> bool) {
            if self.0.len() < 2 {
                self.0.push(e.id.clone());
            }
        }
    }

    #[test]
    fn of_heavy_events_the_first_count_and_light_ones_always_do() {
        let list: Vec<Event> = (0..40)
            .map(|n| {
                let mut e = event("x", n, &format!("e{n:02}"), if n % 7 == 0 { Some(&[]) } else { None }, json!({}));
                e.size = if n % 10 == 9 { 100 } else { 1 << 20 };
                e
            })
            .collect();
        let whole: Folded<Seen> = fold(list.clone());
        let mut counted = ids(&whole);
        counted.sort_unstable();
        assert_eq!(counted.len(), 16 + 4, "{counted:?}");
        assert_eq!((counted[0], counted[16], counted[19]), ("e00", "e16", "e39"));
        assert_eq!(whole.count, 40);
        let mut turned = list.clone();
        turned.rotate_left(13);
        assert_eq!(one_by_one(&list), whole);
        assert_eq!(one_by_one(&turned), whole);
    }

    #[test]
    fn any_events_in_any_order_of_arrival_add_up_to_the_same() {
        for seed in 0_u64..3_000 {
            let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut pick = |n: usize| {
                bits ^= bits << 13;
                bits ^= bits >> 7;
                bits ^= bits << 17;
                usize::try_from(bits >> 33).unwrap() % n
            };
            let mut list: Vec<Event> = Vec::new();
            for n in 0..6 {
                let names = ["a", "b", "c", "d", "e", "f"];
                let known: Vec<&str> = (0..pick(3)).map(|_| names[pick(6)]).collect();
                let prev = (pick(3) > 0).then_some(known);
                let at = i64::try_from(pick(8)).unwrap();
                list.push(event("x", at, names[pick(6)], prev.as_deref(), json!({"n": n})));
            }
            let whole: Folded<Seen> = fold(list.clone());
            assert_eq!(one_by_one(&list), whole, "seed {seed}");
            let turned = pick(6);
            list.rotate_left(turned);
            assert_eq!(one_by_one(&list), whole, "seed {seed}, other order");
        }
    }

    #[test]
    fn a_cycle_is_broken_and_nothing_hangs() {
        let f: Folded<Seen> =
            fold(vec![event("x", 1, "a", Some(&["b"]), json!({})), event("x", 2, "b", Some(&["a"]), json!({}))]);
        assert_eq!(ids(&f).len(), 2);
    }
}
