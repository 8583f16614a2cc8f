//! A remote without the git program: a bare repository beside the machines, behind a line that may fail.

use std::path::{Path, PathBuf};

use super::plan::Line;
use crate::git::objects::parse_oid;
use crate::git::push::{Remote, RemoteRef, tracking_ref};
use crate::git::refs::RefMove;
use crate::git::{GitError, Oid, Repo, RepoError};
use crate::sys::{clock, random};

/// One machine's way to one remote.
pub struct Way {
    pub here: Repo,
    pub there: Repo,
    pub name: String,
    pub line: Line,
    /// Another machine, which pushes when it can.
    pub rival: Option<PathBuf>,
}

impl Way {
    fn is_down(&self) -> bool {
        self.line == Line::Cut
    }

    /// What another machine has, pushed between our fetch and our push.
    fn let_a_rival_push(&self, name: &str) {
        let Some(rival) =
            self.rival.as_deref().filter(|_| self.line == Line::Rivals && random::bits().is_multiple_of(2))
        else {
            return;
        };
        // A rival that cannot push stays out of the race.
        let _ = Repo::open_alone(&rival.join(".git"), None).and_then(|rival| {
            let (now, its) = (self.there.ref_target(name)?, rival.ref_target(name)?);
            let Some(its) = its else { return Ok(()) };
            self.there.copy_from(&rival, its)?;
            let base = now.and_then(|n| self.there.merge_base(n, its));
            if now.is_none() || base == now { set(&self.there, name, Some(its)) } else { Ok(()) }
        });
    }
}

impl Remote for Way {
    fn bring(&self, branch_ref: &str) -> Result<Result<String, String>, GitError> {
        if self.is_down() {
            return Ok(Err("the line is cut".to_owned()));
        }
        let Ok(Some(tip)) = self.there.ref_target(branch_ref) else { return Ok(Err("no such ref".to_owned())) };
        let ours = tracking_ref(&self.name, branch_ref);
        Ok(match self.here.copy_from(&self.there, tip).and_then(|()| set(&self.here, &ours, Some(tip))) {
            Ok(()) => Ok(tip.to_string()),
            Err(e) => Err(e.to_string()),
        })
    }

    fn send(&self, oid: &str, remote_ref: &str, expected: Option<&str>) -> Result<Result<(), String>, GitError> {
        if self.is_down() {
            return Ok(Err("the line is cut".to_owned()));
        }
        self.let_a_rival_push(remote_ref);
        let send = || -> Result<(), RepoError> {
            let Some(new) = parse_oid(oid) else { return Err(RepoError::NotARepository) };
            self.there.copy_from(&self.here, new)?;
            let old = expected.and_then(parse_oid);
            if self.there.ref_target(remote_ref)? != old {
                return Err(RepoError::Moved { name: remote_ref.to_owned() });
            }
            set(&self.there, remote_ref, Some(new))
        };
        let sent = send().map_err(|e| e.to_string());
        if self.line == Line::NoAnswer {
            return Ok(Err("no answer came".to_owned()));
        }
        Ok(sent)
    }

    fn ask(&self, name: &str) -> Result<RemoteRef, GitError> {
        let unheard = self.line == Line::NoAnswer && random::bits().is_multiple_of(2);
        if self.is_down() || unheard {
            return Ok(RemoteRef::Unreachable("the line is cut".to_owned()));
        }
        Ok(match self.there.ref_target(name) {
            Ok(Some(oid)) => RemoteRef::At(oid.to_string()),
            Ok(None) => RemoteRef::Missing,
            Err(e) => RemoteRef::Unreachable(e.to_string()),
        })
    }

    fn note(&self, remote_ref: &str, oid: &str) -> Result<(), GitError> {
        set(&self.here, &tracking_ref(&self.name, remote_ref), parse_oid(oid))
            .map_err(|e| GitError::Io(std::io::Error::other(e.to_string())))
    }
}

/// Moves a ref to wherever it is to be, as a forced push does.
pub fn set(repo: &Repo, name: &str, to: Option<Oid>) -> Result<(), RepoError> {
    let old = repo.ref_target(name)?;
    match to {
        Some(new) if old == Some(new) => Ok(()),
        Some(new) => {
            let by = repo.author(clock::now_millis() / 1000);
            repo.move_refs(&[RefMove { name: name.to_owned(), new, old }], "simulated", &by, None)
        }
        None => repo.remove_ref(name),
    }
}

/// Opens one of the bare repositories.
pub fn open(path: &Path) -> Result<Repo, RepoError> {
    Repo::open_alone(path, None)
}

/// A remote that cannot even be looked for: the machine has no room for another open file.
pub struct Nowhere;

impl Remote for Nowhere {
    fn bring(&self, _: &str) -> Result<Result<String, String>, GitError> {
        Ok(Err("nothing can be opened".to_owned()))
    }

    fn send(&self, _: &str, _: &str, _: Option<&str>) -> Result<Result<(), String>, GitError> {
        Ok(Err("nothing can be opened".to_owned()))
    }

    fn ask(&self, _: &str) -> Result<RemoteRef, GitError> {
        Ok(RemoteRef::Unreachable("nothing can be opened".to_owned()))
    }

    fn note(&self, _: &str, _: &str) -> Result<(), GitError> {
        Ok(())
    }
}
