//! The process environment: reading it, and what of it children must not inherit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables that tell git which repository it is in (`git rev-parse --local-env-vars`, git 2.47). A child that
/// inherits them from a hook works on the wrong repository, so every child is started without them.
pub const GIT_LOCAL: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
];

/// Names the socket of the tmux server on which workers run. Set in a worker's environment, where `TMUX_TMPDIR` leads its
/// own use of tmux elsewhere, so that a command of ours that a worker calls asks the right server.
pub const WORKERS_TMUX: &str = "VERMAS_TMUX";

/// A variable as text; unset, empty and not-Unicode are all `None`.
pub fn var(name: &str) -> Option<String> {
    var_os(name).and_then(|v| v.into_string().ok())
}

/// A variable as the system gives it; unset and empty are `None`.
pub fn var_os(name: &str) -> Option<OsString> {
    if let Some(world) = super::world::entered() {
        return world.var(name);
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one door to the environment")]
    let value = std::env::var_os(name);
    value.filter(|v| !v.is_empty())
}

/// The directory the process stands in.
pub fn current_dir() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// Moves the process to another directory. Only at the start, before a second thread or a path was opened.
pub fn set_current_dir(dir: &Path) -> std::io::Result<()> {
    std::env::set_current_dir(dir)
}

/// The program that runs now, as an absolute path.
pub fn current_exe() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The directories of `PATH`.
pub fn path_dirs() -> Vec<PathBuf> {
    var_os("PATH").map(|p| std::env::split_paths(&p).collect()).unwrap_or_default()
}

/// The names of all variables, sorted; a name that is not Unicode is left out.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    names
}

/// Finds an executable as a shell would: a name with a slash is itself, another is looked for along `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    which_in(program, path_dirs())
}

/// Like [`which`], along other directories than those of our own `PATH`.
pub fn which_in(program: &str, dirs: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let is_executable = |p: &PathBuf| rustix::fs::access(p, rustix::fs::Access::EXEC_OK).is_ok() && p.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_executable);
    }
    dirs.into_iter().map(|d| d.join(program)).find(is_executable)
}
