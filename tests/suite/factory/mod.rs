//! The program as its users meet it: real repositories, real remotes, real sessions, nothing of the person's touched.

mod bad_input;
mod between;
pub mod common;
mod conflicts;
mod interop;
mod qa;
mod rewritten;
mod sync;
mod wo;
mod worker;
