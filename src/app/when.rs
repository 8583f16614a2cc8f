//! Times as a person gives them on the command line.

use super::fault::Fault;
use crate::domain::Timestamp;
use crate::domain::text::quoted;

/// Milliseconds since the epoch for `2h`, `3d`, `1w`, `30m`, `45s` ago, a date, or a time. `now` is in the same unit.
pub fn parse(text: &str, now: i64) -> Result<i64, Fault> {
    let trimmed = text.trim().trim_end_matches(" ago");
    let unit = trimmed.chars().last().and_then(|c| match c {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        'w' => Some(7 * 86_400_000_i64),
        _ => None,
    });
    if let Some(unit) = unit
        && let Ok(n) = trimmed[..trimmed.len() - 1].trim().parse::<u32>()
    {
        return Ok(now.saturating_sub(i64::from(n).saturating_mul(unit)));
    }
    trimmed.parse::<Timestamp>().map(Timestamp::millis).map_err(|_| {
        Fault::usage(format!("{} is no time", quoted(text)))
            .hint("write 30m, 2h, 3d, 1w, a date like 2026-01-06, or a time like 2026-01-06T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn spans_and_times_are_read() {
        assert_eq!(parse("2h", 10_000_000).unwrap(), 10_000_000 - 7_200_000);
        assert_eq!(parse("1970-01-02", 0).unwrap(), 86_400_000);
        for bad in ["", "h", "x2h", "-1d", "é"] {
            assert!(parse(bad, 0).is_err(), "{bad}");
        }
    }
}
