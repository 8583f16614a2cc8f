//! A factory in the middle of its work, saved, so that one command after another can be tried on the same state.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::factory::common::{Place, Said, program, run, until};

/// A command that changes something: where it runs, its words, and an event that it leaves.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub dir: &'static str,
    pub words: &'static str,
    pub leaves: Option<&'static str>,
}

const fn at(dir: &'static str, words: &'static str, leaves: &'static str) -> Case {
    Case { dir, words, leaves: Some(leaves) }
}

const fn bare(dir: &'static str, words: &'static str) -> Case {
    Case { dir, words, leaves: None }
}

/// Every command that changes something. `{name}` stands for an id of the scene.
pub const CHANGES: &[Case] = &[
    at("app", "wo create new", "work_order.created"),
    at("app", "wo create --batch ../batch.jsonl", "work_order.created"),
    at("app", "wo update {open} --title changed --priority 0", "work_order.updated"),
    at("app", "wo comment {open} -m seen", "work_order.commented"),
    at("app", "wo close {open} --reason done", "work_order.closed"),
    at("app", "wo reopen {closed}", "work_order.status_changed"),
    at("app", "wo claim {open}", "work_order.assigned"),
    at("app", "wo release {held}", "work_order.status_changed"),
    at("app", "wo dep add {open} {other}", "work_order.dependency_added"),
    at("app", "wo dep remove {waiting} {open}", "work_order.dependency_removed"),
    at("app", "assignment set slot1 {open}", "assignment.set"),
    at("app", "assignment clear slot3", "assignment.cleared"),
    at("app", "send qa -s subject -m body", "mail.sent"),
    at("app", "read {mail}", "mail.read"),
    at("app", "archive {mail}", "mail.archived"),
    at("app", "handoff -s later -m more", "mail.sent"),
    at("app", "events emit patrol.completed --data {\"workers_checked\":1}", "patrol.completed"),
    bare("app", "sync"),
    at("app", "wo claim --exclusive {open}", "work_order.assigned"),
    bare("app", "rebuild"),
    bare("app", "doctor --fix"),
    bare("app", "config set vermas.slots 5"),
    bare("app", "hooks uninstall"),
    bare("app", "worktree create slot1"),
    bare("app", "worktree remove slot2"),
    at("app", "dispatch {open} --slot slot1", "work_order.assigned"),
    at("app", "qa run", "qa.merged"),
    bare("plain", "init"),
    bare("clone", "init"),
];

/// Commands that show something.
pub const READS: &[Case] = &[
    bare("app", "wo list --json"),
    bare("app", "wo show {open} --json"),
    bare("app", "wo ready --json"),
    bare("app", "inbox --json"),
    bare("app", "assignment slot3 --json"),
    bare("app", "events list --json"),
    bare("app", "prime"),
    bare("app", "status --json"),
    bare("app", "fsck"),
];

pub struct Scene {
    place: Place,
    names: Vec<(&'static str, String)>,
}

impl Scene {
    /// Builds the factory and saves it.
    pub fn new() -> Self {
        let place = Place::new();
        let sh = |script: &str| shell(&place, script);
        place.remote();
        place.agent("echo two >a.txt; git commit -qam 'Do it'; git-vermas worker done");
        place.git(&["config", "vermas.qa.test", "true"]);
        let handed = place.create("handed in");
        place.vermas(&["dispatch", &handed]).ok();
        until("the work was handed in", || place.show(&handed)["metadata"].get("submitted").is_some());
        until("the worker has ended", || {
            sh("git vermas worker list --json").out.contains("\"running\":false")
                || !sh("ps -eo args").out.contains(place.root().join("agent.sh").to_str().unwrap())
        });
        place.agent("true");
        let [open, other, held, closed, waiting] =
            ["open", "other", "held", "closed", "waiting"].map(|title| place.create(title));
        place.vermas(&["wo", "claim", &held]).ok();
        place.vermas(&["wo", "close", &closed]).ok();
        place.vermas(&["wo", "dep", "add", &waiting, &open]).ok();
        place.vermas(&["assignment", "set", "slot3", &waiting]).ok();
        let mail = place.vermas(&["send", "ceo", "-s", "hello", "-m", "there"]).ok();
        place.vermas(&["worktree", "create", "slot2"]).ok();
        place.vermas(&["sync"]).ok();
        let elsewhere = place.clone_of_remote("elsewhere");
        place.vermas_in(&elsewhere, &["wo", "create", "from elsewhere"]).ok();
        place.vermas_in(&elsewhere, &["sync"]).ok();
        place.create("not sent yet");
        sh("for i in $(seq 20); do echo '{\"title\":\"order '$i'\"}'; done >../batch.jsonl
            git init -q -b main ../plain && cd ../plain && git config user.name A && git config user.email a@b.c
            git commit -q --allow-empty -m first && cd .. && git clone -q remote.git clone
            for r in app remote.git plain clone elsewhere; do
                git -C $r repack -adq && rm -f $r/.git/hooks/*.sample $r/hooks/*.sample
            done
            mkdir saved && cp -a app remote.git plain clone elsewhere saved/");
        let names = vec![
            ("open", open),
            ("other", other),
            ("held", held),
            ("closed", closed),
            ("waiting", waiting),
            ("mail", mail),
        ];
        Self { place, names }
    }

    pub fn root(&self) -> &Path {
        self.place.root()
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Puts everything back as it was saved. The cache is what it would be: brought up to date.
    pub fn restore(&self) {
        let script = "cd .. && rm -rf app remote.git plain clone && cp -a saved/. . && cd app && git vermas wo list";
        assert_eq!(shell(&self.place, script).code, Some(0));
    }

    /// A case's words with the ids in their places.
    pub fn words(&self, case: Case) -> Vec<String> {
        self.filled(case.words)
    }

    fn filled(&self, words: &str) -> Vec<String> {
        let fill =
            |w: &str| self.names.iter().fold(w.to_owned(), |w, (name, id)| w.replace(&format!("{{{name}}}"), id));
        words.split(' ').map(fill).collect()
    }

    pub fn run(&self, dir: &str, args: &[String]) -> Said {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        self.place.vermas_in(&self.dir(dir), &words)
    }

    /// Runs a command in the same words as a case's.
    pub fn vermas(&self, dir: &str, words: &str) -> Said {
        self.run(dir, &self.filled(words))
    }

    pub fn sh(&self, dir: &str, script: &str) -> Said {
        let mut c = program(self.root(), &self.dir(dir), "sh");
        c.args(["-c", script]);
        run(c)
    }

    /// The lines of the log, without the torn one that may end it.
    pub fn log(&self, dir: &str) -> Vec<String> {
        let bytes = std::fs::read(self.dir(dir).join(".work/events.jsonl")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_inclusive('\n').filter_map(|l| l.strip_suffix('\n')).map(str::to_owned).collect()
    }
}

fn shell(place: &Place, script: &str) -> Said {
    let mut c: Command = program(place.root(), &place.app, "sh");
    c.args(["-ec", script]);
    run(c)
}
