//! Who asks, and the state they ask about.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::{Again, Fault, Kind};
use crate::domain::{AgentId, OrderId, RefId, Refusal, Why};
use crate::git::push::{Asking, Configured, Remote};
use crate::git::{Repo, RepoError};
use crate::store::{Done, Store, StoreError, Tx, View};
use crate::sys::env;

/// The slots a factory has where nothing else is set.
pub const DEFAULT_SLOTS: u32 = 5;

/// An open state and the agent on whose behalf things happen.
pub struct Session {
    pub store: Store,
    pub actor: AgentId,
    warnings: Vec<String>,
    remotes: Option<Remotes>,
}

/// Another way to remotes than the git program, by their names.
pub type Remotes = Rc<dyn Fn(&str) -> Rc<dyn Remote>>;

impl Session {
    /// Opens the state of the repository stood in. `identity` is what `--as` said.
    pub fn open(identity: Option<&str>) -> Result<Self, Fault> {
        let repo = repository()?;
        let store = Store::open(repo)?;
        Self::with_store(store, identity)
    }

    pub fn with_store(store: Store, identity: Option<&str>) -> Result<Self, Fault> {
        let actor = identity_of(&store, identity)?;
        Ok(Self { store, actor, warnings: Vec::new(), remotes: None })
    }

    pub fn view(&mut self) -> Result<View<'_>, Fault> {
        Ok(self.store.view()?)
    }

    /// Runs a decision and records what it adds; see [`Store::write`].
    pub fn write<T>(&mut self, decide: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        Ok(self.write_noted(decide)?.value)
    }

    /// Like [`Self::write`], with the ids of the events.
    pub fn write_noted<T>(&mut self, decide: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>) -> Result<Done<T>, Fault> {
        let mut done = self.store.write(decide)?;
        HAS_WRITTEN.store(true, Ordering::Relaxed);
        self.warnings.append(&mut done.warnings);
        super::packing::start_if_due(&mut self.store);
        Ok(done)
    }

    /// Keeps a word for the person until the result is shown.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// What the person should be told beside the result, once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let mut all = std::mem::take(&mut self.warnings);
        all.append(&mut self.store.take_warnings());
        all
    }

    /// The git program on this repository.
    pub fn git(&self) -> crate::git::Git {
        git_of(self.store.repo())
    }

    /// From now on remotes are reached this way.
    #[must_use]
    pub fn with_remotes(mut self, remotes: Remotes) -> Self {
        self.remotes = Some(remotes);
        self
    }

    /// A configured remote.
    pub fn remote(&self, name: &str, asking: Asking) -> Rc<dyn Remote> {
        match &self.remotes {
            Some(way) => way(name),
            None => Rc::new(Configured::new(&self.git(), name, asking)),
        }
    }

    pub fn setting(&self, key: &str) -> Option<String> {
        self.store.repo().settings().get(key)
    }

    pub fn factory(&self) -> &str {
        &self.store.places().factory
    }

    pub fn slots(&self) -> u32 {
        self.setting("vermas.slots").and_then(|s| s.trim().parse().ok()).unwrap_or(DEFAULT_SLOTS)
    }

    /// The work order that an abbreviation means.
    pub fn order_id(&mut self, text: &str) -> Result<OrderId, Fault> {
        Ok(self.store.find_order(text)?)
    }

    pub fn message_id(&mut self, text: &str) -> Result<RefId, Fault> {
        Ok(self.store.find_message(text)?)
    }

    /// An agent as a person writes it: in full, or `slot0`, `supervisor`, `qa` of this factory.
    pub fn agent_id(&self, text: &str) -> Result<AgentId, Fault> {
        Ok(agent_of(self.factory(), text)?)
    }
}

fn agent_of(factory: &str, text: &str) -> Result<AgentId, crate::domain::id::BadId> {
    let number = text.strip_prefix("slot").unwrap_or(text);
    if number.bytes().all(|b| b.is_ascii_digit())
        && let Ok(n) = number.parse::<u32>()
    {
        return Ok(AgentId::worker(factory, n));
    }
    match text {
        "supervisor" => Ok(AgentId::supervisor(factory)),
        "qa" => Ok(AgentId::qa(factory)),
        other => other.parse(),
    }
}

/// The git program on a repository.
pub fn git_of(repo: &Repo) -> crate::git::Git {
    let git = crate::git::Git::new(repo.common_dir());
    match repo.main_worktree() {
        Some(top) => git.with_work_tree(top),
        None => git,
    }
}

/// Whether this process has come to the end of a change.
static HAS_WRITTEN: AtomicBool = AtomicBool::new(false);

/// Throws a broken cache away. Gives whether what failed for it can be run again: nothing was changed yet.
pub fn may_go_again(fault: &Fault) -> bool {
    let drop = || -> Result<(), Fault> { Ok(Store::open(repository()?)?.drop_cache()?) };
    let is_mended = fault.again == Again::Yes || (fault.again == Again::WithoutCache && drop().is_ok());
    is_mended && !HAS_WRITTEN.load(Ordering::Relaxed)
}

/// The repository stood in, found as git finds it.
pub fn repository() -> Result<Repo, Fault> {
    Ok(Repo::discover(&env::current_dir()?)?)
}

/// `--as`, else `AGENT_ID`, else the worker in whose worktree we stand, else the setting, else the ceo.
fn identity_of(store: &Store, given: Option<&str>) -> Result<AgentId, Fault> {
    let factory = &store.places().factory;
    let named = |from: &str, name: &str| agent_of(factory, name).map_err(|e| Fault::usage(format!("{from}: {e}")));
    if let Some(name) = given {
        return named("--as", name);
    }
    if let Some(name) = env::var("AGENT_ID") {
        return named("AGENT_ID", &name);
    }
    if let Some(slot) = store.repo().here().and_then(|h| slot_of(store, h)) {
        return Ok(AgentId::worker(factory, slot));
    }
    match store.repo().settings().get("vermas.identity") {
        Some(name) => named("git config vermas.identity", &name),
        None => Ok(AgentId::ceo()),
    }
}

/// The slot whose worktree this is.
fn slot_of(store: &Store, here: &Path) -> Option<u32> {
    if store.repo().git_dir() == store.repo().common_dir() {
        // The main worktree is nobody's slot.
        return None;
    }
    let workers = crate::sys::fs::canonicalize(&store.places().workers).ok()?;
    let name = here.strip_prefix(workers).ok()?.to_str()?;
    name.strip_prefix("slot")?.parse().ok()
}

impl From<Refusal> for Fault {
    fn from(r: Refusal) -> Self {
        let kind = match r.why {
            Why::Usage => Kind::Usage,
            Why::NotFound => Kind::NotFound,
            Why::NotPermitted => Kind::NotPermitted,
            Why::Conflict => Kind::Conflict,
            Why::State => Kind::Failed,
        };
        r.hints.into_iter().fold(Self::new(kind, r.message), Self::hint)
    }
}

impl From<crate::domain::id::BadId> for Fault {
    fn from(e: crate::domain::id::BadId) -> Self {
        Self::usage(e.to_string())
    }
}

impl From<RepoError> for Fault {
    fn from(e: RepoError) -> Self {
        match e {
            RepoError::NotARepository | RepoError::Untrusted(_) => Self::git(e.to_string()),
            RepoError::Gone => Self::failed(e.to_string()).hint("run it again where the repository stands now"),
            RepoError::Io(e) => e.into(),
            RepoError::Locked { .. } => Self::failed(e.to_string())
                .hint("if no git command runs here any more, that file was left by one that was killed: look at it, then move it away"),
            RepoError::InTheWay { ref other, .. } => {
                let hint = format!("rename it: git branch -m {} ANOTHER-NAME", other.trim_start_matches("refs/heads/"));
                Self::failed(e.to_string()).hint(hint)
            }
            other => Self::failed(other.to_string()).hint("git vermas doctor"),
        }
    }
}

impl From<crate::git::GitError> for Fault {
    fn from(e: crate::git::GitError) -> Self {
        Self::failed(e.to_string())
    }
}

impl From<crate::agents::AgentError> for Fault {
    fn from(e: crate::agents::AgentError) -> Self {
        match e {
            crate::agents::AgentError::Unknown { .. } => Self::not_found(e.to_string()),
            _ => Self::failed(e.to_string()),
        }
    }
}

impl From<crate::launch::LaunchError> for Fault {
    fn from(e: crate::launch::LaunchError) -> Self {
        Self::failed(e.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(e: StoreError) -> Self {
        let text = e.to_string();
        match e {
            StoreError::NotInitialised => Self::failed(text).hint("git vermas init"),
            StoreError::Repo(e) => e.into(),
            StoreError::Refused(r) => r.into(),
            StoreError::Unwritable(_) => {
                Self::failed(text).hint("what is recorded can be read; make room, or let it be written to")
            }
            StoreError::Past => {
                Self::usage(text).hint("a command that changes something works on the present: leave --at away")
            }
            StoreError::Io { source, .. } => {
                let plain: Self = source.into();
                plain.hints.into_iter().fold(Self::failed(text), Self::hint)
            }
            // How to get on is left out: to run it again may do it twice.
            StoreError::Unknown { about, .. } => {
                let look = about.map_or("events tail".to_owned(), |order| format!("wo show {order} --history"));
                Self::new(Kind::Unknown, text)
                    .hint(format!("look before you try again: where it was done it is shown by git vermas {look}"))
            }
            StoreError::Cache { .. } if e.is_full_disk() => crate::sys::fs::no_room().into(),
            StoreError::Cache { .. } => {
                let again = if e.is_spoiled_cache() { Again::WithoutCache } else { Again::Yes };
                Self { again, ..Self::failed(text).hint("git vermas rebuild") }
            }
            StoreError::TooMuch { .. } => Self::failed(text)
                .hint("nothing of it was taken over; the branch it comes from is to be put back to a commit before it"),
            StoreError::Rewritten => Self::failed(text).hint("read it anew: git vermas rebuild"),
            StoreError::Raced => Self::failed(text).hint("nothing is lost; try again"),
            StoreError::Busy { .. } => Self::failed(text).hint("see what runs: git vermas doctor"),
        }
    }
}
