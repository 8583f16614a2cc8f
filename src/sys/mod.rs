//! The only room with files, locks, processes, clock, environment and randomness.
//!
//! Everything above asks here, so that a rule about crash safety, a deadline or a scrubbed environment is written once.

pub mod clock;
pub mod env;
pub mod exchange;
mod fault;
pub mod fs;
pub mod holders;
pub mod leftovers;
pub mod lock;
pub mod marked;
mod pipes;
pub mod process;
pub mod random;
pub mod readers;
pub mod running;
pub mod simulated;
mod stamp;
pub mod watch;
pub mod world;
