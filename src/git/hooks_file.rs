//! One hook file: recognising ours, putting it in place, taking it away.

use std::io;
use std::path::{Path, PathBuf};

use super::hooks::Hook;
use crate::sys::fs;

const MARKER: &str = "# git-vermas hook shim, version ";
const CHECKSUM: &str = "# git-vermas checksum ";
const CHAINED: &str = "vermas-chained";
const MODE: u32 = 0o755;

/// What stands where a hook goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing {
        chained: bool,
    },
    /// A shim of ours as some version installed it.
    Ours {
        current: bool,
        chained: bool,
    },
    /// A shim of ours that somebody changed.
    Edited,
    Other {
        chained: bool,
    },
}

fn chained_path(dir: &Path, hook: Hook) -> PathBuf {
    dir.join(format!("{}.{CHAINED}", hook.name()))
}

/// The script as it is installed: with a last line that tells whether the rest was changed.
fn installed_text(script: &str) -> String {
    format!("{script}{CHECKSUM}{:016x}\n", checksum(script.as_bytes()))
}

/// FNV-1a: tells an edit, not an attack.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether a text is a whole shim of ours, of any version; installed by hand it lacks the checksum.
fn intact(text: &str, script: &str) -> bool {
    let Some(at) = text.rfind(CHECKSUM) else { return text == script };
    text[at..] == format!("{CHECKSUM}{:016x}\n", checksum(&text.as_bytes()[..at]))
}

pub(super) fn look(dir: &Path, hook: Hook) -> io::Result<Found> {
    let path = dir.join(hook.name());
    let chained = fs::exists(&chained_path(dir, hook));
    if !fs::exists(&path) {
        return Ok(Found::Nothing { chained });
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // A program, or a link to nowhere: not ours.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => String::new(),
        Err(e) => return Err(e),
    };
    Ok(if !text.lines().nth(1).is_some_and(|l| l.starts_with(MARKER)) {
        Found::Other { chained }
    } else if intact(&text, hook.script()) {
        Found::Ours { current: text == installed_text(hook.script()), chained }
    } else {
        Found::Edited
    })
}

/// Puts the shim in place by a rename, the earlier hook having got its second name before: at no moment, and after no
/// crash, is there no hook where there was one.
pub(super) fn install(dir: &Path, hook: Hook) -> io::Result<()> {
    let (path, kept) = (dir.join(hook.name()), chained_path(dir, hook));
    match look(dir, hook)? {
        Found::Ours { current: true, .. } | Found::Edited => return Ok(()),
        Found::Ours { current: false, .. } | Found::Nothing { .. } => {}
        Found::Other { chained: false } => fs::hard_link(&path, &kept)?,
        // The two names of one file: an installation was cut short here. Two files: a newer hook, not ours to move.
        Found::Other { chained: true } if !same_file(&path, &kept)? => return Ok(()),
        Found::Other { chained: true } => {}
    }
    fs::create_dir_all(dir)?;
    let fresh = dir.join(format!("{}.vermas-new", hook.name()));
    fs::replace_synced(&fresh, installed_text(hook.script()).as_bytes())?;
    fs::set_mode(&fresh, MODE)?;
    fs::rename(&fresh, &path)
}

fn same_file(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (a, b) = (fs::metadata(a)?, fs::metadata(b)?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Puts the earlier hook back by a rename over the shim, or removes the shim.
pub(super) fn uninstall(dir: &Path, hook: Hook) -> io::Result<()> {
    let (path, kept) = (dir.join(hook.name()), chained_path(dir, hook));
    match look(dir, hook)? {
        Found::Ours { chained: true, .. } | Found::Nothing { chained: true } => fs::rename(&kept, &path),
        Found::Ours { chained: false, .. } => fs::remove_file(&path),
        // An installation cut short: the second name goes, the hook stays.
        Found::Other { chained: true } if same_file(&path, &kept)? => fs::remove_file(&kept),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shims_carry_their_marker_and_an_edit_is_seen() {
        for hook in Hook::LOCAL.into_iter().chain(Hook::REMOTE) {
            let marker = format!("{MARKER}1: {}", hook.name());
            assert_eq!(hook.script().lines().nth(1), Some(marker.as_str()));
            let text = installed_text(hook.script());
            assert!(intact(&text, hook.script()));
            assert!(intact(&installed_text("#!/bin/sh\n# an older text\n"), hook.script()));
            assert!(!intact(&text.replace("exit 0", "exit 1"), hook.script()));
            assert!(!intact(&format!("{text}echo more\n"), hook.script()));
        }
    }
}
