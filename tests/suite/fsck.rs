//! `fsck` and `doctor`: what they find in a state that was harmed on purpose.

use std::io::Write as _;

use crate::place::{Place, git};
use predicates::prelude::*;
use serde_json::Value;

/// The findings, as `severity where: what`.
fn found(p: &Place, args: &[&str]) -> Vec<String> {
    let out = p.vermas(&[&["fsck", "--json"], args].concat()).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let text = |f: &Value, k: &str| f[k].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|f| format!("{} {}: {}", text(f, "severity"), text(f, "where"), text(f, "what"))).collect()
}

fn has(all: &[String], start: &str) -> bool {
    all.iter().any(|f| f.starts_with(start))
}

fn append(p: &Place, line: &str) {
    let mut log = std::fs::OpenOptions::new().append(true).open(p.work("events.jsonl")).unwrap();
    log.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn event(id: &str, kind: &str, at: &str, data: &str) -> String {
    format!(r#"{{"event_id":"{id}","event_type":"{kind}","timestamp":"{at}","actor":"go","data":{data}}}"#)
}

#[test]
fn a_sound_state_has_no_errors_and_no_warnings() {
    let p = Place::new();
    p.order("Add a flag");
    p.mail("ceo", "hello", "you");
    let all = found(&p, &[]);
    assert!(all.iter().all(|f| f.starts_with("info ")), "{all:?}");
    assert!(has(&all, "info work_orders.jsonl: as of 2 commits ago"), "{all:?}");
    let text = p.said(&["fsck"]);
    assert!(text.ends_with("2 events, 1 work order, 1 message: 0 errors, 0 warnings, 2 notes\n"), "{text}");
}

#[test]
fn a_segment_that_was_broken_is_an_error_with_its_line() {
    let p = Place::new();
    p.order("Add a flag");
    let there = p.checkout();
    let segment = p.segment();
    let old = std::fs::read_to_string(there.join(&segment)).unwrap();
    std::fs::write(there.join(&segment), format!("{old}no event\n{old}")).unwrap();
    git(&there, &["commit", "-q", "-am", "by hand"]);
    let all = found(&p, &[]);
    assert!(has(&all, &format!("error {segment}:2: no JSON")), "{all:?}");
    assert!(has(&all, &format!("warning {segment}:3: the same event as {segment}:1; it counts once")), "{all:?}");
    p.vermas(&["fsck"]).assert().code(1).stderr(predicate::str::starts_with("error: the state has 1 errors\n"));
    // The state as it was before is sound.
    assert!(found(&p, &["--rev", "vermas/state~1"]).iter().all(|f| f.starts_with("info ")));
    p.vermas(&["fsck", "--rev", "no-such"]).assert().code(3);
}

#[test]
fn events_that_stand_twice_are_one_finding_with_their_number() {
    let p = Place::new();
    for title in ["Add a flag", "Add a test", "Add a page"] {
        p.order(title);
    }
    let there = p.checkout();
    let segment = p.segment();
    let old = std::fs::read_to_string(there.join(&segment)).unwrap();
    std::fs::write(there.join(&segment), old.repeat(2)).unwrap();
    git(&there, &["commit", "-q", "-am", "by hand"]);
    let all = found(&p, &[]);
    let twice: Vec<&String> = all.iter().filter(|f| f.contains("the same event as")).collect();
    let n = old.lines().count();
    let first = format!("warning {segment}:{}: the same event as {segment}:1; it counts once, ", n + 1);
    assert_eq!(twice, [&format!("{first}and so does each of {} more events that stand twice", n - 1)]);
}

#[test]
fn files_on_disk_are_held_against_the_events() {
    let p = Place::new();
    let id = p.order("Add a flag");
    std::fs::write(p.work("work_orders.jsonl"), p.read("work_orders.jsonl").replace("flag", "flog")).unwrap();
    std::fs::write(p.work(".assignment-ceo"), format!("work_order:{id}\n")).unwrap();
    append(&p, "nonsense");
    append(&p, r#"{"torn"#);
    let all = found(&p, &[]);
    for start in [
        "warning .work/work_orders.jsonl: 2 lines are not what the events say",
        "warning .work/.assignment-ceo: an assignment that no event knows",
        "warning .work/events.jsonl:2: no JSON",
    ] {
        assert!(has(&all, start), "{start}: {all:?}");
    }
    // Looking changed nothing; the next command takes in what can be taken in, and keeps the rest aside.
    assert_eq!(found(&p, &[]), all);
    p.vermas(&["events", "stats"]).assert().code(0);
    let all = found(&p, &[]);
    assert!(has(&all, "warning .work/events.jsonl:2: no JSON"), "{all:?}");
    assert!(!has(&all, "warning .work/.assignment-ceo") && !has(&all, "warning .work/work_orders.jsonl"), "{all:?}");
}

#[test]
fn a_log_in_anothers_place_is_seen() {
    let p = Place::new();
    p.order("Add a flag");
    std::fs::copy(p.work("events.jsonl"), p.work("copy")).unwrap();
    std::fs::rename(p.work("copy"), p.work("events.jsonl")).unwrap();
    assert!(has(&found(&p, &[]), "warning .work/events.jsonl: somebody put another file in the log's place"));
    std::fs::remove_file(p.work("events.jsonl")).unwrap();
    let all = found(&p, &[]);
    assert!(has(&all, "warning .work/events.jsonl: the log is not there"), "{all:?}");
    assert!(has(&all, "warning .work/events.jsonl: 1 events of the branch are not in the log"), "{all:?}");
}

#[test]
fn what_a_merge_can_bring_about_is_reported() {
    let p = Place::new();
    let at = "2026-01-06T12:00:00Z";
    for (a, b) in [("wo-a", "wo-b"), ("wo-b", "wo-a"), ("wo-c", "wo-a")] {
        let data =
            format!(r#"{{"work_order_id":"{a}","title":"x","priority":9,"dependencies":[{{"depends_on_id":"{b}"}}]}}"#);
        append(&p, &event(&format!("evt-{a}"), "work_order.created", at, &data));
    }
    append(&p, &event("evt-same", "x.y", at, "{}"));
    append(&p, &event("evt-same", "x.y", at, r#"{"other":1}"#));
    append(&p, &event("evt-late", "x.y", "2999-01-01T00:00:00Z", "{}"));
    let all = found(&p, &[]);
    for start in [
        "warning wo-a: waits for itself",
        "warning wo-b: waits for itself",
        "warning evt-same: 2 different lines carry this id",
        "warning evt-late: dated 2999-01-01T00:00:00.000Z, more than a day ahead",
        "info 'x.y': 3 events of this type",
        "info wo-a: the priority 9 is not known here",
        "info .work/events.jsonl: 6 events wait to be put on the branch",
    ] {
        assert!(has(&all, start), "{start}: {all:?}");
    }
    assert!(!has(&all, "warning wo-c"), "it waits for a circle and is none");
}

#[test]
fn a_branch_that_cannot_be_read_is_an_error() {
    let p = Place::new();
    p.order("Add a flag");
    std::fs::write(p.path.join(".git/refs/heads/vermas/state"), "").unwrap();
    let all = found(&p, &[]);
    assert!(has(&all, "error vermas/state: "), "{all:?}");
    // Whatever is broken, a command mends it.
    p.said(&["rebuild"]);
    assert!(found(&p, &[]).iter().all(|f| f.starts_with("info ")), "{:?}", found(&p, &[]));
}

#[test]
fn what_others_wrote_and_nobody_can_use_is_named_once_with_its_place() {
    let p = Place::new();
    p.order("Ours");
    let record = r#"{"id":"wo-go1","title":"t","priority":"high","labels":"x","status":7,"created_at":"nope"}"#;
    let mut list = std::fs::OpenOptions::new().append(true).open(p.work("work_orders.jsonl")).unwrap();
    list.write_all(format!("{record}\n").as_bytes()).unwrap();
    append(&p, "no event");
    std::fs::write(p.work(".assignment-ceo"), "work_order:../x").unwrap();
    std::fs::write(p.work("config.toml"), "a = 1\nb = \n").unwrap();
    std::fs::write(p.work(".assignment-UPPER"), "work_order:wo-go1\n").unwrap();
    append(
        &p,
        &event("py-1", "work_order.updated", "2026-01-06T12:00:00Z", r#"{"work_order_id":"wo-go1","changes":[]}"#),
    );
    append(&p, &event("py-2", "mail.sent", "2026-01-06T12:00:00Z", r#"{"message_id":"msg-1","to":7,"body":[]}"#));
    p.vermas(&["status"]).output().unwrap();
    let all = found(&p, &[]);
    for (field, wanted) in
        [("priority", "a whole number"), ("labels", "a list of texts"), ("status", "text"), ("created_at", "a time")]
    {
        let named = |f: &&String| {
            f.starts_with(&format!("info wo-go1: '{field}' in evt-")) && f.contains(&format!("is not {wanted}"))
        };
        assert_eq!(all.iter().filter(named).count(), 1, "{field}: {all:?}");
    }
    assert!(
        has(&all, "warning .work/.assignment-ceo: 'work_order:../x' names nothing that can be assigned"),
        "{all:?}"
    );
    assert!(has(&all, "warning .work/config.toml:2: "), "{all:?}");
    for misfit in
        ["wo-go1: 'changes' in py-1 is not an object", "msg-1: 'to' in py-2 is not text", "msg-1: 'body' in py-2"]
    {
        assert!(has(&all, &format!("info {misfit}")), "{misfit}: {all:?}");
    }
    assert_eq!(all.iter().filter(|f| f.contains(".assignment-UPPER")).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|f| f.starts_with("warning .work/events.jsonl:")).count(), 1, "{all:?}");
}

/// A doctor's checks, as `health name: what`.
fn doctor(p: &Place, args: &[&str]) -> Vec<String> {
    let out = p.vermas(&[&["doctor", "--json"], args].concat()).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"));
    let text = |f: &Value, k: &str| f[k].as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|f| format!("{} {}: {}", text(f, "health"), text(f, "name"), text(f, "what"))).collect()
}

#[test]
fn a_healthy_place_has_nothing_to_mend() {
    let p = Place::new();
    p.order("Add a flag");
    let all = doctor(&p, &[]);
    for start in
        ["ok git: version 2.", "ok PATH: ", "ok info/exclude: ", "ok disk: ", "ok cache: sound", "ok state: 1 event,"]
    {
        assert!(has(&all, start), "{start}: {all:?}");
    }
    assert!(has(&all, "info remote: there is no remote 'origin'"), "{all:?}");
    assert!(p.said(&["doctor"]).contains("note  remote: there is no remote 'origin'"));
}

#[test]
fn what_is_wrong_is_told_and_mended_on_request() {
    let p = Place::new();
    p.order("Add a flag");
    std::fs::write(p.path.join(".git/info/exclude"), "mine\n").unwrap();
    append(&p, &event("evt-1", "x.y", "2026-01-06T12:00:00Z", "{}"));
    p.git(&["config", "vermas.slotz", "3"]);
    let cache = p.path.join(".git/vermas/cache.sqlite");
    std::fs::write(&cache, "nonsense").unwrap();
    let all = doctor(&p, &[]);
    for start in [
        "warning info/exclude: lacks /.work/, /workers/",
        "warning cache: it cannot be opened",
        "warning publishing: 1 events wait",
        "warning settings: nothing reads vermas.slotz",
    ] {
        assert!(has(&all, start), "{start}: {all:?}");
    }
    assert_eq!(doctor(&p, &[]), all, "looking changes nothing");
    let fixed = p.vermas(&["doctor", "--fix"]).output().unwrap();
    let said = String::from_utf8_lossy(&fixed.stderr).into_owned();
    assert!(said.starts_with("put back what init makes"), "{said}");
    assert!(said.contains("make cache and lists anew"), "{said}");
    let all = doctor(&p, &[]);
    assert!(
        all.iter()
            .all(|c| !c.starts_with("warning") || c.starts_with("warning settings") || c.starts_with("warning tmux")),
        "{all:?}"
    );
    assert_eq!(std::fs::read_to_string(p.path.join(".git/info/exclude")).unwrap(), "mine\n/.work/\n/workers/\n");
}

#[test]
fn a_copy_of_the_branch_that_is_none_is_named_until_the_next_change_makes_it_anew() {
    let p = Place::new();
    p.order("Add a flag");
    let main = p.git(&["rev-parse", "vermas/state"]);
    p.git(&["update-ref", "refs/heads/mine", &main]);
    p.git(&["symbolic-ref", "refs/vermas/backup", "refs/heads/mine"]);
    assert!(has(&doctor(&p, &[]), "warning refs: refs/vermas/backup is a symbolic ref to refs/heads/mine"));
    p.order("Another");
    assert!(!has(&doctor(&p, &[]), "warning refs"));
    std::fs::write(p.path.join(".git/refs/vermas/backup"), "").unwrap();
    assert!(has(&doctor(&p, &[]), "warning refs: "));
    p.order("A third");
    assert!(!has(&doctor(&p, &[]), "warning refs"));
    assert_eq!(p.git(&["rev-parse", "mine"]), main);
}

#[test]
fn a_repository_that_is_not_set_up_says_so() {
    let dir = crate::place::scratch();
    git(dir.path(), &["init", "-q"]);
    let mut c = assert_cmd::Command::from_std(crate::place::scrubbed(crate::place::binary(), dir.path()));
    let said = predicate::str::contains(
        "error  state: this repository is not set up for git vermas yet\n    git vermas init\n",
    );
    c.arg("doctor").assert().code(1).stdout(said).stderr("error: there is an error\n");
}

/// Takes an order out of the cache, as an older copy of the file written over it would.
fn forget(p: &Place, id: &str) {
    let db = rusqlite::Connection::open(p.work("../.git/vermas/cache.sqlite")).unwrap();
    let orders = db.execute("DELETE FROM orders WHERE id=?", [id]).unwrap();
    assert_eq!(orders, 1);
}

#[test]
fn an_order_that_the_cache_has_lost_is_found_by_the_log() {
    let p = Place::new();
    let id = p.order("Add a flag");
    p.order("Another");
    forget(&p, id.as_str());
    assert!(p.said(&["wo", "show", id.as_str()]).contains("Add a flag"));
    assert_eq!(p.said(&["wo", "list"]).lines().count(), 2);
    p.vermas(&["wo", "show", "wo-0000000000"]).assert().code(3);
}

#[test]
fn lists_that_a_cache_made_wrong_are_mended_by_what_fsck_says() {
    let p = Place::new();
    let id = p.order("Add a flag");
    p.order("Another");
    forget(&p, id.as_str());
    std::fs::remove_file(p.work("work_orders.jsonl")).unwrap();
    assert_eq!(p.said(&["wo", "list"]).lines().count(), 1);
    let out = p.vermas(&["fsck", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["where"], &finding["mend"]),
        (&".work/work_orders.jsonl".into(), &"git vermas rebuild".into())
    );
    p.said(&["rebuild"]);
    assert_eq!(p.said(&["wo", "list"]).lines().count(), 2);
    assert!(found(&p, &[]).iter().all(|f| f.starts_with("info ")));
}
