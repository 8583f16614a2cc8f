//! Use cases: plain values in, plain values out. No text for people, no clap, no colour.

pub mod agent_hook;
pub mod candidates;
pub mod commits;
pub mod events;
pub mod fault;
pub mod fsck;
pub mod history;
pub mod landing;
pub mod orders;
pub mod session;
pub mod validate;

pub use fault::{Fault, Kind};
pub use session::Session;
