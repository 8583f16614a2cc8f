//! Points in time as a person writes them: `2h`, `3d ago`, a date, an RFC 3339 time.

use super::refusal::Refusal;
use super::text::quoted;
use super::time::Timestamp;

const SECOND: i64 = 1000;
/// Units and their length in milliseconds.
const UNITS: &[(&str, i64)] = &[
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("min", 60 * SECOND),
    ("h", 3600 * SECOND),
    ("d", 24 * 3600 * SECOND),
    ("w", 7 * 24 * 3600 * SECOND),
];

/// The point that the text means, seen from `now`: so long ago, or the time itself. A date is its midnight, UTC.
pub fn point(text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let plain = text.trim();
    if let Some(ms) = length(plain.strip_suffix("ago").unwrap_or(plain).trim_end()) {
        return Ok(Timestamp::from_millis(now.millis().saturating_sub(ms)));
    }
    plain.parse().map_err(|_| {
        Refusal::usage(format!("{} is no point in time", quoted(text)))
            .hint("write 30m, 2h, 3d or 1w for so long ago, a date as 2026-01-06, or 2026-01-06T12:00:00Z")
    })
}

/// A length of time in milliseconds: digits and a unit.
pub fn length(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    count.parse::<i64>().ok()?.checked_mul(*ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_back_from_now_and_times_stand_for_themselves() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let at = |text: &str| point(text, now).map(|t| t.to_string()).unwrap_or_else(|e| e.message);
        assert_eq!(at("2h"), "2026-03-10T10:00:00.000Z");
        assert_eq!(at("30m ago"), "2026-03-10T11:30:00.000Z");
        assert_eq!(at("90 s"), "2026-03-10T11:58:30.000Z");
        assert_eq!(at("3d"), "2026-03-07T12:00:00.000Z");
        assert_eq!(at("1w"), "2026-03-03T12:00:00.000Z");
        assert_eq!(at("2026-01-06"), "2026-01-06T00:00:00.000Z");
        assert_eq!(at("2026-01-06T14:00:00+02:00"), "2026-01-06T12:00:00.000Z");
        for bad in ["", "h", "2", "-2h", "2y", "99999999999999999w", "yesterday"] {
            assert!(at(bad).ends_with("is no point in time"), "{bad}: {}", at(bad));
        }
    }
}
