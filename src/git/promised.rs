//! Objects that a partial clone has left with its remote until somebody asks for them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::name::check_remote;
use super::objects::parse_oid;
use super::{Git, Oid, Repo, RepoError};

/// How long they are waited for.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

impl Repo {
    /// The remote that holds what is not here; `None` where the clone is not partial.
    fn promisor(&self) -> Option<String> {
        self.settings().promisor().filter(|name| check_remote(name).is_ok())
    }

    /// Brings those of these objects that were left with the remote, all in one go. Where it cannot be reached they stay
    /// there, and whoever reads one says that it is not here.
    pub fn want(&self, objects: impl IntoIterator<Item = Oid>) {
        let Some(remote) = self.promisor() else { return };
        let missing: BTreeSet<Oid> = objects.into_iter().filter(|oid| !self.has_object(*oid)).collect();
        if missing.is_empty() {
            return;
        }
        let list: String = missing.iter().map(|oid| format!("{oid}\n")).collect();
        let fetch = Git::new(self.common_dir())
            .cmd()
            .args(["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-write-fetch-head", "--no-tags"])
            .args(["--no-recurse-submodules", "--no-auto-maintenance", "--no-write-commit-graph", "--refmap="])
            .args(["--filter=blob:none", "--stdin", "--end-of-options", &remote]);
        let _ = fetch.stdin(list).timeout(Some(FETCH_TIMEOUT)).output();
    }

    /// Whether the clone leaves objects with a remote.
    pub fn is_partial(&self) -> bool {
        self.promisor().is_some()
    }

    /// Fails where something that a commit names was left with the remote, and cannot be had now: that is no fault of the
    /// commit.
    pub fn check_promised(&self, commit: Oid) -> Result<(), RepoError> {
        let Some(remote) = self.promisor() else { return Ok(()) };
        let name = commit.to_string();
        let walk = ["rev-list", "--objects", "--no-walk", "--missing=print", "--end-of-options", &name, "--"];
        let listed = Git::new(self.common_dir()).cmd().args(walk).output();
        let listed = listed.map_err(|e| RepoError::broken(format!("read what {commit} holds"), e))?.text();
        match listed.lines().find_map(|l| parse_oid(l.strip_prefix('?')?)) {
            Some(object) => {
                let why = format!("this partial clone left it with {remote}, which cannot be reached");
                Err(RepoError::broken(format!("read the object {object}"), why))
            }
            None => Ok(()),
        }
    }
}
