//! Clones that change things apart come to hold the same, whatever happens to the remote between them.

use std::path::{Path, PathBuf};

use super::common::Place;

/// Everything a clone shows of the state: the branch's tree, and the projections on disk.
fn shown(p: &Place, dir: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(dir.join(".work").join(name)).unwrap();
    let tree = p.git_in(dir, &["ls-tree", "-r", "vermas/state"]);
    format!("{tree}\n{}{}", read("work_orders.jsonl"), read("messages.jsonl"))
}

fn are_same(p: &Place, a: &Path, b: &Path) {
    let (left, right) = (shown(p, a), shown(p, b));
    assert!(left == right, "--- {}\n{left}\n--- {}\n{right}", a.display(), b.display());
}

fn sync(p: &Place, dir: &Path) {
    let said = p.vermas_in(dir, &["sync"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn titles(p: &Place, dir: &Path) -> Vec<String> {
    let list = p.vermas_in(dir, &["wo", "list", "--sort", "title", "--json"]).json();
    list.as_array().unwrap().iter().map(|o| o["title"].as_str().unwrap().to_owned()).collect()
}

fn two() -> (Place, PathBuf) {
    let p = Place::new();
    p.remote();
    sync(&p, &p.app);
    let b = p.clone_of_remote("b");
    (p, b)
}

fn in_each(p: &Place, dirs: &[&Path], args: &[&str]) {
    for d in dirs {
        p.vermas_in(d, args).ok();
    }
}

#[test]
fn clones_that_changed_things_apart_hold_the_same_bytes_after_both_synced() {
    let (p, b) = two();
    let c = p.clone_of_remote("c");
    let dirs = [p.app.as_path(), &b, &c];
    let id = p.create("shared");
    sync(&p, &p.app);
    for d in &dirs {
        sync(&p, d);
    }
    p.vermas_in(&b, &["wo", "update", &id, "--priority", "0", "--add-label", "b"]).ok();
    p.vermas_in(&c, &["wo", "update", &id, "--title", "renamed", "--add-label", "c"]).ok();
    p.vermas(&["wo", "comment", &id, "-m", "hello"]).ok();
    for (i, d) in dirs.iter().enumerate() {
        p.vermas_in(d, &["wo", "create", &format!("from {i}")]).ok();
    }
    for d in dirs.iter().chain(&dirs) {
        sync(&p, d);
    }
    are_same(&p, dirs[0], dirs[1]);
    are_same(&p, dirs[1], dirs[2]);
    assert_eq!(titles(&p, &b), ["from 0", "from 1", "from 2", "renamed"]);
    let order = p.vermas_in(&c, &["wo", "show", &id, "--json"]).json();
    assert_eq!(order["priority"], 0);
    assert_eq!(order["labels"], serde_json::json!(["b", "c"]));
    assert_eq!(p.git(&["rev-parse", "vermas/state"]), p.git_in(&c, &["rev-parse", "vermas/state"]));
}

#[test]
fn concurrent_values_of_one_field_stay_visible_until_somebody_decides() {
    let (p, b) = two();
    let id = p.create("first");
    sync(&p, &p.app);
    sync(&p, &b);
    p.vermas(&["wo", "update", &id, "--title", "here"]).ok();
    p.vermas_in(&b, &["wo", "update", &id, "--title", "there"]).ok();
    for d in [&p.app, &b, &p.app] {
        sync(&p, d);
    }
    are_same(&p, &p.app, &b);
    let order = p.show(&id);
    assert_eq!(order["title"], "there");
    assert_ne!(order["conflicts"], serde_json::json!([]), "{order}");
    p.vermas(&["wo", "update", &id, "--title", "settled"]).ok();
    let order = p.show(&id);
    assert_eq!((order["title"].as_str(), &order["conflicts"]), (Some("settled"), &serde_json::json!([])));
}

#[test]
fn a_clone_that_changed_nothing_is_brought_up_to_date_by_fast_forward() {
    let (p, b) = two();
    p.create("news");
    sync(&p, &p.app);
    sync(&p, &b);
    assert_eq!(p.git(&["rev-parse", "vermas/state"]), p.git_in(&b, &["rev-parse", "vermas/state"]));
    let merges = p.git_in(&b, &["rev-list", "--merges", "--count", "vermas/state"]);
    assert_eq!(merges, "0");
    let said = p.vermas_in(&b, &["sync"]).ok();
    assert_eq!(said, "vermas/state and origin are the same");
}

#[test]
fn a_remote_that_was_rewound_or_deleted_gets_everything_back() {
    let (p, b) = two();
    let old = p.git(&["rev-parse", "vermas/state"]);
    p.create("one");
    sync(&p, &p.app);
    p.vermas_in(&b, &["wo", "create", "two"]).ok();
    sync(&p, &b);
    let bare = p.root().join("remote.git");
    for (i, rewound) in [Some(old.as_str()), None].into_iter().enumerate() {
        match rewound {
            Some(oid) => p.git_in(&bare, &["update-ref", "refs/heads/vermas/state", oid]),
            None => p.git_in(&bare, &["update-ref", "-d", "refs/heads/vermas/state"]),
        };
        p.create(&format!("x{i}"));
        sync(&p, &p.app);
        sync(&p, &b);
        sync(&p, &p.app);
        are_same(&p, &p.app, &b);
        assert_eq!(p.git_in(&bare, &["rev-parse", "vermas/state"]), p.git(&["rev-parse", "vermas/state"]), "round {i}");
    }
    assert_eq!(titles(&p, &b), ["one", "two", "x0", "x1"]);
}

#[test]
fn a_force_pushed_remote_loses_nothing_of_either_side() {
    let (p, b) = two();
    p.create("kept");
    sync(&p, &p.app);
    p.vermas_in(&b, &["wo", "create", "forced"]).ok();
    p.git_in(&b, &["push", "-q", "--no-verify", "--force", "origin", "vermas/state"]);
    for d in [&p.app, &b, &p.app] {
        sync(&p, d);
    }
    are_same(&p, &p.app, &b);
    assert_eq!(titles(&p, &b), ["forced", "kept"]);
}

#[test]
fn a_copied_clone_with_the_same_replica_id_loses_nothing() {
    let (p, b) = two();
    p.vermas_in(&b, &["wo", "create", "before"]).ok();
    let copy = p.root().join("copy");
    let cp = std::process::Command::new("cp").arg("-a").arg(&b).arg(&copy).status().unwrap();
    assert!(cp.success());
    p.vermas_in(&b, &["wo", "create", "original"]).ok();
    p.vermas_in(&copy, &["wo", "create", "copied"]).ok();
    for d in [&b, &copy, &b, &copy] {
        sync(&p, d);
    }
    p.vermas_in(&b, &["wo", "create", "original 2"]).ok();
    p.vermas_in(&copy, &["wo", "create", "copied 2"]).ok();
    for d in [&copy, &b, &copy, &p.app] {
        sync(&p, d);
    }
    are_same(&p, &b, &copy);
    assert_eq!(titles(&p, &copy), ["before", "copied", "copied 2", "original", "original 2"]);
    assert_eq!(titles(&p, &p.app), titles(&p, &copy));
}

#[test]
fn a_state_with_an_unrelated_root_is_joined() {
    let (p, b) = two();
    p.create("ours");
    sync(&p, &p.app);
    let bare = p.root().join("remote.git");
    let tree = p.git(&["rev-parse", "vermas/state^{tree}"]);
    p.vermas_in(&b, &["wo", "create", "theirs"]).ok();
    let other = p.git(&["commit-tree", "-m", "another beginning", &tree]);
    p.git(&[
        "push",
        "-q",
        "--no-verify",
        "--force",
        bare.to_str().unwrap(),
        &format!("{other}:refs/heads/vermas/state"),
    ]);
    for d in [&b, &p.app, &b] {
        sync(&p, d);
    }
    are_same(&p, &p.app, &b);
    assert_eq!(titles(&p, &b), ["ours", "theirs"]);
}

#[test]
fn without_a_line_to_the_remote_it_says_so_and_goes_on_later() {
    let (p, b) = two();
    let bare = p.root().join("remote.git");
    std::fs::rename(&bare, p.root().join("away")).unwrap();
    p.create("offline");
    let said = p.vermas(&["sync"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("cannot be reached") && said.err.contains("nothing is lost"), "{}", said.err);
    // git's reason, and not how git was called.
    assert!(said.err.contains("does not appear to be a git repository") && !said.err.contains("--"), "{}", said.err);
    std::fs::rename(p.root().join("away"), &bare).unwrap();
    sync(&p, &p.app);
    sync(&p, &b);
    assert_eq!(titles(&p, &b), ["offline"]);
}

#[test]
fn a_mirror_clone_shares_what_is_recorded_in_it() {
    let (p, b) = two();
    let mirror = p.root().join("mirror.git");
    p.git_in(p.root(), &["clone", "-q", "--mirror", "remote.git", "mirror.git"]);
    p.vermas_in(&mirror, &["init", "--quiet"]).ok();
    p.vermas_in(&mirror, &["wo", "create", "from the mirror"]).ok();
    sync(&p, &mirror);
    sync(&p, &b);
    assert_eq!(titles(&p, &b), ["from the mirror"]);
}

#[test]
fn without_a_remote_it_says_how_to_add_one() {
    let p = Place::new();
    let before = p.state();
    let said = p.vermas(&["sync"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("there is no remote 'origin'") && said.err.contains("git remote add"), "{}", said.err);
    assert_eq!(p.state(), before);
    let said = p.vermas(&["sync", "--remote", "-u"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn a_remote_that_refuses_is_quoted_and_costs_nothing() {
    let (p, _b) = two();
    let hook = p.root().join("remote.git/hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho 'closed for today' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    p.create("stays");
    let said = p.vermas(&["sync"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("refused") && said.err.contains("nothing is lost"), "{}", said.err);
    assert!(said.err.contains("closed for today"), "{}", said.err);
    assert_eq!(titles(&p, &p.app), ["stays"]);
    std::fs::remove_file(&hook).unwrap();
    sync(&p, &p.app);
}

#[test]
fn a_template_edited_on_both_sides_keeps_both_texts() {
    let (p, b) = two();
    let edit = |dir: &Path, what: &str| {
        let path = dir.join(".work/templates/feature.toml");
        let old = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, old.replacen("description = \"", &format!("description = \"{what} "), 1)).unwrap();
    };
    edit(&p.app, "HERE");
    edit(&b, "THERE");
    for d in [&p.app, &b, &p.app, &b] {
        let said = p.vermas_in(d, &["sync"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    are_same(&p, &p.app, &b);
    for d in [&p.app, &b] {
        let folder = std::fs::read_dir(d.join(".work/templates")).unwrap();
        let all: String = folder.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap()).collect();
        assert!(all.contains("HERE") && all.contains("THERE"), "{all}");
    }
}

#[test]
fn edits_of_a_template_in_different_places_become_one_text() {
    let (p, b) = two();
    let path = |dir: &Path| dir.join(".work/templates/feature.toml");
    let old = std::fs::read_to_string(path(&b)).unwrap();
    std::fs::write(path(&p.app), format!("# top\n{old}")).unwrap();
    std::fs::write(path(&b), format!("{old}# bottom\n")).unwrap();
    for d in [&p.app, &b, &p.app] {
        sync(&p, d);
    }
    let joined = format!("# top\n{old}# bottom\n");
    assert_eq!(std::fs::read_to_string(path(&p.app)).unwrap(), joined);
    assert_eq!(std::fs::read_to_string(path(&b)).unwrap(), joined);
}

#[test]
fn a_commit_that_is_gone_from_the_middle_of_the_branch_keeps_no_sync_from_it() {
    let (p, b) = two();
    for title in ["one", "two", "three"] {
        p.create(title);
    }
    let gone = p.git(&["rev-parse", "vermas/state~1"]);
    std::fs::remove_file(p.app.join(".git/objects").join(&gone[..2]).join(&gone[2..])).unwrap();
    sync(&p, &p.app);
    sync(&p, &b);
    assert_eq!(titles(&p, &b), ["one", "three", "two"]);
    p.git(&["rev-list", "--objects", "vermas/state"]);
    are_same(&p, &p.app, &b);
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let (p, b) = two();
    p.create("one");
    sync(&p, &p.app);
    let remote = p.git_in(&p.root().join("remote.git"), &["rev-parse", "vermas/state"]);
    p.vermas_in(&b, &["wo", "create", "two"]).ok();
    let before = p.git_in(&b, &["rev-parse", "vermas/state"]);
    let said = p.vermas_in(&b, &["sync", "--dry-run", "--json"]).json();
    assert_eq!(said["dry_run"], true);
    assert_eq!(p.git_in(&b, &["rev-parse", "vermas/state"]), before);
    assert_eq!(p.git_in(&p.root().join("remote.git"), &["rev-parse", "vermas/state"]), remote);
}

#[test]
fn two_clones_that_both_ran_init_alone_share_a_base() {
    let p = Place::new();
    p.git_in(p.root(), &["clone", "-q", "app", "b"]);
    let b = p.root().join("b");
    p.git_in(&b, &["remote", "remove", "origin"]);
    p.vermas_in(&b, &["init"]).ok();
    in_each(&p, &[&p.app, &b], &["wo", "create", "alone"]);
    let bare = p.remote();
    p.git_in(&b, &["remote", "add", "origin", bare.to_str().unwrap()]);
    for d in [&p.app, &b, &p.app] {
        sync(&p, d);
    }
    are_same(&p, &p.app, &b);
    assert_eq!(titles(&p, &b), ["alone", "alone"]);
    let base = p.git(&["rev-list", "--max-parents=0", "vermas/state"]);
    assert_eq!(base.lines().count(), 1, "{base}");
}

#[test]
fn the_log_says_what_a_commit_brought_whatever_its_message_says() {
    let (p, b) = two();
    let id = p.create("Pay the bill");
    sync(&p, &p.app);
    sync(&p, &b);
    let log = std::fs::read_to_string(p.app.join(".work/events.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    p.vermas_in(&b, &["wo", "update", &id, "--title", "Do not pay"]).ok();
    // Their commit again, with a message that names another event, and with that event's line once more.
    let bare = p.root().join("remote.git");
    let seen = p.git_in(&b, &["ls-tree", "-r", "--name-only", "vermas/state", "events"]);
    let touched = p.git_in(&b, &["log", "-1", "--format=", "--name-only", "vermas/state"]);
    let theirs = seen.lines().find(|f| touched.contains(f));
    let state = p.root().join("state");
    p.git_in(&b, &["worktree", "add", "-q", "--detach", state.to_str().unwrap(), "vermas/state"]);
    let segment = state.join(theirs.unwrap());
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, format!("{text}{first}\n")).unwrap();
    let message = format!("ceo: create\n\nVermas-Event: {}\n", first["event_id"].as_str().unwrap());
    p.git_in(&state, &["-c", "core.hooksPath=/dev/null", "commit", "-qa", "--amend", "-m", &message]);
    p.git_in(&state, &["-c", "core.hooksPath=/dev/null", "push", "-q", bare.to_str().unwrap(), "HEAD:vermas/state"]);
    sync(&p, &p.app);
    for args in [&["log", "--json"][..], &["log", &id, "--json"]] {
        let said = p.vermas(args).json();
        let told: Vec<(&str, &str)> = (said.as_array().unwrap().iter())
            .flat_map(|c| c["events"].as_array().unwrap())
            .map(|e| (e["did"].as_str().unwrap(), e["detail"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [("changed", "title: Do not pay"), ("created", "")], "{args:?}");
    }
    let tip = p.git_in(&bare, &["rev-parse", "vermas/state"]);
    let undone = p.vermas(&["undo", "--dry-run", "--json", &tip]).json();
    assert_eq!(undone["changes"][0]["field"], "title", "{undone}");
    assert_eq!(undone["undone"].as_array().unwrap().len(), 1, "{undone}");
}

#[test]
fn the_join_of_a_copied_clone_brought_nothing_itself() {
    let (p, b) = two();
    let id = p.vermas_in(&b, &["wo", "create", "before", "--json"]).json()["id"].as_str().unwrap().to_owned();
    sync(&p, &b);
    let copy = p.root().join("copy");
    let cp = std::process::Command::new("cp").arg("-a").arg(&b).arg(&copy).status().unwrap();
    assert!(cp.success());
    p.vermas_in(&b, &["wo", "update", &id, "--priority", "0"]).ok();
    sync(&p, &b);
    p.vermas_in(&copy, &["wo", "update", &id, "--title", "by the copy"]).ok();
    sync(&p, &copy);
    assert_eq!(p.git_in(&copy, &["log", "-1", "--format=%p", "vermas/state"]).split(' ').count(), 2);
    let said = p.vermas_in(&copy, &["undo", "--dry-run", "vermas/state"]);
    assert!(said.err.contains("joins two histories"), "{said:?}");
    let log = p.vermas_in(&copy, &["log", "--json"]).json();
    let ids = log.as_array().unwrap().iter().flat_map(|c| c["events"].as_array().unwrap());
    let mut ids: Vec<&str> = ids.map(|e| e["event_id"].as_str().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all), (3, 3), "each event once");
}

/// Puts a hook into the remote.
fn hook(p: &Place, name: &str, script: &str) -> PathBuf {
    let hook = p.root().join("remote.git/hooks").join(name);
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    hook
}

#[test]
fn a_remote_that_talks_without_end_is_quoted_in_part() {
    let (p, _b) = two();
    p.create("one");
    hook(&p, "pre-receive", "yes a line | head -c 1000000 >&2; echo closed for today >&2; exit 1");
    let said = p.vermas(&["sync"]);
    assert!(said.err.contains("closed for today") && said.err.len() < 40_000, "{}", said.err.len());
}

#[test]
fn without_a_terminal_nobody_is_asked_for_a_password() {
    let (p, _b) = two();
    let asked = p.root().join("asked");
    let ssh = p.root().join("ssh.sh");
    std::fs::write(&ssh, format!("echo \"$GIT_TERMINAL_PROMPT\" >>{}; exit 1\n", asked.display())).unwrap();
    let fresh = p.root().join("fresh");
    p.git(&["init", "-q", fresh.to_str().unwrap()]);
    for (dir, args) in [(&p.app, &["sync"][..]), (&fresh, &["init"])] {
        p.git_in(dir, &["config", "remote.origin.url", "ssh://nowhere/x.git"]);
        p.git_in(dir, &["config", "core.sshCommand", &format!("sh {}", ssh.display())]);
        let mut asks = p.command_in(dir, args);
        asks.env("GIT_TERMINAL_PROMPT", "1").stderr(std::process::Stdio::null());
        asks.output().unwrap();
        let all = std::fs::read_to_string(&asked).unwrap();
        assert!(!all.is_empty() && all.lines().all(|l| l == "0"), "{args:?}: {all}");
        std::fs::remove_file(&asked).unwrap();
    }
}

#[test]
fn a_clock_before_1970_keeps_nobody_from_sharing() {
    let (p, b) = two();
    let mut old = p.command_in(&p.app, &["wo", "create", "old"]);
    assert!(old.env("VERMAS_CLOCK", "-86400000").status().unwrap().success());
    sync(&p, &p.app);
    sync(&p, &b);
    assert_eq!(titles(&p, &b), ["old"]);
}

#[test]
fn what_a_join_by_hand_dropped_is_taken_back() {
    let (p, b) = two();
    let id = p.create("precious");
    sync(&p, &p.app);
    p.vermas_in(&b, &["wo", "create", "other"]).ok();
    p.git_in(&b, &["fetch", "-q"]);
    let there = p.root().join("by-hand");
    p.git_in(&b, &["worktree", "add", "-q", there.to_str().unwrap(), "vermas/state"]);
    p.git_in(&there, &["merge", "-q", "-s", "ours", "-m", "mine", "origin/vermas/state"]);
    assert!(!p.vermas_in(&b, &["wo", "list"]).ok().contains("precious"));
    for _ in 0..2 {
        sync(&p, &b);
        assert_eq!(titles(&p, &b), ["other", "precious"]);
    }
    let tip = p.git_in(&b, &["rev-parse", "vermas/state"]);
    sync(&p, &b);
    assert_eq!(p.git_in(&b, &["rev-parse", "vermas/state"]), tip);
    let c = p.clone_of_remote("c");
    assert!(p.vermas_in(&c, &["wo", "show", &id]).ok().contains("precious"));
}

#[test]
fn a_partial_clone_by_plain_git_shows_everything_and_is_never_taken_for_broken() {
    let p = Place::new();
    p.remote();
    let id = p.create("shared");
    sync(&p, &p.app);
    let remote = p.root().join("remote.git");
    p.git_in(&remote, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", remote.display());
    for (name, filter, is_there) in [("m1", "blob:none", true), ("m2", "blob:none", false), ("m3", "tree:0", true)] {
        p.git_in(p.root(), &["clone", "-q", "--mirror", &format!("--filter={filter}"), &url, name]);
        let mirror = p.root().join(name);
        let tip = p.git_in(&mirror, &["rev-parse", "vermas/state"]);
        let away = p.root().join("away.git");
        if !is_there {
            std::fs::rename(&remote, &away).unwrap();
            let said = p.vermas_in(&mirror, &["rebuild"]);
            assert!(said.code != Some(0) && said.err.contains("this partial clone left it with origin"), "{said:?}");
            assert_eq!(p.git_in(&mirror, &["rev-parse", "vermas/state"]), tip);
            std::fs::rename(&away, &remote).unwrap();
        }
        assert!(p.vermas_in(&mirror, &["wo", "show", &id]).ok().contains("shared"));
    }
}

#[test]
fn a_namespace_that_a_server_serves_is_nothing_to_us() {
    let p = Place::new();
    let mut create = p.command_in(&p.app, &["wo", "create", "here"]);
    let said = create.env("GIT_NAMESPACE", "other").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(p.git(&["for-each-ref", "refs/namespaces"]), "");
    assert!(p.git(&["log", "-1", "--format=%s", "vermas/state"]).ends_with("here"));
}

#[test]
fn what_was_fetched_last_is_the_remote_s_state_and_a_template_that_was_just_removed_stays_removed() {
    let (p, b) = two();
    let id = p.create("One");
    sync(&p, &p.app);
    sync(&p, &b);
    p.vermas_in(&b, &["wo", "update", &id, "--title", "Two"]).ok();
    std::fs::remove_file(b.join(".work/templates/bugfix.toml")).unwrap();
    sync(&p, &b);
    assert!(!p.git_in(&b, &["ls-tree", "-r", "--name-only", "vermas/state"]).contains("bugfix"));
    sync(&p, &p.app);
    for work in [p.work(), b.join(".work")] {
        let left: Vec<_> = std::fs::read_dir(work.join("templates")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(
            left,
            ["feature.toml"],
            "{}: {}",
            work.display(),
            p.git(&["log", "--oneline", "--graph", "vermas/state"])
        );
    }
    assert!(p.vermas(&["wo", "list", "--at", "origin/vermas/state"]).ok().contains("Two"));
}

#[test]
fn several_syncs_of_one_clone_at_once_take_turns() {
    let (p, b) = two();
    for round in 0..3 {
        p.vermas_in(&b, &["wo", "create", &format!("news {round}")]).ok();
        sync(&p, &b);
        let spawn = || p.command_in(&p.app, &["sync"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let running: Vec<_> = (0..4).map(|_| spawn()).collect();
        for said in running.into_iter().map(|r| r.wait_with_output().unwrap()) {
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        }
    }
    are_same(&p, &p.app, &b);
}

#[test]
fn an_assignment_that_a_commit_by_hand_left_on_the_branch_is_named_and_put_right() {
    let (p, _) = two();
    let id = p.create("One");
    sync(&p, &p.app);
    let there = p.root().join("by hand");
    p.git(&["worktree", "add", "-q", there.to_str().unwrap(), "vermas/state"]);
    std::fs::write(there.join(".assignment-ceo"), format!("work_order:{id}\n")).unwrap();
    p.git_in(&there, &["add", ".assignment-ceo"]);
    p.git_in(&there, &["commit", "-q", "--no-verify", "-m", "by hand"]);
    let said = p.vermas(&["fsck"]);
    assert!(format!("{said:?}").contains(".assignment-ceo: not what the events say"), "{said:?}");
    sync(&p, &p.app);
    assert!(!p.git(&["ls-tree", "--name-only", "vermas/state"]).contains("assignment"));
}

#[test]
fn a_remote_on_which_another_program_keeps_its_files_is_joined_with_all_of_them() {
    let p = Place::new();
    p.remote();
    let theirs = p.root().join("theirs");
    p.git_in(p.root(), &["clone", "-q", "remote.git", "theirs"]);
    p.git_in(&theirs, &["checkout", "-q", "--orphan", "vermas/state"]);
    std::fs::write(theirs.join("work_orders.jsonl"), "{\"id\":\"wo-l1\",\"title\":\"Listed\"}\n").unwrap();
    let event = r#"{"event_id":"evt-0009x3k7q2mz","event_type":"work_order.created","timestamp":"2026-01-06T12:00:00Z","actor":"py","data":{"work_order_id":"wo-a1","title":"Recorded"}}"#;
    std::fs::write(theirs.join("events.jsonl"), event).unwrap();
    p.git_in(&theirs, &["add", "."]);
    p.git_in(&theirs, &["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "theirs"]);
    p.git_in(&theirs, &["push", "-q", "origin", "vermas/state"]);
    p.create("Ours");
    sync(&p, &p.app);
    let b = p.clone_of_remote("b");
    for dir in [p.app.as_path(), &b] {
        assert_eq!(titles(&p, dir), ["Listed", "Ours", "Recorded"], "{}", dir.display());
    }
}

#[test]
fn a_template_that_was_removed_while_all_is_made_anew_is_there_or_gone_everywhere() {
    let (p, _) = two();
    std::fs::remove_file(p.work().join("templates/bugfix.toml")).unwrap();
    p.vermas(&["rebuild"]).ok();
    let on_branch = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]).contains("bugfix");
    assert_eq!(p.work().join("templates/bugfix.toml").exists(), on_branch);
}

#[test]
fn a_remote_that_lost_an_object_gets_the_branch_anew_by_what_the_hint_says() {
    let (p, b) = two();
    let id = p.create("first");
    sync(&p, &p.app);
    let bare = p.root().join("remote.git");
    let tip = p.git(&["rev-parse", "vermas/state"]);
    let tip = tip.trim();
    std::fs::remove_file(bare.join("objects").join(&tip[..2]).join(&tip[2..])).unwrap();
    p.create("second");
    let mend = "git push --no-verify origin --delete vermas/state && git vermas sync --remote origin";
    let [here, there] = [&p.app, &b].map(|dir| p.vermas_in(dir, &["sync"]));
    assert!(here.code == Some(1) && here.err.contains(&format!("(all of them are here): {mend}")), "{here:?}");
    assert!(there.code == Some(1) && there.err.contains(&format!("(in a clone that has all of them): {mend}")));
    p.git(&["push", "-q", "--no-verify", "origin", "--delete", "vermas/state"]);
    sync(&p, &p.app);
    sync(&p, &b);
    are_same(&p, &p.app, &b);
    assert!(p.vermas_in(&b, &["wo", "show", &id]).code == Some(0));
}
