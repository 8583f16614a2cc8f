//! Randomness. `VERMAS_SEED` makes it repeatable for tests.

use std::cell::RefCell;
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
    POOL.with_borrow_mut(|pool| pool.pop().or_else(|| refilled(pool))).unwrap_or_else(|| {
        let pid = u64::from(std::process::id());
        spread(super::clock::now_millis().unsigned_abs() ^ (pid << 32) ^ SEEDED.fetch_add(1, Ordering::Relaxed))
    })
}

thread_local! {
    /// What the system gave and nobody has used yet.
    static POOL: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// As much as the system gives in one call without fail; `None` where it gives nothing.
fn refilled(pool: &mut Vec<u64>) -> Option<u64> {
    let mut bytes = [0_u8; 256];
    let given = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
    let words = bytes[..given].chunks_exact(8).filter_map(|w| w.try_into().ok());
    pool.extend(words.map(u64::from_ne_bytes));
    pool.pop()
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads a counter over 64 bits.
pub fn spread(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
