//! The factory on one screen.

use crate::desk::Desk;
use git_vermas::app::orders;
use git_vermas::app::status::{self, Live};
use git_vermas::domain::{AgentId, Draft};
use serde_json::json;

#[test]
fn a_fresh_factory_has_free_workers_and_nothing_to_do() {
    let desk = Desk::new();
    let out = desk.run(&["status"]).out;
    let place = desk.path.canonicalize().unwrap();
    assert_eq!(
        out,
        format!(
            "factory  app in {}\nyou      ceo\nstate    vermas/state, never synced with origin\n\
             orders   0 open (0 ready), 0 assigned, 0 in progress, 0 closed; 0 blocked\nmail     nothing unread\n\n\
             Workers\nslot0  free\nslot1  free\nslot2  free\nslot3  free\nslot4  free\n",
            place.display()
        )
    );
}

#[test]
fn what_is_going_on_is_counted_and_named() {
    let desk = Desk::new();
    let (a, b, c) = (desk.order("First"), desk.order("Second"), desk.order("Third"));
    let mut session = desk.session();
    orders::add_dependencies(&mut session, &b, std::slice::from_ref(&a)).unwrap();
    orders::close(&mut session, std::slice::from_ref(&c), "done").unwrap();
    desk.run(&["assignment", "set", "slot1", &a]);
    desk.run(&["send", "ceo", "-s", "Which key?", "--type", "HELP", "--as", "slot1"]);
    let s = desk.json(&["status"]);
    assert_eq!(
        s["orders"],
        json!({"total": 3, "open": 2, "assigned": 0, "in_progress": 0, "closed": 1, "ready": 1, "blocked": 1})
    );
    assert_eq!(s["ready"][0]["id"], json!(a));
    assert_eq!((&s["workers"][1]["state"], &s["workers"][1]["ref_id"]), (&json!("assigned"), &json!(a)));
    assert_eq!(s["workers"][1]["title"], json!("First"));
    assert_eq!(s["mail"]["unread"], json!(1));
    assert_eq!(s["attention"][0]["text"], json!("HELP from app/workers/slot1: Which key?"));
    let text = desk.run(&["status"]).out;
    assert!(text.contains("\nNeeds a person\nHELP from app/workers/slot1: Which key? "), "{text}");
    assert!(text.contains(" git vermas read msg-") && text.contains(" git vermas worker spawn slot1"), "{text}");
}

#[test]
fn how_far_apart_the_branches_are_is_told_as_of_the_last_sync() {
    let desk = Desk::new();
    let mirror = "refs/vermas/remotes/origin/vermas/state";
    desk.git(&["update-ref", mirror, "vermas/state"]);
    assert!(desk.run(&["status"]).out.contains("vermas/state, in step with origin\n"));
    desk.order("First");
    desk.order("Second");
    assert!(desk.run(&["status"]).out.contains("vermas/state, 2 commits ahead of origin\n"));
    let other = desk.git(&[
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@e",
        "commit-tree",
        "-p",
        mirror,
        "-m",
        "x",
        "vermas/state^{tree}",
    ]);
    desk.git(&["update-ref", mirror, &other]);
    let state = desk.json(&["status"])["state"].clone();
    assert_eq!((&state["ahead"], &state["behind"], &state["synced"]), (&json!(2), &json!(1), &json!(true)));
}

#[test]
fn what_needs_a_person_is_named_with_the_way_on() {
    let desk = Desk::new();
    let id = desk.order("First");
    desk.run(&["assignment", "set", "slot0", &id]);
    let mut session = desk.session();
    let (slot0, slot2) = (AgentId::worker("app", 0), AgentId::worker("app", 2));
    session
        .write(|tx| {
            tx.emit(&Draft::new("agent.started", &slot0, json!({"agent": slot0})))?;
            tx.emit(&Draft::new(
                "agent.stopped",
                &slot0,
                json!({"agent": slot0, "reason": "it died", "exit_code": 1}),
            ))?;
            tx.emit(&Draft::new("agent.started", &slot2, json!({"agent": slot2})))?;
            Ok::<(), git_vermas::app::Fault>(())
        })
        .unwrap();
    let log = desk.work().join("events.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let event = |n: u32, agent: &str| {
        format!(
            "{{\"event_id\":\"evt-py{n}\",\"event_type\":\"work_order.assigned\",\"timestamp\":\"2026-01-06T12:00:0{n}.000Z\",\
             \"actor\":\"ceo\",\"prev\":[],\"data\":{{\"work_order_id\":\"{id}\",\"agent\":\"{agent}\"}}}}\n"
        )
    };
    let renamed = format!(
        "{{\"event_id\":\"evt-py3\",\"event_type\":\"work_order.updated\",\"timestamp\":\"2026-01-06T12:00:03.000Z\",\
         \"actor\":\"ceo\",\"prev\":[],\"data\":{{\"work_order_id\":\"{id}\",\"changes\":{{\"title\":\"Other\"}}}}}}\n"
    );
    std::fs::write(&log, format!("{text}{}{}{renamed}no json at all\n", event(1, "a/x"), event(2, "b/y"))).unwrap();
    let s = desk.json(&["status"]);
    let kinds: Vec<&str> = s["attention"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["stopped", "conflict", "contested", "quarantine"], "{s}");
    assert_eq!(s["attention"][0]["text"], json!(format!("slot0 stopped (it died) and still has {id}")));
    assert_eq!(s["attention"][2]["text"], json!(format!("{id} is held by a/x and claimed by b/y too")));
    assert_eq!((&s["workers"][0]["state"], &s["workers"][2]["state"]), (&json!("stopped"), &json!("working")));
}

#[test]
fn a_session_that_is_gone_is_noticed_where_somebody_looked() {
    let desk = Desk::new();
    let id = desk.order("First");
    desk.run(&["assignment", "set", "slot0", &id]);
    let mut session = desk.session();
    let slot0 = AgentId::worker("app", 0);
    session
        .write(|tx| {
            tx.emit(&Draft::new("agent.started", &slot0, json!({"agent": slot0})))?;
            Ok::<(), git_vermas::app::Fault>(())
        })
        .unwrap();
    assert!(status::of(&mut session, None).unwrap().attention.is_empty());
    session
        .write(|tx| {
            let data = json!({"agent": slot0, "reason": "waiting: permission for Bash"});
            tx.emit(&Draft::new("agent.idle", &slot0, data))?;
            Ok::<(), git_vermas::app::Fault>(())
        })
        .unwrap();
    let asks = status::of(&mut session, None).unwrap().attention;
    assert_eq!((asks[0].kind, asks[0].text.as_str()), ("waiting", "slot0: waiting: permission for Bash"));
    let up = Live::from([(0, "running".to_owned())]);
    let there = status::of(&mut session, Some(&up)).unwrap();
    assert_eq!((there.workers[0].session.as_deref(), there.attention.len()), (Some("running"), 1));
    let gone = status::of(&mut session, Some(&Live::new())).unwrap();
    assert_eq!(gone.attention.iter().map(|a| a.kind).collect::<Vec<_>>(), ["stopped"]);
}

#[test]
fn outside_a_factory_it_says_what_to_do() {
    let desk = Desk::without_state();
    let said = desk.run(&["status"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("hint: git vermas init"), "{}", said.err);
}

#[test]
fn work_that_was_handed_in_waits_for_qa_and_for_nobody_else() {
    let desk = Desk::new();
    let id = desk.order("First");
    desk.run(&["assignment", "set", "slot0", &id]);
    desk.run_as("app/workers/slot0", &["handoff", "-m", "nearly"]);
    let mut session = desk.session();
    let slot0 = AgentId::worker("app", 0);
    session
        .write(|tx| {
            tx.emit(&Draft::new("agent.started", &slot0, json!({"agent": slot0})))?;
            let changes = json!({"work_order_id": id, "changes": {"metadata.submitted": "abc"}});
            tx.emit(&Draft::new("work_order.updated", &slot0, changes))?;
            tx.emit(&Draft::new("agent.stopped", &slot0, json!({"agent": slot0, "reason": "done"})))?;
            Ok::<(), git_vermas::app::Fault>(())
        })
        .unwrap();
    let s = desk.json(&["status"]);
    assert_eq!((&s["workers"][0]["state"], &s["attention"]), (&json!("submitted"), &json!([])), "{s}");
    assert_eq!(s["workers"][0]["session"], json!("none"));
}
