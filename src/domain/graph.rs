//! What waits for what: where nothing can ever go first.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that waits for itself through others, or for something that does. Given as pairs (who, for what); what waits
/// for nothing need not be named.
///
/// Each pair is looked at once, however long the chains are.
pub fn tied<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeSet<&'a str> {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (who, what) in pairs {
        if open.entry(who).or_default().insert(what) {
            waiting.entry(what).or_default().push(who);
        }
    }
    let mut free: Vec<&str> = waiting.keys().copied().filter(|what| !open.contains_key(what)).collect();
    while let Some(what) = free.pop() {
        for who in waiting.get(what).into_iter().flatten() {
            let Some(needs) = open.get_mut(who) else { continue };
            needs.remove(what);
            if needs.is_empty() {
                open.remove(who);
                free.push(who);
            }
        }
    }
    open.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::tied;

    #[test]
    fn a_circle_and_what_waits_for_it_are_tied_and_nothing_else_is() {
        let pairs = [("a", "b"), ("b", "a"), ("c", "a"), ("d", "e"), ("e", "none"), ("s", "s")];
        assert_eq!(tied(pairs.into_iter()).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "s"]);
    }

    #[test]
    fn a_chain_of_many_is_looked_at_once() {
        let names: Vec<String> = (0..50_000).map(|n| format!("n{n}")).collect();
        assert!(tied(names.windows(2).map(|w| (w[0].as_str(), w[1].as_str()))).is_empty());
    }
}
