//! Wall clock and waiting.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC. `VERMAS_CLOCK` (milliseconds, or an RFC 3339 time) fixes it for tests.
pub fn now_millis() -> i64 {
    if let Some(fixed) = super::env::var("VERMAS_CLOCK") {
        if let Ok(ms) = fixed.parse::<i64>() {
            return ms;
        }
        if let Ok(t) = chrono::DateTime::parse_from_rfc3339(&fixed) {
            return t.timestamp_millis();
        }
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one door to the clock")]
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(d) => i64::try_from(d.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// A point after which waiting is given up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(d: Duration) -> Self {
        Self(Instant::now() + d)
    }

    pub fn passed(self) -> bool {
        Instant::now() >= self.0
    }

    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Tells how long something took.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits; the only sleep in the program.
pub fn sleep(d: Duration) {
    std::thread::sleep(d);
}
