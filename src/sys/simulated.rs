//! A world of its own for a thread: a clock that is set, chance from a seed, no environment, no waiting, and a disk that
//! fails where a plan says so.
//!
//! Files are real files, in a folder that whoever simulates has made; syncing them is noted instead of done.
//!
//! **Invariant:** with the same seed and the same calls it answers the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::io::Errno;

use super::world::{Act, Ruling, World};

/// How much of a pause is waited in truth.
const REAL_PAUSE: Duration = Duration::from_micros(100);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// The process dies: nothing that it tries from then on has an effect.
    Crash,
    /// The same, and what was not synced may be cut short.
    PowerCut,
    /// One call fails.
    NoSpace,
    Broken,
    TooManyFiles,
    ReadOnly,
    /// Every call from then on fails for want of room.
    DiskStaysFull,
}

/// Harm at the k-th point of a command, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    pub at: u64,
    pub harm: Harm,
}

/// What became of a command.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// How many points it came by.
    pub points: u64,
    /// Where the plan struck.
    pub struck: Option<(Act, PathBuf)>,
    pub died: bool,
    /// The inode of each file that was appended to or synced, and how far it is known to be on the disk.
    pub synced: BTreeMap<u64, u64>,
}

/// The state of a simulated world.
pub struct Simulated {
    base: Instant,
    state: RefCell<State>,
}

struct State {
    wall_ms: i64,
    elapsed: Duration,
    chance: u64,
    boot: u64,
    plan: Option<Plan>,
    course: Course,
}

impl Simulated {
    pub fn new(seed: u64) -> Self {
        let state = State {
            wall_ms: 0,
            elapsed: Duration::ZERO,
            chance: super::random::spread(seed),
            boot: 0,
            plan: None,
            course: Course::default(),
        };
        Self { base: Instant::now(), state: RefCell::new(state) }
    }

    /// Sets the wall clock and the boot of the machine on which the next command runs.
    pub fn be_on(&self, wall_ms: i64, boot: u64) {
        let mut s = self.state.borrow_mut();
        (s.wall_ms, s.boot) = (wall_ms, boot);
    }

    pub fn wall_ms(&self) -> i64 {
        self.state.borrow().wall_ms
    }

    /// Chance goes on from here.
    pub fn reseed(&self, seed: u64) {
        self.state.borrow_mut().chance = super::random::spread(seed);
    }

    /// A new process begins, with what is to happen to it.
    pub fn begin(&self, plan: Option<Plan>) {
        let mut s = self.state.borrow_mut();
        s.plan = plan;
        s.course = Course::default();
    }

    /// The process has ended. Gives what became of it; from now on nothing goes wrong.
    pub fn end(&self) -> Course {
        let mut s = self.state.borrow_mut();
        s.plan = None;
        std::mem::take(&mut s.course)
    }
}

impl State {
    fn strike(&mut self, plan: Plan, act: Act, path: &Path) -> Ruling {
        self.course.struck = Some((act, path.to_owned()));
        self.chance = self.chance.wrapping_add(1);
        let part = super::random::spread(self.chance);
        match plan.harm {
            Harm::Crash | Harm::PowerCut => {
                self.course.died = true;
                // Half of the deaths in a write come before it, half within.
                if act == Act::Write && part.is_multiple_of(2) {
                    Ruling::Part(part / 2, dead())
                } else {
                    Ruling::Fail(dead())
                }
            }
            Harm::NoSpace | Harm::DiskStaysFull if act == Act::Write => Ruling::Part(part, Errno::NOSPC.into()),
            Harm::NoSpace | Harm::DiskStaysFull => Ruling::Fail(Errno::NOSPC.into()),
            Harm::Broken => Ruling::Fail(Errno::IO.into()),
            Harm::TooManyFiles => Ruling::Fail(Errno::MFILE.into()),
            Harm::ReadOnly => Ruling::Fail(Errno::ROFS.into()),
        }
    }
}

/// Cuts a file short, as a power cut does to what was not synced.
pub fn cut(path: &Path, size: u64) -> io::Result<()> {
    File::options().write(true).open(path)?.set_len(size)
}

fn dead() -> io::Error {
    io::Error::other("this process is dead")
}

impl World for Simulated {
    fn now_millis(&self) -> i64 {
        self.state.borrow().wall_ms
    }

    fn instant(&self) -> Instant {
        let s = self.state.borrow();
        self.base + s.elapsed
    }

    fn pause(&self, d: Duration) {
        // A lock may be held by what is real: by a child of another thread, until it runs its own program.
        std::thread::sleep(d.min(REAL_PAUSE));
        let mut s = self.state.borrow_mut();
        // A wait of no length would never end a loop that watches the clock.
        let d = d.max(Duration::from_micros(1));
        s.elapsed += d;
        s.wall_ms += i64::try_from(d.as_millis()).unwrap_or(0);
    }

    fn random_bits(&self) -> u64 {
        let mut s = self.state.borrow_mut();
        s.chance = s.chance.wrapping_add(1);
        super::random::spread(s.chance)
    }

    fn var(&self, _: &str) -> Option<OsString> {
        None
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.state.borrow().boot)
    }

    fn before(&self, act: Act, path: &Path) -> Ruling {
        let mut s = self.state.borrow_mut();
        if s.course.died {
            return Ruling::Fail(dead());
        }
        s.course.points += 1;
        match s.plan {
            Some(p) if p.at == s.course.points => s.strike(p, act, path),
            Some(p) if p.at < s.course.points && p.harm == Harm::DiskStaysFull => s.strike(p, act, path),
            _ => Ruling::Go,
        }
    }

    fn stamp(&self, file: &File) -> io::Result<()> {
        let ms = u64::try_from(self.now_millis()).unwrap_or(0);
        file.set_modified(UNIX_EPOCH + Duration::from_millis(ms))
    }

    fn synced(&self, file: &File) -> io::Result<()> {
        let m = file.metadata()?;
        self.state.borrow_mut().course.synced.insert(m.ino(), m.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::{clock, fs, random, world};
    use super::*;

    #[test]
    fn a_dead_process_changes_nothing_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let sim = Rc::new(Simulated::new(1));
        let _stay = world::enter(sim.clone());
        sim.begin(Some(Plan { at: 4, harm: Harm::Crash }));
        fs::replace(&one, b"there").unwrap();
        assert!(fs::replace(&two, b"not there").is_err());
        assert!(fs::remove_file(&one).is_err());
        assert!(sim.end().died);
        assert_eq!(fs::read(&one).unwrap(), b"there");
        assert!(!fs::exists(&two));
    }

    #[test]
    fn clock_and_chance_are_the_seeds() {
        let told = || {
            let sim = Rc::new(Simulated::new(7));
            let _stay = world::enter(sim.clone());
            sim.be_on(1_000, 0);
            clock::sleep(Duration::from_millis(5));
            (clock::now_millis(), random::bits(), random::bits())
        };
        assert_eq!(told(), told());
        assert_eq!(told().0, 1_005);
        assert!(clock::now_millis() > 1_000_000, "the world was left");
    }
}
