//! A small repository, built once and copied.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use git_vermas::git::program::Git;
use git_vermas::sys::fs;
use git_vermas::sys::process::{Cmd, Output};
use tempfile::TempDir;

const ENV: &[(&str, &str)] = &[
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("HOME", "/nonexistent"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// A repository at `<temp>/repo` with two commits on `main`: `a`, `b` and `dir/c`.
pub struct Repo {
    temp: TempDir,
}

pub fn with_env(cmd: Cmd) -> Cmd {
    ENV.iter().fold(cmd, |c, (n, v)| c.env(n, v)).env_remove("EMAIL")
}

pub fn output(dir: &Path, args: &[&str]) -> Output {
    with_env(Cmd::new("git")).cwd(dir).args(args).output().unwrap()
}

/// Runs git, which must succeed, and returns what it printed.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let out = output(dir, args);
    assert!(out.success(), "git {args:?}: {}", out.stderr_text());
    out.text()
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::replace(path, text.as_bytes()).unwrap();
}

pub fn read(path: &Path) -> String {
    String::from_utf8(fs::read(path).unwrap()).unwrap()
}

/// Writes a file, commits it, and returns the commit.
pub fn commit(dir: &Path, file: &str, text: &str, message: &str) -> String {
    write(&dir.join(file), text);
    git(dir, &["add", "-A", "--", "."]);
    git(dir, &["commit", "-qm", message]);
    git(dir, &["rev-parse", "HEAD"])
}

fn template() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let temp = crate::place::scratch();
        let repo = temp.path().join("repo");
        fs::create_dir_all(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        git(&repo, &["config", "user.name", "Ada"]);
        git(&repo, &["config", "user.email", "ada@example.org"]);
        write(&repo.join("b"), "b1\n");
        write(&repo.join("dir/c"), "c1\n");
        commit(&repo, "a", "a1\n", "first");
        commit(&repo, ".gitignore", "*.ignored\n", "second");
        temp
    });
    dir.path()
}

impl Repo {
    pub fn new() -> Self {
        let temp = crate::place::scratch();
        Cmd::new("cp").args(["-a", "--"]).arg(template().join("repo")).arg(temp.path()).run().unwrap();
        Self { temp }
    }

    /// The directory that holds the repository and may hold more.
    pub fn around(&self) -> PathBuf {
        fs::canonicalize(self.temp.path()).unwrap()
    }

    pub fn path(&self) -> PathBuf {
        self.around().join("repo")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn git(&self) -> Git {
        ENV.iter().fold(Git::new(self.path().join(".git")).with_work_tree(self.path()), |g, (n, v)| g.with_env(n, v))
    }

    pub fn run(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    pub fn tip(&self, revision: &str) -> String {
        self.run(&["rev-parse", revision])
    }

    /// A bare copy beside it, configured as the remote `origin`.
    pub fn with_remote(self) -> Self {
        let bare = self.around().join("remote.git");
        git(&self.around(), &["clone", "-q", "--bare", "repo", "remote.git"]);
        self.run(&["remote", "add", "origin", bare.to_str().unwrap()]);
        self
    }

    pub fn remote(&self) -> PathBuf {
        self.around().join("remote.git")
    }

    /// A commit on a new branch, made in the object store alone.
    pub fn branch_with(&self, branch: &str, from: &str, files: &[(&str, Option<&str>)]) -> String {
        let scratch = self.around().join(format!("make-{}", branch.replace('/', "-")));
        self.run(&["worktree", "add", "-q", "-b", branch, scratch.to_str().unwrap(), from]);
        for (name, text) in files {
            let path = scratch.join(name);
            match text {
                Some(text) => write(&path, text),
                None => fs::remove_file(&path).unwrap(),
            }
        }
        git(&scratch, &["add", "-A"]);
        git(&scratch, &["commit", "-qm", &format!("work on {branch}")]);
        let oid = git(&scratch, &["rev-parse", "HEAD"]);
        self.run(&["worktree", "remove", "--force", scratch.to_str().unwrap()]);
        oid
    }
}
