//! Setting a repository up: the branch, `.work/`, and what keeps both out of the person's way.

use super::error::{Result, StoreError};
use super::open::Store;
use super::places::Places;
use super::replica;
use crate::domain::Refusal;
use crate::git::objects::{Author, CommitInfo};
use crate::git::refs::RefMove;
use crate::git::{EntryKind, Oid, Repo, RepoError};
use crate::sys::fs;

/// The date of the first commit of every state branch, in seconds since the epoch: 2026-01-01T00:00:00Z.
const ROOT_DATE: i64 = 1_767_225_600;
/// Its message.
const ROOT_MESSAGE: &str = "vermas: begin\n";

/// `.gitattributes` on the branch: bytes stay as they are, segments join by lines, projections through our driver.
pub(super) const ATTRIBUTES: &[u8] = b"* -text\nevents/** merge=union\nwork_orders.jsonl merge=vermas\n\
    messages.jsonl merge=vermas\n.assignment-* merge=vermas\n";

/// The same as states began with that know no driver for assignments; nobody's own text.
pub(super) const EARLIER_ATTRIBUTES: &[u8] =
    b"* -text\nevents/** merge=union\nwork_orders.jsonl merge=vermas\nmessages.jsonl merge=vermas\n";

/// Workflow templates that a new state begins with.
const TEMPLATES: &[(&str, &str)] = &[
    ("templates/feature.toml", include_str!("../../templates/feature.toml")),
    ("templates/bugfix.toml", include_str!("../../templates/bugfix.toml")),
];

/// The team's settings of a new state.
const CONFIG: &str = include_str!("../../templates/config.toml");

/// What [`init`] found and made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitReport {
    /// One line for each thing made; empty where everything was there.
    pub made: Vec<String>,
    /// The commit of the remote's state branch that was taken over.
    pub adopted: Option<Oid>,
    pub branch: String,
    pub replica: String,
}

/// The first commit, the same on every machine: an empty tree, a fixed author, a fixed date.
pub(super) fn root_commit(repo: &Repo) -> Result<Oid> {
    let tree = repo.write_tree(&[])?;
    Ok(repo.write_commit(tree, &[], ROOT_MESSAGE, &root_author())?)
}

fn root_author() -> Author {
    Author { name: "vermas".to_owned(), email: "vermas@localhost".to_owned(), seconds: ROOT_DATE }
}

/// Sets up the state of a repository, or completes what is missing of it. `remote` is the tip of the remote's state
/// branch, where it has one and ours is not made yet.
///
/// Running it again changes nothing. After a crash, running it again completes it.
pub fn init(repo: Repo, remote: Option<Oid>) -> Result<(Store, InitReport)> {
    check_room(&repo)?;
    let mut store = Store::unopened(repo);
    match (store.repo.ref_target(&store.places.state_ref).unwrap_or_default(), remote) {
        (Some(tip), _) => store.refuse_code(tip)?,
        (None, Some(theirs)) if !super::tree::is_state(&store.repo, theirs)? => {
            let branch = store.places.branch();
            let refusal = Refusal::state(format!("the remote's branch {branch} holds no state, but something else"));
            return Err(refusal.hint("name another for it: git vermas config set vermas.branch NAME").into());
        }
        _ => {}
    }
    let mut report = InitReport { branch: store.places.branch().to_owned(), ..InitReport::default() };
    let places = store.places.clone();
    let mut made = |there: bool, what: String| {
        if !there {
            report.made.push(what);
        }
    };
    made(
        fs::exists(&places.private),
        "vermas/ under the git directory: locks, cache and logs of this machine".to_owned(),
    );
    fs::create_private_dir(&places.private).map_err(StoreError::io("make the private folder"))?;
    let there = fs::exists(&places.replica());
    let id = replica::current(&places)?;
    made(there, format!("replica id {id}"));
    let tip = store.repo.ref_target(&places.state_ref)?;
    if tip.is_none() {
        let _lock = store.lock_publishing()?;
        if let Some(oid) = remote {
            store.check_tip(oid, None)?;
        }
        let (new, what) = match remote {
            Some(oid) => (oid, format!("branch {}, taken over from the remote", places.branch())),
            None => (root_commit(&store.repo)?, format!("branch {}", places.branch())),
        };
        store.repo.sync_objects(&[new])?;
        let state = RefMove { name: places.state_ref.clone(), new, old: None };
        store.reclaim_locks()?;
        store.move_refs_noted(&[state], "vermas: init")?;
        made(false, what);
    }
    if store.repo.must_remember_worktree() {
        store.move_to_worktree()?;
        made(false, "vermas.worktree in git config: where .work is, for linked worktrees".to_owned());
    }
    made(
        fs::exists(&places.work),
        format!("{}/: the live state that all implementations share", shown(&store, &places.work)),
    );
    for line in exclude(&store.repo, &places)? {
        made(false, format!("'{line}' in info/exclude"));
    }
    report.adopted = remote.filter(|_| tip.is_none());
    report.replica = id;
    if let Some(tip) = store.repo.ref_target(&places.state_ref)? {
        store.take_over_files(tip)?;
    }
    // Opens everything, takes in the branch, and writes the projections.
    store.with_state(|tx| {
        if tx.rebuilt || tx.restored.log_was_gone {
            tx.take_in_texts()?;
        }
        tx.finish().map(|_| ())
    })?;
    for path in [places.feed(), places.log()] {
        fs::open_append_shared(&path).map_err(StoreError::io("make a file of .work"))?;
    }
    if tip.is_none() && remote.is_none() {
        for (path, text) in TEMPLATES.iter().chain(&[("config.toml", CONFIG)]) {
            let file = places.work.join(path);
            if !fs::exists(&file) {
                fs::create_dir_all(&places.templates()).map_err(StoreError::io("make the templates"))?;
                fs::replace_synced(&file, text.as_bytes()).map_err(StoreError::io("write a template"))?;
            }
        }
    }
    let _lock = store.lock_publishing()?;
    store.publish_locked(true)?;
    Ok((store, report))
}

impl Store {
    /// A branch on which another program keeps its files as they are, and no segments: where `.work` has none yet they are put
    /// there, to be taken in like all that others leave there.
    fn take_over_files(&self, tip: Oid) -> Result<()> {
        let tree = self.repo.commit(tip)?.tree;
        if !super::branch::segments_of(&self.repo, tree)?.is_empty() {
            return Ok(());
        }
        let is_one = |name: &str| {
            ["events.jsonl", "work_orders.jsonl", "messages.jsonl"].contains(&name) || name.starts_with(".assignment-")
        };
        for e in self.repo.tree(tree)?.iter().filter(|e| e.kind == EntryKind::File && is_one(&e.name)) {
            let file = self.places.work.join(&e.name);
            if !fs::exists(&file) {
                self.places.make_work()?;
                let mut bytes = self.repo.blob(e.oid)?;
                if !bytes.ends_with(b"\n") {
                    bytes.push(b'\n');
                }
                fs::replace_synced(&file, &bytes).map_err(StoreError::io(format!("write .work/{}", e.name)))?;
            }
        }
        Ok(())
    }

    /// Remembers the main worktree that is stood in, and brings there what stands in the git directory from the time when it
    /// was not known.
    pub(super) fn move_to_worktree(&self) -> Result<()> {
        let _lock = self.lock_state()?;
        let top = self.repo.main_worktree().unwrap_or_else(|| self.repo.common_dir());
        if let Ok(work) = self.places.work.strip_prefix(top) {
            let old = self.repo.common_dir().join(work);
            if fs::exists(&old.join("events.jsonl")) && !fs::exists(&self.places.work) {
                // On another disk it stays, and everything recorded is put back from the pinned log.
                let _ = fs::rename(&old, &self.places.work);
            }
        }
        exclude(&self.repo, &self.places)?;
        Ok(self.repo.remember_worktree()?)
    }
}

/// Whether a state can be made here, as far as that is seen before anything is written.
pub fn check_room(repo: &Repo) -> Result<()> {
    let places = Places::of(repo);
    places.check()?;
    let taken =
        [places.state_ref.as_str(), Places::BACKUP_REF].into_iter().find_map(|n| Some((n, repo.in_the_way(n)?)));
    taken.map_or(Ok(()), |(name, other)| Err(RepoError::InTheWay { name: name.to_owned(), other }.into()))
}

fn shown(store: &Store, path: &std::path::Path) -> String {
    let top = store.repo.main_worktree().unwrap_or_else(|| store.repo.common_dir());
    path.strip_prefix(top).unwrap_or(path).display().to_string()
}

/// The lines that info/exclude lacks to keep our folders out of the person's `git status`, and what it holds now.
fn not_excluded(repo: &Repo, places: &Places) -> Result<(Vec<String>, String)> {
    let Some(top) = repo.main_worktree() else { return Ok((Vec::new(), String::new())) };
    let lines = [&places.work, &places.workers]
        .into_iter()
        .filter_map(|p| p.strip_prefix(top).ok())
        .map(|p| format!("/{}/", p.display()))
        .collect::<Vec<_>>();
    let path = repo.common_dir().join("info").join("exclude");
    let old = fs::read_if_there(&path).map_err(StoreError::io("read info/exclude"))?.unwrap_or_default();
    let old = String::from_utf8_lossy(&old).into_owned();
    let missing = lines.into_iter().filter(|l| !old.lines().any(|o| o == l)).collect();
    Ok((missing, old))
}

/// The lines that info/exclude lacks.
pub fn missing_excludes(repo: &Repo, places: &Places) -> Result<Vec<String>> {
    not_excluded(repo, places).map(|(missing, _)| missing)
}

/// Keeps our folders out of the person's `git status`. Gives the lines added; never touches `.gitignore`.
fn exclude(repo: &Repo, places: &Places) -> Result<Vec<String>> {
    let (missing, old) = not_excluded(repo, places)?;
    let path = repo.common_dir().join("info").join("exclude");
    if !missing.is_empty() {
        let mut new = old;
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(&missing.iter().map(|l| format!("{l}\n")).collect::<String>());
        fs::create_dir_all(&repo.common_dir().join("info")).map_err(StoreError::io("write info/exclude"))?;
        fs::replace_synced(&path, new.as_bytes()).map_err(StoreError::io("write info/exclude"))?;
    }
    Ok(missing)
}

/// Whether a commit is the one that every state branch begins with.
pub fn is_root(repo: &Repo, commit: &CommitInfo) -> bool {
    commit.parents.is_empty()
        && commit.tree == repo.empty_tree()
        && commit.author == root_author()
        && commit.message.trim_end() == ROOT_MESSAGE.trim_end()
}
