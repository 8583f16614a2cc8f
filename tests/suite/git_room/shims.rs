//! The shims as git runs them, with a `git-vermas` that only writes down how it was called.

use std::path::PathBuf;

use git_vermas::git::hooks::{Hook, install};
use git_vermas::sys::fs;
use git_vermas::sys::process::{Cmd, Output};

use super::support::{Repo, read, with_env, write};

struct Bench {
    repo: Repo,
    path: String,
}

impl Bench {
    fn new() -> Self {
        let repo = Repo::new().with_remote();
        let program = repo.around().join("bin/git-vermas");
        write(
            &program,
            "#!/bin/sh\necho \"$@\" >>\"$CALLS\"\n[ \"$2\" != pre-push ] || cat >>\"$CALLS\"\nexit ${ANSWER:-0}\n",
        );
        fs::set_mode(&program, 0o755).unwrap();
        install(&repo.git(), &Hook::LOCAL).unwrap();
        let path = format!("{}:/usr/bin:/bin", repo.around().join("bin").display());
        Self { repo, path }
    }

    fn calls(&self) -> PathBuf {
        self.repo.around().join("calls")
    }

    fn called(&self) -> String {
        let text = if fs::exists(&self.calls()) { read(&self.calls()) } else { String::new() };
        fs::remove_file(&self.calls()).unwrap();
        text
    }

    fn git(&self, env: &[(&str, &str)], args: &[&str]) -> Output {
        let cmd = with_env(Cmd::new("git")).cwd(self.repo.path()).env("PATH", &self.path).env("CALLS", self.calls());
        let cmd = cmd.env_remove("WORK_ORDER_ID").env_remove("VERMAS_NESTED");
        env.iter().fold(cmd, |c, (n, v)| c.env(n, v)).args(args).output().unwrap()
    }

    fn commit(&self, env: &[(&str, &str)]) -> String {
        let out = self.git(env, &["commit", "-q", "--allow-empty", "-m", "a subject"]);
        assert!(out.success(), "{}", out.stderr_text());
        self.repo.run(&["log", "-1", "--format=%B"])
    }
}

#[test]
fn an_ordinary_commit_does_not_start_our_program() {
    let bench = Bench::new();
    bench.commit(&[]);
    assert_eq!(bench.called(), "");
}

#[test]
fn a_commit_with_work_files_or_on_the_state_branch_is_looked_at() {
    let bench = Bench::new();
    write(&bench.repo.file(".work/events.jsonl"), "{}\n");
    bench.repo.run(&["add", "-f", ".work"]);
    assert!(!bench.git(&[("ANSWER", "5")], &["commit", "-qm", "x"]).success());
    assert_eq!(bench.called(), "hook pre-commit\n");
    assert!(bench.git(&[("VERMAS_NESTED", "1")], &["commit", "-qm", "x"]).success());
    assert_eq!(bench.called(), "");

    bench.repo.run(&["rm", "-rq", "--cached", ".work"]);
    bench.repo.run(&["checkout", "-q", "-b", "vermas/state"]);
    bench.commit(&[]);
    assert_eq!(bench.called(), "hook pre-commit\n");
    bench.repo.run(&["config", "vermas.branch", "team/state"]);
    bench.commit(&[]);
    assert_eq!(bench.called(), "");
    let linked = bench.repo.around().join("linked");
    bench.repo.run(&["worktree", "add", "-q", "-b", "team/state", linked.to_str().unwrap()]);
    bench.git(&[], &["-C", linked.to_str().unwrap(), "commit", "-q", "--allow-empty", "-m", "x"]);
    assert_eq!(bench.called(), "hook pre-commit\n");
}

#[test]
fn a_workers_commit_carries_its_work_order_once() {
    let bench = Bench::new();
    assert_eq!(bench.commit(&[]), "a subject");
    let id = [("WORK_ORDER_ID", "wo-3f9k")];
    assert_eq!(bench.commit(&id), "a subject\n\nWork-Order: wo-3f9k");
    bench.git(&id, &["commit", "-q", "--amend", "--allow-empty", "--no-edit"]);
    assert_eq!(bench.repo.run(&["log", "-1", "--format=%B"]), "a subject\n\nWork-Order: wo-3f9k");
    assert_eq!(bench.commit(&[("WORK_ORDER_ID", "wo-abc.1")]), "a subject\n\nWork-Order: wo-abc.1");
    assert_eq!(bench.called(), "");
}

#[test]
fn what_is_no_work_order_id_never_reaches_a_message() {
    let bench = Bench::new();
    for bad in [
        "$(touch x)",
        "wo-1\nSigned-off-by: x",
        "wo-1;x",
        "WO-1",
        "wo",
        "-wo",
        "wo-",
        "wo-1..2",
        "toolongname-1",
        "wo-a-b",
    ] {
        assert_eq!(bench.commit(&[("WORK_ORDER_ID", bad)]), "a subject", "{bad:?}");
    }
    assert!(!fs::exists(&bench.repo.file("x")));
}

#[test]
fn merges_and_empty_messages_get_no_trailer() {
    let bench = Bench::new();
    bench.repo.branch_with("other", "main", &[("o", Some("o"))]);
    let id = [("WORK_ORDER_ID", "wo-3f9k")];
    bench.git(&id, &["merge", "-q", "--no-ff", "-m", "a merge", "other"]);
    assert_eq!(bench.repo.run(&["log", "-1", "--format=%B"]), "a merge");
    let before = bench.repo.tip("main");
    let out = bench.git(&[("WORK_ORDER_ID", "wo-3f9k"), ("GIT_EDITOR", "true")], &["commit", "--allow-empty"]);
    assert!(!out.success());
    assert_eq!(bench.repo.tip("main"), before);
}

#[test]
fn a_push_of_the_state_is_looked_at_and_both_hooks_get_its_lines() {
    let bench = Bench::new();
    let earlier = bench.repo.file(".git/hooks/pre-push.vermas-chained");
    write(&earlier, "#!/bin/sh\ncat >\"$CALLS.earlier\"\n");
    fs::set_mode(&earlier, 0o755).unwrap();
    assert!(bench.git(&[], &["push", "-q", "origin", "main:refs/heads/x"]).success());
    assert_eq!(bench.called(), "");
    let tip = bench.repo.tip("main");
    let zero = "0".repeat(40);
    assert!(bench.git(&[], &["push", "-q", "origin", "main:refs/heads/y", "main:refs/heads/vermas/state"]).success());
    let lines =
        format!("refs/heads/main {tip} refs/heads/y {zero}\nrefs/heads/main {tip} refs/heads/vermas/state {zero}\n");
    let remote = bench.repo.remote();
    assert_eq!(bench.called(), format!("hook pre-push origin {}\n{lines}", remote.display()));
    assert_eq!(read(&bench.repo.around().join("calls.earlier")), lines);
    assert!(!bench.git(&[("ANSWER", "1")], &["push", "-q", "origin", ":refs/heads/vermas/state"]).success());
}

#[test]
fn without_our_program_every_shim_lets_git_pass() {
    let bench = Bench::new();
    fs::remove_file(&bench.repo.around().join("bin/git-vermas")).unwrap();
    bench.repo.run(&["checkout", "-q", "-b", "vermas/state"]);
    bench.commit(&[("WORK_ORDER_ID", "wo-1")]);
    assert!(bench.git(&[], &["push", "-q", "origin", "vermas/state"]).success());
}
