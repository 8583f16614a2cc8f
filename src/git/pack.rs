//! Packs of one branch's own objects, by `git pack-objects`.
//!
//! Only named commits are packed and only what stands in a sound pack is removed elsewhere: the person's objects, and
//! packs that others made, are never touched, and `git gc` is never run.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::program::{Git, GitError};
use super::{Oid, objects};
use crate::sys::fs;

/// How long one packing may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The files of a pack. Without its index nobody opens the rest.
const PARTS: [&str; 3] = ["idx", "rev", "pack"];

/// The packs of a repository.
#[derive(Debug)]
pub struct Packs<'a> {
    git: &'a Git,
}

impl<'a> Packs<'a> {
    pub fn of(git: &'a Git) -> Self {
        Self { git }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.git.common_dir().join("objects/pack")
    }

    fn part(&self, pack: &str, part: &str) -> PathBuf {
        self.folder().join(format!("pack-{pack}.{part}"))
    }

    pub fn has(&self, pack: &str) -> bool {
        fs::exists(&self.part(pack, "pack")) && fs::exists(&self.part(pack, "idx"))
    }

    /// Whether git keeps a common index of many packs, which names them: none is taken away then.
    pub fn have_common_index(&self) -> bool {
        ["multi-pack-index", "multi-pack-index.d"].iter().any(|n| fs::exists(&self.folder().join(n)))
    }

    /// Whether the person's own `git gc` is at work.
    pub fn are_collected(&self) -> bool {
        super::collecting::is_at_work(self.git.common_dir())
    }

    /// How many commits `tip` has that `without` lacks.
    pub fn count(&self, tip: Oid, without: Option<Oid>) -> Result<u64, GitError> {
        let mut cmd = self.git.cmd().args(["rev-list", "--count"]).arg(tip.to_string());
        cmd = without.iter().fold(cmd, |c, w| c.arg(format!("^{w}")));
        let text = cmd.timeout(Some(PATIENCE)).run()?.text();
        text.parse().map_err(|_| GitError::unreadable("git rev-list --count", text))
    }

    /// Packs what `tip` has and `without` lacks; with `loose_only` no object that stands in a pack already. Gives the pack's
    /// name, or `None` where there was nothing to pack.
    ///
    /// After a crash there is the whole pack or none; a temporary file that is left is removed by the next `git gc`.
    pub fn make(&self, tip: Oid, without: Option<Oid>, loose_only: bool) -> Result<Option<String>, GitError> {
        let mut input = format!("{tip}\n");
        input.extend(without.map(|w| format!("^{w}\n")));
        let mut cmd = self.git.cmd().args(["pack-objects", "-q", "--revs", "--non-empty", "--delta-base-offset"]);
        if loose_only {
            cmd = cmd.args(["--incremental", "--local"]);
        }
        let name = cmd.arg(self.folder().join("pack")).stdin(input).timeout(Some(PATIENCE)).run()?.text();
        Ok(Some(name.trim().to_owned()).filter(|n| !n.is_empty()))
    }

    /// Reads a whole pack and checks every object, then flushes it to the disk: from here on it may stand for others.
    pub fn check_and_sync(&self, pack: &str) -> Result<(), GitError> {
        self.git.cmd().arg("verify-pack").arg("--").arg(self.part(pack, "idx")).timeout(Some(PATIENCE)).run()?;
        for part in ["pack", "idx"] {
            fs::sync_path(&self.part(pack, part))?;
        }
        Ok(fs::sync_path(&self.folder())?)
    }

    /// The objects in a pack.
    pub fn objects(&self, pack: &str) -> Result<HashSet<Oid>, GitError> {
        let index = fs::read(&self.part(pack, "idx"))?;
        let text = self.git.cmd().arg("show-index").stdin(index).timeout(Some(PATIENCE)).run()?.text();
        let parse = |line: &str| line.split(' ').nth(1).and_then(objects::parse_oid);
        let all: Option<HashSet<Oid>> = text.lines().map(parse).collect();
        all.ok_or_else(|| GitError::unreadable("git show-index", "a line without an object"))
    }

    /// Removes the loose copies of these objects. Call it for what stands in a synced pack only. Gives how many there were.
    pub fn remove_loose(&self, oids: &HashSet<Oid>) -> Result<usize, GitError> {
        let mut removed = 0;
        for oid in oids {
            let hex = oid.to_string();
            let path = self.git.common_dir().join("objects").join(&hex[..2]).join(&hex[2..]);
            if fs::exists(&path) {
                fs::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes a pack whose every object stands in another synced one.
    pub fn remove(&self, pack: &str) -> Result<(), GitError> {
        for part in PARTS {
            fs::remove_file(&self.part(pack, part))?;
        }
        Ok(())
    }
}
