//! Times as a person gives them on the command line.

use super::fault::Fault;
use crate::domain::Timestamp;
use crate::domain::text::quoted;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Units by their names; a plural is read, too. Months and years are counted as git counts them: 30 and 365 days.
const UNITS: &[(&str, i64)] = &[
    ("s", SECOND),
    ("sec", SECOND),
    ("second", SECOND),
    ("m", MINUTE),
    ("min", MINUTE),
    ("minute", MINUTE),
    ("h", HOUR),
    ("hour", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("w", 7 * DAY),
    ("week", 7 * DAY),
    ("month", 30 * DAY),
    ("y", 365 * DAY),
    ("year", 365 * DAY),
];

/// Milliseconds since the epoch for `2h`, `3 days ago`, `2.weeks.ago`, `yesterday`, a date (its first moment, UTC), or a
/// time. `now` is in the same unit.
pub fn parse(text: &str, now: i64) -> Result<i64, Fault> {
    let trimmed = text.trim();
    if let Some(span) = span(trimmed) {
        return Ok(now.saturating_sub(span).max(0));
    }
    trimmed.parse::<Timestamp>().map(Timestamp::millis).map_err(|_| {
        Fault::usage(format!("{} is no time", quoted(text)))
            .hint("write 30m, 2h, 3d, 1w, yesterday, a date like 2026-01-06, or a time like 2026-01-06T12:00:00Z")
    })
}

/// How long ago the words mean; `None` where they mean no such thing.
fn span(text: &str) -> Option<i64> {
    match text {
        "now" => return Some(0),
        "yesterday" => return Some(DAY),
        _ => {}
    }
    let spaced = text.replace('.', " ");
    let words = spaced.strip_suffix(" ago").unwrap_or(&spaced).trim();
    let digits = words.len() - words.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = words.split_at(digits);
    let unit = unit.trim();
    let is = |name: &str| unit == name || name.len() > 1 && unit.strip_suffix('s') == Some(name);
    let (_, size) = UNITS.iter().find(|(name, _)| is(name))?;
    Some(i64::from(count.parse::<u32>().ok()?).saturating_mul(*size))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn spans_and_times_are_read() {
        assert_eq!(parse("2h", 10_000_000).unwrap(), 10_000_000 - 7_200_000);
        assert_eq!(parse("1970-01-02", 0).unwrap(), 86_400_000);
        assert_eq!(parse("1000000d", 5).unwrap(), 0);
        for bad in ["", "h", "x2h", "-1d", "é", "s", "2 fortnights", "5"] {
            assert!(parse(bad, 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_mean_what_git_takes_them_for() {
        let now = 100 * 86_400_000;
        let day = |n: i64| now - n * 86_400_000;
        for (words, then) in [
            ("now", day(0)),
            ("yesterday", day(1)),
            ("2 days ago", day(2)),
            ("2.days.ago", day(2)),
            ("1 week ago", day(7)),
            ("3d ago", day(3)),
            ("1 month", day(30)),
            ("24 hours ago", day(1)),
            ("90 mins", now - 90 * 60_000),
        ] {
            assert_eq!(parse(words, now).unwrap(), then, "{words}");
        }
    }
}
