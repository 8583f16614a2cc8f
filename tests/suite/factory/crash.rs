//! A command may be killed at any moment, and many may run at once: nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use super::common::{Place, Said, program, run};

/// Whether the long form of a test is wanted.
fn is_long() -> bool {
    std::env::var_os("VERMAS_LONG").is_some()
}

fn has_strace() -> bool {
    std::process::Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

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

/// Runs a command that is killed before the `nth` call of a system call; `None` where it did so many not at all.
fn killed_at(p: &Place, call: &str, nth: u32, args: &[&str]) -> Option<Said> {
    let mut c = program(p.root(), &p.app, "strace");
    c.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    c.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]);
    c.arg(super::common::binary()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let out = c.output().unwrap();
    let said = Said {
        code: out.status.code(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    };
    (out.status.signal() == Some(9) || out.status.code() == Some(137)).then_some(said)
}

#[test]
fn killed_before_any_system_call_that_writes_nothing_acknowledged_is_lost_and_the_next_command_works() {
    if !has_strace() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    const CALLS: &[&str] =
        &["write,pwrite64", "rename,renameat,renameat2", "fsync,fdatasync,sync_file_range", "openat"];
    let p = Place::new();
    let first = p.create("first");
    let mut kills = 0;
    for call in CALLS {
        let mut nth = 1;
        while let Some(said) = killed_at(&p, call, nth, &["wo", "create", &format!("{call} {nth}")]) {
            let acknowledged = said.out.trim().to_owned();
            let next = p.vermas(&["wo", "update", &first, "--description", &format!("{call} {nth}")]);
            assert_eq!(next.code, Some(0), "after {call} {nth}: {next:?}");
            if !acknowledged.is_empty() {
                assert_eq!(p.vermas(&["wo", "show", &acknowledged]).code, Some(0), "lost after {call} {nth}");
            }
            kills += 1;
            nth += if is_long() { 1 } else { 1 + nth / 3 + u32::from(*call == "openat") * (8 + nth / 2) };
        }
    }
    assert!(kills > 15, "{kills} only");
    is_sound(&p);
    let all = titles(&p);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a killed command counts twice: {all:?}");
}

fn start(p: &Place, args: &[&str]) -> Child {
    let mut c = p.command_in(&p.app, args);
    c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn killed_at_chance_moments_under_load_nothing_acknowledged_is_lost() {
    let p = Place::new();
    let rounds: u32 = if is_long() { 400 } else { 12 };
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds {
        let mut running: Vec<Child> = (0..4).map(|i| start(&p, &["wo", "create", &format!("{round}-{i}")])).collect();
        // The victim's moment differs by how long the others took to start.
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 7919 % 60_000));
        running[0].kill().unwrap();
        for child in running {
            let out = child.wait_with_output().unwrap();
            let id = String::from_utf8(out.stdout).unwrap().trim().to_owned();
            assert!(
                out.status.signal() == Some(9) || out.status.success(),
                "{:?}",
                String::from_utf8_lossy(&out.stderr)
            );
            acknowledged.extend((!id.is_empty()).then_some(id));
        }
    }
    assert!(acknowledged.len() >= 3 * rounds as usize);
    let list = p.json(&["wo", "list"]);
    let there: BTreeSet<String> =
        list.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
    assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
    is_sound(&p);
}

#[test]
fn sixteen_processes_with_ten_creates_each_are_all_there_and_none_twice() {
    let p = Place::new();
    let each = if is_long() { 100 } else { 10 };
    let script = format!("i=0; while [ $i -lt {each} ]; do git-vermas wo create \"$0-$i\" || exit 1; i=$((i+1)); done");
    let running: Vec<Child> = (0..16)
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
    assert_eq!(ids.len(), 16 * each);
    let wanted: BTreeSet<String> = (0..16).flat_map(|n| (0..each).map(move |i| format!("{n}-{i}"))).collect();
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
    assert_eq!(created, 16 * each);
}

#[test]
fn work_removed_by_hand_in_any_combination_comes_back_whole() {
    let p = Place::new();
    let order = p.create("kept");
    std::fs::copy(p.work().join("templates/feature.toml"), p.work().join("templates/own.toml")).unwrap();
    p.vermas(&["wo", "comment", &order, "-m", "seen"]).ok();
    let before = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
    let remove_work = || std::fs::remove_dir_all(p.work()).unwrap();
    let remove_private = || std::fs::remove_dir_all(p.app.join(".git/vermas")).unwrap();
    let remove_branch = || drop(p.git(&["branch", "-qD", "vermas/state"]));
    type Step<'a> = &'a dyn Fn();
    let removals: [(&str, Vec<Step<'_>>); 6] = [
        (".work", vec![&remove_work]),
        ("the branch", vec![&remove_branch]),
        (".work and the branch", vec![&remove_work, &remove_branch]),
        ("the private folder", vec![&remove_private]),
        (".work and the private folder", vec![&remove_work, &remove_private]),
        ("the branch and the private folder", vec![&remove_branch, &remove_private]),
    ];
    for (what, steps) in removals {
        for step in steps {
            step();
        }
        let said = p.vermas(&["wo", "create", what]);
        assert_eq!(said.code, Some(0), "without {what}: {said:?}");
        let after = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
        let lost: Vec<_> = before.lines().filter(|l| !l.starts_with("events/") && !after.contains(*l)).collect();
        assert!(lost.is_empty(), "without {what} the branch lost {lost:?}");
        assert!(p.work().join("templates/own.toml").exists() && p.work().join("config.toml").exists(), "{what}");
        assert!(p.work().join("feed.jsonl").exists(), "{what}");
        assert_eq!(p.show(&order)["comments"][0]["body"], "seen", "{what}");
    }
    assert_eq!(titles(&p).len(), 7);
    is_sound(&p);
}

#[test]
fn what_git_itself_tidies_away_is_not_needed() {
    let p = Place::new();
    let order = p.create("kept");
    for words in
        [&["clean", "-ffdxq"][..], &["stash", "-u", "-q"], &["gc", "-q", "--prune=now"], &["pack-refs", "--all"]]
    {
        p.git(words);
        let said = p.vermas(&["wo", "update", &order, "--description", words[0]]);
        assert_eq!(said.code, Some(0), "after git {words:?}: {said:?}");
    }
    assert_eq!(p.show(&order)["description"], "pack-refs");
}
