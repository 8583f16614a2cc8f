//! The world that a thread lives in: its clock, its chance, its environment, and a disk that may fail.
//!
//! It is the real one unless somebody [entered](enter) another: the simulator does, so that the real code runs under a
//! clock that jumps and a disk that fails when it is told to. Whoever is about to change something outside the process
//! says so here first; each such place is a *point*. A debug build of the program can be told by `VERMAS_FAULT` to die or
//! to fail at its k-th point; see [`super::fault`].

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What is about to happen at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// A file is opened for writing, and made where it is missing.
    Open,
    Write,
    Sync,
    Rename,
    Link,
    Remove,
    MakeDir,
    /// The mode or the time of a file.
    Mark,
    Lock,
    /// An object goes into git.
    Object,
    /// A ref of git moves or goes.
    Ref,
    /// The cache begins or ends a transaction.
    Cache,
    /// Another program is started.
    Start,
}

/// What the disk says at a point.
#[derive(Debug)]
pub enum Ruling {
    Go,
    /// Of what was to be written only a part arrives: this number modulo the length.
    Part(u64, io::Error),
    Fail(io::Error),
}

/// Everything outside the process that a thread can notice.
pub trait World {
    /// Milliseconds since the Unix epoch.
    fn now_millis(&self) -> i64;
    /// A clock that never runs backwards.
    fn instant(&self) -> Instant;
    fn pause(&self, d: Duration);
    fn random_bits(&self) -> u64;
    fn var(&self, name: &str) -> Option<OsString>;
    fn boot_id(&self) -> String;
    fn before(&self, act: Act, path: &Path) -> Ruling;
    /// A file was written: its time is this world's.
    fn stamp(&self, file: &File) -> io::Result<()>;
    /// A file was synced up to its present end.
    fn synced(&self, file: &File) -> io::Result<()>;
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// The thread lives in another world until this is dropped.
#[derive(Debug)]
#[must_use = "the world is left when this is dropped"]
pub struct Stay(());

impl Drop for Stay {
    fn drop(&mut self) {
        WORLD.set(None);
    }
}

/// Takes this thread to another world.
pub fn enter(world: Rc<dyn World>) -> Stay {
    WORLD.set(Some(world));
    Stay(())
}

/// The world entered; `None` in the real one.
pub(super) fn entered() -> Option<Rc<dyn World>> {
    WORLD.with_borrow(Clone::clone)
}

/// Says what is about to change, and hears whether it can.
pub fn point(act: Act, path: &Path) -> io::Result<()> {
    match ruling(act, path) {
        Ruling::Go => Ok(()),
        Ruling::Part(_, e) | Ruling::Fail(e) => Err(e),
    }
}

fn ruling(act: Act, path: &Path) -> Ruling {
    match entered() {
        Some(world) => world.before(act, path),
        None if cfg!(debug_assertions) => super::fault::before(act, path),
        None => Ruling::Go,
    }
}

/// How many of the bytes that are about to be written arrive, and the error where it is not all of them.
pub(super) fn allowance(path: &Path, bytes: usize) -> (usize, Option<io::Error>) {
    match ruling(Act::Write, path) {
        Ruling::Go => (bytes, None),
        Ruling::Part(n, e) => (usize::try_from(n % (bytes.max(1) as u64)).unwrap_or(0), Some(e)),
        Ruling::Fail(e) => (0, Some(e)),
    }
}

/// Gives a file just written its time; in the real world it has it.
pub(super) fn stamp(file: &File) -> io::Result<()> {
    entered().map_or(Ok(()), |w| w.stamp(file))
}

/// Notes a sync in a world that has no disk to wait for. False in the real one, where it is still to be done.
pub(super) fn synced(file: &File) -> io::Result<bool> {
    entered().map_or(Ok(false), |w| w.synced(file).map(|()| true))
}
