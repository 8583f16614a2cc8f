//! Many processes at once, some of them killed: everything acknowledged is there, once.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use super::is_long;
use crate::factory::common::{Place, program, run};

fn titles(p: &Place) -> Vec<String> {
    let list = p.vermas(&["wo", "list", "--json"]);
    assert_eq!(list.code, Some(0), "{list:?}");
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    list.as_array().unwrap().iter().map(|o| o["title"].as_str().unwrap().to_owned()).collect()
}

/// What must hold after every crash and one command: the repository is sound, nothing is locked, and the projections are
/// what the branch says.
fn is_sound(p: &Place) {
    let fsck = p.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
    assert_eq!(fsck, "");
    let refs = p.app.join(".git/refs/heads/vermas");
    let left: Vec<_> = std::fs::read_dir(refs).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["state"], "a lock was left");
    for args in [&["status", "--short"][..], &["log", "--all", "--oneline"]] {
        p.git(args);
    }
    let lines = std::fs::read_to_string(p.work().join("work_orders.jsonl")).unwrap();
    let ids: BTreeSet<_> =
        lines.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["id"].to_string()).collect();
    assert_eq!(ids.len(), lines.lines().count(), "a record stands twice");
    assert_eq!(ids.len(), titles(p).len(), "the projection is not whole");
    let events = p.work().join("events.jsonl");
    for line in std::fs::read_to_string(events).unwrap().lines().filter(|l| !l.is_empty()) {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("torn: {e}: {line}"));
    }
}

#[test]
fn killed_at_chance_moments_under_load_nothing_acknowledged_is_lost() {
    let p = Place::new();
    let rounds: u32 = if is_long() { 400 } else { 12 };
    let (acknowledged, killed) = p.create_and_kill(4, |round| round < rounds);
    assert!(acknowledged.len() >= 3 * rounds as usize);
    let list = p.json(&["wo", "list"]);
    let there: BTreeSet<String> =
        list.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
    assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
    is_sound(&p);
    println!("killed under load: {killed} kills, {} acknowledged, 0 lost", acknowledged.len());
}

/// What takes the log away under those who write to it.
const REMOVALS: [&str; 4] = [
    "rm -f .work/events.jsonl",
    "rm -rf .work",
    "mv .work ../away$i",
    "cp .work/events.jsonl x && mv x .work/events.jsonl",
];

#[test]
fn a_log_that_is_taken_away_again_and_again_while_many_write_keeps_what_was_acknowledged() {
    let p = Place::new();
    let each = if is_long() { 300 } else { 12 };
    // One that says that it failed was not acknowledged, and need not be there.
    let write = format!("for n in $(seq {each}); do git-vermas wo create \"$0-$n\" 2>/dev/null; done; :");
    let running: Vec<Child> = (0..6)
        .map(|n| {
            let mut c = program(p.root(), &p.app, "sh");
            c.args(["-c", &write, &n.to_string()]).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let take_away = format!("i=0; while :; do i=$((i+1)); case $((i%4)) in {} esac; sleep 0.0$((i*7%9)); done", {
        let case = |(n, deed): (usize, &&str)| format!("{n}) {deed};;");
        REMOVALS.iter().enumerate().map(case).collect::<String>()
    });
    let mut c = program(p.root(), &p.app, "sh");
    let mut taking = c.args(["-c", &take_away]).stderr(Stdio::null()).spawn().unwrap();
    let mut acknowledged = BTreeSet::new();
    for child in running {
        let out = child.wait_with_output().unwrap();
        acknowledged.extend(String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned));
    }
    taking.kill().unwrap();
    taking.wait().unwrap();
    let all = |p: &Place| -> BTreeSet<String> {
        let list: serde_json::Value = serde_json::from_str(&p.vermas(&["wo", "list", "--json"]).out).unwrap();
        list.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect()
    };
    let there = all(&p);
    let lost: Vec<&String> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "of {} acknowledged {} are lost: {lost:?}", acknowledged.len(), lost.len());
    p.vermas(&["rebuild"]);
    assert_eq!(all(&p), there, "what the cache showed is not what there is");
    assert!(acknowledged.len() >= each, "hardly anything went through: {}", acknowledged.len());
    is_sound(&p);
    println!("log taken away: {} acknowledged by 6 writers, 0 lost", acknowledged.len());
}

#[test]
fn many_processes_with_many_creates_each_are_all_there_and_none_twice() {
    let p = Place::new();
    let (processes, each) = if is_long() { (64, 1000) } else { (16, 10) };
    let began = std::time::Instant::now();
    let script = format!("i=0; while [ $i -lt {each} ]; do git-vermas wo create \"$0-$i\" || exit 1; i=$((i+1)); done");
    let running: Vec<Child> = (0..processes)
        .map(|n| {
            let mut c = program(p.root(), &p.app, "sh");
            c.args(["-c", &script, &n.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut ids = BTreeSet::new();
    for child in running {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        ids.extend(String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned));
    }
    let taken = began.elapsed().as_secs_f64();
    assert_eq!(ids.len(), processes * each);
    let wanted: BTreeSet<String> = (0..processes).flat_map(|n| (0..each).map(move |i| format!("{n}-{i}"))).collect();
    let found = titles(&p);
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
    is_sound(&p);
    // The branch has every event, once.
    let mut c = program(p.root(), &p.app, "sh");
    c.args([
        "-c",
        "git ls-tree -r --format='%(objectname)' vermas/state -- events | git cat-file --batch='%(objectsize)'",
    ]);
    let on_branch = run(c).ok();
    let created = on_branch.lines().filter(|l| l.contains("\"work_order.created\"")).count();
    assert_eq!(created, processes * each);
    let commits = p.git(&["rev-list", "--count", "vermas/state"]);
    println!(
        "crowd: {processes} processes, {created} of {} orders, none twice, {:.0} a second, in {commits} commits",
        processes * each,
        f64::from(u32::try_from(created).unwrap()) / taken
    );
}
