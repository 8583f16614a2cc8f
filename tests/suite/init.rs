//! Setting up: what is refused before anything is written.

use std::path::Path;
use std::process::Stdio;

use crate::desk::Desk;
use crate::place::{binary, scrubbed};

/// What is in the repository beside its objects, by path: refs, settings, files.
fn things(dir: &Path) -> Vec<String> {
    let all = scrubbed("find", dir).args([".", "-path", "./.git/objects", "-prune", "-o", "-print"]).output().unwrap();
    let mut all: Vec<String> = String::from_utf8(all.stdout).unwrap().lines().map(str::to_owned).collect();
    all.sort();
    all
}

#[test]
fn a_branch_of_code_that_began_with_an_empty_commit_is_not_taken_for_the_state() {
    let desk = Desk::without_state();
    std::fs::write(desk.path.join("code"), "").unwrap();
    desk.git(&["add", "code"]);
    desk.git(&["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "code"]);
    let code = desk.git(&["rev-parse", "main"]);
    let said = desk.run(&["config", "set", "vermas.branch", "main"]);
    assert!(said.code == 5 && said.err.contains("holds no state"), "{}", said.err);
    desk.git(&["branch", "empty", "main~1"]);
    for branch in ["main", "empty"] {
        desk.git(&["config", "vermas.branch", branch]);
        let before = things(&desk.path);
        let said = desk.run(&["init"]);
        assert!(said.code == 1 && said.err.contains(&format!("{branch} holds no state")), "{}", said.err);
        assert!(said.err.contains("hint: name a branch of its own"), "{}", said.err);
        assert_eq!(things(&desk.path), before);
    }
    // Nor where there is a state already, under another name.
    desk.git(&["config", "vermas.branch", "vermas/state"]);
    assert_eq!(desk.run(&["init"]).code, 0);
    desk.git(&["config", "vermas.branch", "main"]);
    let said = desk.run(&["wo", "create", "nowhere"]);
    assert!(said.code == 1 && said.err.contains("main holds no state"), "{}", said.err);
    assert_eq!(desk.git(&["rev-parse", "main"]), code);
}

#[test]
fn what_is_no_name_of_a_branch_is_refused_with_one_that_is() {
    let (fresh, made) = (Desk::without_state(), Desk::new());
    for name in ["HEAD", "refs/heads/HEAD", "refs/notes/x", "-x", "a..b"] {
        for (desk, args) in [(&fresh, &["init"][..]), (&made, &["wo", "create", "x"]), (&made, &["status"])] {
            desk.git(&["config", "vermas.branch", name]);
            let before = things(&desk.path);
            let said = desk.run(args);
            assert!(said.code == 1 && said.err.contains("is no name of a branch"), "{name} {args:?}: {}", said.err);
            assert!(said.err.contains("hint: git vermas config set vermas.branch vermas/state"), "{}", said.err);
            assert_eq!(things(&desk.path), before, "{name} {args:?}");
        }
    }
    for desk in [fresh, made] {
        assert_eq!(desk.run(&["config", "set", "vermas.branch", "vermas/state"]).code, 0);
        assert_eq!(desk.run(&["init"]).code, 0);
    }
}

#[test]
fn a_branch_in_the_way_of_ours_is_named_before_anything_is_written() {
    let desk = Desk::without_state();
    for other in ["vermas", "vermas/state/mine"] {
        desk.git(&["branch", other]);
        let before = desk.fingerprint();
        let said = desk.run(&["init"]);
        assert!(said.code == 1 && said.err.contains(&format!("refs/heads/{other} stands in its way")), "{}", said.err);
        assert!(said.err.contains(&format!("hint: rename it: git branch -m {other} ANOTHER-NAME")), "{}", said.err);
        assert_eq!(desk.fingerprint(), before);
        desk.git(&["branch", "-m", other, "elsewhere"]);
        desk.git(&["branch", "-D", "elsewhere"]);
    }
    assert_eq!(desk.run(&["init"]).code, 0);
}

#[test]
fn where_an_answer_cannot_be_written_it_says_what_is_recorded() {
    let desk = Desk::new();
    let batch = desk.path.join("batch");
    std::fs::write(&batch, "{\"title\":\"first\"}\n{\"title\":\"second\"}\n").unwrap();
    let all: [(&[&str], &str); 4] = [
        (&["wo", "create", "once"], "wo-"),
        (&["wo", "create", "once", "--json"], "wo-"),
        (&["wo", "create", "--batch", batch.to_str().unwrap()], "all of it"),
        (&["send", "ceo", "-s", "hello", "-m", "x"], "msg-"),
    ];
    for (args, what) in all {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut c = scrubbed(binary(), &desk.path);
        let child = c.args(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8(child.stderr).unwrap();
        assert_eq!(child.status.code(), Some(6), "{args:?}: {err}");
        assert!(
            err.starts_with(&format!("error: {what}")) && err.contains(" is recorded, but cannot be shown"),
            "{err}"
        );
        if let Some(id) = err.strip_prefix("error: ").and_then(|e| e.split(' ').next()).filter(|id| id.contains('-')) {
            let there = std::fs::read_to_string(desk.work().join("events.jsonl")).unwrap();
            assert!(there.contains(id), "{id}");
        }
    }
}
