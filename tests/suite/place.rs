//! A repository that is set up, in a temporary directory, and the programs run in it with a clean environment.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use git_vermas::domain::decide::mail;
use git_vermas::domain::decide::mail::NewMail;
use git_vermas::domain::decide::order::{self, NewOrder};
use git_vermas::domain::{AgentId, OrderId};
use git_vermas::git::Repo;
use git_vermas::store::{Store, StoreError, init};

pub struct Place {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
}

/// How much room there must be in memory for the folders of all tests at once, in bytes.
const MUCH: u64 = 4 << 30;

/// A folder for one test: in memory where there is much room, as half of what the tests take would be spent on the disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let is_roomy = rustix::fs::statvfs(memory).is_ok_and(|s| s.f_bavail * s.f_frsize >= MUCH);
    if std::env::var_os("TMPDIR").is_none() && is_roomy {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("git-vermas").to_owned()
}

pub fn scrubbed(program: impl AsRef<std::ffi::OsStr>, dir: &Path) -> std::process::Command {
    let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut c = std::process::Command::new(program);
    c.current_dir(dir).env_clear().env("PATH", path).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    c.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        c.env(format!("GIT_{who}_NAME"), "A Person").env(format!("GIT_{who}_EMAIL"), "person@example.com");
    }
    c
}

/// Runs git; gives whether it went well and all it said.
pub fn try_git(dir: &Path, args: &[&str]) -> (bool, String) {
    let out = scrubbed("git", dir).args(args).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).trim_end().to_owned())
}

pub fn git(dir: &Path, args: &[&str]) -> String {
    let (fine, text) = try_git(dir, args);
    assert!(fine, "git {args:?}: {text}");
    text
}

pub fn open(path: &Path) -> Store {
    Store::open(Repo::discover(path).unwrap()).unwrap()
}

pub fn create(store: &mut Store, wish: NewOrder) -> OrderId {
    let decide = |tx: &mut git_vermas::store::Tx<'_>| {
        let id = tx.new_id("wo");
        tx.emit_all(&order::create(&id, &wish, &AgentId::ceo())?)?;
        Ok(id)
    };
    store.write::<_, StoreError>(decide).unwrap().value
}

impl Place {
    /// A repository with one commit and a state branch.
    pub fn new() -> Self {
        let dir = scratch();
        let path = dir.path().join("app");
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        git(&path, &["commit", "-q", "--allow-empty", "-m", "begin"]);
        init(Repo::discover(&path).unwrap(), None).unwrap();
        Self { dir, path }
    }

    pub fn order(&self, title: &str) -> OrderId {
        create(&mut open(&self.path), NewOrder { title: title.to_owned(), ..NewOrder::default() })
    }

    pub fn mail(&self, to: &str, subject: &str, body: &str) -> String {
        let wish = NewMail {
            to: to.parse().unwrap(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            message_type: None,
            priority: None,
            metadata: serde_json::Map::new(),
            allow_secret: false,
        };
        let decide = |tx: &mut git_vermas::store::Tx<'_>| {
            let id = tx.new_id("msg");
            tx.emit_all(&mail::send(&id, &wish, &AgentId::ceo(), true)?)?;
            Ok(id.to_string())
        };
        open(&self.path).write::<_, StoreError>(decide).unwrap().value
    }

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    pub fn vermas(&self, args: &[&str]) -> Command {
        let mut c = Command::from_std(scrubbed(binary(), &self.path));
        c.args(args);
        c
    }

    /// Runs a command that must go well; gives its standard output.
    pub fn said(&self, args: &[&str]) -> String {
        let out = self.vermas(args).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{args:?}: {err}");
        String::from_utf8(out.stdout).unwrap()
    }

    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.said(&[args, &["--json"]].concat())).unwrap()
    }

    pub fn work(&self, name: &str) -> PathBuf {
        self.path.join(".work").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.work(name)).unwrap()
    }

    /// The state branch in a worktree of its own, as a person would check it out.
    pub fn checkout(&self) -> PathBuf {
        let there = self.dir.path().join("state");
        self.git(&["worktree", "add", "-q", there.to_str().unwrap(), "vermas/state"]);
        there
    }

    /// The first segment of the state branch, as a path in it.
    pub fn segment(&self) -> String {
        let tree = self.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
        tree.lines().find(|l| l.starts_with("events/")).unwrap().to_owned()
    }
}

/// Puts a hook in place that does nothing but call us.
pub fn hook(git_dir: &Path, name: &str) {
    let file = git_dir.join("hooks").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("#!/bin/sh\nexec git-vermas hook {name} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}
