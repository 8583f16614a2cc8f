//! What machines change at the same time: both values stay to be seen until somebody writes the field again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::common::Place;

fn two() -> (Place, PathBuf) {
    let p = Place::new();
    p.remote();
    p.vermas(&["sync"]).ok();
    let b = p.clone_of_remote("b");
    // The same factory on another machine.
    p.git_in(&b, &["config", "vermas.factory", "app"]);
    (p, b)
}

/// Both clones hold what the other has.
fn meet(p: &Place, b: &Path) {
    for d in [&p.app, b, &p.app] {
        let said = p.vermas_in(d, &["sync"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

fn fields(conflicts: &Value) -> Vec<&str> {
    conflicts.as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect()
}

#[test]
fn every_field_that_two_clones_wrote_shows_both_values_until_it_is_written_again() {
    let (p, b) = two();
    let id = p.create("shared");
    meet(&p, &b);
    let fields_of = |who: &str| {
        [
            ("title", format!("by {who}")),
            ("description", format!("text of {who}")),
            ("priority", if who == "a" { "0" } else { "1" }.to_owned()),
            ("type", if who == "a" { "bug" } else { "feature" }.to_owned()),
            ("metadata", format!("k={who}")),
            ("status", if who == "a" { "in_progress" } else { "assigned" }.to_owned()),
        ]
    };
    for (dir, who) in [(p.app.as_path(), "a"), (b.as_path(), "b")] {
        for (field, value) in fields_of(who) {
            p.vermas_in(dir, &["wo", "update", &id, &format!("--{field}"), &value]).ok();
        }
    }
    meet(&p, &b);
    let all = ["description", "issue_type", "priority", "status", "title", "metadata.k"];
    for dir in [p.app.as_path(), &b] {
        let order = p.vermas_in(dir, &["wo", "show", &id, "--json"]).json();
        assert_eq!(fields(&order["conflicts"]), all);
        let listed = p.vermas_in(dir, &["wo", "list", "--json"]).json();
        assert_eq!(fields(&listed[0]["conflicts"]), all);
        assert!(p.vermas_in(dir, &["wo", "list"]).ok().contains("(!)"));
        let status = p.vermas_in(dir, &["status", "--json"]).json();
        assert_eq!(status["attention"].as_array().unwrap().len(), all.len());
    }
    // Each is settled by writing it again, even with the value that stands.
    for (n, (field, value)) in fields_of("b").iter().enumerate() {
        p.vermas(&["wo", "update", &id, &format!("--{field}"), value]).ok();
        let left = p.vermas(&["wo", "show", &id, "--json"]).json();
        assert_eq!(fields(&left["conflicts"]).len(), all.len() - n - 1, "{field}");
    }
    meet(&p, &b);
    let order = p.vermas_in(&b, &["wo", "show", &id, "--history", "--json"]).json();
    assert_eq!(order["conflicts"], json!([]));
    let count = |name: &str| -> usize {
        order["history"].as_array().unwrap().iter().map(|e| e[name].as_array().unwrap().len()).sum()
    };
    assert_eq!((count("conflicts_opened"), count("conflicts_settled")), (all.len(), all.len()));
}

#[test]
fn two_claims_and_two_assignments_are_shown_and_settled() {
    let (p, b) = two();
    let (id, other) = (p.create("one"), p.create("two"));
    meet(&p, &b);
    for (dir, slot, target) in [(p.app.as_path(), "slot1", &id), (b.as_path(), "slot2", &other)] {
        p.vermas_in(dir, &["wo", "claim", &id, "--as", slot]).ok();
        p.vermas_in(dir, &["assignment", "set", "slot0", target]).ok();
    }
    meet(&p, &b);
    let order = p.vermas(&["wo", "show", &id, "--json"]).json();
    assert_eq!(fields(&order["conflicts"]), ["assignee"]);
    let shown = p.vermas(&["assignment", "show", "slot0", "--json"]).json();
    assert_eq!((&shown["ref_id"], fields(&shown["conflicts"])), (&json!(other), vec!["assignment"]));
    assert!(p.vermas(&["assignment", "show", "slot0"]).ok().contains("CONFLICT"));
    assert!(p.vermas(&["assignment", "list"]).ok().contains("(!)"));
    let text = p.vermas(&["status"]).ok();
    assert!(text.contains("claimed by") && text.contains("set its assignment to work_order:"), "{text}");
    let holder = order["assignee"].as_str().unwrap().to_owned();
    p.vermas(&["wo", "update", &id, "--assignee", &holder]).ok();
    p.vermas(&["assignment", "set", "slot0", &other]).ok();
    meet(&p, &b);
    for dir in [p.app.as_path(), &b] {
        let attention = p.vermas_in(dir, &["status", "--json"]).json()["attention"].clone();
        assert!(attention.as_array().unwrap().iter().all(|a| a["kind"] == "unstarted"), "{attention}");
        assert_eq!(p.vermas_in(dir, &["assignment", "show", "slot0", "--json"]).json()["conflicts"], json!([]));
    }
}

#[test]
fn closing_beats_a_change_at_the_same_time_and_sets_keep_what_was_added() {
    let (p, b) = two();
    let (id, on) = (p.create("one"), p.create("two"));
    p.vermas(&["wo", "update", &id, "--add-label", "old"]).ok();
    meet(&p, &b);
    p.vermas(&["wo", "close", &id, "--reason", "done"]).ok();
    p.vermas(&["wo", "update", &id, "--remove-label", "old", "--add-label", "a"]).ok();
    p.vermas_in(&b, &["wo", "update", &id, "--status", "in_progress", "--add-label", "b"]).ok();
    p.vermas_in(&b, &["wo", "dep", "add", &id, &on]).ok();
    meet(&p, &b);
    for dir in [p.app.as_path(), &b] {
        let order = p.vermas_in(dir, &["wo", "show", &id, "--json"]).json();
        assert_eq!((&order["status"], &order["labels"]), (&json!("closed"), &json!(["a", "b"])));
        assert_eq!(order["dependencies"][0]["depends_on_id"], on);
        assert_eq!(order["conflicts"][0]["value"], "in_progress");
    }
    p.vermas(&["wo", "reopen", &id]).ok();
    assert_eq!(p.vermas(&["wo", "show", &id, "--json"]).json()["conflicts"], json!([]));
}

#[test]
fn undo_takes_back_what_was_done_on_this_machine_and_leaves_the_others_value() {
    let (p, b) = two();
    let id = p.create("shared");
    meet(&p, &b);
    p.vermas(&["wo", "update", &id, "--title", "by a"]).ok();
    p.vermas_in(&b, &["wo", "update", &id, "--priority", "0"]).ok();
    meet(&p, &b);
    // The last command of the same agent was given elsewhere: it is not this machine's.
    p.vermas(&["undo"]).ok();
    let order = p.vermas(&["wo", "show", &id, "--history", "--json"]).json();
    assert_eq!((&order["title"], &order["priority"]), (&json!("shared"), &json!(0)));
    let here: Vec<bool> = order["history"].as_array().unwrap().iter().map(|e| e["here"] == true).collect();
    assert_eq!(here, [true, true, false, true]);
    let other = &order["history"][2];
    assert!(other["replica"].as_str().is_some_and(|r| r.len() == 10), "{other}");
    assert!(other["person"].is_string(), "{other}");
}

#[test]
fn the_remotes_state_can_be_looked_at_before_it_is_merged() {
    let (p, b) = two();
    let id = p.create("shared");
    meet(&p, &b);
    p.vermas_in(&b, &["wo", "update", &id, "--title", "theirs"]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    p.git(&["fetch", "-q", "origin", "+vermas/state:refs/vermas/remotes/origin/vermas/state"]);
    let at = |rev: &str| p.vermas(&["wo", "show", &id, "--json", "--at", rev]).json()["title"].clone();
    assert_eq!((at("origin/vermas/state"), at("vermas/state")), (json!("theirs"), json!("shared")));
    assert_eq!(at("origin/vermas/state~2"), json!("shared"));
}
