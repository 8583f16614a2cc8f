//! The names under which a worker calls us: links to the running program in a directory that begins its `PATH`.

use std::path::{Path, PathBuf};

use super::AgentError;
use crate::sys::{fs, random};

/// The names of the links.
pub const SHIMS: [&str; 3] = ["co", "wo", "git-vermas"];

/// Makes the links to `exe` in `dir`; one that is there and points there is left alone, any other is replaced by a
/// rename. After a crash every name is the old link, the new one, or missing, and the next call makes it right.
pub fn shims(dir: &Path, exe: &Path) -> Result<(), AgentError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| AgentError::Shim { path, source }
    };
    fs::create_private_dir(dir).map_err(failed(dir))?;
    for name in SHIMS {
        let link = dir.join(name);
        if fs::read_link(&link).as_deref() == Some(exe) {
            continue;
        }
        let temporary: PathBuf = dir.join(format!(".{name}.{:016x}", random::bits()));
        fs::symlink(exe, &temporary).map_err(failed(&link))?;
        fs::rename(&temporary, &link).map_err(|e| {
            // The link that could not take its place is of no use; why it could not is what matters.
            let _ = fs::remove_file(&temporary);
            failed(&link)(e)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_once_and_follow_the_program() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("vermas/bin");
        shims(&dir, Path::new("/opt/old/git-vermas")).unwrap();
        let before = fs::metadata(&dir.join("co")).unwrap();
        shims(&dir, Path::new("/opt/old/git-vermas")).unwrap();
        assert_eq!(fs::metadata(&dir.join("co")).unwrap().modified().unwrap(), before.modified().unwrap());
        fs::remove_file(&dir.join("wo")).unwrap();
        fs::replace(&dir.join("wo"), b"something else").unwrap();
        shims(&dir, Path::new("/opt/new/git-vermas")).unwrap();
        for name in SHIMS {
            assert_eq!(fs::read_link(&dir.join(name)).as_deref(), Some(Path::new("/opt/new/git-vermas")), "{name}");
        }
        assert_eq!(fs::list(&dir).unwrap(), ["co", "git-vermas", "wo"]);
    }
}
