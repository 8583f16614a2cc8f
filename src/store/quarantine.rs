//! Lines that cannot be used: kept with file, line number and reason, reported once, never deleted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cache::sum;
use super::error::{Result, StoreError};
use super::places::Places;
use crate::sys::fs;
use crate::wire::json::LONGEST_LINE;
use crate::wire::line;

/// A line set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub file: String,
    /// Counted from 1, as it stood when it was found; 0 where that is not known.
    pub line: u64,
    pub reason: String,
    /// The bytes, with U+FFFD for what is no UTF-8. Of a line of events, which stays where it is, only the beginning; of
    /// any other that is too long to be a record, only the end.
    pub text: String,
    /// The same bytes in hexadecimal, where they are no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    sum: i64,
}

/// How many lines of one file of events are set aside one by one. Those behind them stay where they are, in the log or on
/// the branch, while a projection is written anew without them; a file of junk is no reason to hold it twice.
const MOST_OF_A_FILE: usize = 1000;

/// How many bytes of a line of events are kept here.
const MOST_OF_A_LINE: usize = 4096;

/// The file of lines set aside, read when first needed.
#[derive(Default)]
pub struct Quarantine {
    known: Option<BTreeSet<(String, i64)>>,
    /// How many lines of each file are known.
    counts: BTreeMap<String, usize>,
    new: Vec<Quarantined>,
}

impl Quarantine {
    /// Sets a line aside unless that was done before. True when it is new.
    pub fn add(&mut self, places: &Places, file: &str, number: u64, bytes: &[u8], reason: &str) -> Result<bool> {
        if self.known.is_none() {
            let all = list(places)?;
            for q in &all {
                *self.counts.entry(q.file.clone()).or_default() += 1;
            }
            self.known = Some(all.into_iter().map(|q| (q.file, q.sum)).collect());
        }
        let count = self.counts.entry(file.to_owned()).or_default();
        if *count >= MOST_OF_A_FILE && file.starts_with("events") {
            return Ok(false);
        }
        let sum = sum(bytes);
        let fresh = self.known.as_mut().is_some_and(|k| k.insert((file.to_owned(), sum)));
        if fresh {
            *count += 1;
            let shown = if file.starts_with("events") {
                &bytes[..bytes.len().min(MOST_OF_A_LINE)]
            } else {
                &bytes[bytes.len().saturating_sub(LONGEST_LINE)..]
            };
            let text = String::from_utf8_lossy(shown).into_owned();
            let hex = std::str::from_utf8(shown).is_err().then(|| shown.iter().map(|b| format!("{b:02x}")).collect());
            let (file, reason) = (file.to_owned(), reason.to_owned());
            self.new.push(Quarantined { file, line: number, reason, text, hex, sum });
        }
        Ok(fresh)
    }

    /// Writes what was added. After a crash a line may stand there twice.
    pub fn save(&mut self, places: &Places) -> Result<()> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for q in self.new.drain(..) {
            bytes.extend(serde_json::to_vec(&q).unwrap_or_default());
            bytes.push(b'\n');
        }
        let what = "write the quarantine";
        let mut file = fs::open_append(&places.quarantine()).map_err(StoreError::io(what))?;
        fs::append(&mut file, &bytes).map_err(StoreError::io(what))
    }
}

/// All lines set aside on this machine.
pub fn list(places: &Places) -> Result<Vec<Quarantined>> {
    let bytes = fs::read_if_there(&places.quarantine()).map_err(StoreError::io("read the quarantine"))?;
    let bytes = bytes.unwrap_or_default();
    Ok(line::complete(&bytes).filter_map(|(_, l)| serde_json::from_slice(l).ok()).collect())
}
