//! Randomness. `VERMAS_SEED` makes it repeatable for tests.

use std::sync::atomic::{AtomicU64, Ordering};

static SEEDED: AtomicU64 = AtomicU64::new(0);

/// 64 random bits from the system, or from the seeded sequence.
pub fn bits() -> u64 {
    if let Some(world) = super::world::entered() {
        return world.random_bits();
    }
    if let Some(seed) = super::env::var("VERMAS_SEED").and_then(|s| s.parse::<u64>().ok()) {
        let step = SEEDED.fetch_add(1, Ordering::Relaxed);
        return spread(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(step));
    }
    getrandom::u64().unwrap_or_else(|_| {
        let pid = u64::from(std::process::id());
        spread(super::clock::now_millis().unsigned_abs() ^ (pid << 32) ^ SEEDED.fetch_add(1, Ordering::Relaxed))
    })
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads a counter over 64 bits.
pub fn spread(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
