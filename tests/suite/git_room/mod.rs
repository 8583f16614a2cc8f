//! The git room against real git, in temporary directories with no configuration but their own.

mod history;
mod hooks;
mod land;
mod merge;
mod push;
mod rescue;
mod shims;
mod support;
mod worktree;
