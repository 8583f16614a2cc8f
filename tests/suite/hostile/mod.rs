//! Hostile state: bad trees, files, lines, names and sizes, from a remote and on the local disk, against every command.
//!
//! Whatever comes, no command panics, hangs, eats the machine's memory, writes outside our places, runs what a text says,
//! or lets a control character through; and the good orders beside it stay listed and usable. The short form takes a part
//! of the cases and three commands of each, with a fixed seed; `VERMAS_LONG=1` takes all of them and twelve commands of
//! each, and prints the figure. `VERMAS_COMMANDS=99` takes more, `VERMAS_CASE=words` only cases of that name, and
//! `VERMAS_PART=n` every n-th, from `VERMAS_SEED` on.

mod bounds;
mod branches;
mod commands;
mod disk;
mod judge;
pub mod lines;
mod objects;
mod world;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use self::branches::Make;
use self::disk::Then;
use self::judge::{Verdict, judge};
use self::world::World;

/// How a state branch comes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is the remote's, and sync joins it.
    Sync,
    /// It is the remote's, and this clone is set up from it.
    Init,
    /// Somebody moved the local branch there, as `git fetch origin +vermas/state:vermas/state` does.
    Moved,
    /// The state here has gone on, and git joins both in a worktree of the person's.
    Merge,
}

struct Case {
    name: String,
    make: Box<dyn Fn(&World) + Send + Sync>,
    then: Then,
}

fn set_ref(repo: &Path, oid: &str) {
    let git = if repo.join(".git").is_dir() { repo.join(".git") } else { repo.to_owned() };
    let path = git.join("refs/heads/vermas/state");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("{oid}\n")).unwrap();
}

/// Brings a hostile branch here. What sync or init says to it is judged like any other command.
fn bring(w: &World, way: Way, make: &Make) {
    match way {
        Way::Sync => {
            set_ref(&w.remote, &make(w, &w.remote));
            w.say(&["wo", "comment", &w.good[0], "-m", "so that there is something to join"]);
        }
        Way::Init => {
            set_ref(&w.remote, &make(w, &w.remote));
            w.start_fresh();
        }
        Way::Moved => set_ref(&w.app, &make(w, &w.app)),
        Way::Merge => {
            let theirs = make(w, &w.app);
            w.say(&["wo", "comment", &w.good[0], "-m", "so that there is something to join"]);
            let there = w.root().join("t/state");
            let git = |dir: &Path, args: &[&str]| world::program(w.root(), dir, "git").args(args).output().unwrap();
            git(&w.app, &["worktree", "add", "-q", there.to_str().unwrap(), "vermas/state"]);
            // Where git will not, nothing has come.
            let merged = git(&there, &["merge", "-q", "-m", "merge", &theirs]);
            if !merged.status.success() {
                git(&there, &["merge", "--abort"]);
            }
        }
    }
}

fn cases(w: &World, long: bool) -> Vec<Case> {
    let mut all = Vec::new();
    let mut of_branch = |name: &str, make: &Arc<Make>, ways: &[Way]| {
        for way in ways {
            let (make, way) = (Arc::clone(make), *way);
            let then = if way == Way::Init { Then::Either } else { Then::Usable };
            let name = format!("{name}, by {way:?}");
            all.push(Case { name, make: Box::new(move |w| bring(w, way, &make)), then });
        }
    };
    for s in branches::all().into_iter().filter(|s| long || !s.large) {
        let ways: &[Way] = if s.travels { &[Way::Sync, Way::Init, Way::Moved] } else { &[Way::Moved] };
        of_branch(&s.name, &Arc::new(s.make), ways);
    }
    let mut texts = Vec::new();
    for (name, bytes) in lines::all(w, long) {
        of_branch(
            &name,
            &Arc::new(branches::with_segment(bytes.clone())),
            &[Way::Sync, Way::Init, Way::Moved, Way::Merge],
        );
        texts.push((format!("{name}, in the log"), "events.jsonl", bytes));
    }
    for (name, file, bytes) in texts.into_iter().chain(lines::records()) {
        let make = move |w: &World| {
            let mut f = std::fs::OpenOptions::new().append(true).create(true).open(w.work(file)).unwrap();
            std::io::Write::write_all(&mut f, &bytes).unwrap();
        };
        all.push(Case { name, make: Box::new(make), then: Then::Usable });
    }
    all.extend(disk::all().into_iter().map(|d| Case { name: d.name, make: d.make, then: d.then }));
    all
}

/// Numbers that look random and are the same each time.
fn pick(seed: u64, n: u64) -> u64 {
    let mut x = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ x >> 32) % n
}

/// How many cases the short form takes, and how many commands of each.
const SHORT_CASES: u64 = 7;
const SHORT_COMMANDS: usize = 3;
/// How many commands of each case the long form takes: every command meets a few hundred cases.
const LONG_COMMANDS: usize = 12;

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|s| s.parse().ok())
}

#[test]
fn no_hostile_state_harms_anybody() {
    let wanted = std::env::var("VERMAS_CASE").ok();
    let long = std::env::var_os("VERMAS_LONG").is_some() || wanted.is_some();
    let (seed, part) = (number("VERMAS_SEED").unwrap_or(1) as u64, number("VERMAS_PART").unwrap_or(1));
    let most = number("VERMAS_COMMANDS").unwrap_or(if long { LONG_COMMANDS } else { SHORT_COMMANDS });
    let mut all = cases(&World::new(), long);
    let known = all.len();
    if let Some(words) = &wanted {
        all.retain(|c| c.name.contains(words.as_str()));
    } else if !long {
        let chosen: Vec<usize> =
            (0..SHORT_CASES).map(|n| usize::try_from(pick(seed * 1000 + n, known as u64)).unwrap()).collect();
        let mut at = 0..;
        all.retain(|_| at.next().is_some_and(|i| chosen.contains(&i)));
    } else if part > 1 {
        let mut at = 0_usize..;
        all.retain(|_| at.next().is_some_and(|i| (i + usize::try_from(seed).unwrap()) % part == 0));
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let sum: Mutex<Verdict> = Mutex::default();
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while let Some((i, case)) = {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    all.get(i).map(|c| (i, c))
                } {
                    let w = World::new();
                    let v = judge(&w, &case.name, &case.make, case.then, most, seed + i as u64);
                    if long && !v.faults.is_empty() {
                        eprintln!("{}", v.faults.join("\n"));
                    }
                    found.lock().unwrap().extend(v.faults.clone());
                    sum.lock().unwrap().add(&v);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap();
    println!(
        "hostile state: {} of {known} cases, {} commands run, the slowest {:.2} s ({})",
        all.len(),
        sum.commands,
        sum.slowest.as_secs_f64(),
        sum.slowest_is
    );
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}
