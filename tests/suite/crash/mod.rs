//! A command may be killed, fail and be run at once with many at any moment, and a person's own git and `rm` go around it:
//! nothing that was acknowledged is lost, and the next command works.
//!
//! Each test samples its points in a few seconds; with `VERMAS_LONG=1` it takes all of them. Both print the figure they
//! prove (`--nocapture` shows it). `VERMAS_ONLY=TEXT` keeps to the commands that have this text in them.

mod claims;
mod crowd;
mod errors;
mod kills;
mod persons_git;
mod scene;
mod tally;
mod trace;

/// Whether the long form of a test is wanted.
fn is_long() -> bool {
    std::env::var_os("VERMAS_LONG").is_some()
}

/// Whether a case is among those asked for.
fn is_wanted(words: &str) -> bool {
    words.contains(&std::env::var("VERMAS_ONLY").unwrap_or_default())
}
