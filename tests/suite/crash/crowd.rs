//! Many processes at once, some of them killed: everything acknowledged is there, once.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::is_long;
use crate::factory::common::{Place, program, run, until};

fn titles(p: &Place) -> Vec<String> {
    listed(p, "title")
}

fn ids(p: &Place) -> BTreeSet<String> {
    listed(p, "id").into_iter().collect()
}

fn listed(p: &Place, key: &str) -> Vec<String> {
    let list = p.json(&["wo", "list"]);
    list.as_array().unwrap().iter().map(|o| o[key].as_str().unwrap().to_owned()).collect()
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
    let there = ids(&p);
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
    let there = ids(&p);
    let lost: Vec<&String> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "of {} acknowledged {} are lost: {lost:?}", acknowledged.len(), lost.len());
    p.vermas(&["rebuild"]);
    assert_eq!(ids(&p), there, "what the cache showed is not what there is");
    assert!(acknowledged.len() >= each, "hardly anything went through: {}", acknowledged.len());
    is_sound(&p);
    println!("log taken away: {} acknowledged by 6 writers, 0 lost", acknowledged.len());
}

#[test]
fn a_repository_that_is_moved_away_while_many_write_keeps_what_was_acknowledged() {
    let p = Place::new();
    let rounds = if is_long() { 60 } else { 4 };
    let write = "for n in $(seq 400); do [ -d app/.work ] || break
                 id=$(git-vermas -C app wo create \"$0-$n\" 2>/dev/null) && echo $id; done; :";
    let (there, mut acknowledged) = (p.root().join("moved"), BTreeSet::new());
    let logged = || std::fs::read_to_string(p.work().join("events.jsonl")).unwrap_or_default().lines().count();
    for round in 0..rounds {
        let before = logged();
        let running = [0, 1, 2].map(|n| {
            let mut c = program(p.root(), p.root(), "sh");
            c.args(["-c", write, &format!("{round}-{n}")]).stdout(Stdio::piped()).spawn().unwrap()
        });
        // One more than there are writers: who began the second has been told of the first.
        until("one is acknowledged", || logged() > before + running.len());
        std::thread::sleep(Duration::from_millis(7 * (round % 7)));
        std::fs::rename(&p.app, &there).unwrap();
        for child in running {
            let out = child.wait_with_output().unwrap();
            acknowledged.extend(String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned));
        }
        // A ref that was being moved may have begun its folder there anew; nothing of a state does.
        assert!(!p.app.join(".work").exists() && !p.app.join(".git/vermas").exists());
        let _ = std::fs::remove_dir_all(&p.app);
        std::fs::rename(&there, &p.app).unwrap();
    }
    let there = ids(&p);
    let lost: Vec<&String> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "of {} acknowledged {} are lost: {lost:?}", acknowledged.len(), lost.len());
    assert!(acknowledged.len() as u64 >= rounds, "hardly anything went through: {}", acknowledged.len());
    // A lock on the branch that was left there goes after a minute.
    assert_eq!(p.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]), "");
    assert_eq!(p.vermas(&["fsck"]).code, Some(0));
    println!("moved away {rounds} times: {} acknowledged by 3 writers, 0 lost", acknowledged.len());
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
