//! Wall clock and waiting.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::world;

/// Milliseconds since the Unix epoch, UTC. `VERMAS_CLOCK` (milliseconds, or an RFC 3339 time) fixes it for tests.
pub fn now_millis() -> i64 {
    if let Some(world) = world::entered() {
        return world.now_millis();
    }
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
        Self(instant() + d)
    }

    pub fn passed(self) -> bool {
        instant() >= self.0
    }

    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(instant())
    }
}

/// Tells how long something took.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(instant())
    }

    pub fn elapsed(self) -> Duration {
        instant().saturating_duration_since(self.0)
    }
}

/// Waits; the only sleep in the program.
pub fn sleep(d: Duration) {
    match world::entered() {
        Some(world) => world.pause(d),
        None => std::thread::sleep(d),
    }
}

fn instant() -> Instant {
    world::entered().map_or_else(Instant::now, |w| w.instant())
}
