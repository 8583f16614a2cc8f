//! Blobs, trees and commits, through gix.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use gix::bstr::ByteSlice;
use gix::objs::tree::{EntryKind as TreeKind, EntryMode};
use gix::objs::{Kind, WriteTo};

use super::Oid;
use super::error::RepoError;
use super::repo::Repo;
use crate::sys;

/// The largest blob that is read from a state branch, in bytes: looked at before the contents are.
pub const LARGEST_BLOB: u64 = 64 << 20;
/// The same for a tree, which takes several times its size when it is taken apart.
const LARGEST_TREE: u64 = 16 << 20;
/// The same for a commit: its message may be anything.
const LARGEST_COMMIT: u64 = 16 << 20;

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Tree,
    /// Never taken from a state branch, and left there as it is.
    Other(Foreign),
}

/// What has no place in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    Executable,
    Link,
    Submodule,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
    pub oid: Oid,
}

/// Who wrote a commit and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub email: String,
    /// Seconds since the epoch.
    pub seconds: i64,
}

/// A commit's parts.
#[derive(Debug, Clone)]
pub struct CommitInfo {
    pub tree: Oid,
    pub parents: Vec<Oid>,
    pub message: String,
    pub author: Author,
}

impl Repo {
    /// A blob's bytes. One that is larger than [`LARGEST_BLOB`] is refused before it is unpacked.
    pub fn blob(&self, oid: Oid) -> Result<Vec<u8>, RepoError> {
        if let Some(bytes) = self.small(oid, Kind::Blob) {
            return Ok(bytes);
        }
        if self.check_blob(oid).is_err() {
            self.want([oid]);
            self.check_blob(oid)?;
        }
        let mut blob = self.gix.find_blob(oid).map_err(|e| RepoError::broken(format!("read the file {oid}"), e))?;
        Ok(blob.take_data())
    }

    /// The size of a file.
    pub fn blob_size(&self, oid: Oid) -> Result<u64, RepoError> {
        let header = self.gix.find_header(oid).map_err(|e| RepoError::broken(format!("read the file {oid}"), e))?;
        Ok(header.size())
    }

    /// Whether [`Self::blob`] would give this one: it is there and not too large. Its contents are not looked at. Gives its
    /// size.
    pub fn check_blob(&self, oid: Oid) -> Result<u64, RepoError> {
        self.check_size(oid, LARGEST_BLOB, || format!("read the file {oid}"))
    }

    pub(super) fn check_size(&self, oid: Oid, most: u64, what: impl Fn() -> String) -> Result<u64, RepoError> {
        let header = self.gix.find_header(oid).map_err(|e| RepoError::broken(what(), e))?;
        if header.size() > most {
            return Err(RepoError::broken(what(), format!("it has {} bytes", header.size())));
        }
        Ok(header.size())
    }

    /// A tree's entries, in git's order. What git itself would not check out is left out (a name twice, `.git`, `..`, one
    /// with a slash), and so is a name that is no UTF-8: none of ours is, and a tree of ours that named it would be refused
    /// by every remote that looks.
    pub fn tree(&self, oid: Oid) -> Result<Vec<Entry>, RepoError> {
        if oid == self.empty_tree() {
            return Ok(Vec::new());
        }
        let what = || format!("read the tree {oid}");
        let bytes = self.remembered(oid, Kind::Tree, LARGEST_TREE, what)?;
        let decoded = gix::objs::TreeRef::from_bytes(&bytes, self.gix.object_hash());
        let decoded = decoded.map_err(|e| RepoError::broken(what(), e))?;
        let mut entries: Vec<Entry> = Vec::with_capacity(decoded.entries.len());
        let mut seen = HashSet::with_capacity(decoded.entries.len());
        for e in decoded.entries {
            let kind = match e.mode.kind() {
                TreeKind::Blob => EntryKind::File,
                TreeKind::Tree => EntryKind::Tree,
                TreeKind::BlobExecutable => EntryKind::Other(Foreign::Executable),
                TreeKind::Link => EntryKind::Other(Foreign::Link),
                TreeKind::Commit => EntryKind::Other(Foreign::Submodule),
            };
            if let Ok(name) = e.filename.to_str()
                && is_name(name)
                && seen.insert(name)
            {
                entries.push(Entry { name: name.to_owned(), kind, oid: e.oid.to_owned() });
            }
        }
        Ok(entries)
    }

    /// The same of a folder without which the rest can be used: one that is lost or spoiled counts as empty, and is filled anew.
    /// One that cannot be read just now is an error.
    pub fn tree_or_empty(&self, oid: Oid) -> Result<Vec<Entry>, RepoError> {
        match self.tree(oid) {
            Ok(entries) => Ok(entries),
            Err(_) => self.check_objects_readable(oid).map(|()| Vec::new()).map_err(RepoError::from),
        }
    }

    pub fn empty_tree(&self) -> Oid {
        Oid::empty_tree(self.gix.object_hash())
    }

    /// A commit's parts.
    pub fn commit(&self, oid: Oid) -> Result<CommitInfo, RepoError> {
        let what = || format!("read the commit {oid}");
        let bytes = self.remembered(oid, Kind::Commit, LARGEST_COMMIT, what)?;
        let decoded = gix::objs::CommitRef::from_bytes(&bytes, self.gix.object_hash());
        let decoded = decoded.map_err(|e| RepoError::broken(what(), e))?;
        let author = decoded.author().map_err(|e| RepoError::broken(what(), e))?;
        Ok(CommitInfo {
            tree: decoded.tree(),
            parents: decoded.parents().collect(),
            message: decoded.message.to_str_lossy().into_owned(),
            author: Author {
                name: author.name.to_str_lossy().into_owned(),
                email: author.email.to_str_lossy().into_owned(),
                seconds: author.time().map(|t| t.seconds).unwrap_or_default(),
            },
        })
    }

    /// Whether an object is there and begins as one: a power cut may leave an empty file in its place.
    pub fn has_object(&self, oid: Oid) -> bool {
        self.gix.find_header(oid).is_ok()
    }

    /// Whether an object is there, in a file of its own or in a pack.
    pub fn is_stored(&self, oid: Oid) -> bool {
        sys::fs::metadata(&self.loose_path(oid)).is_ok_and(|file| file.len() > 0) || self.has_object(oid)
    }

    /// Fails where the system refuses to read what may hold an object: then nothing can be said of it.
    pub fn check_objects_readable(&self, object: Oid) -> std::io::Result<()> {
        sys::fs::check_readable(&self.loose_path(object))?;
        let packs = self.common_dir().join("objects/pack");
        sys::fs::list(&packs)?.iter().try_for_each(|name| sys::fs::check_readable(&packs.join(name)))
    }

    /// What a blob of these bytes is called; it need not be there.
    pub fn blob_oid(&self, bytes: &[u8]) -> Result<Oid, RepoError> {
        gix::objs::compute_hash(self.gix.object_hash(), Kind::Blob, bytes)
            .map_err(|e| RepoError::broken("name a file", e))
    }

    /// Writes a blob. After a crash it is there whole or not at all; not synced, see [`Self::sync_objects`].
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Oid, RepoError> {
        self.write_object(Kind::Blob, bytes)
    }

    /// Writes a tree from entries in any order. Crash safety as for [`Self::write_blob`].
    pub fn write_tree(&self, entries: &[Entry]) -> Result<Oid, RepoError> {
        let mut tree = gix::objs::Tree {
            entries: entries
                .iter()
                .map(|e| gix::objs::tree::Entry {
                    mode: EntryMode::from(match e.kind {
                        EntryKind::Tree => TreeKind::Tree,
                        EntryKind::File => TreeKind::Blob,
                        EntryKind::Other(Foreign::Executable) => TreeKind::BlobExecutable,
                        EntryKind::Other(Foreign::Link) => TreeKind::Link,
                        EntryKind::Other(Foreign::Submodule) => TreeKind::Commit,
                    }),
                    filename: e.name.as_str().into(),
                    oid: e.oid,
                })
                .collect(),
        };
        tree.entries.sort();
        let mut bytes = Vec::new();
        tree.write_to(&mut bytes)?;
        self.write_object(Kind::Tree, &bytes)
    }

    /// Writes a commit. Crash safety as for [`Self::write_blob`]; no ref moves.
    pub fn write_commit(&self, tree: Oid, parents: &[Oid], message: &str, by: &Author) -> Result<Oid, RepoError> {
        let who = gix::actor::Signature {
            name: by.name.as_str().into(),
            email: by.email.as_str().into(),
            time: gix::date::Time { seconds: by.seconds, offset: 0 },
        };
        let commit = gix::objs::Commit {
            tree,
            parents: parents.iter().copied().collect(),
            author: who.clone(),
            committer: who,
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        let mut bytes = Vec::new();
        commit.write_to(&mut bytes)?;
        self.write_object(Kind::Commit, &bytes)
    }

    /// Flushes objects just written to the disk, so that a ref synced after them never names what a power cut took.
    pub fn sync_objects(&self, oids: &[Oid]) -> Result<(), RepoError> {
        // One that is not there is in a pack already, or was packed by somebody meanwhile: git syncs its packs.
        let paths: Vec<PathBuf> = oids.iter().map(|oid| self.loose_path(*oid)).collect();
        Ok(sys::fs::sync_paths(&paths)?)
    }

    /// Removes loose objects that a power cut left empty or spoiled and that are not older than `since` (nanoseconds since the
    /// epoch): what should stand in their place would count as there, and never be written.
    pub fn remove_spoiled_objects(&self, since: i64) -> std::io::Result<()> {
        let top = self.common_dir().join("objects");
        let is_hex = |name: &str| name.bytes().all(|b| b.is_ascii_hexdigit());
        let rest = self.gix.object_hash().len_in_hex() - 2;
        for folder in sys::fs::list(&top)?.into_iter().filter(|n| n.len() == 2 && is_hex(n)) {
            // A temporary file may be one that a git at work has just made.
            for name in sys::fs::list(&top.join(&folder))?.into_iter().filter(|n| n.len() == rest && is_hex(n)) {
                let path = top.join(&folder).join(&name);
                let is_recent = sys::fs::Stamp::of(&path).is_some_and(|s| s.mtime_ns >= since);
                if is_recent && self.is_spoiled(&format!("{folder}{name}"), &path)? {
                    sys::fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a loose object's file can be read, and holds something else than its name says.
    fn is_spoiled(&self, hex: &str, path: &std::path::Path) -> std::io::Result<bool> {
        let Some(oid) = parse_oid(hex) else { return Ok(false) };
        match sys::fs::read(path) {
            Ok(_) => {}
            // Packed and pruned by somebody meanwhile, or larger than anything of ours.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::FileTooLarge) => return Ok(false),
            Err(e) => return Err(e),
        }
        let loose = gix::odb::loose::Store::at(self.common_dir().join("objects"), self.gix.object_hash());
        let mut buffer = Vec::new();
        Ok(match loose.try_find(&oid, &mut buffer) {
            Ok(Some(found)) => found.verify_checksum(&oid).is_err(),
            Ok(None) => false,
            Err(_) => true,
        })
    }

    pub(super) fn loose_path(&self, oid: Oid) -> PathBuf {
        let hex = oid.to_string();
        self.common_dir().join("objects").join(&hex[..2]).join(&hex[2..])
    }

    /// The best common ancestor of two commits; `None` where they share none.
    pub fn merge_base(&self, a: Oid, b: Oid) -> Option<Oid> {
        self.gix.merge_base(a, b).ok().flatten().map(gix::Id::detach)
    }

    /// All best common ancestors of two commits: several, where their histories have joined each other crosswise.
    pub fn merge_bases(&self, a: Oid, b: Oid) -> Vec<Oid> {
        let found = self.gix.merge_bases_many(a, &[b]).unwrap_or_default();
        found.into_iter().map(gix::Id::detach).collect()
    }

    /// How many commits lead to `tip` that do not lead to `without`.
    pub fn count_commits(&self, tip: Oid, without: Option<Oid>) -> Result<usize, RepoError> {
        let what = || format!("count the commits that lead to {tip}");
        let walk = self.gix.rev_walk([tip]).with_hidden(without).all().map_err(|e| RepoError::broken(what(), e))?;
        walk.map(|c| c.map(|_| 1).map_err(|e| RepoError::broken(what(), e))).sum()
    }

    /// Whether all that leads to `tip`, and not to `without`, are merges.
    pub fn adds_only_merges(&self, tip: Oid, without: Oid) -> Result<bool, RepoError> {
        let what = || format!("follow the commits that lead to {tip}");
        let walk = self.gix.rev_walk([tip]).with_hidden([without]).all().map_err(|e| RepoError::broken(what(), e))?;
        for commit in walk {
            if commit.map_err(|e| RepoError::broken(what(), e))?.parent_ids.len() < 2 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies a commit with all that leads to it and all that these hold from another repository, as far as it is not
    /// here. What a commit names is here before the commit is, so that a copying that was cut off is taken up again.
    pub fn copy_from(&self, other: &Self, tip: Oid) -> Result<(), RepoError> {
        let mut open = vec![tip];
        while let Some(oid) = open.last().copied() {
            if self.has_object(oid) {
                open.pop();
                continue;
            }
            let commit = other.commit(oid)?;
            let missing: Vec<Oid> = commit.parents.iter().copied().filter(|p| !self.has_object(*p)).collect();
            if missing.is_empty() {
                self.copy_tree(other, commit.tree)?;
                self.copy_object(other, oid)?;
                open.pop();
            } else {
                open.extend(missing);
            }
        }
        Ok(())
    }

    fn copy_tree(&self, other: &Self, tree: Oid) -> Result<(), RepoError> {
        if tree == self.empty_tree() || self.has_object(tree) {
            return Ok(());
        }
        for e in other.tree(tree)? {
            match e.kind {
                EntryKind::Tree => self.copy_tree(other, e.oid)?,
                _ if self.has_object(e.oid) => {}
                _ => self.copy_object(other, e.oid)?,
            }
        }
        self.copy_object(other, tree)
    }

    fn copy_object(&self, other: &Self, oid: Oid) -> Result<(), RepoError> {
        let what = || format!("copy the object {oid}");
        if oid == self.empty_tree() {
            return Ok(());
        }
        let object = other.gix.find_object(oid).map_err(|e| RepoError::broken(what(), e))?;
        self.write_object(object.kind, &object.data).map(|_| ())
    }

    /// Who commits: as git decides it, or a name of ours where the person has set none.
    pub fn author(&self, now_seconds: i64) -> Author {
        let from = |names: &[&str], keys: &[&str]| {
            names.iter().find_map(|n| sys::env::var(n)).or_else(|| keys.iter().find_map(|k| self.settings().get(k)))
        };
        let clean = |s: String| s.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect::<String>();
        let name = from(&["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"], &["user.name"]).map(clean);
        let email = from(&["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL", "EMAIL"], &["user.email"]).map(clean);
        Author {
            name: name.filter(|n| !n.trim().is_empty()).unwrap_or_else(|| "vermas".to_owned()),
            email: email.filter(|e| !e.trim().is_empty()).unwrap_or_else(|| "vermas@localhost".to_owned()),
            // Git takes no date before 1970 for one, and what it does not take would not travel.
            seconds: now_seconds.max(0),
        }
    }
}

/// Whether git would check a file out under this name, here or on a system with other rules for names.
fn is_name(name: &str) -> bool {
    let hidden: String = name
        .chars()
        .filter(
            |c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'),
        )
        .collect();
    let plain = hidden.trim_end_matches([' ', '.']).to_ascii_lowercase();
    !name.is_empty()
        && name.len() < 4096
        && !matches!(name, "." | "..")
        && !matches!(plain.as_str(), ".git" | "git~1")
        && !name.contains(['/', '\\', '\0'])
}

/// Reads an object id from its hexadecimal form.
pub fn parse_oid(hex: &str) -> Option<Oid> {
    Oid::from_hex(hex.trim().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_empty_files_only_objects_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        sys::process::Cmd::new("git").cwd(dir.path()).args(["init", "-q"]).run().unwrap();
        let repo = Repo::discover(dir.path()).unwrap();
        let folder = repo.common_dir().join("objects/ab");
        sys::fs::create_dir_all(&folder).unwrap();
        let (object, temporary) = ("c".repeat(38), "tmp_obj_a1b2c3".to_owned());
        for name in [&object, &temporary] {
            sys::fs::replace(&folder.join(name), b"").unwrap();
        }
        repo.remove_spoiled_objects(0).unwrap();
        assert_eq!(sys::fs::list(&folder).unwrap(), [temporary]);
    }

    #[test]
    fn of_recent_objects_those_that_hold_something_else_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        sys::process::Cmd::new("git").cwd(dir.path()).args(["init", "-q"]).run().unwrap();
        let repo = Repo::discover(dir.path()).unwrap();
        let texts = [&b"whole"[..], b"zeroed", b"another's", &[b'x'; 5000]];
        let paths = texts.map(|t| repo.loose_path(repo.write_blob(t).unwrap()));
        let other = sys::fs::read(&paths[0]).unwrap();
        let cut = sys::fs::read(&paths[3]).unwrap();
        for (path, bytes) in
            [(&paths[1], &vec![0; 40]), (&paths[2], &other), (&paths[3], &cut[..cut.len() / 2].to_vec())]
        {
            sys::fs::remove_file(path).unwrap();
            sys::fs::replace(path, bytes).unwrap();
        }
        repo.remove_spoiled_objects(0).unwrap();
        assert_eq!(paths.map(|p| sys::fs::exists(&p)), [true, false, false, false]);
    }

    #[test]
    fn an_object_that_a_power_cut_left_empty_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        sys::process::Cmd::new("git").cwd(dir.path()).args(["init", "-q"]).run().unwrap();
        let repo = Repo::discover(dir.path()).unwrap();
        let oid = repo.write_blob(b"kept").unwrap();
        sys::fs::remove_file(&repo.loose_path(oid)).unwrap();
        sys::fs::replace(&repo.loose_path(oid), b"").unwrap();
        assert_eq!(repo.write_blob(b"kept").unwrap(), oid);
        assert_eq!(repo.blob(oid).unwrap(), b"kept");
        let long = repo.write_blob(&[b'k'; 5000]).unwrap();
        sys::fs::remove_file(&repo.loose_path(long)).unwrap();
        sys::fs::replace(&repo.loose_path(long), b"").unwrap();
        assert_eq!(repo.write_blob(&[b'k'; 5000]).unwrap(), long);
        assert_eq!(repo.blob(long).unwrap(), [b'k'; 5000]);
    }
}
