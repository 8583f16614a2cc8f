//! Small objects, written loose as git writes them where `core.looseCompression` is 0.
//!
//! A commit of ours is five or six objects of a few hundred bytes. Each takes one block of the disk, compressed or not, and
//! making a compressor ready for it costs more than everything else that is done for it. A pack compresses them all.

use gix::objs::Kind;

use super::Oid;
use super::error::RepoError;
use super::repo::Repo;
use crate::sys::{fs, random};

/// Up to this size an object is small, in bytes: with its header it fits into one block of the disk.
const SMALL: usize = 4000;

impl Repo {
    /// Writes an object. After a crash it is there whole or not at all; not synced.
    pub(super) fn write_object(&self, kind: Kind, bytes: &[u8]) -> Result<Oid, RepoError> {
        let what = || format!("write a {kind} into git");
        if bytes.len() > SMALL {
            return gix::objs::Write::write_buf(&self.gix.objects, kind, bytes)
                .map_err(|e| RepoError::broken(what(), e));
        }
        let oid =
            gix::objs::compute_hash(self.gix.object_hash(), kind, bytes).map_err(|e| RepoError::broken(what(), e))?;
        let path = self.loose_path(oid);
        // Of the others hardly one is ever there already: a tree or a commit holds what came just now.
        if fs::exists(&path) || (kind == Kind::Blob && self.gix.has_object(oid)) {
            return Ok(oid);
        }
        let temporary = format!("tmp_obj_{:x}", random::bits());
        let content = stored(kind, bytes);
        let written = fs::make_final(&path, &temporary, &content).or_else(|e| match path.parent() {
            Some(folder) if e.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                fs::make_final(&path, &temporary, &content)
            }
            _ => Err(e),
        });
        Ok(written.map(|()| oid)?)
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
