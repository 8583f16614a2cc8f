//! Small objects: written loose as git writes them where `core.looseCompression` is 0, and read so, too.
//!
//! A commit of ours is five or six objects of a few hundred bytes. Each takes one block of the disk, compressed or not, and
//! making a compressor ready for it costs more than everything else that is done for it. A pack compresses them all.
//! To find one, git's way is to look through the packs first, and to open the file twice, for its size and for the rest.

use std::collections::HashMap;
use std::rc::Rc;

use gix::objs::Kind;

use super::Oid;
use super::error::RepoError;
use super::repo::Repo;
use crate::sys::world::{Act, point};
use crate::sys::{fs, random};

/// Up to this size an object is small, in bytes: with its header it fits into one block of the disk.
const SMALL: usize = 4000;
/// Up to this size a loose file is read without a look at what it says of its size: zlib makes at most 1032 times as much of
/// it, which is less than the smallest limit that there is for an object.
const SMALL_FILE: u64 = 4096;
/// So many trees and commits are remembered, each of at most [`SMALL`] bytes.
const MOST_REMEMBERED: usize = 256;

/// Trees and commits that were read or written a moment ago.
pub(super) type Memory = HashMap<(Oid, Kind), Rc<Vec<u8>>>;

impl Repo {
    /// Forgets what was read: somebody may have taken it away since.
    pub fn forget_objects(&self) {
        self.memory.borrow_mut().clear();
    }

    /// The bytes of a loose object whose file is small, of which nothing is kept; `None` where it is to be had otherwise, if
    /// at all.
    pub(super) fn small(&self, oid: Oid, kind: Kind) -> Option<Vec<u8>> {
        let file = fs::metadata(&self.loose_path(oid)).ok()?;
        if !file.is_file() || file.len() > SMALL_FILE {
            return None;
        }
        let loose = gix::odb::loose::Store::at(self.common_dir().join("objects"), self.gix.object_hash());
        let mut buffer = Vec::new();
        let found = loose.try_find(&oid, &mut buffer).ok().flatten()?;
        (found.kind == kind).then(|| found.data.to_vec())
    }

    /// The bytes of a tree or a commit; one of more than `most` bytes is refused before it is unpacked.
    pub(super) fn remembered(
        &self,
        oid: Oid,
        kind: Kind,
        most: u64,
        what: impl Fn() -> String,
    ) -> Result<Rc<Vec<u8>>, RepoError> {
        if let Some(bytes) = self.memory.borrow().get(&(oid, kind)) {
            return Ok(bytes.clone());
        }
        let bytes = match self.small(oid, kind) {
            Some(bytes) => bytes,
            None => {
                if self.check_size(oid, most, &what).is_err() {
                    self.want([oid]);
                    self.check_size(oid, most, &what)?;
                }
                let found = self.gix.find_object(oid).map_err(|e| RepoError::broken(what(), e))?;
                if found.kind != kind {
                    return Err(RepoError::broken(what(), format!("it is a {}", found.kind)));
                }
                found.detach().data
            }
        };
        let bytes = Rc::new(bytes);
        self.remember(oid, kind, &bytes);
        Ok(bytes)
    }

    fn remember(&self, oid: Oid, kind: Kind, bytes: &Rc<Vec<u8>>) {
        if kind == Kind::Blob || bytes.len() > SMALL {
            return;
        }
        let mut memory = self.memory.borrow_mut();
        if memory.len() >= MOST_REMEMBERED {
            memory.clear();
        }
        memory.insert((oid, kind), bytes.clone());
    }

    /// Writes an object. After a crash it is there whole or not at all; not synced. An empty file that a power cut left in
    /// its place would count as there, and stay: it goes.
    pub(super) fn write_object(&self, kind: Kind, bytes: &[u8]) -> Result<Oid, RepoError> {
        point(Act::Object, self.common_dir())?;
        let what = || format!("write a {kind} into git");
        if bytes.len() > SMALL {
            let write = || gix::objs::Write::write_buf(&self.gix.objects, kind, bytes);
            let oid = write().map_err(|e| RepoError::broken(what(), e))?;
            let path = self.loose_path(oid);
            if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
                fs::remove_file(&path)?;
                write().map_err(|e| RepoError::broken(what(), e))?;
            }
            return Ok(oid);
        }
        let oid =
            gix::objs::compute_hash(self.gix.object_hash(), kind, bytes).map_err(|e| RepoError::broken(what(), e))?;
        let path = self.loose_path(oid);
        match fs::metadata(&path) {
            Ok(file) if file.len() == 0 => fs::remove_file(&path)?,
            Ok(_) => return Ok(oid),
            Err(_) => {}
        }
        // Hardly one is ever in a pack already: each holds what came just now.
        let temporary = format!("tmp_obj_{:x}", random::bits());
        let content = stored(kind, bytes);
        let written = fs::make_final(&path, &temporary, &content).or_else(|e| match path.parent() {
            Some(folder) if e.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir(folder)?;
                fs::make_final(&path, &temporary, &content)
            }
            _ => Err(e),
        });
        written?;
        self.remember(oid, kind, &Rc::new(bytes.to_vec()));
        Ok(oid)
    }
}

/// The file of an object: a zlib stream of one block that is not compressed.
fn stored(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("{kind} {}\0", bytes.len()).into_bytes();
    object.extend_from_slice(bytes);
    let length = u16::try_from(object.len()).unwrap_or(u16::MAX);
    let mut file = vec![0x78, 0x01, 0x01];
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&(!length).to_le_bytes());
    file.extend_from_slice(&object);
    file.extend_from_slice(&adler32(&object).to_be_bytes());
    file
}

/// The checksum at the end of a zlib stream (RFC 1950), of fewer than 5552 bytes: nothing overflows before the end.
fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| (a + u32::from(*byte), b + a + u32::from(*byte)));
    ((b % 65521) << 16) | (a % 65521)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::Cmd;

    #[test]
    fn git_reads_what_was_written_whatever_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| Cmd::new("git").cwd(dir.path()).args(args).run().unwrap();
        git(&["init", "-q"]);
        let repo = Repo::discover(dir.path()).unwrap();
        for size in [0, 1, 17, SMALL - 1, SMALL, SMALL + 1, 70_000] {
            let bytes: Vec<u8> = (0..size).map(|n| if n % 3 == 0 { 0xff } else { (n % 251) as u8 }).collect();
            let oid = repo.write_object(Kind::Blob, &bytes).unwrap();
            assert_eq!(git(&["cat-file", "blob", &oid.to_string()]).stdout, bytes);
            assert_eq!(repo.blob(oid).unwrap(), bytes);
            assert_eq!(repo.write_object(Kind::Blob, &bytes).unwrap(), oid);
        }
        assert_eq!(git(&["fsck", "--full", "--strict", "--no-dangling"]).text(), "");
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 5000]) & 0xffff, (1 + 5000 * 255) % 65521);
    }
}
