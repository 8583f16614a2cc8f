//! Setting up: what is refused before anything is written, and where `.work/` is made.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::desk::Desk;
use crate::place::{Place, binary, git, hook, scrubbed, try_git};

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
fn a_remote_s_branch_of_code_is_not_taken_for_the_state() {
    let (theirs, desk) = (Desk::without_state(), Desk::without_state());
    theirs.git(&["branch", "vermas/state"]);
    desk.git(&["remote", "add", "origin", theirs.path.to_str().unwrap()]);
    let said = desk.run(&["init"]);
    assert!(said.code == 1 && said.err.contains("the remote's branch vermas/state holds no state"), "{}", said.err);
    assert!(!desk.path.join(".work").exists() && desk.git(&["branch", "--list", "vermas/*"]).is_empty());
    desk.git(&["config", "vermas.branch", "vermas/other"]);
    assert_eq!(desk.run(&["init"]).code, 0);
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

/// A repository whose git directory stands apart from its main worktree, and a linked one.
struct Apart {
    p: Place,
    apart: PathBuf,
    linked: PathBuf,
}

impl Apart {
    /// Set up when all was in one place, with an order and an assignment.
    fn new() -> (Self, String) {
        let p = Place::new();
        let (apart, linked) = (p.dir.path().join("apart"), p.dir.path().join("linked"));
        let id = p.order("first").to_string();
        p.said(&["assignment", "set", "ceo", &format!("work_order:{id}")]);
        p.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
        p.git(&["init", "-q", "--separate-git-dir", apart.to_str().unwrap()]);
        (Self { p, apart, linked }, id)
    }

    fn there(&self, args: &[&str]) -> (bool, String) {
        let out = scrubbed(binary(), &self.linked).args(args).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn is_whole(&self, id: &str) {
        assert!(self.p.said(&["assignment", "show", "ceo"]).contains(id));
        assert!(self.p.work(".assignment-ceo").exists());
        let (fine, said) = self.there(&["assignment", "show", "ceo"]);
        assert!(fine && said.contains(id) && !said.contains("warning"), "{said}");
        assert!(!self.apart.join(".work").exists() && !self.linked.join(".work").exists());
        assert_eq!(self.p.git(&["status", "--porcelain"]), "");
    }
}

#[test]
fn a_git_directory_that_is_moved_apart_leaves_the_work_where_it_is() {
    let (a, id) = Apart::new();
    // The linked worktree cannot know where that is, and makes no second one.
    let (fine, said) = a.there(&["wo", "list"]);
    assert!(!fine && said.contains("hint: run git vermas status once in the main worktree"), "{said}");
    let theirs = a.p.read("work_orders.jsonl").replace(&id, "wo-py1").replace("first", "theirs");
    let mut list = std::fs::OpenOptions::new().append(true).open(a.p.work("work_orders.jsonl")).unwrap();
    std::io::Write::write_all(&mut list, theirs.as_bytes()).unwrap();
    a.p.said(&["wo", "update", &id, "--title", "changed"]);
    assert!(a.p.said(&["wo", "list"]).contains("theirs") && a.p.read("work_orders.jsonl").contains("changed"));
    a.is_whole(&id);
    let (fine, said) = a.there(&["wo", "create", "from the linked one"]);
    assert!(fine && a.p.read("work_orders.jsonl").contains(said.trim()), "{said}");
    // A worktree that is moved is remembered anew.
    let moved = a.p.dir.path().join("moved");
    std::fs::rename(&a.p.path, &moved).unwrap();
    let a = Apart { p: Place { path: moved, ..a.p }, ..a };
    a.is_whole(&id);
}

#[test]
fn what_was_set_up_in_the_git_directory_comes_to_the_worktree() {
    let (a, id) = Apart::new();
    std::fs::rename(a.p.path.join(".work"), a.apart.join(".work")).unwrap();
    std::fs::write(a.apart.join("info/exclude"), "").unwrap();
    let pin = a.apart.join("vermas/events.pin");
    let (_, said) = a.there(&["wo", "list"]);
    assert!(said.contains("first"), "it goes on there until the main one is seen: {said}");
    std::fs::write(a.apart.join(".work/.assignment-qa"), format!("work_order:{id}")).unwrap();
    assert!(a.p.said(&["assignment", "list"]).contains("qa"), "what others wrote there came along");
    a.is_whole(&id);
    let inode = |p: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(p).unwrap());
    assert_eq!(inode(&a.p.work("events.jsonl")), inode(&pin));
}

#[test]
fn a_hook_of_a_repository_whose_git_directory_is_apart_finds_its_work() {
    let (a, _) = Apart::new();
    a.p.said(&["status"]);
    hook(&a.apart, "pre-commit");
    git(&a.p.path, &["add", "-f", ".work/events.jsonl"]);
    let (fine, said) = try_git(&a.p.path, &["commit", "-q", "-m", "state"]);
    assert!(!fine && said.contains("live state"), "{said}");
}

#[test]
fn a_branch_on_which_another_program_keeps_its_files_is_taken_over_with_all_of_them() {
    let theirs = Desk::without_state();
    let files = [
        (
            "work_orders.jsonl",
            r#"{"id":"wo-py1","title":"Listed","status":"open","created_at":"2026-01-06T12:00:00Z"}"#,
        ),
        (
            "events.jsonl",
            r#"{"event_id":"evt-0009x3k7q2mz","event_type":"work_order.created","timestamp":"2026-01-06T12:00:00Z","actor":"py","data":{"work_order_id":"wo-py2","title":"Recorded"}}"#,
        ),
        (".assignment-qa", "work_order:wo-py1"),
    ];
    theirs.git(&["checkout", "-q", "--orphan", "vermas/state"]);
    for (name, text) in files {
        std::fs::write(theirs.path.join(name), format!("{text}\n")).unwrap();
        theirs.git(&["add", name]);
    }
    theirs.git(&["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "theirs"]);
    let desk = Desk::without_state();
    desk.git(&["remote", "add", "origin", theirs.path.to_str().unwrap()]);
    let said = desk.run(&["init"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let shown = desk.run(&["wo", "list"]).out + &desk.run(&["assignment", "list"]).out;
    assert!(["Listed", "Recorded", "qa"].iter().all(|t| shown.contains(t)), "{shown}");
    // They are events now: a third one sees them without their files.
    let third = Desk::without_state();
    third.git(&["remote", "add", "origin", desk.path.to_str().unwrap()]);
    third.run(&["init"]);
    let shown = third.run(&["wo", "list"]).out;
    assert!(shown.contains("Listed") && shown.contains("Recorded"), "{shown}");
}

#[test]
fn a_work_folder_is_made_with_the_folders_above_it_wherever_they_lead() {
    let desk = Desk::without_state();
    desk.git(&["config", "vermas.workDir", "tools/deep/state"]);
    std::fs::create_dir(desk.path.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", desk.path.join("tools")).unwrap();
    assert_eq!(desk.run(&["init"]).code, 0);
    assert_eq!(desk.run(&["wo", "create", "first"]).code, 0);
    std::fs::remove_dir_all(desk.path.join("elsewhere/deep")).unwrap();
    let said = desk.run(&["wo", "list"]);
    assert!(said.code == 0 && said.out.contains("first"), "{}", said.err);
    assert!(desk.path.join("elsewhere/deep/state/events.jsonl").exists());
}
