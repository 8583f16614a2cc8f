//! Use cases: plain values in, plain values out. No text for people, no clap, no colour.

pub mod assignments;
pub mod attention;
pub mod candidates;
pub mod commits;
pub mod fault;
pub mod landing;
pub mod live;
pub mod mail;
pub mod orders;
pub mod prime;
pub mod session;
pub mod settings;
pub mod settings_table;
pub mod status;

pub use fault::{Fault, Kind};
pub use session::Session;
