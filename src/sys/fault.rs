//! Failures on request, in debug builds only: what the crash tests use where no tracer can be had.
//!
//! `VERMAS_FAULT=kill:137` ends the process, as SIGKILL does, right before its 137th point (see [`super::world`]); `torn:137`
//! lets the half of a write through before that. `enospc:42`, `eio:42`, `emfile:42` and `erofs:42` fail the 42nd point
//! with that error, and with a `+` behind the number every one from there on. `list:FILE` changes nothing and appends a
//! line for each point to the file: its number, what is about to happen, and where; the number of lines is the number of
//! points that a command has.

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::world::{Act, Ruling};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    Kill { at: u64 },
    Torn { at: u64 },
    Fail { errno: Errno, at: u64, onwards: bool },
    List { file: std::path::PathBuf },
}

/// Modulo the length of a write this is some place inside it.
const HALF: u64 = u64::MAX / 2;

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
static COUNT: AtomicU64 = AtomicU64::new(0);

fn parse(text: &str) -> Option<Plan> {
    let (kind, rest) = text.split_once(':')?;
    if kind == "list" {
        return Some(Plan::List { file: rest.into() });
    }
    let (number, onwards) = rest.strip_suffix('+').map_or((rest, false), |n| (n, true));
    let at: u64 = number.parse().ok()?;
    let errno = match kind {
        "kill" => return Some(Plan::Kill { at }),
        "torn" => return Some(Plan::Torn { at }),
        "enospc" => Errno::NOSPC,
        "eio" => Errno::IO,
        "emfile" => Errno::MFILE,
        "erofs" => Errno::ROFS,
        _ => return None,
    };
    Some(Plan::Fail { errno, at, onwards })
}

/// What happens at this point of a debug build.
pub(super) fn before(act: Act, path: &Path) -> Ruling {
    let plan = PLAN.get_or_init(|| super::env::var("VERMAS_FAULT").and_then(|t| parse(&t)));
    let Some(plan) = plan else { return Ruling::Go };
    let now = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    match plan {
        Plan::Kill { at } if now >= *at => die(),
        Plan::Torn { at } if now == *at && act == Act::Write => Ruling::Part(HALF, Errno::IO.into()),
        Plan::Torn { at } if now >= *at => die(),
        Plan::Fail { errno, at, onwards } if now == *at || (*onwards && now > *at) => {
            if *errno == Errno::NOSPC && act == Act::Write {
                Ruling::Part(HALF, (*errno).into())
            } else {
                Ruling::Fail((*errno).into())
            }
        }
        Plan::List { file } => {
            note(file, now, act, path);
            Ruling::Go
        }
        _ => Ruling::Go,
    }
}

/// After the part of a write that was let through: where the plan was to die there, this is the place.
pub(super) fn after_a_part() {
    if let Some(Some(Plan::Torn { .. })) = PLAN.get() {
        die();
    }
}

fn die() -> ! {
    // Nothing of ours runs after this: no destructor, no buffer.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn note(file: &Path, number: u64, act: Act, path: &Path) {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    // Whoever asked for the list sees that it is empty.
    let _ = opened.and_then(|mut f| f.write_all(format!("{number} {act:?} {}\n", path.display()).as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_as_they_are_written() {
        assert_eq!(parse("kill:137"), Some(Plan::Kill { at: 137 }));
        assert_eq!(parse("enospc:4+"), Some(Plan::Fail { errno: Errno::NOSPC, at: 4, onwards: true }));
        assert_eq!(parse("erofs:4"), Some(Plan::Fail { errno: Errno::ROFS, at: 4, onwards: false }));
        for wrong in ["", "kill", "kill:", "kill:x", "burn:1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
