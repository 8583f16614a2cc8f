//! The only room that knows git: gix for objects, refs and settings; the git program for worktrees, merges and transport.

mod collecting;
pub mod distance;
pub mod error;
pub mod history;
pub mod hooks;
pub mod hooks_file;
pub mod index_file;
pub mod index_lock;
pub mod land;
pub mod land_check;
mod loose;
mod main_worktree;
pub mod merge;
pub mod name;
pub mod objects;
pub mod pack;
mod pack_cache;
pub mod program;
pub mod push;
pub mod refs;
pub mod repo;
pub mod rescue;
pub mod rescue_read;
pub mod revision;
pub mod scratch;
pub mod settings;
pub mod slot;
pub mod staged;
pub mod status;
pub mod worktree;

pub use error::RepoError;
pub use gix::ObjectId as Oid;
pub use objects::{Entry, EntryKind, Foreign};
pub use program::{Git, GitError};
pub use repo::Repo;
pub use staged::Staged;
