//! Segments: the files `events/{replica}/{000001}.jsonl` on the state branch.

/// The largest segment, in bytes. A line longer than that gets a segment of its own.
pub const LARGEST: usize = 64 * 1024;
/// A segment of this size is not continued by the next commit, which would write all of it again.
pub const LONG: usize = 16 * 1024;
/// How many segments one replica's folder holds before a new replica id is taken, so that its tree stays small.
pub const MOST_SEGMENTS: u32 = 512;

/// A replica's id: 10 characters of Crockford's base32.
pub fn is_replica(name: &str) -> bool {
    name.len() == 10 && crate::domain::crockford::decode(name).is_some()
}

/// The file name of the n-th segment, counted from 1.
pub fn name(n: u32) -> String {
    format!("{n:06}.jsonl")
}

/// The number in a segment's file name; `None` for any other name.
pub fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".jsonl").filter(|d| d.len() >= 6 && d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|n| *n > 0)
}

/// New contents of the last segments: `active` is what the newest one holds now.
///
/// Gives (number, bytes) of every segment that changes or is new.
pub fn fill(active_number: u32, active: Vec<u8>, lines: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
    let mut out: Vec<(u32, Vec<u8>)> = Vec::new();
    let (mut number, mut bytes, mut touched) = (active_number.max(1), active, false);
    for line in lines {
        if !bytes.is_empty() && bytes.len() + line.len() + 1 > LARGEST {
            if touched {
                out.push((number, std::mem::take(&mut bytes)));
            }
            bytes.clear();
            number += 1;
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        touched = true;
    }
    if touched {
        out.push((number, bytes));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_segment_is_not_touched_again() {
        let out = fill(3, vec![b'x'; LARGEST - 10], &[vec![b'a'; 20], vec![b'b'; 20]]);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].0, out[0].1.len()), (4, 42));
    }

    #[test]
    fn lines_go_into_the_active_segment_until_it_is_full() {
        let lines = vec![vec![b'a'; 30_000]; 5];
        let out = fill(1, Vec::new(), &lines);
        assert_eq!(out.iter().map(|(n, b)| (*n, b.len())).collect::<Vec<_>>(), [(1, 60_002), (2, 60_002), (3, 30_001)]);
    }

    #[test]
    fn names_sort_as_their_numbers() {
        assert_eq!(name(1), "000001.jsonl");
        assert_eq!(number("000012.jsonl"), Some(12));
        for bad in ["1.jsonl", "000000.jsonl", "abcdef.jsonl", "../000001.jsonl"] {
            assert_eq!(number(bad), None);
        }
    }
}
