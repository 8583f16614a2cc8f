//! A disk that is full, fails or may not be written, at any call: no panic, a true answer, and nothing lost.

use super::scene::{CHANGES, Case, READS, Scene};
use super::tally::Tally;
use super::trace::{Point, calls, has_strace, own_points, stopped};
use super::{is_long, is_wanted};
use crate::factory::common::Said;

/// How many commands the short form tries, of all.
const SHORT: usize = 4;

/// The errors that a call may really give.
fn errors_of(point: &Point) -> &'static [&'static str] {
    match point.call.as_deref() {
        // With a plus: from there on every one.
        None => &["enospc", "eio", "emfile", "erofs", "eio+", "enospc+"],
        Some("write" | "pwrite64") => &["enospc", "eio"],
        Some("fsync" | "fdatasync" | "sync_file_range") => &["eio", "enospc"],
        Some("openat") => &["emfile", "enospc", "eacces", "erofs", "eio"],
        Some("read" | "pread64") => &["eio"],
        Some("flock") => &["enolck", "eio"],
        Some(_) => &["enospc", "erofs", "eacces", "eio"],
    }
}

/// What is tried at a command's nth point: every error where the program itself may fail, at system calls one in turn; and
/// of the many that only read one in four, unless reading is what the command is for.
fn tries(point: Point, n: usize, reading: bool) -> Vec<(Point, &'static str)> {
    let errors = errors_of(&point);
    let only_reads = matches!(point.call.as_deref(), Some("read" | "pread64"))
        || (point.call.as_deref() == Some("openat") && !point.text.contains("O_CREAT"));
    match point.call {
        None => errors.iter().map(|e| (point.clone(), *e)).collect(),
        Some(_) if only_reads && !reading && !n.is_multiple_of(4) => Vec::new(),
        Some(_) => vec![(point, errors[n % errors.len()])],
    }
}

/// The points of a command with the errors to try there; the short form takes one.
fn chosen(scene: &Scene, case: Case, reading: bool, i: usize) -> Vec<(Point, &'static str)> {
    let args = scene.words(case);
    let mut all = if reading { Vec::new() } else { own_points(scene, case.dir, &args) };
    if is_long() || reading {
        scene.restore();
        all.extend(if has_strace() { calls(scene, case.dir, &args, true) } else { Vec::new() });
    }
    let each: Vec<_> = all.into_iter().enumerate().flat_map(|(n, p)| tries(p, n, reading)).collect();
    if is_long() { each } else { each.get((i * 61 + 17) % each.len().max(1)).cloned().into_iter().collect() }
}

fn count(log: &[String], kind: &str) -> usize {
    log.iter().filter(|l| l.contains(&format!("\"event_type\":\"{kind}\""))).count()
}

fn broke(said: &Said) -> bool {
    let internal = ["internal error", "panicked"].iter().any(|w| said.err.contains(w));
    said.code.is_none() || said.code == Some(101) || internal
}

/// What a command says of itself must be so.
fn is_true(tally: &mut Tally, case: Case, before: &[String], after: &[String], said: &Said, point: &Point, at: &str) {
    if broke(said) {
        tally.bad(|t| &mut t.untrue, format!("{at}: {said:?}"));
    }
    if said.code != Some(0) && said.err.trim().is_empty() && !point.is_answer() {
        tally.bad(|t| &mut t.untrue, format!("{at}: says nothing: {said:?}"));
    }
    let Some(kind) = case.leaves else { return };
    let done = count(after, kind) > count(before, kind);
    // A message that cannot be noted as read is shown all the same.
    if said.code == Some(0) && !done && !said.err.contains("warning: it could not be recorded") {
        tally.bad(|t| &mut t.untrue, format!("{at}: said to be done: {said:?}"));
    }
    // A step behind the recorded one failed: the message says which.
    let owned = case.words.starts_with("dispatch") || case.words.starts_with("qa") || said.code == Some(6);
    if said.code != Some(0) && done && !owned && !point.is_answer() {
        tally.bad(|t| &mut t.untrue, format!("{at}: said not to be done: {said:?}"));
    }
}

#[test]
fn an_error_at_any_call_of_any_changing_command_gives_a_true_answer_and_loses_nothing() {
    let scene = Scene::new();
    let mut tally = Tally::default();
    let few = CHANGES.len().div_ceil(SHORT);
    for (i, case) in CHANGES.iter().enumerate().filter(|(_, c)| is_wanted(c.words)) {
        if !is_long() && i % few != 1 {
            continue;
        }
        scene.restore();
        let args = scene.words(*case);
        for (point, error) in chosen(&scene, *case, false, i) {
            scene.restore();
            let before = scene.log(case.dir);
            let at = format!("{}: {error} at {point}", case.words);
            if let Some(said) = stopped(&scene, case.dir, &args, &point, error) {
                is_true(&mut tally, *case, &before, &scene.log(case.dir), &said, &point, &at);
                tally.look(&scene, *case, &before, &said, &at);
            }
        }
    }
    tally.prove("errors while changing");
}

#[test]
fn an_outcome_that_is_not_known_names_the_order_to_look_at() {
    let scene = Scene::new();
    let case = *CHANGES.iter().find(|c| c.words.starts_with("wo create")).unwrap();
    let args = scene.words(case);
    let is_sync = |p: &Point| p.text.starts_with("Sync") && p.text.ends_with("events.jsonl");
    let failed = || {
        scene.restore();
        let point = own_points(&scene, case.dir, &args).into_iter().find(is_sync).unwrap();
        scene.restore();
        stopped(&scene, case.dir, &args, &point, "enospc").unwrap()
    };
    // By chance a folder for objects is to be made, and the point is one later or earlier.
    let said = (0..40).map(|_| failed()).find(|said| said.code == Some(6)).expect("the log is synced in no try");
    assert!(!said.err.contains("run the command again"), "it may be done already: {said:?}");
    let look = said.err.split("git vermas wo show ").nth(1).unwrap_or_else(|| panic!("{said:?}"));
    let id = look.split_whitespace().next().unwrap();
    assert!(scene.vermas(case.dir, &format!("wo show {id} --history")).out.contains(id), "the line stands in the log");
}

#[test]
fn an_error_at_any_call_of_a_reading_command_shows_all_or_says_that_it_cannot() {
    if !has_strace() {
        return;
    }
    let scene = Scene::new();
    let mut tally = Tally::default();
    for (i, case) in READS.iter().enumerate().filter(|(_, c)| is_wanted(c.words)) {
        scene.restore();
        let args = scene.words(*case);
        let whole = scene.run(case.dir, &args).out;
        for (point, error) in chosen(&scene, *case, true, i) {
            let at = format!("{}: {error} at {point}", case.words);
            let Some(said) = stopped(&scene, case.dir, &args, &point, error) else { continue };
            tally.points += 1;
            let silent = said.code != Some(0) && said.err.trim().is_empty() && !point.is_answer();
            // What a survey cannot look at it shows as unknown.
            let survey = ["status", "fsck", "prime"].iter().any(|w| case.words.starts_with(w));
            let differs = said.code == Some(0) && said.out != whole && !point.is_answer() && !survey;
            if broke(&said) || silent || differs {
                tally.bad(|t| &mut t.untrue, format!("{at}: {said:?} instead of {whole}"));
            }
            let next = scene.run(case.dir, &args);
            if next.code != Some(0) || next.out != whole {
                tally.bad(|t| &mut t.stuck, format!("{at}: next: {next:?}"));
            }
        }
    }
    tally.prove("errors while reading");
}
