//! A simulator with the real code: several machines that share one state, and everything that can befall them.
//!
//! Each seed is a run of its own: machines with their own clocks, use cases, syncs, lines that break, processes that die at
//! any point, disks that fail, other programs that write what they like, remotes that are set back. At the end the line is
//! mended, all meet, and the promises are looked at: nothing acknowledged is lost, all show the same, the same as all events
//! folded at once, `fsck` is clean, and a prize that the remote gave has one winner.
//!
//! Everything happens in a temporary folder and in this thread; clock, chance and disk are [`crate::sys::simulated`]'s, so
//! that a seed does the same each time.

mod act;
mod foreign;
mod mischief;
mod oracle;
mod plain_merge;
mod plan;
mod remote;
mod town;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;

use self::oracle::Broken;
use self::plan::{Line, Run, Step};
use self::town::{HUBS, STATE, Tally, Town};
use super::fault::Fault;
use super::sync;
use crate::sys::clock::Stopwatch;
use crate::sys::simulated::Simulated;
use crate::sys::{env, fs, random, world};

/// How often all machines sync at the end before they must agree.
const MOST_ROUNDS: usize = 8;
/// How many runs may be spent on finding a shorter schedule of one that failed.
const MOST_ATTEMPTS: usize = 200;
/// How many failing seeds are shortened; the others are shown as they are.
const MOST_SHORTENED: usize = 3;
/// How many failing seeds are shown before the rest is only counted.
const MOST_FAILURES: usize = 100;

/// A seed with which a promise is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub seed: u64,
    pub promise: &'static str,
    pub what: String,
    /// The shortest schedule that was found.
    pub schedule: Vec<Step>,
    pub steps_before: usize,
}

/// What the simulation saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub first_seed: u64,
    pub seeds: u64,
    pub failed: u64,
    #[serde(flatten)]
    pub tally: Tally,
    pub seconds: f64,
    /// Where the repositories of the last run are, if they were kept.
    pub kept: Option<String>,
    pub failures: Vec<Failure>,
}

/// Runs `count` seeds from `first` on; `say` hears how far it is. With `keep`, the repositories of the last run stay.
pub fn run(first: u64, count: u64, keep: bool, say: &dyn Fn(&str)) -> Result<Report, Fault> {
    let watch = Stopwatch::start();
    let folder = Folder::make(keep)?;
    let kept = keep.then(|| folder.path.display().to_string());
    let mut report = Report { first_seed: first, kept, ..Report::default() };
    for seed in first..first.saturating_add(count) {
        say(&format!("seed {seed}, {} of {count}", report.seeds + 1));
        let (tally, broken) = play(&folder.path, &plan::draw(seed))?;
        report.tally.add(&tally);
        report.seeds += 1;
        if let Some(broken) = broken {
            report.failed += 1;
            if report.failures.len() < MOST_SHORTENED {
                say(&format!("seed {seed} breaks a promise; looking for the shortest schedule"));
                report.failures.push(shorten(&folder.path, plan::draw(seed), broken)?);
            } else if report.failures.len() < MOST_FAILURES {
                let steps = plan::draw(seed).steps;
                let (promise, what, steps_before) = (broken.promise, broken.what, steps.len());
                report.failures.push(Failure { seed, promise, what, schedule: Vec::new(), steps_before });
            }
        }
    }
    report.seconds = (watch.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    Ok(report)
}

/// Plays one run from beginning to end in a folder of its own.
fn play(folder: &Path, run: &Run) -> Result<(Tally, Option<Broken>), Fault> {
    let top = folder.join("town");
    fs::remove_dir_all(&top)?;
    fs::create_private_dir(&top)?;
    let sim = Rc::new(Simulated::new(run.seed));
    let _stay = world::enter(sim.clone());
    let mut tally = Tally::default();
    let result = Town::found(&top, &sim, run).and_then(|mut town| {
        let told = events(&mut town, run);
        tally = town.tally;
        told
    });
    Ok((tally, result.err()))
}

fn events(town: &mut Town, run: &Run) -> Result<(), Broken> {
    for step in &run.steps {
        town.sim.reseed(step.chance);
        act::step(town, step)?;
    }
    let met = meet(town);
    // What the machines show says more than that they never come to rest.
    oracle::judge(town).and(met)
}

/// Time passes, the lines are mended, and all sync until all are the same and stay so.
fn meet(town: &mut Town) -> Result<(), Broken> {
    town.now_ms += 60_000;
    town.machines.iter_mut().for_each(|m| m.line = Line::Fine);
    let mut before = Vec::new();
    for _ in 0..MOST_ROUNDS {
        for on in 0..town.machines.len() {
            for hub in HUBS.iter().take(town.hubs.len()) {
                town.healthy(on, |s| sync::sync(s, hub, false, &|_| {}).map(|_| ()))?;
            }
        }
        let mut tips = Vec::new();
        for on in 0..town.machines.len() {
            tips.push(town.repo(on)?.ref_target(STATE)?);
        }
        if tips.windows(2).all(|w| w[0] == w[1]) && tips == before {
            return Ok(());
        }
        before = tips;
    }
    Err(Broken::new("machines agree", format!("their branches still move after {MOST_ROUNDS} rounds")))
}

/// Leaves out what the failure does not need.
fn shorten(folder: &Path, run: Run, broken: Broken) -> Result<Failure, Fault> {
    let steps_before = run.steps.len();
    let (mut best, mut why) = (run, broken);
    let mut attempts = 0;
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 && attempts < MOST_ATTEMPTS {
        let mut at = 0;
        while at < best.steps.len() && attempts < MOST_ATTEMPTS {
            let mut shorter = best.clone();
            shorter.steps.drain(at..(at + size).min(best.steps.len()));
            attempts += 1;
            match play(folder, &shorter)?.1 {
                Some(b) if b.promise == why.promise => (best, why) = (shorter, b),
                _ => at += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    play(folder, &best)?;
    Ok(Failure { seed: best.seed, promise: why.promise, what: why.what, schedule: best.steps, steps_before })
}

/// A temporary folder, in memory where there is room for that; gone when dropped.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(keep: bool) -> Result<Self, Fault> {
        let own = env::var_os("TMPDIR").map(PathBuf::from);
        let places = own.into_iter().chain([PathBuf::from("/dev/shm"), PathBuf::from("/tmp")]);
        let name = format!("git-vermas-simulate-{}-{:x}", crate::sys::running::id(), random::bits());
        for place in places {
            let path = place.join(&name);
            if fs::exists(&place) && fs::create_private_dir(&path).is_ok() {
                return Ok(Self { path: fs::canonicalize(&path)?, keep });
            }
        }
        Err(Fault::failed("there is no folder for temporary files: set TMPDIR"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed now is in a folder for temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The judge is worth nothing if it cannot find a fault.
#[cfg(test)]
mod tests {
    use super::plan::What;
    use super::*;

    /// What is found after a short run of its own in which somebody did this behind everybody's back.
    fn found_after(fault: impl FnOnce(&mut Town)) -> Option<&'static str> {
        let folder = Folder::make(false).unwrap();
        let step = |on, what| Step { on, what, chance: 7, harm: None };
        let steps = vec![step(0, What::Create), step(1, What::Comment), step(2, What::Mail), step(3, What::CopyClone)];
        let run = Run { steps, two_remotes: false, ..plan::draw(1) };
        let sim = Rc::new(Simulated::new(1));
        let _stay = world::enter(sim.clone());
        let mut town = Town::found(&folder.path, &sim, &run).unwrap();
        run.steps.iter().for_each(|s| act::step(&mut town, s).unwrap());
        meet(&mut town).unwrap();
        fault(&mut town);
        oracle::judge(&mut town).err().map(|b| b.promise)
    }

    #[test]
    fn a_run_without_a_fault_passes() {
        assert_eq!(found_after(|_| {}), None);
    }

    #[test]
    fn a_lost_event_is_found() {
        let lost = found_after(|town| town.oracle.mark("a word that nobody kept".to_owned()));
        assert_eq!(lost, Some("nothing acknowledged is lost"));
    }

    #[test]
    fn a_projection_that_says_something_else_is_found() {
        let emptied = found_after(|town| fs::replace(&town.places(2).unwrap().orders(), b"").unwrap());
        assert_eq!(emptied, Some("the state is a function of the events"));
    }

    #[test]
    fn an_event_that_one_machine_keeps_to_itself_is_found() {
        let kept = found_after(|town| {
            town.healthy(4, |s| act::create_titled(s, "Unknown to the others")).unwrap();
        });
        assert_eq!(kept, Some("nothing acknowledged is lost"));
    }

    #[test]
    fn a_second_winner_is_found() {
        let second = found_after(|town| {
            let prize = town.prizes[0].clone();
            town.oracle.won(&prize, "ceo").unwrap();
            assert!(town.oracle.won(&prize, "operations").is_err());
        });
        assert_eq!(second, Some("a prize stays with its winner"));
    }
}
