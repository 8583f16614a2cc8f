//! Points in time: UTC, written with milliseconds, read in every form that RFC 3339 and its neighbours know.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds and nanoseconds since the Unix epoch. Ordered; shown as `2026-01-06T12:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    secs: i64,
    nanos: u32,
}

/// The last second of the year 9999: what the written form can hold.
const LAST_SECOND: i64 = 253_402_300_799;

impl Timestamp {
    /// From milliseconds since the epoch, held within the years 1970 to 9999.
    pub fn from_millis(ms: i64) -> Self {
        let ms = ms.clamp(0, LAST_SECOND * 1000 + 999);
        Self { secs: ms.div_euclid(1000), nanos: u32::try_from(ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000 }
    }

    /// Milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.secs * 1000 + i64::from(self.nanos / 1_000_000)
    }

    /// Seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.secs
    }

    /// Whether there is more to it than whole milliseconds.
    pub fn finer_than_millis(self) -> bool {
        !self.nanos.is_multiple_of(1_000_000)
    }

    /// The calendar day, `2026-01-06`.
    pub fn day(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = DateTime::from_timestamp(self.secs, self.nanos).unwrap_or_default();
        // Digit by digit: this is the most frequent thing that is written, and a format string costs ten times as much.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let parts = [
            (0, 4, t.year().unsigned_abs()),
            (5, 2, t.month()),
            (8, 2, t.day()),
            (11, 2, t.hour()),
            (14, 2, t.minute()),
            (17, 2, t.second()),
            (20, 3, self.nanos / 1_000_000),
        ];
        for (at, len, number) in parts {
            let mut rest = number;
            for digit in text[at..at + len].iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// The text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time: write it as 2026-01-06T12:00:00.000Z")]
pub struct BadTime(String);

impl FromStr for Timestamp {
    type Err = BadTime;

    /// Any RFC 3339 time, with any offset and precision; one without an offset is taken as UTC, a date as its midnight.
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = || BadTime(text.chars().take(64).collect());
        let (secs, nanos) = if let Ok(t) = DateTime::parse_from_rfc3339(text) {
            (t.timestamp(), t.timestamp_subsec_nanos())
        } else {
            let naive = loose(text).ok_or_else(bad)?;
            (naive.and_utc().timestamp(), naive.and_utc().timestamp_subsec_nanos())
        };
        if (0..=LAST_SECOND).contains(&secs) { Ok(Self { secs, nanos: nanos.min(999_999_999) }) } else { Err(bad()) }
    }
}

/// A time with a space for the T, without seconds, with an offset that has no colon, or a date alone.
fn loose(text: &str) -> Option<NaiveDateTime> {
    let (day, rest) = (text.get(..10)?, text.get(10..)?);
    let clock = match rest.strip_prefix(['T', 't', ' ']) {
        Some(clock) => clock.strip_suffix(['Z', 'z']).map_or_else(|| clock.to_owned(), |c| format!("{c}+00:00")),
        None if rest.is_empty() => "00:00".to_owned(),
        None => return None,
    };
    let text = format!("{day}T{clock}");
    let with_offset = |form| DateTime::parse_from_str(&text, form).ok().map(|t| t.naive_utc());
    let without = |form| NaiveDateTime::parse_from_str(&text, form).ok();
    let forms = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z"];
    let found = forms.into_iter().find_map(with_offset);
    found.or_else(|| ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"].into_iter().find_map(without))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A time kept to the nanosecond, for what is compared again after it was stored: the written form ends at milliseconds.
pub mod exact {
    use super::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(t: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        (t.secs, t.nanos).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        let (secs, nanos) = <(i64, u32)>::deserialize(d)?;
        Ok(Timestamp { secs, nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        text.parse::<Timestamp>().map_or_else(|e| e.to_string(), |t| t.to_string())
    }

    #[test]
    fn every_neighbouring_form_is_read() {
        assert_eq!(read("2026-01-06T12:00:00.000Z"), "2026-01-06T12:00:00.000Z");
        assert_eq!(read("2026-01-06T14:00:00.123456789+02:00"), "2026-01-06T12:00:00.123Z");
        assert_eq!(read("2026-01-06T12:00:00"), "2026-01-06T12:00:00.000Z");
        assert_eq!(read("2026-01-06T12:00:00.123456"), "2026-01-06T12:00:00.123Z");
        assert_eq!(read("2026-01-06 12:00:00"), "2026-01-06T12:00:00.000Z");
        assert_eq!(read("2026-01-06"), "2026-01-06T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "99999-01-01T00:00:00Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn finer_times_keep_their_order() {
        let a: Timestamp = "2026-01-06T12:00:00.123456789Z".parse().unwrap();
        let b: Timestamp = "2026-01-06T12:00:00.123Z".parse().unwrap();
        assert!(a > b && a.finer_than_millis() && a.millis() == b.millis());
    }
}
