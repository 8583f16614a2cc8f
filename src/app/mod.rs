//! Use cases: plain values in, plain values out. No text for people, no clap, no colour.

pub mod candidates;
pub mod fault;

pub use fault::{Fault, Kind};
