//! Use cases: plain values in, plain values out. No text for people, no clap, no colour.

pub mod agent_hook;
pub mod assignments;
pub mod attention;
pub mod base;
pub mod candidates;
pub mod commits;
pub mod demo;
pub mod dispatch;
pub mod done;
pub mod events;
pub mod exclusive;
pub mod fault;
pub mod fsck;
pub mod history;
pub mod landing;
pub mod launching;
pub mod live;
pub mod mail;
pub mod orders;
pub mod prime;
pub mod prompt;
pub mod qa;
pub mod qa_queue;
pub mod session;
pub mod settings;
pub mod settings_table;
pub mod setup;
pub mod slots;
pub mod status;
pub mod supervise;
pub mod sync;
pub mod validate;
pub mod when;
pub mod workers;

pub use fault::{Fault, Kind};
pub use session::Session;
