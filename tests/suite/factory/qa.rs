//! QA: what was handed in is merged, tested and landed, sent back, or waits; nobody's work is touched on the way.

use std::path::PathBuf;

use serde_json::Value;

use super::common::{Place, Said, until};

/// An agent that does its order by the script `do.sh` of the repository's top, hands in, and stays a moment.
const WORKS: &str = "sh ../../do.sh >out.log 2>&1; git add -A; git commit -qm 'Do it'; co worker done";

fn place() -> Place {
    let p = Place::new();
    std::fs::write(p.app.join(".git/info/exclude"), "/.work/\n/workers/\n/do.sh\nout.log\n").unwrap();
    p.agent(WORKS);
    p
}

/// Lets a worker do an order by a script and hand it in; gives the order.
fn handed_in(p: &Place, script: &str) -> String {
    std::fs::write(p.app.join("do.sh"), script).unwrap();
    let id = p.create("Do it");
    p.vermas(&["dispatch", &id]).ok();
    is_submitted(p, &id);
    id
}

fn is_submitted(p: &Place, id: &str) {
    until("the work was handed in", || p.show(id)["metadata"].get("submitted").is_some());
}

fn outcome(said: &Said) -> Value {
    let all: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    all[0].clone()
}

fn qa(p: &Place) -> (Option<i32>, Value) {
    let said = p.vermas(&["qa", "run", "--json"]);
    (said.code, outcome(&said))
}

fn base(p: &Place) -> String {
    p.git(&["rev-parse", "main"])
}

fn slot0(p: &Place) -> PathBuf {
    p.app.join("workers/slot0")
}

#[test]
fn tested_work_lands_by_a_merge_and_everybody_is_told() {
    let p = place();
    p.git(&["config", "vermas.qa.test", "grep -q two a.txt"]);
    let id = handed_in(&p, "echo two >a.txt");
    let (code, landed) = qa(&p);
    assert_eq!((code, landed["outcome"].as_str(), landed["tested"].as_bool()), (Some(0), Some("merged"), Some(true)));
    let order = p.show(&id);
    assert_eq!((order["status"].as_str(), order["merged"].as_bool()), (Some("closed"), Some(true)));
    assert_eq!(order["merge_commit"], base(&p).as_str());
    assert_eq!(order["commits"][0]["subject"], "Do it");
    assert_eq!(p.git(&["rev-list", "--parents", "-1", "main"]).split(' ').count(), 3);
    assert_eq!(std::fs::read_to_string(p.app.join("a.txt")).unwrap(), "two\n");
    assert_eq!(p.git(&["status", "--short"]), "");
    for agent in ["ceo", "app/supervisor", "app/workers/slot0"] {
        let mail = p.vermas(&["--as", agent, "inbox", "--json"]).json();
        assert!(mail.to_string().contains("MERGED"), "{agent}: {mail}");
    }
    assert_eq!(p.json(&["worker", "list"])[0]["state"], "free");
    let evidence = p.git(&["show", &format!("vermas/state:evidence/{id}/qa-1.log")]);
    assert!(evidence.contains("$ grep -q two a.txt") && evidence.contains("# passed"), "{evidence}");
    assert_eq!(p.json(&["qa", "run"]), serde_json::json!([]));
}

#[test]
fn a_squash_lands_as_one_commit_and_frees_the_slot() {
    let p = place();
    p.git(&["config", "vermas.qa.merge", "squash"]);
    let id = handed_in(&p, "echo x >b.txt; git add b.txt; git commit -qm one; echo two >a.txt");
    let (code, landed) = qa(&p);
    assert_eq!((code, landed["outcome"].as_str()), (Some(0), Some("merged")));
    assert_eq!(p.git(&["rev-list", "--count", "main"]), "2");
    assert_eq!(p.show(&id)["merged"], true);
    assert_eq!(p.json(&["worker", "list"])[0]["state"], "free");
    p.git(&["config", "vermas.qa.merge", "rebase"]);
    handed_in(&p, "echo three >a.txt");
    let said = p.vermas(&["qa", "run"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("'rebase', which is neither merge nor squash"), "{}", said.err);
}

#[test]
fn work_that_fails_its_test_goes_back_to_the_same_slot_with_the_reason() {
    let p = place();
    p.git(&["config", "vermas.qa.test", "cat a.txt; echo 'expected good'; grep -q good a.txt"]);
    let before = base(&p);
    let id =
        handed_in(&p, "printf '%s' \"$*\" >/dev/null; if [ -e first ]; then echo good >a.txt; else touch first; fi");
    p.agent(&format!("printf '%s\\n' \"$*\" >../../prompt.txt; {WORKS}"));
    let (code, back) = qa(&p);
    assert_eq!((code, back["outcome"].as_str(), back["restarted"].as_bool()), (Some(1), Some("rejected"), Some(true)));
    let reason = back["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 1") && reason.contains("expected good"), "{reason}");
    assert_eq!(base(&p), before);
    until("the worker is at it again", || p.app.join("prompt.txt").exists());
    is_submitted(&p, &id);
    let prompt = std::fs::read_to_string(p.app.join("prompt.txt")).unwrap();
    assert!(prompt.contains("sent it back") && prompt.contains("expected good"), "{prompt}");
    let mail = p.vermas(&["--as", "app/workers/slot0", "inbox", "--json"]).json();
    assert_eq!(
        (mail[0]["message_type"].as_str(), mail[0]["priority"].as_str()),
        (Some("REWORK_REQUEST"), Some("urgent"))
    );
    let (code, landed) = qa(&p);
    assert_eq!((code, landed["outcome"].as_str()), (Some(0), Some("merged")));
    assert_eq!(p.show(&id)["status"], "closed");
    let evidence = p.git(&["ls-tree", "-r", "--name-only", "vermas/state", "evidence"]);
    assert_eq!(evidence.lines().count(), 2, "{evidence}");
}

#[test]
fn a_conflict_goes_back_with_the_names_of_the_files() {
    let p = place();
    let id = handed_in(&p, "echo theirs >a.txt; echo x >b.txt");
    std::fs::write(p.app.join("a.txt"), "ours\n").unwrap();
    p.git(&["commit", "-qam", "ours"]);
    let before = base(&p);
    p.agent("sleep 0");
    let (code, back) = qa(&p);
    assert_eq!((code, back["outcome"].as_str()), (Some(1), Some("rejected")));
    let reason = back["reason"].as_str().unwrap();
    assert!(reason.contains("conflicts in: a.txt\n"), "{reason}");
    assert_eq!(base(&p), before);
    assert_eq!(p.show(&id)["status"], "in_progress");
    assert_eq!(std::fs::read_to_string(p.app.join("a.txt")).unwrap(), "ours\n");
}

#[test]
fn local_work_in_the_way_makes_it_wait_and_changes_nothing() {
    let p = place();
    let id = handed_in(&p, "echo theirs >a.txt");
    std::fs::write(p.app.join("a.txt"), "local\n").unwrap();
    std::fs::write(p.app.join("own.txt"), "own\n").unwrap();
    let before = (base(&p), p.git(&["status", "--short"]), p.show(&id)["status"].clone());
    let said = p.vermas(&["qa", "run", "--json"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    let waits = outcome(&said);
    assert_eq!(waits["outcome"], "waits");
    assert!(waits["reason"].as_str().unwrap().ends_with(": a.txt"), "{waits}");
    assert_eq!((base(&p), p.git(&["status", "--short"]), p.show(&id)["status"].clone()), before);
    assert_eq!(std::fs::read_to_string(p.app.join("a.txt")).unwrap(), "local\n");
    p.git(&["checkout", "-q", "a.txt"]);
    assert_eq!(qa(&p).1["outcome"], "merged");
    assert_eq!(std::fs::read_to_string(p.app.join("a.txt")).unwrap(), "theirs\n");
    assert_eq!(std::fs::read_to_string(p.app.join("own.txt")).unwrap(), "own\n");
}

#[test]
fn a_base_that_moved_meanwhile_is_merged_and_tested_anew() {
    let p = place();
    // The test itself lets the base move, once.
    let mv = "[ -e \"$T/moved\" ] || { touch \"$T/moved\"; cd \"$T/app\" && echo y >c.txt && git add c.txt && git commit -qm moved; }";
    p.git(&["config", "vermas.qa.test", &format!("echo run >>\"{0}/runs\"; T=\"{0}\"; ({mv})", p.root().display())]);
    handed_in(&p, "echo theirs >a.txt");
    let (code, landed) = qa(&p);
    assert_eq!((code, landed["outcome"].as_str()), (Some(0), Some("merged")));
    assert_eq!(std::fs::read_to_string(p.root().join("runs")).unwrap(), "run\nrun\n");
    assert_eq!(p.git(&["ls-tree", "--name-only", "main"]), "a.txt\nc.txt");
    assert_eq!(p.git(&["status", "--short"]), "");
}

#[test]
fn tests_without_an_end_are_ended_and_the_work_goes_back() {
    let p = place();
    p.git(&["config", "vermas.qa.test", "echo begun; sleep 600"]);
    p.git(&["config", "vermas.qa.timeout", "1s"]);
    handed_in(&p, "echo theirs >a.txt");
    p.agent("sleep 0");
    let (code, back) = qa(&p);
    assert_eq!((code, back["outcome"].as_str()), (Some(1), Some("rejected")));
    let reason = back["reason"].as_str().unwrap();
    assert!(reason.contains("did not end within 1 second") && reason.contains("begun"), "{reason}");
}

#[test]
fn work_that_landed_before_it_could_be_recorded_is_recorded_by_the_next_run() {
    let p = place();
    let id = handed_in(&p, "echo theirs >a.txt");
    // A landing without its event, as one that was killed in between leaves it.
    let message = format!("Merge {id}\n\nWork-Order: {id}");
    p.git(&["merge", "-q", "--no-ff", "-m", &message, "vermas/slot0"]);
    let (tip, (code, landed)) = (base(&p), qa(&p));
    assert_eq!(
        (code, landed["outcome"].as_str(), landed["commit"].as_str()),
        (Some(0), Some("merged"), Some(tip.as_str()))
    );
    assert_eq!(base(&p), tip);
    assert_eq!(p.show(&id)["status"], "closed");
}

#[test]
fn the_base_may_be_checked_out_nowhere() {
    let p = place();
    handed_in(&p, "echo theirs >a.txt");
    p.git(&["config", "vermas.base", "main"]);
    p.git(&["switch", "-qc", "other"]);
    assert_eq!(qa(&p).1["outcome"], "merged");
    assert_eq!(std::fs::read_to_string(p.app.join("a.txt")).unwrap(), "one\n");
    assert_eq!(p.git(&["show", "main:a.txt"]), "theirs");
    assert_eq!(p.git(&["status", "--short"]), "");
}

#[test]
fn once_takes_the_most_urgent_only() {
    let p = place();
    let a = handed_in(&p, "echo a >a1.txt");
    let b = handed_in(&p, "echo b >b1.txt");
    p.vermas(&["wo", "update", &b, "--priority", "0"]).ok();
    let out = p.json(&["qa", "run", "--once"]);
    assert_eq!(out.as_array().unwrap().len(), 1);
    assert_eq!(out[0]["work_order_id"], b.as_str());
    assert_eq!(p.json(&["qa", "status"])[0]["work_order_id"], a.as_str());
    assert!(slot0(&p).exists());
}

#[test]
fn what_somebody_who_can_push_says_was_handed_in_waits_until_a_person_here_approves() {
    let p = place();
    let id = p.create("Theirs");
    p.git(&["switch", "-q", "-c", "theirs"]);
    std::fs::write(p.app.join("b.txt"), "theirs\n").unwrap();
    p.git(&["add", "b.txt"]);
    p.git(&["commit", "-qm", "theirs"]);
    let commit = p.git(&["rev-parse", "theirs"]);
    p.git(&["switch", "-q", "main"]);
    let before = base(&p);
    p.vermas(&["wo", "update", &id, "-m", &format!("submitted={commit}"), "-m", "branch=theirs"]).ok();
    let (code, waits) = qa(&p);
    assert_eq!((code, waits["outcome"].as_str()), (Some(5), Some("waits")), "{waits}");
    assert!(waits["reason"].as_str().unwrap().contains("qa approve"), "{waits}");
    assert_eq!(base(&p), before);
    let worker = p.vermas(&["--as", "app/workers/slot1", "qa", "approve", &id]);
    assert_eq!(worker.code, Some(4), "{worker:?}");
    // Another was handed in since somebody looked.
    let other = p.vermas(&["qa", "approve", &id, "--commit", &before]);
    assert_eq!(other.code, Some(5), "{other:?}");
    assert!(other.err.contains(&commit), "{other:?}");
    assert_eq!(qa(&p).0, Some(5));
    assert!(p.vermas(&["qa", "approve", &id, "--commit", &commit[..10]]).ok().contains(&commit));
    let (code, landed) = qa(&p);
    assert_eq!((code, landed["outcome"].as_str()), (Some(0), Some("merged")), "{landed}");
}
