//! The state as it was: what `--at` shows, at a time, a revision and an event, and that it writes nothing.

use crate::desk::Desk;
use serde_json::Value;

fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|r| r["title"].as_str().unwrap()).collect()
}

/// A desk with an order that was renamed and then closed, and another one; gives the first one's id.
fn renamed_and_closed() -> (Desk, String) {
    let desk = Desk::new();
    let id = desk.order("Before");
    for args in [&["wo", "update", &id, "--title", "After"][..], &["wo", "close", &id, "--reason", "done"]] {
        assert_eq!(desk.run(args).code, 0, "{args:?}");
    }
    desk.order("Another");
    (desk, id)
}

fn event(desk: &Desk, kind: &str) -> Value {
    let all = desk.json(&["events", "list", "--type", kind]);
    all.as_array().unwrap().last().unwrap().clone()
}

#[test]
fn a_revision_shows_what_the_branch_held_at_that_commit() {
    let (desk, id) = renamed_and_closed();
    let at = |rev: &str| desk.json(&["wo", "show", &id, "--at", rev]);
    assert_eq!(at("vermas/state")["status"], "closed");
    assert_eq!((&at("vermas/state~2")["title"], &at("vermas/state~2")["status"]), (&"After".into(), &"open".into()));
    assert_eq!(at("vermas/state~3")["title"], "Before");
    let commit = desk.git(&["rev-parse", "vermas/state~3"]);
    assert_eq!(at(&commit[..9])["as_of"]["commit"], commit.as_str());
    assert_eq!(titles(&desk.json(&["wo", "list", "--at", "vermas/state~1"])), ["After"]);
    let root = desk.git(&["rev-list", "--max-parents=0", "vermas/state"]);
    assert_eq!(desk.json(&["wo", "list", "--at", &root]), serde_json::json!([]));
}

#[test]
fn an_event_shows_itself_and_all_before_it() {
    let (desk, id) = renamed_and_closed();
    let renamed = event(&desk, "work_order.updated")["event_id"].as_str().unwrap().to_owned();
    let order = desk.json(&["wo", "show", &id, "--at", &renamed]);
    assert_eq!((&order["title"], &order["status"]), (&"After".into(), &"open".into()));
    assert_eq!(order["as_of"]["event_id"], renamed.as_str());
    assert_eq!(desk.json(&["wo", "stats", "--at", &renamed[..renamed.len() - 1]])["events"], 2);
}

#[test]
fn a_time_shows_the_events_stamped_up_to_then() {
    let (desk, id) = renamed_and_closed();
    let stamp = event(&desk, "work_order.created")["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(titles(&desk.json(&["wo", "list", "--at", &stamp])).len(), 2, "up to and with that millisecond");
    assert_eq!(desk.json(&["wo", "list", "--at", "yesterday"]), serde_json::json!([]));
    let said = desk.run(&["wo", "show", &id, "--at", "2 days ago"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("leave --at away"), "{}", said.err);
    assert_eq!(desk.json(&["wo", "show", &id, "--at", "now"])["status"], "closed");
}

#[test]
fn every_command_that_reads_can_look_back_and_none_writes() {
    let (desk, id) = renamed_and_closed();
    assert_eq!(desk.run(&["send", "ceo", "-s", "Later", "-m", "text"]).code, 0);
    assert_eq!(desk.run(&["assignment", "set", "slot0", &id]).code, 1, "a closed order is nobody's assignment");
    let other = desk.order("Given");
    assert_eq!(desk.run(&["assignment", "set", "slot0", &other]).code, 0);
    // What another program left is neither taken in nor in the way.
    let log = desk.work().join("work_orders.jsonl");
    let foreign = r#"{"id":"wo-foreign01","title":"Foreign","description":"","status":"open","priority":2,"issue_type":"task","created_at":"2026-01-06T12:00:00Z","updated_at":"2026-01-06T12:00:00Z","created_by":"ceo"}"#;
    std::fs::write(&log, format!("{}{foreign}\n", std::fs::read_to_string(&log).unwrap())).unwrap();
    let before = desk.fingerprint();
    let mail = desk.json(&["mail", "list", "--at", "now"])[0]["id"].as_str().unwrap().to_owned();
    for args in [
        &["wo", "list"][..],
        &["wo", "ready"],
        &["wo", "blocked"],
        &["wo", "search", "after"],
        &["wo", "stats"],
        &["wo", "show", &id],
        &["wo", "dep", "tree", &id],
        &["inbox"],
        &["read", &mail],
        &["mail", "list"],
        &["assignment"],
        &["assignment", "show", "slot0"],
        &["assignment", "list"],
        &["status"],
        &["workers"],
        &["worker", "list"],
        &["worker", "status", "slot0"],
        &["prime"],
        &["qa", "status"],
        &["log"],
        &["wo", "show", &id, "--history"],
        &["events", "list"],
        &["events", "stats"],
        &["events", "replay", &id],
        &["fsck"],
    ] {
        let said = desk.run(&[args, &["--at", "vermas/state"]].concat());
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        assert!(said.err.contains("As of commit") || args[0] == "fsck", "{args:?}: {}", said.err);
    }
    assert_eq!(desk.fingerprint(), before, "looking back writes nothing");
    let then = desk.json(&["assignment", "show", "slot0", "--at", "vermas/state~1"]);
    assert_eq!(then["ref_id"], Value::Null);
    assert_eq!(desk.json(&["assignment", "show", "slot0", "--at", "vermas/state"])["ref_id"], other.as_str());
}

#[test]
fn the_past_is_not_written() {
    let (desk, id) = renamed_and_closed();
    for args in [&["wo", "reopen", &id][..], &["send", "ceo", "-s", "x", "-m", "y"], &["sync"], &["rebuild"]] {
        let said = desk.run(&[args, &["--at", "1h"]].concat());
        assert_eq!(said.code, 2, "{args:?}");
        assert!(said.err.contains("commands that only read"), "{}", said.err);
    }
    assert_eq!(desk.run(&["assignment", "--at", "1h", "clear"]).code, 2);
}

#[test]
fn what_is_no_point_in_the_past_is_refused_with_what_is_one() {
    let (desk, _) = renamed_and_closed();
    let refused = |at: &str| {
        let said = desk.run(&["wo", "list", "--at", at]);
        assert!(said.out.is_empty());
        (said.code, said.err)
    };
    let (code, err) = refused("nonsense");
    assert_eq!(code, 3);
    assert!(err.contains("no time, no commit of the state branch and no event"), "{err}");
    let (code, err) = refused("main");
    assert_eq!(code, 3);
    assert!(err.contains("holds no events"), "{err}");
    let (code, err) = refused("evt-");
    assert_eq!(code, 5, "{err}");
    assert_eq!(refused("evt-zzzzzzzzzzzz").0, 3);
    assert_eq!(refused("").0, 3);
    assert_eq!(refused("--json").0, 2);
}

#[test]
fn the_past_is_there_without_log_and_cache() {
    let (desk, id) = renamed_and_closed();
    std::fs::remove_dir_all(desk.work()).unwrap();
    std::fs::remove_dir_all(desk.path.join(".git/vermas")).unwrap();
    assert_eq!(desk.json(&["wo", "show", &id, "--at", "vermas/state~3"])["title"], "Before");
    assert_eq!(desk.json(&["wo", "show", &id, "--at", "now"])["status"], "closed");
    assert!(!desk.work().exists(), "looking back puts nothing back");
}

#[test]
fn the_history_of_an_order_says_who_changed_what_and_why() {
    let (desk, id) = renamed_and_closed();
    let line = serde_json::json!({"event_id": "py-1", "event_type": "work_order.commented", "actor": "app/qa",
        "timestamp": "2026-01-06T12:00:00", "data": {"work_order_id": id, "body": "seen"}});
    let log = desk.work().join("events.jsonl");
    std::fs::write(&log, format!("{}{line}\n", std::fs::read_to_string(&log).unwrap())).unwrap();
    assert_eq!(desk.run(&["undo", "vermas/state~1"]).code, 0);
    let order = desk.json(&["wo", "show", &id, "--history"]);
    let history = order["history"].as_array().unwrap();
    let did: Vec<&str> = history.iter().map(|e| e["did"].as_str().unwrap()).collect();
    assert_eq!(did, ["commented on", "created", "changed", "closed", "closed", "moved"]);
    assert_eq!((&history[0]["foreign"], &history[1]["foreign"]), (&true.into(), &false.into()));
    assert_eq!(history[2]["changes"], serde_json::json!([{"field": "title", "from": "Before", "to": "After"}]));
    assert_eq!((&history[4]["detail"], &history[4]["caused_by"]), (&"done".into(), &history[3]["event_id"]));
    assert_eq!(history[5]["undoes"], history[3]["event_id"]);
    let text = desk.run(&["wo", "show", &id, "--history"]).out;
    for part in ["ceo changed it\n    title: Before → After\n", "ceo closed it\n    done\n", ", by another program\n"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let then = desk.json(&["wo", "show", &id, "--history", "--at", "vermas/state~3"]);
    assert_eq!(then["history"].as_array().unwrap().len(), 2, "{then}");
}

#[test]
fn a_past_state_holds_what_its_events_came_after_whatever_the_clocks_said() {
    let desk = Desk::new();
    let id = desk.order("One");
    let ahead = git_vermas::domain::Timestamp::from_millis(git_vermas::sys::clock::now_millis() + 30 * 3_600_000);
    let created = event(&desk, "work_order.created")["event_id"].as_str().unwrap().to_owned();
    let theirs = serde_json::json!({"event_id": "evt-ahead", "event_type": "work_order.updated", "timestamp": ahead,
        "actor": "py", "prev": [created], "data": {"work_order_id": id, "changes": {"title": "Ahead"}}});
    let log = desk.path.join(".work/events.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{text}{theirs}\n")).unwrap();
    assert_eq!(desk.run(&["wo", "update", &id, "--title", "Three"]).code, 0);
    for at in ["now", "0s"] {
        let shown = desk.json(&["wo", "show", &id, "--at", at]);
        assert_eq!(
            (&shown["title"], shown["conflicts"].as_array().map_or(0, Vec::len)),
            (&"Three".into(), 0),
            "{shown}"
        );
    }
}
