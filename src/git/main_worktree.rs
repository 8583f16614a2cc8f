//! Where the main worktree is. git itself does not know where the git directory stands apart from it
//! (`git init --separate-git-dir`): the `.git` file there names the git directory, and nothing names the worktree.

use std::path::{Path, PathBuf};

use super::error::RepoError;
use super::repo::Repo;
use super::settings::Settings;
use crate::sys;

/// Our own memory of it: `core.worktree` would change what git does.
const KEY: &str = "vermas.worktree";

/// The top of the main worktree; `None` for a bare repository, and where it is not known.
pub(super) fn find(git_dir: &Path, common: &Path, here: Option<&Path>, settings: &Settings) -> Option<PathBuf> {
    if let Some(path) = settings.get("core.worktree") {
        return sys::fs::canonicalize(&common.join(path)).ok();
    }
    if settings.get("core.bare").is_some_and(|b| b == "true") {
        return None;
    }
    let around = common.parent().filter(|_| common.file_name().is_some_and(|n| n == ".git"));
    let is_ordinary = around.is_some() && (git_dir != common || here.is_none_or(|h| Some(h) == around));
    if !is_ordinary || settings.get(KEY).is_some() {
        let known = settings.get(KEY).and_then(|path| sys::fs::canonicalize(Path::new(&path)).ok());
        let stood_in = here.filter(|_| git_dir == common).map(Path::to_owned);
        if let Some(top) = known.into_iter().chain(stood_in).find(|top| leads_to(top, common)) {
            return Some(top);
        }
    }
    around.map(Path::to_owned)
}

/// Whether `.git` in a folder is the git directory, or a file or link that names it.
fn leads_to(top: &Path, common: &Path) -> bool {
    let link = top.join(".git");
    let named = match sys::fs::read_to_string(&link) {
        Ok(text) => text.trim_end().strip_prefix("gitdir: ").map(|path| top.join(path)),
        Err(_) => Some(link),
    };
    named.and_then(|n| sys::fs::canonicalize(&n).ok()).is_some_and(|n| n == common)
}

impl Repo {
    /// Whether only the `.git` file of the folder stood in tells where the main worktree is: the others cannot know.
    pub fn must_remember_worktree(&self) -> bool {
        let Some(top) = self.main_worktree() else { return false };
        let is_known = |key: &str| self.settings().get(key).is_some_and(|path| Path::new(&path) == top);
        top.join(".git") != self.common_dir() && self.settings().get("core.worktree").is_none() && !is_known(KEY)
    }

    /// Whether this is a linked worktree of a main one that nobody remembered.
    pub fn has_lost_main_worktree(&self) -> bool {
        self.git_dir() != self.common_dir()
            && self.main_worktree().is_none()
            && self.settings().get("core.bare").is_none_or(|b| b != "true")
    }

    /// Remembers where the main worktree is, for those who stand in linked ones.
    pub fn remember_worktree(&self) -> Result<(), RepoError> {
        let Some(top) = self.main_worktree() else { return Ok(()) };
        let cmd = sys::process::Cmd::new("git").arg("--git-dir").arg(self.common_dir());
        let cmd = cmd.args(["config", "--local", "--replace-all", KEY]).arg(top);
        cmd.run().map(|_| ()).map_err(|e| RepoError::broken("remember the main worktree", e))
    }
}
