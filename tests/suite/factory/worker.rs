//! Workers: a slot, a worktree, a session with its environment; what a worker may hand in, and how it is stopped.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::common::{Place, Said, program, run, until};

/// An agent that says it is there and stays until its world is gone.
const STAYS: &str = "echo ready; env >\"$PWD/../../env.$WORK_ORDER_ID\"; while [ -d \"$PWD\" ]; do sleep 0.1; done";

fn workers(p: &Place) -> Vec<Value> {
    p.json(&["worker", "list"]).as_array().unwrap().clone()
}

fn state(p: &Place, slot: usize) -> String {
    workers(p)[slot]["state"].as_str().unwrap().to_owned()
}

fn slot(p: &Place, n: u32) -> PathBuf {
    p.app.join(format!("workers/slot{n}"))
}

/// Stops what runs in a slot, so that nothing outlives the test.
fn kill(p: &Place, slot: &str) -> Said {
    let said = p.vermas(&["worker", "kill", slot]);
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for w in words {
        assert!(said.err.contains(w), "{w:?} is not in {}", said.err);
    }
}

fn environment(p: &Place, id: &str) -> String {
    let path = p.app.join(format!("env.{id}"));
    until("the agent wrote its environment", || path.exists() && std::fs::metadata(&path).unwrap().len() > 0);
    std::fs::read_to_string(path).unwrap()
}

fn a_worker_is_started_seen_and_stopped(p: &Place, launcher: &str) {
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", launcher]);
    let id = p.create("First; $(touch pwned) #(touch pwned)");
    let given = p.json(&["dispatch", &id]);
    assert_eq!((given["slot"].as_str(), given["agent"].as_str()), (Some("slot0"), Some("app/workers/slot0")));
    assert_eq!((given["branch"].as_str(), given["base"].as_str()), (Some("vermas/slot0"), Some("main")));
    assert_eq!(given["session"], "worker-app-slot0");
    let env = environment(p, &id);
    for wanted in [
        "AGENT_ID=app/workers/slot0",
        &format!("WORK_ORDER_ID={id}"),
        "FACTORY=app",
        "CO_FACTORY=app",
        "ROLE=worker",
        "CO_ROLE=worker",
    ] {
        assert!(env.lines().any(|l| l == wanted), "{wanted} is missing in\n{env}");
    }
    let path = env.lines().find_map(|l| l.strip_prefix("PATH=")).unwrap();
    let shims = PathBuf::from(path.split(':').next().unwrap());
    assert!(shims.join("co").exists() && shims.join("wo").exists(), "{path}");
    assert!(env.lines().any(|l| l == format!("PWD={}", slot(p, 0).display())), "{env}");
    assert_eq!(state(p, 0), "working");
    assert_eq!(p.show(&id)["assignee"], "app/workers/slot0");
    assert_eq!(
        std::fs::read_to_string(p.work().join(".assignment-app-workers-slot0")).unwrap(),
        format!("work_order:{id}\n")
    );
    until("the log has what the agent said", || p.vermas(&["worker", "logs", "slot0"]).out.contains("ready"));
    assert!(!p.app.join("pwned").exists() && !slot(p, 0).join("pwned").exists());
    refused(&p.vermas(&["dispatch", &id]), 5, &["is already with app/workers/slot0"]);
    assert_eq!(p.git(&["status", "--short"]), format!("?? env.{id}"));
    kill(p, "slot0");
    assert_eq!(state(p, 0), "free");
    let order = p.show(&id);
    assert_eq!((order["status"].as_str(), &order["assignee"]), (Some("open"), &Value::Null));
}

#[test]
fn in_tmux_a_worker_is_started_seen_and_stopped() {
    let p = Place::new();
    a_worker_is_started_seen_and_stopped(&p, "tmux");
}

#[test]
fn as_a_background_process_a_worker_is_started_seen_and_stopped() {
    let p = Place::new();
    a_worker_is_started_seen_and_stopped(&p, "process");
}

#[test]
fn each_order_gets_the_first_free_slot_until_none_is_left() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.slots", "2"]);
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|t| p.create(t)).collect();
    let dry = p.json(&["dispatch", &ids[0], "--dry-run"]);
    assert_eq!((dry["slot"].as_str(), dry["dry_run"].as_bool()), (Some("slot0"), Some(true)));
    assert!(!slot(&p, 0).exists() && p.show(&ids[0])["status"] == "open");
    let dry = p.json(&["dispatch", &ids[0], &ids[1], &ids[0], "--dry-run"]);
    assert_eq!((&dry[0]["slot"], &dry[1]["slot"], &dry[2]), (&json!("slot0"), &json!("slot1"), &json!(null)));
    refused(&p.vermas(&["dispatch", &ids[0], &ids[1], &ids[2], "--dry-run"]), 5, &["no slot is free"]);
    assert_eq!(p.json(&["dispatch", &ids[0]])["slot"], "slot0");
    let before = p.state();
    refused(&p.vermas(&["dispatch", &ids[1], "--slot", "0"]), 5, &["the slot is not free", &ids[0]]);
    refused(&p.vermas(&["dispatch", &ids[1], "--slot", "7"]), 3, &["there is no slot7, only 2", "vermas.slots"]);
    refused(&p.vermas(&["dispatch", &ids[1], "--slot", "x"]), 2, &["'x' is no slot of app"]);
    assert_eq!(p.state(), before);
    assert_eq!(p.json(&["dispatch", &ids[1]])["slot"], "slot1");
    refused(&p.vermas(&["dispatch", &ids[2]]), 5, &["no slot is free", "slot0:", "slot1:", "vermas.slots"]);
    assert_eq!(p.show(&ids[2])["status"], "open");
    kill(&p, "slot0");
    assert_eq!(p.json(&["dispatch", &ids[2]])["slot"], "slot0");
    kill(&p, "slot0");
    kill(&p, "slot1");
}

#[test]
fn what_a_slot_holds_unlanded_keeps_it_from_the_next_order() {
    let p = Place::new();
    p.agent("exit 0");
    p.git(&["config", "vermas.slots", "1"]);
    let id = p.create("a");
    p.vermas(&["dispatch", &id]).ok();
    std::fs::write(slot(&p, 0).join("left.txt"), "mine\n").unwrap();
    p.vermas(&["worker", "kill", "--keep", "slot0"]).ok();
    p.vermas(&["wo", "release", &id]).ok();
    let other = p.create("b");
    let said = p.vermas(&["dispatch", &other]);
    refused(&said, 5, &["no slot is free"]);
    assert_eq!(std::fs::read_to_string(slot(&p, 0).join("left.txt")).unwrap(), "mine\n");
}

#[test]
fn an_agent_that_is_missing_or_dies_at_once_frees_slot_and_order() {
    let p = Place::new();
    p.agent("echo one; echo 'no licence key' >&2; exit 7");
    let id = p.create("a");
    for launcher in ["process", "tmux"] {
        p.git(&["config", "vermas.launcher", launcher]);
        refused(
            &p.vermas(&["dispatch", &id]),
            1,
            &["ended at once, with exit code 7", "no licence key", "the slot is free again"],
        );
        assert_eq!((state(&p, 0).as_str(), p.show(&id)["status"].as_str()), ("free", Some("open")));
    }
    p.git(&["config", "vermas.agent.shell.command", "/no/such/agent"]);
    let before = p.state();
    refused(&p.vermas(&["dispatch", &id]), 1, &["/no/such/agent is not installed"]);
    refused(&p.vermas(&["dispatch", &id, "--agent", "nobody"]), 3, &["there is no agent named nobody"]);
    p.git(&["config", "vermas.launcher", "screen"]);
    p.git(&["config", "vermas.agent.shell.command", "sleep"]);
    refused(&p.vermas(&["dispatch", &id]), 2, &["'screen', which is neither tmux nor process"]);
    assert_eq!(p.state(), before);
}

/// A repository whose worker of slot 0 is at work on an order; gives its id.
fn at_work() -> (Place, String) {
    let p = Place::new();
    p.agent(STAYS);
    let id = p.create("Do it");
    p.vermas(&["dispatch", &id]).ok();
    (p, id)
}

#[test]
fn work_is_handed_in_only_whole_and_by_its_worker() {
    let (p, id) = at_work();
    let tree = slot(&p, 0);
    refused(&p.vermas(&["worker", "done"]), 4, &["you are ceo, no worker of app"]);
    refused(&p.vermas(&["--as", "app/workers/slot3", "worker", "done"]), 1, &["has no work order to hand in"]);
    refused(&p.vermas_in(&tree, &["worker", "done"]), 1, &[&format!("nothing was committed for {id}"), "--no-changes"]);
    std::fs::write(tree.join("new.txt"), "x\n").unwrap();
    refused(&p.vermas_in(&tree, &["worker", "done"]), 1, &["not everything is committed: new.txt", "--commit"]);
    assert!(p.show(&id)["metadata"].get("submitted").is_none());
    let done = p.vermas_in(&tree, &["worker", "done", "--commit", "-m", "All of it", "--json"]).json();
    assert_eq!(done["commits"], 1);
    assert_eq!(done["commit"], p.git(&["rev-parse", "vermas/slot0"]));
    let message = p.git(&["log", "-1", "--format=%B", "vermas/slot0"]);
    assert!(message.starts_with("All of it\n") && message.contains(&format!("Work-Order: {id}")), "{message}");
    assert_eq!(state(&p, 0), "submitted");
    assert_eq!(p.json(&["qa", "status"])[0]["work_order_id"], id.as_str());
    let mail = p.vermas(&["--as", "app/supervisor", "inbox", "--json"]).json();
    assert_eq!(mail[0]["message_type"], "WORKER_DONE");
    refused(&p.vermas(&["dispatch", &p.create("next"), "--slot", "0"]), 5, &["the slot is not free"]);
    kill(&p, "slot0");
}

#[test]
fn an_order_that_needs_no_change_says_so() {
    let (p, id) = at_work();
    let done = p.vermas_in(&slot(&p, 0), &["worker", "done", "--no-changes", "--json"]).json();
    assert_eq!(done["commits"], 0);
    let outcome = p.json(&["qa", "run"]);
    assert_eq!(outcome[0]["outcome"], "merged");
    assert_eq!(p.show(&id)["status"], "closed");
    kill(&p, "slot0");
}

#[test]
fn a_killed_worker_leaves_its_work_under_a_rescue_ref_for_the_next() {
    let (p, id) = at_work();
    let tree = slot(&p, 0);
    std::fs::write(tree.join("whole.txt"), "whole\n").unwrap();
    p.git_in(&tree, &["add", "."]);
    p.git_in(&tree, &["commit", "-qm", "half of it"]);
    std::fs::write(tree.join("half.txt"), "half\n").unwrap();
    let said = kill(&p, "slot0");
    assert!(said.out.contains("refs/vermas/rescue/"), "{said:?}");
    let saved = p.git(&["for-each-ref", "--format=%(refname)", "refs/vermas/rescue"]);
    assert!(said.out.contains(&format!("git stash branch rescued {saved}")), "{said:?}");
    assert_eq!(p.show(&id)["metadata"]["rescue"], saved.as_str());
    assert_eq!(p.git(&["rev-parse", "vermas/slot0"]), p.git(&["rev-parse", "main"]));
    p.agent(&format!("printf '%s\\n' \"$*\" >../../prompt.txt; {STAYS}"));
    p.vermas(&["dispatch", &id]).ok();
    let prompt = p.app.join("prompt.txt");
    until("the next worker is told", || std::fs::read_to_string(&prompt).is_ok_and(|t| t.contains(&saved)));
    // The very words it is told bring everything back.
    let told = std::fs::read_to_string(&prompt).unwrap();
    let words = told.lines().find_map(|l| l.split_once("into your worktree: ")).unwrap().1;
    let mut sh = program(p.root(), &tree, "sh");
    sh.args(["-ec", words]);
    assert_eq!(run(sh).code, Some(0));
    assert_eq!(std::fs::read_to_string(tree.join("half.txt")).unwrap(), "half\n");
    assert_eq!(std::fs::read_to_string(tree.join("whole.txt")).unwrap(), "whole\n");
    kill(&p, "slot0");
}

#[test]
fn a_worker_whose_session_is_gone_is_seen_and_started_again() {
    let (p, id) = at_work();
    refused(&p.vermas(&["worker", "spawn", "slot0"]), 5, &["is running already"]);
    p.vermas(&["worker", "kill", "--keep", "slot0"]).ok();
    assert_ne!(state(&p, 0), "working");
    assert_eq!(p.show(&id)["assignee"], "app/workers/slot0");
    p.vermas(&["worker", "spawn", "slot0"]).ok();
    assert_eq!(state(&p, 0), "working");
    // Ended behind our back.
    let pid = p.json(&["worker", "status", "slot0"]);
    assert_eq!(pid["session_state"], "running");
    refused(&p.vermas(&["worker", "spawn", "slot1"]), 1, &["slot1 has no work order"]);
    kill(&p, "slot0");
}

#[test]
fn a_session_that_ended_behind_our_back_is_noticed_by_the_supervisor() {
    let p = Place::new();
    p.agent("until [ -e ../../go ]; do sleep 0.05; done");
    let id = p.create("a");
    p.vermas(&["dispatch", &id]).ok();
    std::fs::write(p.app.join("go"), "").unwrap();
    until("the session has ended", || state(&p, 0) == "dead");
    let round = p.json(&["supervise", "--once"]);
    assert_eq!(round["dead"], json!(["app/workers/slot0"]));
    assert_eq!(state(&p, 0), "stopped");
    let again = p.json(&["supervise", "--once"]);
    assert_eq!(again["dead"], json!([]));
    assert_eq!(p.json(&["inbox"])[0]["message_type"], "ESCALATION");
}

#[test]
fn a_slot_that_was_given_an_order_and_no_worker_is_told_so_everywhere() {
    let p = Place::new();
    p.agent(STAYS);
    let (first, second) = (p.create("first"), p.create("second"));
    let not_started = |id: &str| {
        assert_eq!(state(&p, 0), "assigned");
        let status = p.json(&["status"]);
        assert_eq!(status["workers"][0]["state"], "assigned");
        let told = status["attention"].as_array().unwrap().iter().find(|a| a["kind"] == "unstarted").unwrap().clone();
        assert_eq!(told["hint"], "git vermas worker spawn slot0");
        assert!(told["text"].as_str().unwrap().contains(id), "{told}");
        let round = p.json(&["supervise", "--once"]);
        assert_eq!((&round["dead"], &round["unstarted"]), (&json!([]), &json!(["app/workers/slot0"])));
        assert_eq!(p.json(&["inbox"]), json!([]));
    };
    p.vermas(&["assignment", "set", "slot0", &first]).ok();
    not_started(&first);
    p.vermas(&["worker", "spawn", "slot0"]).ok();
    assert_eq!((state(&p, 0).as_str(), &p.json(&["status"])["workers"][0]["state"]), ("working", &json!("working")));
    assert_eq!(p.json(&["supervise", "--once"])["unstarted"], json!([]));
    kill(&p, "slot0");
    p.vermas(&["assignment", "set", "slot0", &second]).ok();
    not_started(&second);
}

#[test]
fn worktrees_are_made_listed_and_removed_without_loss() {
    let p = Place::new();
    assert_eq!(p.json(&["worktree", "list"]), json!([]));
    refused(&p.vermas(&["worktree", "create", "slot99"]), 3, &["there is no slot99, only 5", "vermas.slots"]);
    refused(&p.vermas(&["worktree", "remove", "slot1"]), 3, &["slot1 has no worktree"]);
    p.vermas(&["worktree", "create", "slot1"]).ok();
    assert!(slot(&p, 1).join("a.txt").exists());
    assert_eq!(p.git(&["status", "--short"]), "");
    std::fs::write(slot(&p, 1).join("mine.txt"), "mine\n").unwrap();
    let said = p.vermas(&["worktree", "remove", "slot1"]).ok();
    assert!(!slot(&p, 1).exists());
    let saved = p.git(&["for-each-ref", "--format=%(refname)", "refs/vermas/rescue"]);
    assert!(said.contains(&saved) && !saved.is_empty(), "{said}");
    p.git(&["stash", "apply", "-q", &saved]);
    assert_eq!(std::fs::read_to_string(p.app.join("mine.txt")).unwrap(), "mine\n");
}

#[test]
fn a_worktree_of_a_worker_at_work_stays() {
    let (p, id) = at_work();
    refused(&p.vermas(&["worktree", "remove", "slot0"]), 5, &[&format!("slot0 is at work on {id}")]);
    kill(&p, "slot0");
}

#[test]
fn what_a_worker_changed_and_said_can_be_read() {
    let (p, _id) = at_work();
    std::fs::write(slot(&p, 0).join("a.txt"), "two\n").unwrap();
    let diff = p.vermas(&["worker", "diff", "slot0"]).ok();
    assert!(diff.contains("-one") && diff.contains("+two"), "{diff}");
    assert!(p.vermas(&["worker", "diff", "slot0", "--stat"]).ok().contains("a.txt"));
    until("the agent has said something", || p.vermas(&["worker", "logs", "slot0", "-n", "1"]).out.contains("ready"));
    refused(&p.vermas(&["worker", "logs", "slot4"]), 3, &["slot4 has printed nothing yet"]);
    refused(&p.vermas(&["worker", "diff", "slot4"]), 3, &["slot4 has no worktree"]);
    refused(&p.vermas(&["worker", "attach", "slot4"]), 3, &["nothing runs in slot4"]);
    refused(&p.vermas(&["worker", "status", "slot9"]), 3, &["there is no slot9"]);
    kill(&p, "slot0");
}

#[test]
fn a_tmux_session_is_not_shown_without_a_terminal() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", "tmux"]);
    p.vermas(&["dispatch", &p.create("a")]).ok();
    refused(&p.vermas(&["worker", "attach", "slot0"]), 1, &["only be shown on a terminal", "worker logs -f slot0"]);
    kill(&p, "slot0");
}

#[test]
fn closed_and_blocked_orders_are_not_dispatched() {
    let p = Place::new();
    p.agent(STAYS);
    let (a, b) = (p.create("a"), p.create("b"));
    p.vermas(&["wo", "dep", "add", &b, &a]).ok();
    let before = p.state();
    refused(&p.vermas(&["dispatch", &b]), 1, &[&format!("{b} is blocked by {a}"), "git vermas wo ready"]);
    assert_eq!(p.state(), before);
    p.vermas(&["wo", "close", &a]).ok();
    let before = p.state();
    refused(&p.vermas(&["dispatch", &a]), 1, &["is closed", "git vermas wo reopen"]);
    refused(&p.vermas(&["dispatch", &b, "--base", "nope"]), 3, &["there is no branch 'nope'"]);
    assert_eq!(p.state(), before);
}

#[test]
fn a_quick_worker_that_is_done_before_anybody_looks_has_not_failed() {
    for launcher in ["process", "tmux"] {
        let p = Place::new();
        p.agent("co worker done --no-changes");
        p.git(&["config", "vermas.launcher", launcher]);
        let id = p.create("a");
        p.vermas(&["dispatch", &id]).ok();
        until("the work was handed in", || p.show(&id)["metadata"].get("submitted").is_some());
        assert_eq!(state(&p, 0), "submitted");
    }
}

#[test]
fn a_worker_in_tmux_sees_its_own_server_and_is_ended_after_it_handed_in() {
    let p = Place::new();
    p.agent(&format!("co worker list --json >../../seen.json; co worker done --no-changes; {STAYS}"));
    p.git(&["config", "vermas.launcher", "tmux"]);
    let id = p.create("a");
    p.vermas(&["dispatch", &id]).ok();
    until("the work was handed in", || p.show(&id)["metadata"].get("submitted").is_some());
    let seen: Value = serde_json::from_slice(&std::fs::read(p.app.join("seen.json")).unwrap()).unwrap();
    assert_eq!((seen[0]["session_state"].as_str(), seen[0]["state"].as_str()), (Some("running"), Some("working")));
    until("the session was ended", || workers(&p)[0]["session_state"] != "running");
    kill(&p, "slot0");
}

#[test]
fn a_worker_that_is_killed_while_it_is_being_prepared_is_stopped_once_it_runs() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", "process"]);
    p.git(&["config", "vermas.worker.setup", "touch ../../preparing; while [ ! -e ../../go ]; do sleep 0.02; done"]);
    let id = p.create("First");
    let dispatch = p.command_in(&p.app, &["dispatch", &id]).stdout(Stdio::piped()).spawn().unwrap();
    until("the slot is prepared", || p.app.join("preparing").exists());
    let mut killing = p.command_in(&p.app, &["worker", "kill", "slot0"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(killing.try_wait().unwrap().is_none(), "the slot is waited for");
    std::fs::write(p.app.join("go"), "").unwrap();
    for child in [dispatch, killing] {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!((state(&p, 0).as_str(), p.show(&id)["status"].as_str()), ("free", Some("open")));
    assert_eq!(workers(&p)[0]["session_state"], "none");
}

#[test]
fn a_dispatch_that_was_stopped_in_its_setup_is_set_up_again_where_the_worker_is_started() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", "process"]);
    p.git(&["config", "vermas.worker.setup", "touch ../../preparing; [ -e ../../go ] || exec sleep 5; touch prepared"]);
    let id = p.create("First");
    let mut dispatch = p.command_in(&p.app, &["dispatch", &id]).stdout(Stdio::null()).spawn().unwrap();
    until("the slot is prepared", || p.app.join("preparing").exists());
    dispatch.kill().unwrap();
    dispatch.wait().unwrap();
    std::fs::write(p.app.join("go"), "").unwrap();
    assert_eq!(state(&p, 0), "assigned");
    p.vermas(&["worker", "spawn", "slot0"]).ok();
    assert!(slot(&p, 0).join("prepared").exists());
    kill(&p, "slot0");
}

#[test]
fn a_worker_that_is_started_by_hand_while_it_is_dispatched_is_started_once() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", "process"]);
    p.git(&["config", "vermas.worker.setup", "touch ../../preparing; while [ ! -e ../../go ]; do sleep 0.02; done"]);
    let id = p.create("First");
    let dispatch = p.command_in(&p.app, &["dispatch", &id]).stdout(Stdio::null()).spawn().unwrap();
    until("the slot is prepared", || p.app.join("preparing").exists());
    let spawn = p.command_in(&p.app, &["worker", "spawn", "slot0"]).stderr(Stdio::null()).spawn().unwrap();
    std::fs::write(p.app.join("go"), "").unwrap();
    assert!(dispatch.wait_with_output().unwrap().status.success());
    assert_eq!(spawn.wait_with_output().unwrap().status.code(), Some(5));
    assert_eq!((state(&p, 0).as_str(), p.show(&id)["assignee"].as_str()), ("working", Some("app/workers/slot0")));
    kill(&p, "slot0");
}

#[test]
fn a_slot_whose_branch_somebody_else_has_checked_out_is_passed_over() {
    let p = Place::new();
    p.agent(STAYS);
    p.git(&["config", "vermas.launcher", "process"]);
    p.git(&["branch", "vermas/slot0"]);
    p.git(&["worktree", "add", "-q", "../mine", "vermas/slot0"]);
    let id = p.create("First");
    assert_eq!(state(&p, 0), "held");
    assert_eq!(p.json(&["dispatch", &id])["slot"], "slot1");
    let id = p.create("Second");
    refused(&p.vermas(&["dispatch", &id, "--slot", "slot0"]), 5, &["slot0: its branch vermas/slot0 is checked out in"]);
    kill(&p, "slot1");
}

/// A place with work half done in slot0, and a `git` that does something first where a word is among its own.
fn with_git_that(word: &str, does: &str) -> (Place, std::ffi::OsString) {
    let (p, _) = at_work();
    std::fs::write(slot(&p, 0).join("draft.txt"), "draft").unwrap();
    let bin = p.root().join("git-first");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|d| d.join("git")).find(|g| g.exists()).unwrap();
    let text = format!("#!/bin/sh\ncase \"$*\" in *'{word}'*) {does};; esac\nexec {} \"$@\"\n", real.display());
    std::fs::write(bin.join("git"), text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), mode).unwrap();
    let all = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).unwrap();
    (p, all)
}

#[test]
fn a_file_that_is_saved_while_a_worker_is_killed_stays() {
    let (p, path) = with_git_that("worktree unlock", "echo note >workers/slot0/note.txt");
    let mut kill_it = p.command_in(&p.app, &["worker", "kill", "slot0"]);
    kill_it.env("PATH", path);
    refused(&run(kill_it), 1, &["was written to just now"]);
    assert_eq!(std::fs::read_to_string(slot(&p, 0).join("note.txt")).unwrap(), "note\n");
    assert_eq!(std::fs::read_to_string(slot(&p, 0).join("draft.txt")).unwrap(), "draft");
    assert_eq!(state(&p, 0), "held");
    let said = p.vermas(&["worktree", "remove", "slot0"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let saved = p.git(&["for-each-ref", "--format=%(refname)", "--sort=-refname", "refs/vermas/rescue"]);
    assert_eq!(p.git(&["show", &format!("{}^3:note.txt", saved.lines().next().unwrap())]).trim(), "note");
}

#[test]
fn a_worktree_whose_removal_was_stopped_is_put_back_in_its_place() {
    let (p, path) = with_git_that("worktree remove", "kill -9 $PPID; exit 1");
    let mut kill_it = p.command_in(&p.app, &["worker", "kill", "slot0"]);
    kill_it.env("PATH", path);
    assert_eq!(run(kill_it).code, None);
    assert!(!slot(&p, 0).exists());
    let said = p.vermas(&["worktree", "remove", "slot0"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let left = std::fs::read_dir(p.app.join("workers")).unwrap().count();
    assert_eq!(left, 0);
    let saved = p.git(&["for-each-ref", "--format=%(refname)", "--sort=-refname", "refs/vermas/rescue"]);
    assert_eq!(p.git(&["show", &format!("{}^3:draft.txt", saved.lines().next().unwrap())]), "draft");
}
