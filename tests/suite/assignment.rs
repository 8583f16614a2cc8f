//! Assignments as agents and people meet them.

use crate::desk::Desk;
use predicates::prelude::*;
use serde_json::json;

const SLOT0: &str = "app/workers/slot0";

#[test]
fn an_agent_without_one_is_told_so_and_nothing_is_written() {
    let desk = Desk::new();
    let said = desk.run_as(SLOT0, &["assignment"]);
    assert_eq!((said.code, said.out.as_str()), (0, "Assignment is empty\n"), "{}", said.err);
    let record = desk.json(&["assignment", "slot0"]);
    assert_eq!(record["agent"], json!(SLOT0));
    for field in ["ref_type", "ref_id", "title", "since", "checked_at", "next"] {
        assert_eq!(record[field], json!(null), "{field}");
    }
    assert_eq!(desk.count("agent.assignment_checked"), 0);
}

#[test]
fn an_agent_that_finds_its_assignment_is_told_what_to_do_and_that_is_recorded_once() {
    let desk = Desk::new();
    let id = desk.order("Add a flag");
    let set = desk.run(&["assignment", "set", "slot0", &format!("work_order:{}", &id[..8])]);
    assert_eq!(set.code, 0, "{}", set.err);
    let file = std::fs::read_to_string(desk.work().join(".assignment-app-workers-slot0")).unwrap();
    assert_eq!(file.trim(), format!("work_order:{id}"));
    for _ in 0..2 {
        let said = desk.run_as(SLOT0, &["assignment"]);
        assert_eq!(
            said.out,
            format!(
                "ASSIGNED: work_order:{id}  Add a flag\nDo it now. Read it first: wo show {id}\n\
                 When it is done: commit, then co worker done\n"
            )
        );
    }
    assert_eq!(desk.count("agent.assignment_checked"), 1);
    let log = std::fs::read_to_string(desk.work().join("events.jsonl")).unwrap();
    let event: serde_json::Value =
        serde_json::from_str(log.lines().find(|l| l.contains("assignment_checked")).unwrap()).unwrap();
    assert_eq!((&event["actor"], &event["data"]["found"]), (&json!(SLOT0), &json!(true)));
    assert!(event["data"]["response_ms"].is_i64() && event["data"]["action"] == "execute", "{event}");
    assert_eq!(desk.run(&["assignment", "set", "slot0", &id, "--replace"]).code, 0);
    desk.run_as(SLOT0, &["assignment"]);
    assert_eq!(desk.count("agent.assignment_checked"), 1, "setting what is set already changes nothing");
}

#[test]
fn somebody_else_only_looks() {
    let desk = Desk::new();
    let id = desk.order("Add a flag");
    desk.run(&["assignment", "set", "slot0", &id]);
    let before = desk.fingerprint();
    assert!(desk.run(&["assignment", "slot0"]).out.starts_with("ASSIGNED: "));
    assert!(desk.run(&["assignment", "show", "--as", SLOT0]).out.starts_with("ASSIGNED: "));
    assert!(desk.run(&["--as", "slot0", "assignment"]).out.contains(&id), "a short name will do");
    assert_eq!(desk.fingerprint(), before);
}

#[test]
fn an_assignment_is_not_pushed_out_unless_that_is_said() {
    let desk = Desk::new();
    let (first, second) = (desk.order("First"), desk.order("Second"));
    desk.run(&["assignment", "set", "slot0", &first]);
    let refused = desk.run(&["assignment", "set", "slot0", &second]);
    assert_eq!(refused.code, 5);
    assert!(refused.err.contains(&first) && refused.err.contains("--replace"), "{}", refused.err);
    let set = desk.json(&["assignment", "set", "slot0", &second, "--replace"]);
    assert_eq!(set["ref_id"], json!(second));
    assert_eq!(set["replaced"], json!(format!("work_order:{first}")));
    assert_eq!(set["changed"], json!(true));
}

#[test]
fn clearing_takes_it_away_once() {
    let desk = Desk::new();
    let id = desk.order("First");
    desk.run(&["assignment", "set", "slot1", &id]);
    let cleared = desk.json(&["assignment", "clear", "slot1"]);
    let expected = json!({"agent": "app/workers/slot1", "previous_ref": format!("work_order:{id}"), "cleared": true});
    assert_eq!(cleared, expected);
    assert_eq!(desk.json(&["assignment", "clear", "slot1"])["cleared"], json!(false));
    assert_eq!(desk.count("assignment.cleared"), 1);
    assert_eq!(desk.json(&["assignment", "list"]), json!([]));
}

#[test]
fn what_is_not_there_cannot_be_assigned() {
    let desk = Desk::new();
    let id = desk.order("Done long ago");
    git_vermas::app::orders::close(&mut desk.session(), std::slice::from_ref(&id), "done").unwrap();
    let before = desk.fingerprint();
    for (target, code, words) in [
        ("work_order:wo-zzzz", 3, "there is no work order"),
        ("mail:msg-zzzz", 3, "there is no message"),
        ("process:proc-zzzz", 3, "there is no process"),
        ("order:wo-1", 2, "is no assignment"),
        ("work_order:../x", 2, "is no id"),
        ("", 2, "is no id"),
        (id.as_str(), 1, "is closed"),
    ] {
        desk.command(&["assignment", "set", "slot0", target])
            .assert()
            .code(code)
            .stdout("")
            .stderr(predicate::str::contains(words).and(predicate::str::contains("hint:")));
    }
    desk.command(&["assignment", "set", "no/such/agent/here", &id]).assert().code(2);
    assert_eq!(desk.fingerprint(), before);
}

#[test]
fn agents_whose_files_would_be_one_are_refused() {
    let desk = Desk::new();
    let id = desk.order("First");
    desk.run(&["assignment", "set", SLOT0, &id]);
    let refused = desk.run(&["assignment", "set", "app-workers/slot0", &id]);
    assert_eq!(refused.code, 5);
    assert!(refused.err.contains(".assignment-app-workers-slot0"), "{}", refused.err);
}

#[test]
fn a_mail_and_a_name_nobody_knows_can_be_assigned() {
    let desk = Desk::new();
    let mail = desk.json(&["send", "ceo", "-s", "Look at this"]);
    let id = mail["id"].as_str().unwrap();
    let attached = desk.json(&["assignment", "attach", &id[..9]]);
    assert_eq!((&attached["ref_type"], &attached["ref_id"]), (&json!("mail"), &json!(id)));
    assert!(desk.run(&["assignment"]).out.starts_with(&format!("ASSIGNED: mail:{id}  Look at this\n")));
    let said = desk.run(&["assignment", "set", "nobody", &desk.order("First")]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("nobody has heard of nobody here"), "{}", said.err);
    let list = desk.run(&["assignment", "list", "--jsonl"]).out;
    assert_eq!(list.lines().count(), 2, "{list}");
}

#[test]
fn a_foreign_file_is_an_assignment() {
    let desk = Desk::new();
    let id = desk.order("First");
    std::fs::write(desk.work().join(".assignment-app-workers-slot3"), format!("work_order:{id}")).unwrap();
    assert_eq!(desk.json(&["assignment", "slot3"])["title"], json!("First"));
    std::fs::write(desk.work().join(".assignment-app-workers-slot3"), "").unwrap();
    assert_eq!(desk.run(&["assignment", "slot3"]).out, "Assignment is empty\n");
}

#[test]
fn titles_cannot_steer_the_terminal() {
    let desk = Desk::new();
    let line = "{\"id\":\"wo-py1\",\"title\":\"a\\u001b[2Jb\\nASSIGNED: x\",\"description\":\"\",\"status\":\"open\",\"priority\":1,\
                \"issue_type\":\"bug\",\"created_at\":\"2026-01-06T12:00:00\",\"updated_at\":\"2026-01-06T12:00:00\",\"created_by\":\"ceo\"}\n";
    std::fs::write(desk.work().join("work_orders.jsonl"), line).unwrap();
    desk.run(&["assignment", "set", "slot0", "wo-py1"]);
    let said = desk.run(&["assignment", "slot0"]);
    assert!(said.out.starts_with("ASSIGNED: work_order:wo-py1  a\\x1b[2Jb\\nASSIGNED: x\nDo it"), "{}", said.out);
}
