//! Finding and opening the repository, once, and what is fixed about it from then on.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::error::RepoError;
use super::loose::Memory;
use super::settings::Settings;
use crate::sys;

/// A repository as this process sees it.
pub struct Repo {
    pub(super) gix: gix::Repository,
    pub(super) memory: RefCell<Memory>,
    settings: Settings,
    common_dir: PathBuf,
    /// Which folder that was when it was opened.
    mark: Option<(u64, u64)>,
    git_dir: PathBuf,
    main_worktree: Option<PathBuf>,
    here: Option<PathBuf>,
}

impl Repo {
    /// Finds the repository of `start` as git would: `GIT_DIR` if it is set, else upwards.
    pub fn discover(start: &Path) -> Result<Self, RepoError> {
        let (git_dir, here) = match sys::env::var_os("GIT_DIR") {
            Some(dir) => {
                let here = sys::env::var_os("GIT_WORK_TREE").map_or_else(|| start.to_owned(), |w| start.join(w));
                (start.join(dir), Some(here))
            }
            None => upwards(start)?,
        };
        Self::open(&git_dir, here)
    }

    /// Opens the repository whose git directory (a linked worktree's too) is given.
    pub fn open(git_dir: &Path, here: Option<PathBuf>) -> Result<Self, RepoError> {
        Self::open_with(git_dir, here, permissions())
    }

    /// Opens a repository as it is by itself: no settings of the person, of the system or of the environment.
    pub fn open_alone(git_dir: &Path, here: Option<PathBuf>) -> Result<Self, RepoError> {
        Self::open_with(git_dir, here, gix::open::Permissions::isolated())
    }

    fn open_with(
        git_dir: &Path,
        here: Option<PathBuf>,
        permissions: gix::open::Permissions,
    ) -> Result<Self, RepoError> {
        // Each fetch may bring a pack while this process runs.
        let slots = gix::odb::store::init::Slots::AsNeededByDiskState { multiplier: 1.5, minimum: 128 };
        let options = gix::open::Options::default()
            .permissions(permissions)
            .lossy_config(true)
            // A commit that somebody replaces for their own eyes is not what the branch holds.
            .config_overrides(["core.useReplaceRefs=false"])
            .open_path_as_is(true)
            .object_store_slots(slots)
            .with(gix::sec::Trust::Full);
        let gix = opened(git_dir, options)?;
        let git_dir = sys::fs::canonicalize(gix.git_dir())?;
        let is_main = gix.common_dir() == gix.git_dir();
        let common_dir = if is_main { git_dir.clone() } else { sys::fs::canonicalize(gix.common_dir())? };
        let settings = Settings::of(&gix);
        let here = here.and_then(|h| sys::fs::canonicalize(&h).ok());
        let main_worktree = super::main_worktree::find(&git_dir, &common_dir, here.as_deref(), &settings);
        let (mark, memory) = (mark_of(&common_dir), RefCell::default());
        Ok(Self { gix, memory, settings, common_dir, mark, git_dir, main_worktree, here })
    }

    /// Makes objects that other processes wrote meanwhile visible, however many packs they came in.
    pub fn refresh_objects(&mut self) {
        self.forget_objects();
        if let Ok(gix) = opened(&self.git_dir, self.gix.open_options().clone()) {
            self.gix = gix;
        }
    }

    /// Whether `git gc` runs here: told to prune at once, it takes what is written and named only after it has looked.
    pub fn is_collecting(&self) -> bool {
        super::collecting::is_at_work(&self.common_dir)
    }

    /// Where objects and refs are: the same for all worktrees of a repository.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Whether the folder that was opened still stands in its place. Of a repository that was moved away another would begin
    /// there, which nobody ever sees: what is made or acknowledged is so only where this holds.
    pub fn be_in_place(&self) -> Result<(), RepoError> {
        if self.mark.is_some() && mark_of(&self.common_dir) == self.mark { Ok(()) } else { Err(RepoError::Gone) }
    }

    /// The git directory of the worktree stood in.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The top of the main worktree; `None` for a bare repository, and where it is not known.
    pub fn main_worktree(&self) -> Option<&Path> {
        self.main_worktree.as_deref()
    }

    /// The top of the worktree stood in, main or linked.
    pub fn here(&self) -> Option<&Path> {
        self.here.as_deref()
    }

    /// The folders in which somebody works on this repository: its own, and the top of each worktree.
    pub fn folders(&self) -> Vec<PathBuf> {
        let linked = self.common_dir.join("worktrees");
        let top = |name: String| {
            let link = sys::fs::read_to_string(&linked.join(name).join("gitdir")).ok()?;
            sys::fs::canonicalize(Path::new(link.trim()).parent()?).ok()
        };
        let linked = sys::fs::list(&linked).unwrap_or_default().into_iter().filter_map(top);
        let known = [Some(self.common_dir.clone()), self.main_worktree.clone(), self.here.clone()];
        known.into_iter().flatten().chain(linked).collect()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether refs are kept in files; other back ends are reached through the git program alone.
    pub fn has_file_refs(&self) -> bool {
        self.settings.get("extensions.refStorage").is_none_or(|s| s == "files")
    }
}

fn mark_of(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    sys::fs::metadata(folder).ok().map(|m| (m.dev(), m.ino()))
}

fn upwards(start: &Path) -> Result<(PathBuf, Option<PathBuf>), RepoError> {
    let (path, trust) = gix::discover::upwards(start).map_err(|_| RepoError::NotARepository)?;
    let (git_dir, here) = path.into_repository_and_work_tree_directories();
    if trust != gix::sec::Trust::Full {
        // Somebody else's directory: git knows whether the person has vouched for it (safe.directory).
        let asked = sys::process::Cmd::new("git").arg("-C").arg(start).args(["rev-parse", "--git-dir"]).output();
        if let Ok(answer) = asked
            && !answer.success()
        {
            return Err(RepoError::Untrusted(answer.stderr_text()));
        }
    }
    Ok((git_dir, here))
}

fn unopened(git_dir: &Path, why: &str) -> RepoError {
    if git_dir.join("HEAD").exists() || git_dir.join("commondir").exists() {
        RepoError::broken(format!("open the repository at {}", git_dir.display()), why)
    } else {
        RepoError::NotARepository
    }
}

fn opened(git_dir: &Path, options: gix::open::Options) -> Result<gix::Repository, RepoError> {
    let opened = gix::ThreadSafeRepository::open_opts(git_dir, options);
    let mut gix = opened.map_err(|e| unopened(git_dir, &e.to_string()))?.to_thread_local();
    gix.object_cache_size_if_unset(1 << 20);
    // Refs are where they are, whatever namespace a server that called us serves.
    gix.clear_namespace();
    gix.objects.set_pack_cache(|| Box::new(super::pack_cache::PackCache::default()));
    Ok(gix)
}

/// Settings of the person and of the system count; variables that bind git to another repository do not.
fn permissions() -> gix::open::Permissions {
    let mut p = gix::open::Permissions::all();
    p.config.git_binary = false;
    p.env.git_prefix = gix::sec::Permission::Allow;
    p.env.objects = gix::sec::Permission::Deny;
    p.attributes = gix::open::permissions::Attributes::isolated();
    p
}
