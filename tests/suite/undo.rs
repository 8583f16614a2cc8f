//! Undo: by new events, never by rewriting history; refused where somebody has changed the same since.

use crate::desk::Desk;
use serde_json::{Value, json};

fn show(desk: &Desk, id: &str) -> Value {
    desk.json(&["wo", "show", id])
}

fn fine(desk: &Desk, args: &[&str]) {
    let said = desk.run(args);
    assert_eq!(said.code, 0, "{args:?}: {}", said.err);
}

fn refused(desk: &Desk, args: &[&str], why: &str) {
    let said = desk.run(args);
    assert_ne!(said.code, 0, "{args:?}: {}", said.out);
    assert!(said.err.contains(why), "{args:?}: {}", said.err);
}

/// What must be as before after a command was undone: all but the time of the last change.
fn without_times(mut order: Value) -> Value {
    order.as_object_mut().unwrap().remove("updated_at");
    order
}

#[test]
fn every_command_on_an_order_is_undone_and_done_again() {
    let desk = Desk::new();
    let (id, on) = (desk.order("First"), desk.order("Second"));
    fine(&desk, &["wo", "dep", "add", &id, &on]);
    fine(&desk, &["wo", "dep", "remove", &id, &on]);
    for args in [
        &["wo", "update", &id, "--title", "Other", "-d", "text", "--priority", "0", "--type", "bug"][..],
        &["wo", "update", &id, "--metadata", "k=v", "--add-label", "l"],
        &["wo", "comment", &id, "-m", "hm"],
        &["wo", "claim", &id],
        &["wo", "update", &id, "--assignee", "slot0"],
        &["wo", "release", &id],
        &["wo", "dep", "add", &id, &on],
        &["wo", "dep", "remove", &id, &on],
        &["wo", "close", &id, "--reason", "done"],
        &["wo", "reopen", &id],
    ] {
        let before = without_times(show(&desk, &id));
        fine(&desk, args);
        let after = without_times(show(&desk, &id));
        assert_ne!(before, after, "{args:?}");
        fine(&desk, &["undo"]);
        let undone = without_times(show(&desk, &id));
        assert!(before == undone || args[1] == "reopen", "{args:?}\n{before}\n{undone}");
        assert_eq!((&before["status"], &before["close_reason"]), (&undone["status"], &undone["close_reason"]));
        fine(&desk, &["undo"]);
        let again = without_times(show(&desk, &id));
        let bare = |mut o: Value| {
            // A dependency is made anew, a closing has another time.
            ["dependencies", "closed_at"].iter().for_each(|f| drop(o.as_object_mut().unwrap().remove(*f)));
            o
        };
        assert_eq!(bare(after), bare(again), "{args:?}");
    }
    let told = desk.run(&["wo", "show", &id, "--history"]).out;
    assert!(told.contains("ceo commented\n") && told.contains("ceo withdrew a comment\n"), "{told}");
    fine(&desk, &["fsck"]);
}

#[test]
fn one_command_is_undone_as_a_whole_and_an_event_only_on_its_order() {
    let desk = Desk::new();
    let (a, b) = (desk.order("A"), desk.order("B"));
    fine(&desk, &["wo", "close", &a, &b, "--reason", "both"]);
    fine(&desk, &["undo"]);
    assert_eq!((&show(&desk, &a)["status"], &show(&desk, &b)["status"]), (&json!("open"), &json!("open")));
    fine(&desk, &["undo"]);
    let closed = desk.json(&["events", "list", "--type", "work_order.closed"]);
    let of_a = closed.as_array().unwrap().iter().rev().find(|e| e["data"]["work_order_id"] == a.as_str()).unwrap();
    fine(&desk, &["undo", of_a["event_id"].as_str().unwrap()]);
    assert_eq!((&show(&desk, &a)["status"], &show(&desk, &b)["status"]), (&json!("open"), &json!("closed")));
}

#[test]
fn a_commit_stands_for_all_that_it_brought() {
    let desk = Desk::new();
    let id = desk.order("A");
    fine(&desk, &["wo", "update", &id, "--title", "B"]);
    fine(&desk, &["wo", "update", &id, "--priority", "0"]);
    let undone = desk.json(&["undo", "vermas/state~1"]);
    assert_eq!(undone["changes"], json!([{"id": id, "field": "title", "from": "B", "to": "A"}]));
    let order = show(&desk, &id);
    assert_eq!((&order["title"], &order["priority"]), (&json!("A"), &json!(0)));
    refused(&desk, &["undo", "main"], "is no commit of the state branch");
    refused(&desk, &["undo", "nonsense"], "is no event and no commit");
    refused(&desk, &["undo", &id], "--history");
}

#[test]
fn a_later_change_of_the_same_field_is_never_overwritten() {
    let desk = Desk::new();
    let id = desk.order("A");
    fine(&desk, &["wo", "update", &id, "--title", "B", "--priority", "0"]);
    let commit = desk.git(&["rev-parse", "vermas/state"]);
    assert_eq!(desk.run_as("app/supervisor", &["wo", "update", &id, "--title", "C"]).code, 0);
    let said = desk.run(&["undo", &commit]);
    assert_eq!(said.code, 5);
    assert!(said.err.contains("title was changed since by app/supervisor"), "{}", said.err);
    fine(&desk, &["undo", &commit, "--force"]);
    let order = show(&desk, &id);
    assert_eq!((&order["title"], &order["priority"]), (&json!("C"), &json!(2)));
    refused(&desk, &["undo", &commit], "changed since");
}

#[test]
fn a_creation_is_undone_by_closing_while_nobody_has_touched_the_order() {
    let desk = Desk::new();
    let id = desk.order("A");
    fine(&desk, &["undo"]);
    let order = show(&desk, &id);
    assert_eq!((&order["status"], &order["close_reason"]), (&json!("closed"), &json!("its creation was undone")));
    fine(&desk, &["undo"]);
    assert_eq!(show(&desk, &id)["status"], "open");
    let other = desk.order("B");
    let commit = desk.git(&["rev-parse", "vermas/state"]);
    assert_eq!(desk.run_as("app/supervisor", &["wo", "comment", &other, "-m", "seen"]).code, 0);
    refused(&desk, &["undo", &commit], "was changed since by app/supervisor");
}

#[test]
fn mail_and_assignments_go_back_as_far_as_they_can() {
    let desk = Desk::new();
    fine(&desk, &["send", "slot0", "-s", "Hello", "-m", "text"]);
    let mail = desk.json(&["mail", "list"])[0]["id"].as_str().unwrap().to_owned();
    let unread = || desk.json(&["inbox", "slot0", "--unread"]).as_array().unwrap().len();
    fine(&desk, &["undo"]);
    assert_eq!(unread(), 0, "unsent while unread");
    fine(&desk, &["undo"]);
    assert_eq!(unread(), 1);
    let sent = desk.json(&["events", "list", "--type", "mail.sent"])[0]["event_id"].as_str().unwrap().to_owned();
    for args in [&["read", &mail][..], &["archive", &mail]] {
        assert_eq!(desk.run_as("app/workers/slot0", args).code, 0);
        assert_eq!(unread(), 0);
        if args[0] == "read" {
            refused(&desk, &["undo", &sent], "cannot be unsent");
        }
        assert_eq!(desk.run_as("app/workers/slot0", &["undo"]).code, 0);
        assert_eq!(unread(), 1, "{args:?}");
    }
    let (a, b) = (desk.order("A"), desk.order("B"));
    fine(&desk, &["assignment", "set", "slot0", &a]);
    fine(&desk, &["assignment", "set", "slot0", &b, "--replace"]);
    let has = || desk.json(&["assignment", "list"])[0]["ref_id"].clone();
    fine(&desk, &["undo"]);
    assert_eq!(has(), a.as_str());
    fine(&desk, &["undo"]);
    assert_eq!(has(), b.as_str());
    fine(&desk, &["assignment", "clear", "slot0"]);
    fine(&desk, &["undo"]);
    assert_eq!(has(), b.as_str());
    assert_eq!(
        std::fs::read_to_string(desk.work().join(".assignment-app-workers-slot0")).unwrap().trim(),
        format!("work_order:{b}")
    );
}

#[test]
fn a_dry_run_shows_the_same_and_writes_nothing() {
    let desk = Desk::new();
    let id = desk.order("A");
    fine(&desk, &["wo", "close", &id]);
    desk.json(&["wo", "list"]);
    let before = desk.fingerprint();
    let dry = desk.json(&["undo", "--dry-run"]);
    assert_eq!(desk.fingerprint(), before);
    assert_eq!((&dry["dry_run"], &dry["events"]), (&json!(true), &json!([])));
    let done = desk.json(&["undo"]);
    assert_eq!(dry["changes"], done["changes"]);
    assert_eq!(done["events"].as_array().unwrap().len(), 1);
}

#[test]
fn only_ones_own_commands_count_as_the_last() {
    let desk = Desk::new();
    let id = desk.order("A");
    assert_eq!(desk.run_as("app/supervisor", &["wo", "update", &id, "--title", "B"]).code, 0);
    refused(&desk, &["undo", "--as", "slot3"], "nothing that app/workers/slot3 did on this machine");
    fine(&desk, &["undo", "--as", "supervisor"]);
    assert_eq!(show(&desk, &id)["title"], "A");
}

#[test]
fn what_lasts_is_refused_plainly() {
    let desk = Desk::new();
    let id = desk.order("A");
    let data = json!({"work_order_id": id, "branch": "b", "base": "main", "commit": "c0ffee"}).to_string();
    fine(&desk, &["events", "emit", "qa.merged", "--data", &data]);
    refused(&desk, &["undo"], "what landed stays on main: revert it in git");
    let slot = json!({"agent": "app/workers/slot0", "session_name": "s"}).to_string();
    fine(&desk, &["events", "emit", "agent.started", "--data", &slot]);
    refused(&desk, &["undo"], "git vermas worker kill");
}

/// Appends lines to the log as another program does.
fn by_another_program(desk: &Desk, events: &[Value]) {
    use std::io::Write;
    let mut log = std::fs::OpenOptions::new().append(true).open(desk.work().join("events.jsonl")).unwrap();
    for e in events {
        log.write_all(format!("{e}\n").as_bytes()).unwrap();
    }
}

#[test]
fn what_another_did_because_of_a_command_is_no_part_of_it() {
    let desk = Desk::new();
    let id = desk.order("A");
    let done = desk.json(&["wo", "update", &id, "--title", "B"]);
    assert_eq!(done["title"], "B");
    let all = desk.json(&["events", "list", "--type", "work_order.updated"]);
    let cause = &all[0];
    let their = |n: i32, kind: &str, mut data: Value| {
        data["work_order_id"] = id.clone().into();
        json!({"event_id": format!("evt-py{n}"), "event_type": kind, "timestamp": cause["timestamp"],
            "actor": "app/supervisor", "caused_by": cause["event_id"], "data": data})
    };
    let status = json!({"from_status": "open", "to_status": "in_progress"});
    by_another_program(
        &desk,
        &[
            their(1, "work_order.status_changed", status),
            their(2, "work_order.updated", json!({"changes": {"priority": 0}})),
        ],
    );
    fine(&desk, &["undo"]);
    let order = show(&desk, &id);
    assert_eq!(
        (&order["title"], &order["status"], &order["priority"]),
        (&json!("A"), &json!("in_progress"), &json!(0)),
        "the name went back, and theirs stayed"
    );
    fine(&desk, &["undo", "evt-py2"]);
    let order = show(&desk, &id);
    assert_eq!((&order["title"], &order["priority"]), (&json!("A"), &json!(2)), "and of theirs, the one that is named");
}

#[test]
fn a_creation_is_not_undone_over_what_another_did_before_ones_own_last_change() {
    let desk = Desk::new();
    let id = desk.order("A");
    let created = desk.json(&["events", "list"])[0]["event_id"].as_str().unwrap().to_owned();
    assert_eq!(desk.run_as("app/supervisor", &["wo", "update", &id, "--title", "Important"]).code, 0);
    fine(&desk, &["wo", "update", &id, "--add-label", "x"]);
    let labelled = desk.json(&["events", "list", "--type", "work_order.labels_changed"]);
    let labelled = labelled[0]["event_id"].as_str().unwrap().to_owned();
    refused(&desk, &["undo", &created, &labelled], "was changed since by app/supervisor");
    fine(&desk, &["wo", "update", &id, "--title", "Mine"]);
    let all = desk.json(&["events", "list", "--type", "work_order.updated"]);
    let mine = all.as_array().unwrap().iter().find(|e| e["actor"] == "ceo").unwrap()["event_id"].as_str().unwrap();
    assert_eq!(desk.run_as("app/supervisor", &["wo", "update", &id, "--title", "Theirs"]).code, 0);
    fine(&desk, &["wo", "comment", &id, "-m", "hm"]);
    let comment = desk.json(&["events", "list", "--type", "work_order.commented"])[0]["event_id"].clone();
    refused(&desk, &["undo", mine, comment.as_str().unwrap()], "title was changed since by app/supervisor");
}
