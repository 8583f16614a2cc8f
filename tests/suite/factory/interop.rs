//! Other programs write the same files at the same time and know no lock: both sides understand each other.

use std::collections::BTreeSet;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::common::{Place, program};

/// Whether the kit's Python is here; says so where it is not.
fn has_python() -> bool {
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    let found = Command::new("python3").args(["-c", new_enough]).status().is_ok_and(|s| s.success());
    if !found {
        eprintln!("skipped: python3 of version 3.11 or later is not installed");
    }
    found
}

fn kit(p: &Place, script: &str, args: &[&str]) -> Command {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");
    let mut c = program(p.root(), &p.app, "python3");
    c.env("PYTHONDONTWRITEBYTECODE", "1").arg(format!("{dir}/{script}")).args(args);
    c.stdout(Stdio::piped()).stderr(Stdio::piped());
    c
}

fn told(out: &Output) -> Value {
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn python(p: &Place, args: &[&str]) -> Value {
    told(&kit(p, "vermas_py.py", &[&["--work", ".work"], args].concat()).output().unwrap())
}

fn id_of(v: &Value) -> String {
    v["id"].as_str().or_else(|| v["work_order"]["id"].as_str()).unwrap_or_else(|| panic!("{v}")).to_owned()
}

/// Typed foreign readers take every line of ours, and records say what the events say.
fn both_agree(p: &Place) {
    assert_eq!(p.vermas(&["wo", "list"]).code, Some(0));
    told(&kit(p, "vermas_py.py", &["--work", ".work", "check", "--explained"]).output().unwrap());
    told(&kit(p, "merge_model.py", &["compare", "--work", ".work", "--forms"]).output().unwrap());
}

#[test]
fn a_naive_program_creates_changes_and_closes_and_is_understood() {
    if !has_python() {
        return;
    }
    let p = Place::new();
    let ours = p.create("from here");
    let loud = id_of(&python(&p, &["wo", "create", "with an event"]));
    let silent = id_of(&python(&p, &["wo", "create", "a record only", "--silent"]));
    assert_eq!(p.show(&loud)["title"], "with an event");
    assert_eq!(p.show(&silent)["title"], "a record only");
    python(&p, &["wo", "update", &ours, "--priority", "0", "--silent"]);
    python(&p, &["wo", "update", &silent, "--title", "rewritten", "--truncate"]);
    assert_eq!(p.show(&ours)["priority"], 0);
    assert_eq!(p.show(&silent)["title"], "rewritten");
    python(&p, &["wo", "close", &loud]);
    assert_eq!(p.show(&loud)["status"], "closed");
    p.vermas(&["wo", "update", &silent, "--title", "and again here"]).ok();
    assert_eq!(p.show(&silent)["title"], "and again here");
    both_agree(&p);
    // What was adopted is on the branch, too.
    let on_branch = p.git(&["grep", "-h", "-c", &silent, "vermas/state", "--", "events"]);
    assert_ne!(on_branch, "0");
}

#[test]
fn an_event_that_comes_after_its_line_takes_back_nothing_that_was_changed_in_between() {
    let p = Place::new();
    let append = |file: &str, text: &str| {
        let mut to = std::fs::OpenOptions::new().append(true).open(p.work().join(file)).unwrap();
        std::io::Write::write_all(&mut to, format!("{text}\n").as_bytes()).unwrap();
    };
    let line = r#"{"id":"wo-py1","title":"orig","description":"","status":"open","priority":2,"issue_type":"task","created_at":"2026-01-06T12:00:00Z","updated_at":"2026-01-06T12:00:00Z","created_by":"py"}"#;
    append("work_orders.jsonl", line);
    p.vermas(&["wo", "update", "wo-py1", "--title", "acknowledged", "-p", "0"]).ok();
    p.vermas(&["wo", "close", "wo-py1"]).ok();
    // Later than all that stands in the log.
    let log = std::fs::read_to_string(p.work().join("events.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let at = last["timestamp"].as_str().unwrap().replace('Z', "9Z");
    append(
        "events.jsonl",
        &format!(
            r#"{{"event_id":"evt-py1","event_type":"work_order.created","timestamp":"{at}","actor":"py","data":{{"work_order_id":"wo-py1","title":"orig","status":"open","priority":2,"sprint":7}}}}"#
        ),
    );
    for _ in 0..2 {
        let o = p.show("wo-py1");
        assert_eq!((&o["title"], &o["priority"], &o["status"]), (&"acknowledged".into(), &0.into(), &"closed".into()));
        assert_eq!(o["sprint"], 7, "what nobody wrote is filled");
        p.vermas(&["rebuild"]).ok();
    }
    if has_python() {
        both_agree(&p);
    }
}

#[test]
fn both_write_at_the_same_time_and_nothing_is_lost() {
    if !has_python() {
        return;
    }
    let p = Place::new();
    let theirs: Vec<Child> = (0..4)
        .map(|n| {
            let mut c = if n % 2 == 0 {
                kit(&p, "vermas_py.py", &["--work", ".work", "wo", "create", &format!("theirs {n}")])
            } else {
                kit(&p, "go_like_writer.py", &["--work", ".work", "create", &format!("theirs {n}")])
            };
            c.spawn().unwrap()
        })
        .collect();
    for n in 0..6 {
        p.create(&format!("ours {n}"));
    }
    for child in theirs {
        told(&child.wait_with_output().unwrap());
    }
    let list = p.json(&["wo", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 10, "{list}");
    both_agree(&p);
}

#[test]
fn writers_of_both_sides_that_are_killed_at_random_cost_nothing_that_was_acknowledged() {
    if !has_python() {
        return;
    }
    let p = Place::new();
    let manifest = p.root().join("manifest.jsonl");
    let manifest = manifest.to_str().unwrap();
    let long: &[&str] = &["--seconds", "600", "--pause", "0.005"];
    let much = if std::env::var_os("VERMAS_LONG").is_some() { long } else { &["--lines", "400"] };
    let mut run = kit(&p, "stress.py", &["run", "--work", ".work", "--manifest", manifest]);
    run.args(["--writers", "4", "--seed", "7", "--kill-every", "0.05"]).args(much);
    let mut writers = run.spawn().unwrap();
    let (acknowledged, killed) = p.create_and_kill(3, |round| round < 4 || writers.try_wait().unwrap().is_none());
    let theirs = told(&writers.wait_with_output().unwrap());
    assert_eq!(p.vermas(&["wo", "create", "afterwards"]).code, Some(0));
    let verify = ["verify", "--work", ".work", "--manifest", manifest, "--repo", "."];
    let result = told(&kit(&p, "stress.py", &verify).output().unwrap());
    assert_eq!((result["ok"].as_bool(), result["lost"].as_i64()), (Some(true), Some(0)), "{result}");
    let list = p.json(&["wo", "list"]);
    let there: BTreeSet<String> = list.as_array().unwrap().iter().map(id_of).collect();
    assert!(acknowledged.is_subset(&there), "lost: {:?}", acknowledged.difference(&there));
    println!(
        "killed at random: foreign writers {theirs}, {result}; ours {killed}, {} acknowledged",
        acknowledged.len()
    );
}

#[test]
fn the_slow_model_of_merging_says_the_same_of_clones_that_were_joined() {
    if !has_python() {
        return;
    }
    let p = Place::new();
    p.remote();
    let id = p.create("shared");
    p.vermas(&["sync"]).ok();
    let b = p.clone_of_remote("b");
    p.vermas(&["wo", "update", &id, "--title", "here", "--add-label", "x"]).ok();
    p.vermas_in(&b, &["wo", "update", &id, "--title", "there", "--priority", "1"]).ok();
    p.vermas(&["wo", "close", &id]).ok();
    p.vermas_in(&b, &["wo", "claim", &id]).ok();
    p.vermas_in(&b, &["send", "ceo", "-s", "hello", "-m", "there"]).ok();
    for dir in [&p.app, &b, &p.app] {
        assert_eq!(p.vermas_in(dir, &["sync"]).code, Some(0));
    }
    both_agree(&p);
    let mut c = kit(&p, "merge_model.py", &["compare", "--work", ".work", "--forms"]);
    told(&c.current_dir(&b).output().unwrap());
}
