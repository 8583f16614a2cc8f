//! Exclusive claims: of many machines that want an order at once one gets it, and the others leave no trace.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use super::is_long;
use crate::factory::common::{Place, program};

/// The clones of one remote, all of which have the orders.
fn clones(p: &Place, count: usize) -> Vec<PathBuf> {
    p.remote();
    p.vermas(&["sync"]).ok();
    (0..count).map(|i| p.clone_of_remote(&format!("c{i}"))).collect()
}

/// All at once; with names of their own, or all under the same.
fn claim(p: &Place, dirs: &[PathBuf], id: &str, named: bool) -> Vec<Output> {
    let start = |(i, d): (usize, &PathBuf)| {
        let name = format!("team/workers/slot{i}");
        // Where the remote decides by default nobody needs to ask for it.
        let words = if named { vec!["--as", &name, "wo", "claim", id, "--exclusive"] } else { vec!["wo", "claim", id] };
        p.command_in(d, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = dirs.iter().enumerate().map(start).collect();
    running.into_iter().map(|r| r.wait_with_output().unwrap()).collect()
}

/// The events by which somebody took this order on, in a clone's log.
fn claims_in(dir: &std::path::Path, id: &str) -> Vec<String> {
    let log = std::fs::read_to_string(dir.join(".work/events.jsonl")).unwrap();
    let is_claim = |l: &&str| l.contains("\"work_order.assigned\"") && l.contains(id);
    log.lines().filter(is_claim).map(str::to_owned).collect()
}

#[test]
fn of_many_machines_that_claim_an_order_at_once_one_gets_it_and_the_others_leave_no_trace() {
    let p = Place::new();
    let (machines, rounds) = if is_long() { (12, 200) } else { (4, 2) };
    let orders: Vec<String> = (0..rounds).map(|i| p.create(&format!("wanted {i}"))).collect();
    let dirs = clones(&p, machines);
    for d in &dirs {
        p.git_in(d, &["config", "vermas.claims", "remote"]);
    }
    let mut taken = Duration::ZERO;
    for (round, id) in orders.iter().enumerate() {
        let began = Instant::now();
        let ended = claim(&p, &dirs, id, round % 2 == 0);
        taken += began.elapsed();
        let codes: Vec<_> = ended.iter().map(|o| o.status.code()).collect();
        let winners: Vec<usize> = (0..machines).filter(|i| codes[*i] == Some(0)).collect();
        assert_eq!(winners.len(), 1, "{codes:?} {ended:?}");
        let winner = if round % 2 == 0 { format!("team/workers/slot{}", winners[0]) } else { "ceo".to_owned() };
        let won = claims_in(&dirs[winners[0]], id);
        assert_eq!(won.len(), 1);
        for (i, out) in ended.iter().enumerate().filter(|(i, _)| *i != winners[0]) {
            let text = String::from_utf8_lossy(&out.stderr);
            assert_eq!(codes[i], Some(5), "{text}");
            assert!(text.contains(&winner), "the winner is not named: {text}");
            assert!(claims_in(&dirs[i], id).iter().all(|l| *l == won[0]), "clone {i} has a trace of its claim");
        }
    }
    for d in &dirs {
        p.vermas_in(d, &["sync"]).ok();
        for id in &orders {
            assert_eq!(claims_in(d, id).len(), 1, "{id} was claimed more than once");
        }
    }
    println!(
        "claims: {rounds} orders, {machines} machines at once, one winner each, {:.1} answers a second",
        f64::from(u32::try_from(rounds * machines).unwrap()) / taken.as_secs_f64()
    );
}

#[test]
fn a_claim_whose_answer_was_lost_is_found_by_asking() {
    let p = Place::new();
    let id = p.create("wanted");
    let dirs = clones(&p, 2);
    let hook = p.root().join("remote.git/hooks/post-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    // The ref has moved when this runs; the one who pushes hears nothing.
    std::fs::write(&hook, "#!/bin/sh\nrm \"$0\"\nkill -9 $PPID\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    p.vermas_in(&dirs[0], &["wo", "claim", &id, "--exclusive"]).ok();
    assert!(!hook.exists());
    assert_eq!(claims_in(&dirs[0], &id).len(), 1);
    // Asked again it is ours already; another machine is refused, under the same name, too.
    assert_eq!(p.vermas_in(&dirs[0], &["wo", "claim", &id, "--exclusive"]).code, Some(0));
    let other = p.vermas_in(&dirs[1], &["wo", "claim", &id, "--exclusive"]);
    assert!(other.code == Some(5) && other.err.contains("on another machine"), "{other:?}");
    assert_eq!(p.vermas_in(&dirs[0], &["fsck"]).code, Some(0));
}

#[test]
fn of_two_machines_that_dispatch_an_order_at_once_one_does() {
    let p = Place::new();
    p.agent("sleep 1");
    let id = p.create("wanted");
    let dirs = clones(&p, 2);
    for d in &dirs {
        for (key, value) in [("vermas.claims", "remote"), ("vermas.factory", "app"), ("vermas.launcher", "process")] {
            p.git_in(d, &["config", key, value]);
        }
        p.git_in(d, &["config", "vermas.agentDefault", "shell"]);
        p.git_in(d, &["config", "vermas.agent.shell.command", p.root().join("agent.sh").to_str().unwrap()]);
    }
    let start = |d: &PathBuf| {
        let mut c = p.command_in(d, &["dispatch", &id]);
        c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = dirs.iter().map(start).collect();
    let ended: Vec<_> = running.into_iter().map(|r| r.wait_with_output().unwrap()).collect();
    let mut codes: Vec<_> = ended.iter().map(|o| o.status.code()).collect();
    let loser = codes.iter().position(|c| *c == Some(5)).unwrap_or_else(|| panic!("{ended:?}"));
    codes.sort();
    assert_eq!(codes, [Some(0), Some(5)], "{ended:?}");
    assert!(!dirs[loser].join("workers").exists());
    assert!(claims_in(&dirs[loser], &id).len() <= 1);
    p.vermas_in(&dirs[1 - loser], &["worker", "kill", "slot0"]).ok();
}

#[test]
fn an_exclusive_claim_without_the_remote_is_refused_and_says_what_is_tentative() {
    let p = Place::new();
    let id = p.create("wanted");
    let dirs = clones(&p, 1);
    let mut mv = program(p.root(), p.root(), "mv");
    assert!(mv.args(["remote.git", "away"]).status().unwrap().success());
    let said = p.vermas_in(&dirs[0], &["wo", "claim", &id, "--exclusive"]);
    assert!(said.code == Some(1) && said.err.contains("tentative"), "{said:?}");
    assert_eq!(claims_in(&dirs[0], &id), [] as [String; 0]);
    p.vermas_in(&dirs[0], &["wo", "claim", &id]).ok();
}

#[test]
fn a_claim_that_the_remote_accepted_is_not_undone_by_an_earlier_one_that_it_never_saw() {
    let p = Place::new();
    let id = p.create("wanted");
    let dirs = clones(&p, 2);
    let (a, b) = (&dirs[0], &dirs[1]);
    p.vermas_in(a, &["--as", "team/workers/slot1", "wo", "claim", &id]).ok();
    p.vermas_in(b, &["--as", "team/workers/slot2", "wo", "claim", &id, "--exclusive"]).ok();
    p.vermas_in(a, &["sync"]).ok();
    p.vermas_in(b, &["sync"]).ok();
    for d in [a, b] {
        assert_eq!(p.vermas_in(d, &["wo", "show", &id, "--json"]).json()["assignee"], "team/workers/slot2");
    }
    let said = p.vermas_in(a, &["--as", "team/workers/slot1", "wo", "claim", &id, "--exclusive"]);
    assert!(said.code == Some(5) && said.err.contains("is held by team/workers/slot2"), "{said:?}");
    // Whoever came second is told, once, and where that was recorded.
    for _ in 0..2 {
        let mail = p.vermas_in(a, &["--as", "team/workers/slot1", "inbox", "--json"]).json();
        let subject = mail[0]["subject"].as_str().unwrap();
        assert!(mail.as_array().unwrap().len() == 1 && subject.contains("is held by team/workers/slot2"), "{mail}");
        p.vermas_in(b, &["sync"]).ok();
        p.vermas_in(a, &["sync"]).ok();
    }
    assert_eq!(p.vermas_in(b, &["--as", "team/workers/slot2", "inbox", "--json"]).json().as_array().unwrap().len(), 0);
}
