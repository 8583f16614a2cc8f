//! A repository with good orders in it, a remote, and surroundings in which everything that happens is seen.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

/// What one command may take: the machine that runs the suite does other things, too.
const PATIENCE: Duration = Duration::from_secs(30);
/// The memory that a command may ask for, in KiB.
const MEMORY: &str = "262144";
/// Programs that hostile text tries to start.
const CANARIES: &[&str] = &["pwn", "rm", "touch", "curl", "claude", "codex", "gemini", "aider", "xdg-open", "nc"];
/// What a hostile text that is run as a command leaves behind.
pub const MARK: &str = "pwned";

/// The order that hostile events are about.
pub const EVIL: &str = "wo-evil1";

pub struct World {
    temp: TempDir,
    pub app: PathBuf,
    pub remote: PathBuf,
    /// Orders that must stay listed and usable; the second is the one whose state a remote may claim to be another.
    pub good: Vec<String>,
    pub mail: String,
}

/// What a command said, and what it took.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub took: Duration,
    pub timed_out: bool,
}

impl Said {
    pub fn err_text(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    pub fn out_text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// A program in the world below `root`, standing in `dir`.
pub fn program(root: &Path, dir: &Path, name: impl AsRef<std::ffi::OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let own = cargo_bin("git-vermas").parent().unwrap().display().to_string();
    let mut c = Command::new(name);
    c.env_clear().current_dir(dir).stdin(Stdio::null());
    c.env("PATH", format!("{}:{own}:{path}", root.join("bin").display())).env("HOME", root.join("home"));
    c.env("TMUX_TMPDIR", root.join("t")).env("TMPDIR", root.join("t")).env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    c.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    c.env("SHELL", "/bin/sh");
    c
}

fn git(root: &Path, dir: &Path, args: &[&str]) -> String {
    let out = program(root, dir, "git").args(args).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

fn good_run(root: &Path, dir: &Path, args: &[&str]) -> String {
    let out = program(root, dir, cargo_bin("git-vermas")).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Made once; every world is a copy.
fn template() -> &'static (TempDir, Vec<String>, String) {
    static MADE: OnceLock<(TempDir, Vec<String>, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let temp = crate::place::scratch();
        let root = temp.path();
        for dir in ["home", "t", "bin", "outside/templates", "app/src"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for name in CANARIES {
            let script = format!("#!/bin/sh\necho \"$0 $*\" >> {}/{MARK}\nexit 1\n", "\"${0%/*}\"/..");
            std::fs::write(root.join("bin").join(name), script).unwrap();
            std::fs::set_permissions(root.join("bin").join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::write(root.join("home/.profile"), "theirs\n").unwrap();
        std::fs::write(root.join("outside/secret.txt"), "outside\n").unwrap();
        std::fs::write(root.join("outside/events.jsonl"), "outside\n").unwrap();
        std::fs::write(root.join("outside/templates/secret.toml"), "secret = \"TOPSECRET\"\n").unwrap();
        let app = root.join("app");
        std::fs::write(app.join("src/main.txt"), "one\n").unwrap();
        std::fs::write(app.join("untracked.txt"), "untracked\n").unwrap();
        git(root, root, &["init", "-q", "--bare", "-b", "main", "remote.git"]);
        git(root, &app, &["init", "-q", "-b", "main"]);
        for (key, value) in [
            ("user.name", "Ada"),
            ("user.email", "ada@example.org"),
            ("vermas.launcher", "process"),
            ("vermas.agentDefault", "shell"),
            ("vermas.agent.shell.command", "sh -c true"),
        ] {
            git(root, &app, &["config", key, value]);
        }
        git(root, &app, &["add", "src"]);
        git(root, &app, &["commit", "-qm", "first"]);
        git(root, &app, &["remote", "add", "origin", "../remote.git"]);
        git(root, &app, &["push", "-q", "origin", "main"]);
        good_run(root, &app, &["init"]);
        let good: Vec<String> =
            ["First", "Second", "Third"].iter().map(|t| good_run(root, &app, &["wo", "create", t])).collect();
        good_run(root, &app, &["wo", "dep", "add", &good[2], &good[0]]);
        good_run(root, &app, &["send", "ceo", "-s", "hello", "-m", "body"]);
        let list = good_run(root, &app, &["mail", "list", "--json"]);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let mail = list[0]["id"].as_str().unwrap().to_owned();
        good_run(root, &app, &["sync"]);
        // The same repository before anybody ran init in it.
        git(root, root, &["clone", "-q", "remote.git", "fresh"]);
        (temp, good, mail)
    })
}

impl World {
    pub fn new() -> Self {
        let (made, good, mail) = template();
        let temp = crate::place::scratch();
        let copied = Command::new("cp").arg("-a").arg(made.path().join(".")).arg(temp.path()).status().unwrap();
        assert!(copied.success());
        let (app, remote) = (temp.path().join("app"), temp.path().join("remote.git"));
        Self { temp, app, remote, good: good.clone(), mail: mail.clone() }
    }

    pub fn root(&self) -> &Path {
        self.temp.path()
    }

    /// The clone in which nobody ran init takes the place of the one that was set up.
    pub fn start_fresh(&self) {
        std::fs::remove_dir_all(&self.app).unwrap();
        std::fs::rename(self.root().join("fresh"), &self.app).unwrap();
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.org"), ("vermas.launcher", "process")] {
            self.git(&["config", key, value]);
        }
    }

    pub fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        git(self.root(), dir, args)
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.app, args)
    }

    pub fn work(&self, name: &str) -> PathBuf {
        self.app.join(".work").join(name)
    }

    /// Runs the program, with as much memory and time as it may have.
    pub fn run(&self, args: &[String]) -> Said {
        let mut c = program(self.root(), &self.app, "sh");
        c.args(["-c", &format!("ulimit -d {MEMORY}; exec \"$0\" \"$@\"")]).arg(cargo_bin("git-vermas")).args(args);
        let (out, err) = (self.root().join("t/said.out"), self.root().join("t/said.err"));
        let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
        let begin = Instant::now();
        let mut child = c.stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
        let mut pause = Duration::from_micros(500);
        let mut timed_out = false;
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if begin.elapsed() > PATIENCE {
                timed_out = true;
                child.kill().unwrap();
                break child.wait().unwrap().code();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(4));
        };
        let took = begin.elapsed();
        Said { code, out: std::fs::read(&out).unwrap(), err: std::fs::read(&err).unwrap(), took, timed_out }
    }

    pub fn say(&self, args: &[&str]) -> Said {
        self.run(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    /// Everything around our own places: what must be the same afterwards.
    pub fn surroundings(&self) -> BTreeMap<PathBuf, String> {
        let ours = ["app/.work", "app/workers", "t", "remote.git", "fresh"];
        let kept = ["app/.git/HEAD", "app/.git/hooks", "app/.git/info", "app/.git/refs/heads/main"];
        // What init makes, by its own word.
        let made = ["hooks/pre-commit", "hooks/pre-push", "hooks/prepare-commit-msg", "info/exclude"];
        let mut all = BTreeMap::new();
        let mut open = vec![self.root().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.root()).unwrap().to_owned();
                let in_git = name.starts_with("app/.git");
                let way_to_kept = kept.iter().any(|k| Path::new(k).starts_with(&name) || name.starts_with(k));
                let by_init = in_git && made.iter().any(|m| name.ends_with(m));
                if ours.iter().any(|o| name.starts_with(o)) || in_git && !way_to_kept || by_init {
                    continue;
                }
                let meta = std::fs::symlink_metadata(&path).unwrap();
                let shown = if meta.is_dir() {
                    open.push(path);
                    format!("a folder {:o}", meta.permissions().mode())
                } else if meta.is_file() {
                    let bytes = std::fs::read(&path).unwrap();
                    format!("{:o} {}", meta.permissions().mode(), String::from_utf8_lossy(&bytes))
                } else {
                    format!("{:?}", std::fs::read_link(&path))
                };
                all.insert(name, shown);
            }
        }
        all
    }

    /// Whether something that hostile text names was run.
    pub fn was_run(&self) -> bool {
        let mut open = vec![self.root().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.file_name() == MARK {
                    return true;
                }
                if entry.file_type().is_ok_and(|t| t.is_dir()) && entry.file_name() != "objects" {
                    open.push(entry.path());
                }
            }
        }
        false
    }
}
