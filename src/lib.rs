//! `git vermas`: a factory for coding agents in any git repository, with git as the only database.
//!
//! # The house
//!
//! A layer names only those after its arrow; a test (`tests/suite/architecture.rs`) reads this tree and holds it to that.
//!
//! ```text
//! domain → nothing of ours    pure rules: ids, events, folds, decisions
//! wire   → domain             bytes ↔ records: JSONL lines, assignment files, templates
//! sys    → nothing of ours    the only place with files, locks, processes, clock, randomness
//! git    → sys domain         the only user of gix and of the git program
//! tmux   → sys domain         the only user of tmux
//! agents → sys domain         how each agent CLI is started: argv, prompt, environment
//! launch → sys tmux agents domain    one session per worker: in tmux, or as a background process
//! store  → domain wire sys git   `.work/` and the state branch
//! app    → all above          use cases: plain values in, plain values out
//! ui     → domain sys app     tables, colour, escaping, pager (of app only the error it shows)
//! cli    → all above          clap; one file per command group
//! ```
//!
//! # Invariants
//!
//! **Invariant:** the state is a function of the set of event lines. Order of arrival, number of replicas and layout on
//! disk do not enter: two machines that hold the same events hold the same projections, byte for byte.
//!
//! **Invariant:** `domain` reads no clock, no file, no environment and no random number.
//!
//! **Invariant:** the synced line in `.work/events.jsonl` is the write-ahead log. Objects, refs, projections and caches
//! can each be lost and are rebuilt from it; nothing is acknowledged before it is synced.
//!
//! **Invariant:** a load that failed is an error, never an empty state; nothing is written after a failed load.
//!
//! **Invariant:** an effect outside the state (worktree, session, merge) happens after its event is recorded, and can be
//! run again.
//!
//! # How a change travels
//!
//! `cli` parses → `app` calls [`store::Store::write`] with a decision → under the state lock the store takes in what
//! foreign writers left, runs the decision on the current state, stamps its drafts and appends them to the log in one
//! `write` → whoever holds the publishing lock syncs the log, writes segment, trees and commit, moves the branch by
//! compare-and-swap, and brings projections and feed up to date for everybody who waits → `ui` shows the result.

pub mod agents;
pub mod app;
pub mod cli;
pub mod domain;
pub mod git;
pub mod launch;
pub mod store;
pub mod sys;
pub mod tmux;
pub mod ui;
pub mod wire;
