//! What must hold after every crash and every error, and the count of where it did not.

use std::collections::BTreeSet;
use std::path::Path;

use super::is_long;
use super::scene::{Case, Scene};
use crate::factory::common::Said;

/// Points tried, and where a promise was broken.
#[derive(Debug, Default)]
pub struct Tally {
    pub points: usize,
    pub lost: usize,
    pub torn: usize,
    pub stuck: usize,
    /// The person's own repository does not work.
    pub harmed: usize,
    /// The exit code, or what was said, is not true.
    pub untrue: usize,
    details: Vec<String>,
}

impl Tally {
    pub fn bad(&mut self, field: fn(&mut Self) -> &mut usize, what: String) {
        *field(self) += 1;
        println!("BROKEN {what}");
        self.details.push(what);
    }

    /// Prints the figure; a promise that was broken ends the test.
    pub fn prove(&self, name: &str) {
        println!(
            "{name}: {} points, {} lost, {} torn, {} stuck, {} repositories harmed, {} untrue answers",
            self.points, self.lost, self.torn, self.stuck, self.harmed, self.untrue
        );
        assert!(self.points > 0);
        assert!(self.details.is_empty(), "{:#?}", &self.details[..self.details.len().min(20)]);
    }

    /// Runs the next command, and looks whether everything is as it must be. `at` says where we are.
    pub fn look(&mut self, scene: &Scene, case: Case, before: &[String], said: &Said, at: &str) {
        let dir = case.dir;
        self.points += 1;
        let next = if dir == "app" { "wo comment {open} -m after" } else { "init" };
        let next = scene.vermas(dir, next);
        if next.code != Some(0) {
            self.bad(|t| &mut t.stuck, format!("{at}: next: {next:?}"));
        }
        let locks = stale_locks(&scene.dir(dir).join(".git"));
        if !locks.is_empty() {
            self.bad(|t| &mut t.stuck, format!("{at}: locks: {locks:?}"));
        }
        let log = scene.log(dir);
        let have: BTreeSet<&String> = log.iter().collect();
        let missing: Vec<&String> = before.iter().filter(|l| !have.contains(l)).collect();
        let acknowledged = ids_in(&said.out);
        let unknown: Vec<&String> = acknowledged.iter().filter(|id| !log.iter().any(|l| l.contains(*id))).collect();
        if !missing.is_empty() || !unknown.is_empty() {
            self.bad(|t| &mut t.lost, format!("{at}: {missing:?} {unknown:?}"));
        }
        // A torn line is set aside and spoken of: a warning. What is behind it counts.
        let fsck = scene.vermas(dir, "fsck");
        if fsck.code != Some(0) {
            self.bad(|t| &mut t.torn, format!("{at}: {fsck:?}"));
        }
        let adopted = |lines: &[String]| lines.iter().filter(|l| l.contains("\"adopted\":true")).count();
        if adopted(&log) > adopted(before) {
            self.bad(|t| &mut t.torn, format!("{at}: what we wrote was taken for somebody else's"));
        }
        // Three points of four are looked at more quickly: each of these is a program to start.
        if is_long() && self.points % 4 != 1 {
            return;
        }
        let own = scene.sh(
            dir,
            "git status --short && git fsck --strict --no-dangling --no-progress && git log --all --oneline >/dev/null &&
             if git remote | grep -q .; then git fetch -q --all; fi",
        );
        if own.code != Some(0) || !own.err.is_empty() {
            self.bad(|t| &mut t.harmed, format!("{at}: {own:?}"));
        }
        let again = scene.run(dir, &scene.words(case));
        let so_already = ["already", "is not closed", "nobody holds"].iter().any(|w| again.err.contains(w));
        if !matches!(again.code, Some(0 | 3 | 5)) && !so_already {
            self.bad(|t| &mut t.stuck, format!("{at}: again: {again:?}"));
        }
    }
}

/// Lock files of git that nobody holds. Our own stay, and mean nothing by being there.
fn stale_locks(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !path.is_symlink() {
                if name != "objects" {
                    open.push(path);
                }
            } else if name.ends_with(".lock") && !path.starts_with(top.join("vermas")) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The ids in what a command printed.
fn ids_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words
        .filter(|w| ["wo-", "msg-", "evt-"].iter().any(|p| w.strip_prefix(p).is_some_and(|r| r.len() >= 10)))
        .map(str::to_owned)
        .collect()
}
