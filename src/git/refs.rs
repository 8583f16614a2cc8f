//! Refs, moved by compare-and-swap and synced before the new value can be seen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

use super::Oid;
use super::error::RepoError;
use super::objects::Author;
use super::repo::Repo;
use crate::sys;
use crate::sys::world::{Act, point};

/// What is locked, too, where refs are packed.
pub const PACKED: &str = "packed-refs";
/// How long another process may hold a ref's lock before we say so.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A wish to move one ref.
#[derive(Debug, Clone)]
pub struct RefMove {
    /// The full name, `refs/heads/…`.
    pub name: String,
    pub new: Oid,
    /// What it must be now; `None`: it must not exist.
    pub old: Option<Oid>,
}

impl Repo {
    /// What a ref points at; `None` where there is no such ref.
    pub fn ref_target(&self, name: &str) -> Result<Option<Oid>, RepoError> {
        if !self.has_file_refs() {
            return self.ref_by_program(name);
        }
        let found = self.gix.try_find_reference(name).map_err(|e| RepoError::broken(format!("read {name}"), e))?;
        let Some(mut found) = found else { return Ok(None) };
        // Ours point at commits directly: nothing of the object database is touched for them.
        if let Some(id) = found.target().try_id() {
            return Ok(Some(id.to_owned()));
        }
        let id = found.peel_to_id().map_err(|e| RepoError::broken(format!("read {name}"), e))?;
        Ok(Some(id.detach()))
    }

    /// Whether the file of a ref that cannot be followed was read and names no commit: emptied by a power cut, or garbled. A
    /// file that cannot be read is an error.
    pub fn is_garbled(&self, name: &str) -> Result<bool, RepoError> {
        let path = self.loose_ref_path(name);
        if !self.has_file_refs() || !sys::fs::exists(&path) {
            return Ok(false);
        }
        sys::fs::check_readable(&path)?;
        let text = sys::fs::read(&path).unwrap_or_default();
        Ok(super::objects::parse_oid(&String::from_utf8_lossy(&text)).is_none())
    }

    /// What a ref points at by name, where it is none that holds a commit itself.
    pub fn symbolic_target(&self, name: &str) -> Option<String> {
        if !self.has_file_refs() {
            let cmd = sys::process::Cmd::new("git").arg("--git-dir").arg(self.common_dir());
            let out = cmd.args(["symbolic-ref", "-q", name]).output().ok()?;
            return Some(out.text()).filter(|_| out.success());
        }
        let found = self.gix.try_find_reference(name).ok()??;
        found.target().try_name().map(|n| n.as_bstr().to_string())
    }

    fn ref_by_program(&self, name: &str) -> Result<Option<Oid>, RepoError> {
        let ask = |args: &[&str]| {
            let cmd = sys::process::Cmd::new("git").arg("--git-dir").arg(self.common_dir()).args(args).arg(name);
            cmd.output().map_err(|e| RepoError::broken(format!("read {name}"), e))
        };
        let found = ask(&["rev-parse", "--verify", "-q", "--end-of-options"])?;
        if let Some(oid) = super::objects::parse_oid(&found.text()).filter(|_| found.success()) {
            return Ok(Some(oid));
        }
        // It says the same of a ref that is not there and of one that it cannot look up.
        let there = ask(&["show-ref", "--exists"])?;
        match there.code {
            Some(2) => Ok(None),
            _ if self.symbolic_target(name).is_some() => {
                let other = self.symbolic_target(name).unwrap_or_default();
                Err(RepoError::broken(format!("read {name}"), format!("it stands for {other}, which is not there")))
            }
            _ => Err(RepoError::broken(format!("read {name}"), there.stderr_text())),
        }
    }

    /// Moves refs together. After a crash each holds its old value or its new one, and the new one is synced.
    ///
    /// A ref that is not where it was expected gives [`RepoError::Moved`]: the caller reads it again and decides anew.
    ///
    /// `note` is synced before the first ref moves, in one go with the locks.
    pub fn move_refs(
        &self,
        moves: &[RefMove],
        message: &str,
        by: &Author,
        note: Option<&Path>,
    ) -> Result<(), RepoError> {
        self.be_in_place()?;
        if !self.has_file_refs() {
            return self.move_by_program(moves, message);
        }
        let mut edits = Vec::with_capacity(moves.len());
        for m in moves {
            edits.push(edit(m, message)?);
        }
        if let Some(first) = moves.first() {
            point(Act::Ref, &self.lock_path(&first.name))?;
        }
        let fail = gix::lock::acquire::Fail::AfterDurationWithBackoff(LOCK_WAIT);
        let prepared = match self.gix.refs.transaction().prepare(edits, fail, fail) {
            Ok(prepared) => prepared,
            Err(e) => {
                return match self.why_not_moved(moves, &e.to_string()) {
                    // Of the packed ones nothing is to change: git moves a loose one whoever holds that lock.
                    RepoError::Locked { name, .. } if name == PACKED => self.move_by_program(moves, message),
                    why => Err(why),
                };
            }
        };
        // A ref that already has its value needs no lock file.
        let locks = moves.iter().map(|m| self.lock_path(&m.name));
        sys::fs::sync_paths(&note.map(Path::to_owned).into_iter().chain(locks).collect::<Vec<_>>())?;
        // It took its time, and the reflog would be begun anew.
        self.be_in_place()?;
        let time = format!("{} +0000", by.seconds);
        let who =
            gix::actor::SignatureRef { name: by.name.as_str().into(), email: by.email.as_str().into(), time: &time };
        prepared.commit(who).map_err(|e| self.why_not_moved(moves, &e.to_string()))?;
        Ok(())
    }

    /// The race is judged by reading the refs again, never by the text of an error.
    fn why_not_moved(&self, moves: &[RefMove], text: &str) -> RepoError {
        for m in moves {
            match self.ref_target(&m.name) {
                Ok(now) if now != m.old => return RepoError::Moved { name: m.name.clone() },
                _ => {}
            }
            for name in [m.name.as_str(), PACKED] {
                let lock = self.lock_path(name);
                if sys::fs::exists(&lock) {
                    return RepoError::Locked { name: name.to_owned(), path: lock.display().to_string() };
                }
            }
            if let Some(other) = self.symbolic_target(&m.name) {
                let why =
                    format!("{} stands for {other}, and would move it; git symbolic-ref -d takes that away", m.name);
                return RepoError::broken("move the state branch", why);
            }
            if let Some(other) = self.in_the_way(&m.name) {
                return RepoError::InTheWay { name: m.name.clone(), other };
            }
        }
        RepoError::broken("move the state branch", text)
    }

    fn move_by_program(&self, moves: &[RefMove], message: &str) -> Result<(), RepoError> {
        let mut script = String::from("start\n");
        for m in moves {
            let old = m.old.unwrap_or_else(|| Oid::null(self.gix.object_hash()));
            script.push_str(&format!("update {} {} {old}\n", m.name, m.new));
        }
        script.push_str("prepare\ncommit\n");
        let out = sys::process::Cmd::new("git")
            .arg("--git-dir")
            .arg(self.common_dir())
            .args(["-c", "core.hooksPath=/dev/null", "update-ref", "--no-deref", "-m", message, "--stdin"])
            .stdin(script)
            .output()
            .map_err(|e| RepoError::broken("move the state branch", e))?;
        if out.success() { Ok(()) } else { Err(self.why_not_moved(moves, &out.stderr_text())) }
    }

    /// Removes a ref whatever it points at; one that is not there is no error.
    pub fn remove_ref(&self, name: &str) -> Result<(), RepoError> {
        point(Act::Ref, &self.loose_ref_path(name))?;
        if !self.has_file_refs() {
            let cmd = sys::process::Cmd::new("git").arg("--git-dir").arg(self.common_dir());
            let out = cmd.args(["update-ref", "--no-deref", "-d", name]).output();
            return out.map(|_| ()).map_err(|e| RepoError::broken("remove a ref", e));
        }
        let name: FullName = name.try_into().map_err(|e| RepoError::broken("name a ref", e))?;
        let change = Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference };
        self.gix
            .edit_reference(RefEdit { change, name, deref: false })
            .map(|_| ())
            .map_err(|e| RepoError::broken("remove a ref", e))
    }

    /// Another ref because of which this one cannot be: its name is the beginning of this one's, or begins with it.
    pub fn in_the_way(&self, name: &str) -> Option<String> {
        let above = name.match_indices('/').map(|(at, _)| &name[..at]).filter(|n| n.matches('/').count() > 1);
        let mut above = above.filter(|n| self.ref_target(n).is_ok_and(|t| t.is_some()));
        above.next().map(str::to_owned).or_else(|| {
            let refs = self.gix.references().ok()?;
            let mut below = refs.prefixed(format!("{name}/").as_str()).ok()?;
            below.find_map(Result::ok).map(|r| r.name().as_bstr().to_string())
        })
    }

    /// The file in which a loose ref is kept.
    pub fn loose_ref_path(&self, name: &str) -> PathBuf {
        self.common_dir().join(name)
    }

    /// The lock file beside it.
    pub fn lock_path(&self, name: &str) -> PathBuf {
        self.common_dir().join(format!("{name}.lock"))
    }

    /// Values a ref had, newest first, from its reflog.
    pub fn reflog(&self, name: &str) -> Result<Vec<Oid>, RepoError> {
        let path = self.common_dir().join("logs").join(name);
        sys::fs::check_readable(&path)?;
        let text = sys::fs::read_to_string(&path).unwrap_or_default();
        let mut all: Vec<Oid> =
            text.lines().filter_map(|l| l.split(' ').nth(1)).filter_map(super::objects::parse_oid).collect();
        all.reverse();
        Ok(all)
    }
}

fn edit(m: &RefMove, message: &str) -> Result<RefEdit, RepoError> {
    let name: FullName = m.name.as_str().try_into().map_err(|e| RepoError::broken("name a ref", e))?;
    let line = message.lines().next().unwrap_or_default();
    let expected = m.old.map_or(PreviousValue::MustNotExist, |o| PreviousValue::MustExistAndMatch(Target::Object(o)));
    Ok(RefEdit {
        change: Change::Update {
            log: LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: line.into() },
            expected,
            new: Target::Object(m.new),
        },
        name,
        deref: false,
    })
}
