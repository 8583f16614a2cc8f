//! A repository with a state, and the program run in it with nothing of the person's environment.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use git_vermas::app::Session;
use git_vermas::app::orders::{self, Wish};
use git_vermas::domain::decide::order::NewOrder;
use git_vermas::git::Repo;
use git_vermas::store::{Store, init};
use serde_json::Value;

pub struct Desk {
    dir: tempfile::TempDir,
    pub path: PathBuf,
}

/// Exit code, standard output, standard error.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// A repository called `app` with one commit on `main` and a fresh state.
    pub fn new() -> Self {
        let desk = Self::without_state();
        // Nobody's tmux is asked for sessions.
        desk.git(&["config", "vermas.launcher", "process"]);
        init(Repo::discover(&desk.path).unwrap(), None).unwrap();
        desk
    }

    pub fn without_state() -> Self {
        let dir = crate::place::scratch();
        let path = dir.path().join("app");
        std::fs::create_dir(&path).unwrap();
        let desk = Self { dir, path };
        desk.git(&["init", "-q", "-b", "main"]);
        desk.git(&[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.com",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "start",
        ]);
        desk
    }

    fn scrubbed(&self, program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
        let mut c = std::process::Command::new(program);
        let bin = assert_cmd::cargo::cargo_bin!("git-vermas").parent().unwrap().to_owned();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        c.env_clear().env("PATH", path).env("HOME", self.dir.path()).env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
        c.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&self.path);
        c
    }

    pub fn git(&self, args: &[&str]) -> String {
        let out = self.scrubbed("git").args(args).output().unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::from_std(self.scrubbed(assert_cmd::cargo::cargo_bin!("git-vermas")));
        c.args(args);
        c
    }

    pub fn run(&self, args: &[&str]) -> Said {
        said(&mut self.command(args))
    }

    /// Runs as this agent, as a worker's own session does.
    pub fn run_as(&self, agent: &str, args: &[&str]) -> Said {
        said(self.command(args).env("AGENT_ID", agent))
    }

    /// Runs with `--json`, expects success, and gives the document.
    pub fn json(&self, args: &[&str]) -> Value {
        let said = said(self.command(args).arg("--json"));
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", said.out))
    }

    /// What bash would offer for the last of these words.
    pub fn completed(&self, words: &[&str]) -> Vec<String> {
        let mut c = self.command(&["--"]);
        c.args(words).env("VERMAS_COMPLETE", "bash").env("VERMAS_COMPLETE_INDEX", (words.len() - 1).to_string());
        said(&mut c).out.lines().map(str::to_owned).collect()
    }

    pub fn session(&self) -> Session {
        Session::with_store(Store::open(Repo::discover(&self.path).unwrap()).unwrap(), Some("ceo")).unwrap()
    }

    /// A work order of this title; gives its id.
    pub fn order(&self, title: &str) -> String {
        let order = NewOrder { title: title.to_owned(), ..NewOrder::default() };
        orders::create(&mut self.session(), Wish { order, ..Wish::default() }).unwrap().to_string()
    }

    pub fn work(&self) -> PathBuf {
        self.path.join(".work")
    }

    /// How many events of this type there are.
    pub fn count(&self, event_type: &str) -> usize {
        let log = std::fs::read_to_string(self.work().join("events.jsonl")).unwrap();
        log.matches(&format!("\"event_type\":\"{event_type}\"")).count()
    }

    /// All that is in the working tree and the git directory, as names, sizes and times.
    pub fn fingerprint(&self) -> String {
        fn walk(dir: &Path, out: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    walk(&path, out);
                } else {
                    out.push(format!("{} {} {:?}", path.display(), meta.len(), meta.modified().unwrap()));
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.path, &mut all);
        all.sort();
        all.join("\n")
    }
}

pub fn said(command: &mut Command) -> Said {
    let o = command.output().unwrap();
    Said {
        code: o.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&o.stdout).into_owned(),
        err: String::from_utf8_lossy(&o.stderr).into_owned(),
    }
}
