//! Work orders: created, found, changed, linked, settled, in the shapes that scripts rely on.

use serde_json::{Value, json};

use super::common::{Place, run};

fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|o| o["title"].as_str().unwrap()).collect()
}

#[test]
fn a_new_order_has_every_field_and_is_on_the_branch_at_once() {
    let p = Place::new();
    let parent = p.create("parent");
    let args =
        ["wo", "create", "Title", "-d", "Text", "-t", "bug", "-p", "1", "-l", "b", "-l", "a", "--parent", &parent];
    let order = p.json(&[&args[..], &["--dep", &parent, "-m", "k=v"]].concat());
    let id = order["id"].as_str().unwrap();
    assert!(id.starts_with("wo-") && id.len() == 13, "{id}");
    for (field, value) in [
        ("title", json!("Title")),
        ("description", json!("Text")),
        ("status", json!("open")),
        ("priority", json!(1)),
        ("issue_type", json!("bug")),
        ("created_by", json!("ceo")),
        ("assignee", Value::Null),
        ("labels", json!(["a", "b"])),
        ("metadata", json!({"k": "v", "parent": parent})),
        ("ready", json!(false)),
        ("blocked_by", json!([parent])),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(order["dependencies"][0]["depends_on_id"], parent.as_str());
    let line = std::fs::read_to_string(p.work().join("work_orders.jsonl")).unwrap();
    assert!(line.lines().nth(1).unwrap().starts_with(&format!("{{\"id\":\"{id}\",\"title\":\"Title\",")), "{line}");
    assert_eq!(p.git(&["log", "-1", "--format=%s", "vermas/state"]), format!("ceo: create {id} Title"));
    assert_eq!(p.git(&["status", "--short"]), "");
}

#[test]
fn details_come_from_a_file_or_standard_input() {
    let p = Place::new();
    std::fs::write(p.root().join("d.md"), "line 1\nline 2\n").unwrap();
    let order = p.json(&["wo", "create", "t", "-F", "../d.md"]);
    assert_eq!(order["description"], "line 1\nline 2");
    let mut c = p.command_in(&p.app, &["wo", "create", "t", "-F", "-", "--json"]);
    c.stdin(std::fs::File::open(p.root().join("d.md")).unwrap());
    assert_eq!(run(c).json()["description"], "line 1\nline 2");
}

#[test]
fn a_batch_is_one_commit_and_its_lines_may_name_each_other() {
    let p = Place::new();
    let before = p.git(&["rev-list", "--count", "vermas/state"]).parse::<u32>().unwrap();
    let mut text = "{\"title\":\"root\",\"ref\":\"r\",\"priority\":0,\"labels\":[\"x\"]}\n".to_owned();
    text.extend((1..1000).map(|i| format!("{{\"title\":\"t{i}\",\"dependencies\":[\"r\"],\"parent\":\"r\"}}\n")));
    std::fs::write(p.root().join("b.jsonl"), text).unwrap();
    let ids = p.vermas(&["wo", "create", "--batch", "../b.jsonl"]).ok();
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 1000);
    assert_eq!(p.git(&["rev-list", "--count", "vermas/state"]).parse::<u32>().unwrap(), before + 1);
    assert_eq!(titles(&p.json(&["wo", "ready"])), ["root"]);
    assert_eq!(p.json(&["wo", "list", "--parent", ids[0]]).as_array().unwrap().len(), 999);
    assert_eq!(p.json(&["wo", "stats"])["blocked"], 999);
    let order: Vec<String> = std::fs::read_to_string(p.work().join("work_orders.jsonl"))
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["created_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(order.is_sorted(), "the projection is not in the order of creation");
    p.vermas(&["wo", "close", ids[0]]).ok();
    let lines = p.vermas(&["wo", "ready", "--jsonl"]).ok();
    let ready: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(ready.len() == 999 && ready.iter().all(|r| r["ready"] == true && r["blocked_by"] == json!([])));
    p.vermas(&["wo", "reopen", ids[0]]).ok();
    assert_eq!(p.json(&["wo", "stats"])["blocked"], 999);
    assert_eq!(p.json(&["wo", "blocked"])[0]["blocked_by"], json!([ids[0]]));
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    let p = Place::new();
    let a =
        p.json(&["wo", "create", "alpha beta", "-p", "3", "-t", "bug", "-l", "ui"])["id"].as_str().unwrap().to_owned();
    p.json(&["wo", "create", "Beta", "-p", "0", "-t", "feature"]);
    p.json(&["wo", "create", "gamma", "-p", "1"]);
    p.vermas(&["wo", "close", &a]).ok();
    let list = |args: &[&str]| p.json(&[&["wo", "list"], args].concat());
    assert_eq!(titles(&list(&[])), ["Beta", "gamma", "alpha beta"]);
    assert_eq!(titles(&list(&["--sort", "created"])), ["alpha beta", "Beta", "gamma"]);
    assert_eq!(titles(&list(&["-s", "closed"])), ["alpha beta"]);
    assert_eq!(titles(&list(&["-s", "open,closed", "-t", "bug,feature"])), ["Beta", "alpha beta"]);
    assert_eq!(titles(&list(&["-p", "1"])), ["gamma"]);
    assert_eq!(titles(&list(&["-l", "ui"])), ["alpha beta"]);
    assert_eq!(titles(&list(&["-n", "1"])), ["Beta"]);
    assert_eq!(titles(&list(&["--since", "1h"])).len(), 3);
    assert_eq!(list(&["--older-than", "1h"]), json!([]));
    assert_eq!(list(&["-a", "slot3"]), json!([]));
    assert_eq!(titles(&p.json(&["wo", "search", "BETA"])), ["Beta", "alpha beta"]);
    assert_eq!(titles(&p.json(&["wo", "search", "beta", "alpha"])), ["alpha beta"]);
    let lines = p.vermas(&["wo", "list", "--jsonl"]).ok();
    assert_eq!(lines.lines().count(), 3);
    let none = p.vermas(&["wo", "search", "zebra"]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), ""));
}

#[test]
fn what_is_ready_comes_by_urgency_then_age_and_what_waits_says_for_what() {
    let p = Place::new();
    let (late, old, urgent) = (p.create("late"), p.create("old"), p.create("urgent"));
    p.vermas(&["wo", "update", &urgent, "-p", "0"]).ok();
    p.vermas(&["wo", "dep", "add", &late, &old, &urgent]).ok();
    assert_eq!(titles(&p.json(&["wo", "ready"])), ["urgent", "old"]);
    let blocked = p.json(&["wo", "blocked"]);
    assert_eq!((titles(&blocked), blocked[0]["blocked_by"].as_array().unwrap().len()), (vec!["late"], 2));
    p.vermas(&["wo", "close", &old, &urgent]).ok();
    assert_eq!(titles(&p.json(&["wo", "ready"])), ["late"]);
    p.vermas(&["wo", "reopen", &old]).ok();
    assert_eq!(titles(&p.json(&["wo", "blocked"])), ["late"]);
    let tree = p.vermas(&["wo", "dep", "tree", &late]).ok();
    assert!(tree.contains("├─ ") && tree.contains("└─ ") && tree.lines().count() == 3, "{tree}");
    p.vermas(&["wo", "dep", "remove", &late, &old]).ok();
    assert_eq!(p.show(&late)["blocked_by"], json!([]));
}

#[test]
fn one_is_an_object_and_several_are_an_array() {
    let p = Place::new();
    let (a, b) = (p.create("a"), p.create("b"));
    assert!(p.json(&["wo", "show", &a]).is_object());
    assert_eq!(titles(&p.json(&["wo", "show", &a, &b])), ["a", "b"]);
    assert!(p.json(&["wo", "update", &a, "-p", "1"]).is_object());
    assert!(p.json(&["wo", "update", &a, &b, "-p", "3"]).is_array());
    assert_eq!(p.json(&["wo", "list", "-s", "closed"]), json!([]));
    let short: String = a.chars().skip(3).take(8).collect();
    assert_eq!(p.show(&short)["id"], a.as_str());
    assert_eq!(p.show(&format!("wo-{short}"))["id"], a.as_str());
}

/// `part` is a part of `whole`, which so cannot become one of it.
fn refused_circle(p: &Place, whole: &str, part: &str) {
    p.vermas(&["wo", "update", part, "-m", &format!("parent={whole}")]).ok();
    let said = p.vermas(&["wo", "update", whole, "-m", &format!("parent={part}")]);
    assert!(said.code == Some(2) && said.err.contains("cannot be part of itself"), "{said:?}");
}

#[test]
fn an_order_is_changed_commented_claimed_released_closed_and_opened_again() {
    let p = Place::new();
    let id = p.create("t");
    let changed = p.json(&["wo", "update", &id, "--title", "T", "--add-label", "x", "-m", "k=1", "-d", "D"]);
    assert_eq!(
        (&changed["title"], &changed["labels"], &changed["metadata"]),
        (&json!("T"), &json!(["x"]), &json!({"k": "1"}))
    );
    let changed = p.json(&["wo", "update", &id, "--remove-label", "x", "-m", "k="]);
    assert_eq!((&changed["labels"], &changed["metadata"]), (&json!([]), &json!({})));
    let whole = p.create("whole");
    let short: String = whole.chars().skip(3).take(8).collect();
    assert_eq!(p.json(&["wo", "update", &id, "-m", &format!("parent={short}")])["metadata"]["parent"], whole.as_str());
    assert_eq!(p.vermas(&["wo", "update", &id, "-m", "parent=wo-zzzzzzzzzz"]).code, Some(3));
    assert_eq!(p.vermas(&["wo", "update", &id, "-m", &format!("parent={id}")]).code, Some(2));
    refused_circle(&p, &whole, &id);
    assert_eq!(p.json(&["wo", "update", &id, "-m", "parent="])["metadata"], json!({}));
    p.vermas(&["wo", "comment", &id, "-m", "see here"]).ok();
    assert_eq!(p.show(&id)["comments"][0]["body"], "see here");
    let claimed = p.json(&["--as", "app/workers/slot1", "wo", "claim", &id]);
    assert_eq!((&claimed["assignee"], &claimed["status"]), (&json!("app/workers/slot1"), &json!("assigned")));
    let before = p.state();
    p.vermas(&["--as", "app/workers/slot1", "wo", "claim", &id]).ok();
    assert!(p.state() == before, "claiming again changed something");
    let free = p.json(&["--as", "app/workers/slot1", "wo", "release", &id]);
    assert_eq!((&free["assignee"], &free["status"]), (&Value::Null, &json!("open")));
    let closed = p.json(&["wo", "close", &id, "--reason", "not needed"]);
    assert_eq!(closed["status"], "closed");
    assert!(p.vermas(&["wo", "show", &id]).ok().contains("not needed"));
    assert_eq!(p.json(&["wo", "reopen", &id])["status"], "open");
}

#[test]
fn the_same_state_is_seen_from_everywhere() {
    let p = Place::new();
    let id = p.create("t");
    std::fs::create_dir(p.app.join("sub")).unwrap();
    p.git(&["worktree", "add", "-q", "../linked"]);
    for dir in [p.app.join("sub"), p.root().join("linked"), p.work()] {
        assert_eq!(p.vermas_in(&dir, &["wo", "show", &id, "--json"]).json()["title"], "t", "{}", dir.display());
    }
    let app = p.app.to_str().unwrap();
    assert_eq!(p.vermas_in(p.root(), &["-C", app, "wo", "list", "--json"]).json()[0]["title"], "t");
    let by_git = p.git_in(p.root(), &["-C", app, "-c", "vermas.slots=1", "vermas", "worker", "list", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&by_git).unwrap().as_array().unwrap().len(), 1);
    let mut c = p.command_in(p.root(), &["wo", "list", "--json"]);
    c.env("GIT_DIR", p.app.join(".git"));
    assert_eq!(run(c).json()[0]["title"], "t");
}

#[test]
fn every_form_of_repository_works() {
    for form in [&["--object-format=sha256"][..], &["--ref-format=reftable"], &["--bare"]] {
        let p = Place::empty();
        let dir = p.root().join("a b'\"ü");
        let mut init = super::common::program(p.root(), p.root(), "git");
        init.args(["init", "-q"]).args(form).arg(&dir);
        if run(init).code != Some(0) {
            eprintln!("skipped: this git knows no {form:?}");
            continue;
        }
        p.vermas_in(&dir, &["init"]).ok();
        let id = p.vermas_in(&dir, &["wo", "create", "t"]).ok();
        p.vermas_in(&dir, &["wo", "update", &id, "-p", "0"]).ok();
        let list = p.vermas_in(&dir, &["wo", "list", "--json"]).json();
        assert_eq!((titles(&list), &list[0]["priority"]), (vec!["t"], &json!(0)), "{form:?}");
        assert_eq!(p.git_in(&dir, &["fsck", "--no-dangling"]), "", "{form:?}");
    }
}

#[test]
fn refs_that_cannot_be_read_are_not_taken_for_no_refs() {
    let p = Place::empty();
    let dir = p.root().join("app");
    let mut init = super::common::program(p.root(), p.root(), "git");
    init.args(["init", "-q", "--ref-format=reftable"]).arg(&dir);
    if run(init).code != Some(0) {
        eprintln!("skipped: this git knows no reftable");
        return;
    }
    p.vermas_in(&dir, &["init"]).ok();
    let tables = dir.join(".git/reftable/tables.list");
    let good = std::fs::read(&tables).unwrap();
    std::fs::write(&tables, "0x000000000001-0x000000000009-00000000.ref\n").unwrap();
    let said = p.vermas_in(&dir, &["wo", "create", "t"]);
    assert!(said.code != Some(0) && said.err.contains("refs/heads/vermas/state"), "{said:?}");
    std::fs::write(&tables, good).unwrap();
    p.vermas_in(&dir, &["wo", "create", "t"]).ok();
    p.vermas_in(&dir, &["fsck"]).ok();
}

#[test]
fn the_help_of_a_group_says_what_each_command_does() {
    let p = Place::new();
    for args in [&["wo", "-h"][..], &["wo"], &["worker", "--help"], &["help", "wo"]] {
        let said = p.vermas(args);
        let listed = said.out.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
        let bare: Vec<_> = listed.filter(|l| l.split_whitespace().count() < 2).collect();
        assert!(said.out.contains("Commands:") && bare.is_empty(), "{args:?}: {bare:?}");
    }
}

#[test]
fn words_that_another_program_gave_to_an_order_can_be_looked_for_and_are_counted() {
    let p = Place::new();
    p.create("ours");
    let theirs =
        "{\"id\":\"wo-go1\",\"title\":\"theirs\",\"status\":\"deferred\",\"issue_type\":\"spike\",\"priority\":7}\n";
    let list = p.work().join("work_orders.jsonl");
    std::fs::write(&list, std::fs::read_to_string(&list).unwrap() + theirs).unwrap();
    p.vermas(&["sync"]);
    for filter in [["-s", "deferred"], ["-t", "spike"], ["-p", "7"]] {
        assert_eq!(titles(&p.json(&[&["wo", "list"], &filter[..]].concat())), ["theirs"], "{filter:?}");
    }
    let refused = p.vermas(&["wo", "list", "-s", "deferrd"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    let counts = p.json(&["status"])["orders"].clone();
    assert_eq!((&counts["other"], &counts["total"]), (&json!({"deferred": 1}), &json!(2)));
    assert!(p.vermas(&["status"]).ok().contains("0 closed, 1 deferred"));
}
