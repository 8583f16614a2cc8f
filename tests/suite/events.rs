//! `events`, `log` and `rebuild` as a caller sees them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::place::{Place, binary, scrubbed};
use predicates::prelude::*;
use serde_json::{Value, json};

fn append(p: &Place, line: &str) {
    let mut log = std::fs::OpenOptions::new().append(true).open(p.work("events.jsonl")).unwrap();
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn foreign(n: u32) -> String {
    format!(
        r#"{{ "event_type":"their.thing", "event_id":"evt-f{n}", "timestamp":"2026-01-0{n}T12:00:00+02:00", "actor":"go", "data":{{"x": 1.0}}, "more":[ ] }}"#
    )
}

#[test]
fn lines_come_back_byte_for_byte() {
    let p = Place::new();
    append(&p, &foreign(1));
    p.order("Ours");
    let all = p.said(&["events", "list", "--jsonl"]);
    let mut logged: Vec<String> = p.read("events.jsonl").lines().map(str::to_owned).collect();
    let mut listed: Vec<String> = all.lines().map(str::to_owned).collect();
    assert_eq!(listed[0], foreign(1), "oldest first");
    logged.sort();
    listed.sort();
    assert_eq!(listed, logged);
    let document: serde_json::Value = serde_json::from_str(&p.said(&["events", "export", "--json"])).unwrap();
    assert_eq!(document.as_array().unwrap().len(), all.lines().count());
    assert_eq!(p.said(&["events", "export"]), all);
    p.vermas(&["events", "export", "-o", "out.jsonl"])
        .assert()
        .code(0)
        .stdout("")
        .stderr("wrote 2 events to out.jsonl\n");
    assert_eq!(std::fs::read_to_string(p.path.join("out.jsonl")).unwrap(), all);
}

#[test]
fn filters_narrow_by_type_agent_and_time() {
    let p = Place::new();
    (1..=3).for_each(|n| append(&p, &foreign(n)));
    p.order("Ours");
    let ids = |args: &[&str]| -> Vec<String> {
        let all = p.json(&[&["events", "list"], args].concat());
        all.as_array().unwrap().iter().map(|e| e["event_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--type", "their.*"]), ["evt-f1", "evt-f2", "evt-f3"]);
    assert_eq!(ids(&["--type", "their.*", "--limit", "1"]), ["evt-f3"]);
    assert_eq!(ids(&["--until", "2026-01-02"]), ["evt-f1"]);
    assert_eq!(ids(&["--since", "2026-01-02", "--actor", "go"]), ["evt-f2", "evt-f3"]);
    assert_eq!(ids(&["--since", "1h"]).len(), 1);
    assert_eq!(ids(&["--since", "2999-01-01"]), Vec::<String>::new());
    p.vermas(&["events", "list", "--since", "soon"]).assert().code(2).stderr(
        "error: 'soon' is no time\nhint: write 30m, 2h, 3d, 1w, yesterday, a date like 2026-01-06, or a time like 2026-01-06T12:00:00Z\n",
    );
    let text = p.said(&["events", "list", "--type", "their.*", "-n", "1"]);
    assert_eq!(text, "2026-01-03T10:00:00.000Z  go  their.thing\n");
}

#[test]
fn stats_count_by_type_agent_and_day() {
    let p = Place::new();
    append(&p, &foreign(1));
    append(&p, &foreign(2));
    let stats = p.json(&["events", "stats"]);
    assert_eq!(stats["total"], 2);
    assert_eq!(stats["by_type"], json!({"their.thing": 2}));
    assert_eq!(stats["by_actor"], json!({"go": 2}));
    assert_eq!(stats["by_day"], json!({"2026-01-01": 1, "2026-01-02": 1}));
    assert_eq!(stats["first"], "2026-01-01T10:00:00.000Z");
    assert!(predicate::str::contains("type   their.thing").eval(&p.said(&["events", "stats"])));
}

#[test]
fn a_follower_gives_each_event_once_whoever_wrote_it() {
    let p = Place::new();
    p.order("Before");
    let mut child = scrubbed(binary(), &p.path)
        .args(["events", "tail", "-f", "-n", "1", "--jsonl"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("Before"));
    append(&p, &foreign(1));
    assert_eq!(lines.next().unwrap(), foreign(1));
    let id = p.order("After");
    assert!(lines.next().unwrap().contains(id.as_str()));
    // The log goes and comes back: nothing is told twice, nothing is missed.
    std::fs::remove_dir_all(p.path.join(".work")).unwrap();
    let other = p.order("Still there");
    assert!(lines.next().unwrap().contains(other.as_str()));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tail_shows_the_newest_in_order_of_arrival() {
    let p = Place::new();
    p.order("First");
    append(&p, &foreign(1));
    assert_eq!(p.said(&["events", "tail", "-n", "1", "--jsonl"]), format!("{}\n", foreign(1)));
    assert_eq!(p.said(&["events", "tail"]).lines().count(), 2);
}

#[test]
fn replay_shows_an_order_after_each_event() {
    let p = Place::new();
    let id = p.order("Add a flag");
    let data = json!({"work_order_id": id, "from_status": "open", "to_status": "in_progress"}).to_string();
    p.said(&["events", "emit", "work_order.status_changed", "--data", &data]);
    let steps = p.json(&["events", "replay", id.as_str()]);
    let states: Vec<&Value> = steps.as_array().unwrap().iter().map(|s| &s["state"]["status"]).collect();
    assert_eq!(states, ["open", "in_progress"]);
    let text = p.said(&["events", "replay", &id.as_str()[..8]]);
    assert!(text.contains("    title: Add a flag\n") && text.contains("    status: open → in_progress\n"), "{text}");
    p.vermas(&["events", "replay", "wo-none"])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("no work order wo-none"));
}

#[test]
fn only_events_that_say_something_are_written() {
    let p = Place::new();
    let event = p.json(&["events", "emit", "review.requested", "--data", r#"{"n":1}"#, "--actor", "slot2"]);
    assert_eq!((&event["event_type"], &event["actor"]), (&json!("review.requested"), &json!("app/workers/slot2")));
    assert_eq!(event["data"], json!({"n": 1}));
    let refused = |args: &[&str], code: i32, text: &str| {
        p.vermas(&[&["events", "emit"], args].concat()).assert().code(code).stderr(predicate::str::contains(text));
    };
    refused(&["nonsense"], 2, "'nonsense' is no type of event");
    refused(&["work_order.closed"], 2, "needs 'work_order_id'");
    refused(&["work_order.closed", "--data", r#"{"work_order_id":"wo-none"}"#], 3, "nothing with the id wo-none");
    refused(&["a.b", "--data", "[]"], 2, "--data: a record is a JSON object");
    refused(&["a.b", "--data", r#"{"x":"-----BEGIN X PRIVATE KEY-----"}"#], 4, "looks like a private key");
    assert_eq!(p.json(&["events", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn the_log_says_who_did_what() {
    let p = Place::new();
    let id = p.order("Add a flag");
    let other = p.order("Another");
    let all = p.said(&["log", "--oneline"]);
    assert!(all.lines().next().unwrap().ends_with(&format!("ceo: create {other} Another")), "{all}");
    assert_eq!(p.said(&["log", "--oneline", "-n", "1"]).lines().count(), 1);
    let one = p.json(&["log", id.as_str()]);
    assert_eq!(one.as_array().unwrap().len(), 1, "{one}");
    assert_eq!(one[0]["events"][0]["event_type"], "work_order.created");
    assert_eq!(one[0]["commit"], json!(p.git(&["rev-parse", "vermas/state~1"])));
    let text = p.said(&["log", id.as_str()]);
    assert!(text.ends_with(&format!("  ceo  created {id} \"Add a flag\"\n")), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    p.said(&["wo", "close", id.as_str(), "--reason", "done"]);
    let text = p.said(&["log", "-n", "1"]);
    assert!(text.ends_with(&format!("  ceo  closed {id} \"Add a flag\": done\n")), "{text}");
    assert_eq!(text.lines().count(), 1, "the change of status is part of it: {text}");
    assert_eq!(p.said(&["log", "--since", "1h"]).lines().count(), 3);
    assert_eq!(p.said(&["log", "--at", "vermas/state~1", "--oneline"]).lines().next(), all.lines().next());
    assert_eq!(p.json(&["log", "--at", "yesterday"]), json!([]));
}

#[test]
fn a_commit_with_too_many_events_to_name_is_found_as_well() {
    let p = Place::new();
    let mut text = String::new();
    for n in 0..100 {
        text.push_str(&foreign(1).replace("evt-f1", &format!("evt-m{n}")));
        text.push('\n');
    }
    append(
        &p,
        &format!(
            "{text}{}",
            r#"{"event_id":"evt-x","event_type":"work_order.created","timestamp":"2026-01-01T12:00:00Z","actor":"go","data":{"work_order_id":"wo-many","title":"Of many"}}"#
        ),
    );
    p.said(&["events", "stats"]);
    let found = p.json(&["log", "wo-many"]);
    assert_eq!(found[0]["events"].as_array().unwrap().len(), 1, "{found}");
}

#[test]
fn everything_derived_is_made_anew() {
    let p = Place::new();
    let id = p.order("Keep me");
    p.mail("ceo", "hello", "you");
    let (orders, messages) = (p.read("work_orders.jsonl"), p.read("messages.jsonl"));
    std::fs::write(p.work("messages.jsonl"), "").unwrap();
    assert_eq!(p.said(&["rebuild"]), "rebuilt from 2 events: 1 work order, 1 message\n");
    assert_eq!((p.read("work_orders.jsonl"), p.read("messages.jsonl")), (orders.clone(), messages.clone()));
    // A cache that is none, and one that is broken inside.
    let cache = p.path.join(".git/vermas/cache.sqlite");
    let mut bytes = std::fs::read(&cache).unwrap();
    let half = bytes.len() / 2;
    bytes[4096..half].fill(0xff);
    std::fs::write(&cache, &bytes).unwrap();
    assert_eq!(p.json(&["rebuild"]), json!({"events": 2, "orders": 1, "messages": 1, "published": 0}));
    std::fs::write(&cache, "nonsense").unwrap();
    p.said(&["rebuild"]);
    assert_eq!((p.read("work_orders.jsonl"), p.read("messages.jsonl")), (orders, messages));
    assert!(p.said(&["events", "replay", id.as_str()]).contains("Keep me"));
}
