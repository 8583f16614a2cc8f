//! The only room that knows git: gix for objects, refs and settings; the git program for worktrees, merges and transport.

pub mod distance;
pub mod error;
pub mod objects;
pub mod refs;
pub mod repo;
pub mod settings;

pub use error::RepoError;
pub use gix::ObjectId as Oid;
pub use objects::{Entry, EntryKind};
pub use repo::Repo;
