//! The laws of the parsers and the merge, on what libFuzzer thinks of. `tests/fuzz/run` builds and starts it.
#![no_main]

#[path = "../../suite/laws/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| judge::all(bytes));
