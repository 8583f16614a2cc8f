//! What the program promises, tried on real repositories, real remotes, real sessions.
//!
//! One binary for all: it is linked once, and its tests share the cores to the end. A part of it: `cargo test sync::`.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the house")]

mod agent_hook;
mod architecture;
mod assignment;
mod cli_frame;
mod completion;
mod config;
mod crash;
mod demo;
mod desk;
mod events;
mod factory;
mod format_page;
mod fsck;
mod git_room;
mod held;
mod hook;
mod hostile;
mod init;
mod large;
mod launch;
mod laws;
mod mail;
mod merge_driver;
mod place;
mod power_cut;
mod prime;
mod readme;
mod session;
mod simulate;
mod state_machine;
mod status;
mod store;
mod tmux;
mod travel;
mod undo;
