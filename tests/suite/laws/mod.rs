//! The parsers and the merge, on seeds that are flipped, cut, spliced and doubled: nothing panics, and the laws hold.
//!
//! The seeds are the lines of the hostile corpus, and what the fuzzer of `tests/fuzz` has kept. The short form mutates some
//! thousand times with a fixed seed; `VERMAS_LONG=1` two hundred thousand times, `VERMAS_SEED` chooses others.

mod judge;

use judge::{adds_up, merges, parsers, reads_back};

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
    all.extend(kept().into_values());
    all
}

/// What the fuzzer has kept, by the file's name: inputs that led to places where no other did, and those that broke a law.
fn kept() -> std::collections::BTreeMap<String, Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    files.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn what_the_fuzzer_kept_keeps_the_laws() {
    for (name, bytes) in kept() {
        let judged = std::panic::catch_unwind(|| judge::all(&bytes));
        assert!(judged.is_ok(), "tests/fuzz/seeds/{name}");
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
            adds_up(&lines, |n| dice.roll(n));
            reads_back(&lines.join(&b'\n'));
        }
    }
    println!("laws: {rounds} mutations of {} seeds", seeds.len());
}
