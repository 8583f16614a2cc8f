//! A small repository in a world of its own: an empty home, no configuration but its own, a private tmux server.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary world with the repository `app` in it.
pub struct Place {
    temp: TempDir,
    pub app: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program under test.
pub fn binary() -> PathBuf {
    cargo_bin("git-vermas")
}

/// A program in the world below `root`, standing in `dir`: of the environment only the search path is the person's.
pub fn program(root: &Path, dir: &Path, name: impl AsRef<std::ffi::OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let own = binary().parent().unwrap().display().to_string();
    let mut c = Command::new(name);
    c.env_clear().current_dir(dir).stdin(Stdio::null());
    c.env("PATH", format!("{own}:{path}")).env("HOME", root.join("home")).env("TMUX_TMPDIR", root.join("t"));
    c.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    // No sample hooks: they are most of the files of a small repository.
    c.env("GIT_TEMPLATE_DIR", "");
    c.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env("SHELL", "/bin/sh");
    c
}

pub fn run(mut c: Command) -> Said {
    let o: Output = c.output().unwrap_or_else(|e| panic!("{c:?}: {e}"));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Said { code: o.status.code(), out: text(&o.stdout), err: text(&o.stderr) }
}

impl Said {
    /// The words on standard output, of a command that must have gone well, and warned of nothing.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(!self.err.contains("warning:"), "{self:?}");
        self.out.trim_end().to_owned()
    }

    /// Standard output as one JSON document.
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// Asks again until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn git_in(root: &Path, dir: &Path, args: &[&str]) -> String {
    let mut c = program(root, dir, "git");
    c.args(args);
    let said = run(c);
    assert_eq!(said.code, Some(0), "git {args:?}: {}{}", said.out, said.err);
    said.out.trim_end().to_owned()
}

/// Made once: a repository with one commit, set up for git vermas.
fn template() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let temp = world();
        let (root, app) = (temp.path(), temp.path().join("app"));
        std::fs::create_dir(&app).unwrap();
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["config", "user.name", "Ada"],
            &["config", "user.email", "ada@example.org"],
        ] {
            git_in(root, &app, args);
        }
        std::fs::write(app.join("a.txt"), "one\n").unwrap();
        git_in(root, &app, &["add", "."]);
        git_in(root, &app, &["commit", "-qm", "first"]);
        let mut init = program(root, &app, binary());
        init.arg("init");
        run(init).ok();
        temp
    })
    .path()
}

fn world() -> TempDir {
    let temp = crate::place::scratch();
    std::fs::create_dir(temp.path().join("home")).unwrap();
    std::fs::create_dir(temp.path().join("t")).unwrap();
    temp
}

impl Place {
    /// A repository with one commit, set up.
    pub fn new() -> Self {
        let temp = world();
        let done = Command::new("cp").arg("-a").arg(template().join("app")).arg(temp.path()).status().unwrap();
        assert!(done.success());
        let app = temp.path().join("app");
        Self { temp, app }
    }

    /// A world without a repository.
    pub fn empty() -> Self {
        let temp = world();
        let app = temp.path().join("app");
        std::fs::create_dir(&app).unwrap();
        Self { temp, app }
    }

    pub fn root(&self) -> &Path {
        self.temp.path()
    }

    /// Creates orders, `at_once` of them in a round, while `go_on` says so of the round; one process of each is killed at
    /// some moment. Gives the ids that were acknowledged, and how many were killed.
    pub fn create_and_kill(&self, at_once: u32, mut go_on: impl FnMut(u32) -> bool) -> (BTreeSet<String>, u32) {
        let (mut acknowledged, mut killed) = (BTreeSet::new(), 0);
        for round in (0_u32..).take_while(|round| go_on(*round)) {
            let create = |n: u32| {
                let mut c = self.command_in(&self.app, &["wo", "create", &format!("{round}-{n}")]);
                c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let mut running: Vec<Child> = (0..at_once).map(create).collect();
            // The victim's moment differs by how long the others took to start.
            std::thread::sleep(Duration::from_micros(u64::from(round) * 7919 % 60_000));
            running[0].kill().unwrap();
            for child in running {
                let out = child.wait_with_output().unwrap();
                let was_killed = out.status.signal() == Some(9);
                assert!(was_killed || out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
                killed += u32::from(was_killed);
                let id = String::from_utf8(out.stdout).unwrap().trim().to_owned();
                acknowledged.extend((!id.is_empty()).then_some(id));
            }
        }
        (acknowledged, killed)
    }

    /// The program in a directory, not yet started.
    pub fn command_in(&self, dir: &Path, args: &[&str]) -> Command {
        let mut c = program(self.root(), dir, binary());
        c.args(args);
        c
    }

    pub fn vermas_in(&self, dir: &Path, args: &[&str]) -> Said {
        run(self.command_in(dir, args))
    }

    pub fn vermas(&self, args: &[&str]) -> Said {
        self.vermas_in(&self.app, args)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.vermas(&all).json()
    }

    pub fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        git_in(self.root(), dir, args)
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.app, args)
    }

    /// Creates a work order; gives its id.
    pub fn create(&self, title: &str) -> String {
        self.vermas(&["wo", "create", title]).ok()
    }

    pub fn show(&self, id: &str) -> Value {
        self.json(&["wo", "show", id])
    }

    pub fn work(&self) -> PathBuf {
        self.app.join(".work")
    }

    /// What must not change where a command is refused: the branch's tip and the log.
    pub fn state(&self) -> (String, Vec<u8>) {
        (self.git(&["rev-parse", "vermas/state"]), std::fs::read(self.work().join("events.jsonl")).unwrap())
    }

    /// Makes a script the agent that workers run, in background processes.
    pub fn agent(&self, script: &str) {
        let path = self.root().join("agent.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        self.git(&["config", "vermas.agentDefault", "shell"]);
        self.git(&["config", "vermas.agent.shell.command", path.to_str().unwrap()]);
        self.git(&["config", "vermas.launcher", "process"]);
    }

    /// A bare repository that is `origin` of `app`, with the main branch in it.
    pub fn remote(&self) -> PathBuf {
        let bare = self.root().join("remote.git");
        self.git_in(self.root(), &["init", "-q", "--bare", "-b", "main", "remote.git"]);
        self.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        self.git(&["push", "-q", "origin", "main"]);
        bare
    }

    /// Another clone of the remote, set up.
    pub fn clone_of_remote(&self, name: &str) -> PathBuf {
        self.git_in(self.root(), &["clone", "-q", "remote.git", name]);
        let dir = self.root().join(name);
        self.git_in(&dir, &["config", "user.name", name]);
        self.git_in(&dir, &["config", "user.email", "x@example.org"]);
        self.vermas_in(&dir, &["init"]).ok();
        dir
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only this world's own server can be reached under its private directory.
        let mut c = program(self.root(), Path::new("/"), "tmux");
        c.arg("kill-server").stdout(Stdio::null()).stderr(Stdio::null());
        let _ = c.status();
    }
}
