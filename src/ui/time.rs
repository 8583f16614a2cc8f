//! Times and durations in words. Pure: the present is given in.

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Milliseconds since the epoch of an RFC 3339 time; `None` where it is none.
pub fn millis(rfc3339: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(rfc3339).ok().map(|t| t.timestamp_millis())
}

/// A point in time as seen from `now`, both in milliseconds since the epoch: "3 min ago", "in 2 h", "just now". From a
/// week on it is the date.
pub fn ago(then: i64, now: i64) -> String {
    let apart = now.saturating_sub(then);
    let far = apart.saturating_abs();
    if far < 5 * SECOND {
        return "just now".to_owned();
    }
    if far >= 7 * DAY {
        return date(then);
    }
    let (count, unit) = match far {
        f if f < MINUTE => (f / SECOND, "s"),
        f if f < HOUR => (f / MINUTE, "min"),
        f if f < DAY => (f / HOUR, "h"),
        f if f < 2 * DAY => (1, "day"),
        f => (f / DAY, "days"),
    };
    if apart < 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// Like [`ago`] for an RFC 3339 time; a text that is none is shown as it stands.
pub fn ago_of(rfc3339: &str, now: i64) -> String {
    millis(rfc3339).map_or_else(|| rfc3339.to_owned(), |then| ago(then, now))
}

fn date(then: i64) -> String {
    chrono::DateTime::from_timestamp_millis(then).map_or_else(String::new, |t| t.format("%Y-%m-%d").to_string())
}

/// A length of time, in milliseconds, by its two largest units: "1 h 5 min", "45 s", "0.3 s".
pub fn duration(millis: i64) -> String {
    let ms = millis.max(0);
    if ms < SECOND {
        return format!("0.{} s", ms / 100);
    }
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
    let first = units.iter().position(|(size, _)| ms >= *size).unwrap_or(units.len() - 1);
    let (size, name) = units[first];
    let rest = units.get(first + 1).map(|(next, name)| (ms % size / next, *name));
    match rest {
        Some((n, unit)) if n > 0 => format!("{} {name} {n} {unit}", ms / size),
        _ => format!("{} {name}", ms / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_said_in_its_largest_unit() {
        let now = millis("2026-03-10T12:00:00Z").unwrap();
        let said = |t: &str| ago_of(t, now);
        assert_eq!(said("2026-03-10T11:59:58.5Z"), "just now");
        assert_eq!(said("2026-03-10T11:59:18Z"), "42 s ago");
        assert_eq!(said("2026-03-10T11:56:01Z"), "3 min ago");
        assert_eq!(said("2026-03-10T12:56:01+02:00"), "1 h ago");
        assert_eq!(said("2026-03-09T11:00:00Z"), "1 day ago");
        assert_eq!(said("2026-03-05T11:00:00Z"), "5 days ago");
        assert_eq!(said("2026-02-01T11:00:00Z"), "2026-02-01");
        assert_eq!(said("2026-03-10T14:00:00Z"), "in 2 h");
        assert_eq!(said("yesterday"), "yesterday");
    }

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(ago(i64::MIN, i64::MAX), "");
        assert_eq!(duration(-5), "0.0 s");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(350), "0.3 s");
        assert_eq!(duration(45_999), "45 s");
        assert_eq!(duration(HOUR + 5 * MINUTE + 7 * SECOND), "1 h 5 min");
        assert_eq!(duration(2 * DAY), "2 d");
    }
}
