//! Two files that change places in one step.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::fs::named;
use super::world::{self, Act};

/// Lets two files on one disk change places, in one step. False where nothing stood at `other`: the file is there now.
pub fn exchange(file: &Path, other: &Path) -> io::Result<bool> {
    world::point(Act::Rename, other).map_err(|e| named(other, &e))?;
    let rename = |flags| renameat_with(CWD, file, CWD, other, flags);
    loop {
        match rename(RenameFlags::EXCHANGE).map_err(io::Error::from) {
            Ok(()) => return Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match rename(RenameFlags::NOREPLACE).map_err(io::Error::from) {
            Ok(()) => return Ok(false),
            // Somebody has put one there since.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(named(other, &e)),
        }
    }
}

/// Whether [`exchange`] cannot be done to these files at all.
pub fn is_impossible(e: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidInput, Unsupported};
    [CrossesDevices, InvalidInput, Unsupported].contains(&e.kind())
}
