//! What makes no sense is told in one sentence with an exit code, and leaves the state as it was.

use std::path::Path;
use std::process::Command;

use super::common::{Place, Said, program, run};

/// Runs a command that must be refused: exit code, words of the message, nothing on standard output, nothing changed.
fn refused(p: &Place, args: &[&str], code: i32, words: &[&str]) -> Said {
    let before = p.state();
    let said = p.vermas(args);
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{args:?}: {said:?}");
    for w in words {
        assert!(said.err.contains(w), "{args:?}: {w:?} is not in {}", said.err);
    }
    assert!(said.err.starts_with("error: ") && !said.err.contains('\u{1b}'), "{args:?}: {}", said.err);
    assert!(p.state() == before, "{args:?} changed the state");
    said
}

#[test]
fn outside_a_repository_and_before_init_it_says_so() {
    let p = Place::empty();
    for args in [&["wo", "list"][..], &["init"], &["sync"]] {
        let said = p.vermas(args);
        assert_eq!(said.code, Some(128), "{said:?}");
        assert_eq!(said.err, "fatal: not a git repository (or any of the parent directories): .git\n");
    }
    p.git(&["init", "-q"]);
    for args in [
        &["wo", "list"][..],
        &["wo", "create", "x"],
        &["dispatch", "x"],
        &["sync"],
        &["qa", "run"],
        &["worker", "list"],
    ] {
        let said = p.vermas(args);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert_eq!(said.err, "error: this repository is not set up for git vermas yet\nhint: git vermas init\n");
    }
    assert!(!p.app.join(".work").exists() && !p.app.join(".git/vermas").exists());
}

#[test]
fn ids_that_mean_nothing_or_too_much_are_refused() {
    let p = Place::new();
    let file = p.root().join("many.jsonl");
    let many: String = (0..40).map(|i| format!("{{\"title\":\"t{i}\"}}\n")).collect();
    std::fs::write(&file, many).unwrap();
    let ids = p.vermas(&["wo", "create", "--batch", file.to_str().unwrap()]).ok();
    let mut firsts: Vec<char> = ids.lines().map(|l| l.chars().nth(3).unwrap()).collect();
    firsts.sort_unstable();
    let twice = firsts.windows(2).find(|w| w[0] == w[1]).unwrap()[0].to_string();
    let said = refused(&p, &["wo", "show", &twice], 5, &[&format!("wo-{twice} is ambiguous")]);
    assert!(said.err.lines().filter(|l| l.starts_with("hint: wo-")).count() > 1, "{}", said.err);
    refused(&p, &["wo", "show", "wo-unknown"], 3, &["there is no work order wo-unknown", "git vermas wo list"]);
    for bad in ["../../etc/passwd", "wo-", "wo-a/b", "WO-1", "wo-a\nb", "wo-\u{1b}[31m", "", "wo-a b"] {
        refused(&p, &["wo", "show", bad], 2, &["is no id of a work order"]);
        refused(&p, &["wo", "close", bad], 2, &["is no id of a work order"]);
    }
    refused(&p, &["wo", "show", "--", "-x"], 2, &["is no id of a work order"]);
}

#[test]
fn titles_priorities_types_and_states_are_checked() {
    let p = Place::new();
    let id = p.create("good");
    let long = "x".repeat(101);
    for (title, why) in [
        ("", "a title needs at least one character"),
        ("  ", "a title needs at least one character"),
        (&long, "a title has at most 100 characters, this one has 101"),
        ("a\nb", "a title is one line"),
        ("a\u{1b}[31mb", "a title holds no control characters or escape codes"),
        ("a\u{202e}b", "a title holds no control characters or escape codes"),
    ] {
        refused(&p, &["wo", "create", "--", title], 2, &[why]);
        refused(&p, &["wo", "update", &id, &format!("--title={title}")], 2, &[why]);
    }
    for n in ["7", "-1", "5"] {
        refused(
            &p,
            &["wo", "create", "t", "-p", n],
            2,
            &[&format!("{n} is no priority"), "0 (critical) to 4 (backlog)"],
        );
        refused(&p, &["wo", "update", &id, "-p", n], 2, &[&format!("{n} is no priority")]);
        refused(&p, &["wo", "list", "-p", n], 2, &[&format!("{n} is no priority")]);
    }
    refused(&p, &["wo", "create", "t", "-t", "story"], 2, &["'story' is no type", "task, bug, feature"]);
    refused(&p, &["wo", "update", &id, "-s", "done"], 2, &["'done' is no status", "open, assigned"]);
    refused(&p, &["wo", "list", "-s", "done"], 2, &["'done' is no status"]);
    refused(&p, &["wo", "list", "--since", "soon"], 2, &["'soon' is no time", "30m"]);
    refused(&p, &["wo", "list", "--sort", "size"], 2, &["'size' is nothing to sort by"]);
    refused(&p, &["wo", "update", &id], 2, &["nothing to change was given"]);
    refused(&p, &["wo", "create", "t", "-m", "novalue"], 2, &["'novalue' is no metadata", "key=value"]);
    refused(&p, &["wo", "create", "t", "--assignee", "A B"], 2, &["'A B' is no agent"]);
    refused(&p, &["--as", "../x", "wo", "create", "t"], 2, &["--as: '../x' is no agent"]);
    refused(&p, &["wo", "comment", &id, "-m", ""], 2, &["an empty comment says nothing"]);
    refused(&p, &["wo", "create", "key AKIAIOSFODNN7EXAMPLE"], 4, &["AWS access key", "--allow-secret"]);
    assert_eq!(p.vermas(&["wo", "create", &"ä".repeat(100)]).code, Some(0));
}

#[test]
fn dependencies_on_itself_in_a_circle_or_on_nothing_are_refused() {
    let p = Place::new();
    let (a, b, c) = (p.create("a"), p.create("b"), p.create("c"));
    p.vermas(&["wo", "dep", "add", &b, &a]).ok();
    p.vermas(&["wo", "dep", "add", &c, &b]).ok();
    refused(&p, &["wo", "dep", "add", &a, &a], 2, &["cannot wait for itself"]);
    refused(&p, &["wo", "dep", "add", &a, &c], 1, &["would be a cycle", "git vermas wo dep tree"]);
    refused(&p, &["wo", "dep", "add", &a, "wo-none"], 3, &["there is no work order wo-none"]);
    refused(&p, &["wo", "create", "t", "--dep", "wo-none"], 3, &["there is no work order wo-none"]);
    refused(&p, &["wo", "create", "t", "--parent", "wo-none"], 3, &["there is no work order wo-none"]);
    refused(&p, &["wo", "dep", "remove", &a, &b], 3, &["does not wait for"]);
}

#[test]
fn what_another_holds_or_is_settled_is_not_taken() {
    let p = Place::new();
    let id = p.create("a");
    p.vermas(&["--as", "app/workers/slot1", "wo", "claim", &id]).ok();
    let other = ["--as", "app/workers/slot2"];
    refused(
        &p,
        &[&other[..], &["wo", "claim", &id]].concat(),
        5,
        &["is held by app/workers/slot1", "git vermas wo ready"],
    );
    refused(&p, &[&other[..], &["wo", "release", &id]].concat(), 4, &["is held by app/workers/slot1, not by you"]);
    refused(&p, &["wo", "reopen", &id], 1, &["is not closed"]);
    p.vermas(&["wo", "close", &id]).ok();
    refused(&p, &["wo", "close", &id], 1, &["is closed already", "git vermas wo reopen"]);
    refused(&p, &["wo", "claim", &id], 1, &["is closed"]);
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all_and_errors_name_file_and_line() {
    let p = Place::new();
    let file = p.root().join("b.jsonl");
    let name = file.to_str().unwrap().to_owned();
    for (text, code, why) in [
        ("{\"title\":\"a\"}\nnope\n", 2, "line 2: no JSON"),
        ("{\"title\":\"a\"}\n\n{\"title\":\"b\",\"priority\":9}\n", 2, "line 3: 9 is no priority"),
        ("{\"title\":\"a\"}\n{\"name\":\"b\"}\n", 2, "line 2: "),
        ("{\"title\":\"a\",\"ref\":\"x\"}\n{\"title\":\"b\",\"ref\":\"x\"}\n", 2, "line 2: 'x' names two lines"),
        ("{\"title\":\"a\",\"dependencies\":[\"wo-none\"]}\n", 3, "line 1: there is no work order wo-none"),
        (
            "{\"title\":\"a\",\"ref\":\"x\",\"dependencies\":[\"y\"]}\n{\"title\":\"b\",\"ref\":\"y\",\"dependencies\":[\"x\"]}\n",
            1,
            "its dependencies form a cycle",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(&p, &["wo", "create", "--batch", &name], code, &[&format!("{name}, "), why]);
    }
    assert_eq!(p.json(&["wo", "list"]), serde_json::json!([]));
}

#[test]
fn errors_are_json_where_json_is_wanted() {
    let p = Place::new();
    for (args, code, kind) in [
        (&["wo", "show", "wo-none"][..], 3, "not_found"),
        (&["wo", "create", ""], 2, "usage"),
        (&["worker", "done"], 4, "not_permitted"),
        (&["wo", "nothing"], 2, "usage"),
        (&["dispatch", "wo-none"], 3, "not_found"),
    ] {
        let said = p.vermas(&[args, &["--json"]].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
        let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(error["error"]["kind"], kind, "{error}");
        assert!(error["error"]["message"].is_string());
    }
}

#[test]
fn a_repository_of_a_person_without_a_name_works_with_a_fallback() {
    let p = Place::new();
    p.git(&["config", "--unset", "user.name"]);
    p.git(&["config", "--unset", "user.email"]);
    let id = p.create("a");
    assert_eq!(p.git(&["log", "-1", "--format=%an <%ae>", "vermas/state"]), "vermas <vermas@localhost>");
    assert_eq!(p.show(&id)["created_by"], "ceo");
}

#[test]
fn a_state_branch_checked_out_elsewhere_goes_on() {
    let p = Place::new();
    let first = p.create("a");
    p.git(&["worktree", "add", "-q", "../elsewhere", "vermas/state"]);
    let second = p.create("b");
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 2);
    for id in [first, second] {
        p.show(&id);
    }
    p.git(&["fsck", "--strict"]);
}

#[test]
fn broken_settings_and_templates_are_named_and_not_shared() {
    let p = Place::new();
    for (path, text) in [("config.toml", "x = [\n"), ("templates/feature.toml", "bad\n")] {
        let file = p.work().join(path);
        let good = std::fs::read(&file).unwrap();
        std::fs::write(&file, text).unwrap();
        let said = p.vermas(&["wo", "create", path]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.contains(&format!("warning: .work/{path}:1: ")), "{}", said.err);
        assert!(said.err.contains("not shared until it is mended"), "{}", said.err);
        assert_eq!(p.git(&["show", &format!("vermas/state:{path}")]).into_bytes(), good.trim_ascii_end());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        std::fs::write(&file, good).unwrap();
        assert_eq!(p.vermas(&["wo", "create", "mended"]).err, "");
    }
}

/// The program in a world of its own with a small file system mounted; `None` where that may not be done here.
fn small_disk(p: &Place) -> Option<std::path::PathBuf> {
    let dir = p.root().join("small");
    std::fs::create_dir(&dir).unwrap();
    let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(&dir).output();
    done.is_ok_and(|o| o.status.success()).then_some(dir)
}

/// Copies the repository onto a disk of its own, which is small, and takes that away again. Gives `then` the copy and where
/// the disk is; says so where none may be mounted.
fn on_small_disk(p: &Place, then: impl FnOnce(&Path, &Path) + std::panic::UnwindSafe) {
    let Some(dir) = small_disk(p) else {
        eprintln!("a small disk is left out: no file system may be mounted here");
        return;
    };
    let app = dir.join("app");
    let mut cp = program(p.root(), p.root(), "cp");
    cp.arg("-a").arg(&p.app).arg(&app);
    let copied = run(cp);
    let result = std::panic::catch_unwind(|| {
        assert_eq!(copied.code, Some(0), "{copied:?}");
        then(&app, &dir);
    });
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
    if let Err(e) = result {
        std::panic::resume_unwind(e);
    }
}

#[test]
fn a_full_and_a_read_only_disk_show_what_is_there_and_lose_nothing() {
    let p = Place::new();
    on_small_disk(&p, |app, dir| {
        let id = p.vermas_in(app, &["wo", "create", "before"]).ok();
        let _full = std::fs::write(dir.join("fill"), vec![0; 4 << 20]);
        // A line that the log's last page has room for is recorded; nothing else of it is.
        let fits = p.vermas_in(app, &["wo", "create", "fits"]);
        assert!(fits.code == Some(0) && fits.err.contains("recorded, but not yet on vermas/state"), "{fits:?}");
        let said = p.vermas_in(app, &["wo", "create", "too much", "-d", &"x".repeat(20_000)]);
        assert_eq!(said.code, Some(1), "{said:?}");
        for said in [&fits, &said] {
            assert!(said.err.contains("No space left on device") && !said.err.contains("rebuild"), "{said:?}");
        }
        let id2 = fits.out.trim();
        let list = p.vermas_in(app, &["wo", "list", "--json"]);
        assert!(list.code == Some(0) && list.out.contains(&id) && list.out.contains(id2), "{list:?}");
        std::fs::remove_file(dir.join("fill")).unwrap();
        p.vermas_in(app, &["wo", "create", "after"]).ok();
        assert_eq!(p.git_in(app, &["fsck", "--strict", "--no-dangling"]), "");
        for (id, title) in [(&*id, "before"), (id2, "fits")] {
            assert_eq!(p.vermas_in(app, &["wo", "show", id, "--json"]).json()["title"], title);
        }
        assert_eq!(p.vermas_in(app, &["wo", "list", "--json"]).json().as_array().unwrap().len(), 3);
        let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(dir).status().unwrap();
        assert!(remount.success());
        for args in [
            &["wo", "list"][..],
            &["wo", "ready"],
            &["wo", "show", &id],
            &["worker", "list"],
            &["status"],
            &["qa", "status"],
        ] {
            assert_eq!(p.vermas_in(app, args).code, Some(0), "{args:?}");
        }
        let said = p.vermas_in(app, &["wo", "create", "no"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("Read-only file system"), "{}", said.err);
    });
}

#[test]
fn a_batch_that_the_disk_has_no_room_for_leaves_nothing() {
    let p = Place::new();
    let batch: String = (0..1000).map(|n| format!("{{\"title\":\"number {n}\"}}\n")).collect();
    let file = p.root().join("batch.jsonl");
    std::fs::write(&file, batch).unwrap();
    let args = ["wo", "create", "--batch", file.to_str().unwrap()];
    let count = |app: &Path| p.vermas_in(app, &["wo", "list", "--json"]).json().as_array().unwrap().len();
    // A limit of the process that lies inside what is to be written.
    let mut c = program(p.root(), &p.app, "sh");
    c.args(["-c", "ulimit -f 300; exec \"$0\" \"$@\""]).arg(assert_cmd::cargo::cargo_bin("git-vermas")).args(args);
    let said = run(c);
    assert_eq!((said.code, count(&p.app)), (Some(1), 0), "{said:?}");
    on_small_disk(&p, |app, dir| {
        assert_eq!(count(app), 0);
        let _full = std::fs::write(dir.join("fill"), vec![0; 4 << 20]);
        let fill = std::fs::OpenOptions::new().write(true).open(dir.join("fill")).unwrap();
        fill.set_len(fill.metadata().unwrap().len() - (100 << 10)).unwrap();
        let said = p.vermas_in(app, &args);
        assert_eq!((said.code, count(app)), (Some(1), 0), "{said:?}");
        assert!(said.err.contains("run the command again"), "{said:?}");
        std::fs::remove_file(dir.join("fill")).unwrap();
        assert_eq!(count(app), 0);
    });
}

#[test]
fn a_tmux_that_is_missing_or_too_old_is_named_and_frees_the_order() {
    let p = Place::new();
    p.agent("sleep 1");
    p.git(&["config", "vermas.launcher", "tmux"]);
    let id = p.create("a");
    let bin = p.root().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for tool in ["git", "sh"] {
        let which = run({
            let mut c = program(p.root(), p.root(), "sh");
            c.args(["-c", &format!("command -v {tool}")]);
            c
        })
        .ok();
        std::os::unix::fs::symlink(which, bin.join(tool)).unwrap();
    }
    let dispatch = || {
        let mut c = p.command_in(&p.app, &["dispatch", &id]);
        c.env("PATH", &bin);
        run(c)
    };
    let before = p.state();
    let said = dispatch();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("tmux is not installed") && said.err.contains("vermas.launcher process"), "{}", said.err);
    std::fs::write(bin.join("tmux"), "#!/bin/sh\necho tmux 2.1\n").unwrap();
    std::fs::set_permissions(bin.join("tmux"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = dispatch();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("2.1"), "{}", said.err);
    assert!(p.state() == before, "the state changed");
}
