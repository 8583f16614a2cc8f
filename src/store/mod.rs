//! `.work/` and the state branch: the one place where events are kept.
//!
//! Two forms of one state. On disk, `.work/` is live and shared with other implementations that know no lock of ours; in
//! git, the state branch is the versioned record that travels. [`Store::write`] is the one way in.
//!
//! Two locks, both `flock`, always taken in this order: *publishing* (moving the branch), then *state* (the cache, the
//! projections, what foreign writers left). Decisions are made under the state lock alone, which is held for a fraction of
//! a millisecond; whoever gets the publishing lock publishes for everybody who waits.
//!
//! **Invariant:** the cache is derived. It is keyed by what it was built from (log inode, offset, the bytes before it,
//! branch tip) and rebuilt when the key does not fit; nothing is ever read from it that the log or the branch lacks.

mod adopt;
mod adopt_assignments;
mod append;
mod arrivals;
mod bounds;
mod branch;
mod cache;
mod commands;
mod detached;
mod error;
mod fold;
mod follow;
mod glance;
mod heal;
mod ingest;
mod init;
mod layout;
mod lines;
mod lists;
mod message;
mod open;
mod pack;
mod past;
mod patch;
mod places;
mod project;
mod publish;
mod quarantine;
mod rebuild;
mod replica;
mod retired;
mod schema;
mod segments;
mod texts;
mod tree;
mod turn;
mod tx;
mod union;
mod versions;
mod view;
mod write;

pub use bounds::check_sizes;
pub use branch::{Segment, folders, segments_in, segments_of};
pub use cache::number_of;
pub use detached::Detached;
pub use error::StoreError;
pub use follow::Follow;
pub use init::{InitReport, check_room, init, is_root, missing_excludes};
pub use lines::Parts;
pub use lists::{Filter, Line, Listed, OrderRow, Pick, Sort};
pub use open::Store;
pub use pack::{COMMITS as COMMITS_BEFORE_PACKING, Packed};
pub use past::Point;
pub use places::Places;
pub use quarantine::{Quarantined, list as quarantined};
pub use rebuild::Rebuilt;
pub use tree::{StateTree, is_state, state_tree};
pub use tx::Tx;
pub use union::Merged;
pub use view::View;
pub use write::Done;

/// A repository of its own with a state in it, for tests.
#[cfg(test)]
fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    crate::sys::process::Cmd::new("git").cwd(dir.path()).args(["init", "-q"]).run().unwrap();
    let repo = crate::git::Repo::discover(dir.path()).unwrap();
    let (store, _) = init(repo, None).unwrap();
    (dir, store)
}
