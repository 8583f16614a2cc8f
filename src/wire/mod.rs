//! Bytes ↔ records: lines of JSONL, assignment files, templates and settings in TOML.
//!
//! **Invariant:** writes strictly, reads leniently, and never loses a byte of somebody else's line: an event keeps the
//! bytes it came in.

pub mod check;
pub mod json;
pub mod line;
pub mod merge;
pub mod projection;
pub mod segment;
pub mod toml;
