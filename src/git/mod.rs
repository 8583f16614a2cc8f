//! The git room: the only user of gix and of the git program.

pub mod history;
pub mod hooks;
pub mod hooks_file;
pub mod index_file;
pub mod index_lock;
pub mod land;
pub mod land_check;
pub mod merge;
pub mod name;
pub mod program;
pub mod push;
pub mod rescue;
pub mod rescue_read;
pub mod scratch;
pub mod slot;
pub mod status;
pub mod worktree;
