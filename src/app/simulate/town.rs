//! Machines that share one state: each a repository in a folder of its own, with its own clock and its own way to the
//! remotes; and how a command of ours runs on one of them.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::oracle::{Broken, Oracle};
use super::plan::{Line, REPLICAS, Run};
use super::remote::{self, Way};
use crate::app::fault::Fault;
use crate::app::session::{Remotes, Session};
use crate::git::Repo;
use crate::store::{Places, Store};
use crate::sys::simulated::{Course, Harm, Plan, Simulated};
use crate::sys::world::Act;
use crate::sys::{clock, fs};

/// The names of the remotes.
pub const HUBS: [&str; 2] = ["origin", "second"];
pub const STATE: &str = "refs/heads/vermas/state";
/// The time at which every run begins: 2026-06-01T00:00:00Z.
const BEGIN_MS: i64 = 1_780_272_000_000;

/// One machine.
#[derive(Debug, Clone)]
pub struct Machine {
    pub path: PathBuf,
    pub skew_ms: i64,
    pub boot: u64,
    pub line: Line,
}

/// What a run did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    pub steps: u64,
    pub commands: u64,
    pub refused: u64,
    pub crashes: u64,
    pub power_cuts: u64,
    pub errors: u64,
    pub syncs: u64,
    pub claims_won: u64,
    pub clones_copied: u64,
    pub plain_merges: u64,
}

impl Tally {
    pub fn add(&mut self, o: &Self) {
        self.steps += o.steps;
        self.commands += o.commands;
        self.refused += o.refused;
        self.crashes += o.crashes;
        self.power_cuts += o.power_cuts;
        self.errors += o.errors;
        self.syncs += o.syncs;
        self.claims_won += o.claims_won;
        self.clones_copied += o.clones_copied;
        self.plain_merges += o.plain_merges;
    }
}

/// All machines, the remotes between them, and what is known of both.
pub struct Town {
    pub top: PathBuf,
    pub sim: Rc<Simulated>,
    pub machines: Vec<Machine>,
    pub hubs: Vec<PathBuf>,
    pub now_ms: i64,
    pub orders: Vec<String>,
    pub mails: Vec<String>,
    /// Orders that are claimed through the remote and touched by nothing else.
    pub prizes: Vec<String>,
    pub oracle: Oracle,
    pub tally: Tally,
}

/// How a command ended that did not do what it was asked.
#[derive(Debug)]
pub enum End {
    Refused(Fault),
    Died,
}

impl Town {
    /// Makes the folder and the machines: the first begins, the second and third join it by the remote, the others begin
    /// alone.
    pub fn found(top: &Path, sim: &Rc<Simulated>, run: &Run) -> Result<Self, Broken> {
        let hubs = if run.two_remotes { 2 } else { 1 };
        let mut town = Self {
            top: top.to_owned(),
            sim: sim.clone(),
            machines: Vec::new(),
            hubs: HUBS[..hubs].iter().map(|h| top.join(h)).collect(),
            now_ms: BEGIN_MS,
            orders: Vec::new(),
            mails: Vec::new(),
            prizes: Vec::new(),
            oracle: Oracle::default(),
            tally: Tally::default(),
        };
        for hub in town.hubs.clone() {
            repository(&hub, "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")?;
        }
        for i in 0..REPLICAS {
            let path = top.join(format!("m{i}"));
            repository(&path.join(".git"), &settings(&town.hubs))?;
            town.machines.push(Machine { path, skew_ms: run.skew[i], boot: 1, line: Line::Fine });
            let take = (i == 1 || i == 2).then(|| remote::open(&town.hubs[0])).transpose()?;
            let take = take.map(|hub| hub.ref_target(STATE)).transpose()?.flatten();
            town.be_on(i);
            let repo = town.repo(i)?;
            if let Some(tip) = take {
                repo.copy_from(&remote::open(&town.hubs[0])?, tip)?;
            }
            crate::store::init(repo, take).map_err(|e| Broken::new("setting up", e.to_string()))?;
            if i == 0 {
                town.prepare()?;
            }
        }
        Ok(town)
    }

    /// The first machine makes what all know.
    fn prepare(&mut self) -> Result<(), Broken> {
        for (list, title) in [(0, "A prize"), (0, "Another prize"), (1, "Common work"), (1, "More of it")] {
            let id = self.healthy(0, |s| super::act::create_titled(s, title))?;
            if list == 0 { self.prizes.push(id) } else { self.orders.push(id) }
        }
        self.healthy(0, |s| crate::app::sync::sync(s, HUBS[0], false, &|_| {}).map(|_| ()))
    }

    pub fn agent(on: usize) -> String {
        format!("app/workers/slot{on}")
    }

    pub fn repo(&self, on: usize) -> Result<Repo, Broken> {
        let path = &self.machines[on].path;
        Ok(Repo::open_alone(&path.join(".git"), Some(path.clone()))?)
    }

    pub fn places(&self, on: usize) -> Result<Places, Broken> {
        Ok(Places::of(&self.repo(on)?))
    }

    /// The wall clock of a machine, as it is now.
    pub fn be_on(&self, on: usize) -> i64 {
        let m = &self.machines[on];
        self.sim.be_on(self.now_ms + m.skew_ms, m.boot);
        self.now_ms + m.skew_ms
    }

    fn open(&self, on: usize) -> Result<Session, Fault> {
        let path = self.machines[on].path.clone();
        let store = Store::open(Repo::open_alone(&path.join(".git"), Some(path.clone()))?)?;
        let (line, hubs, machines) = (self.machines[on].line, self.hubs.clone(), self.machines.clone());
        let remotes: Remotes = Rc::new(move |name| {
            let hub = HUBS.iter().position(|h| *h == name).and_then(|i| hubs.get(i)).unwrap_or(&hubs[0]);
            let others: Vec<&Machine> = machines.iter().filter(|m| m.path != path).collect();
            let rival =
                others.get(usize::try_from(crate::sys::random::bits() % 4).unwrap_or(0)).map(|m| m.path.clone());
            match (Repo::open_alone(&path.join(".git"), None), remote::open(hub)) {
                (Ok(here), Ok(there)) => Rc::new(Way { here, there, name: name.to_owned(), line, rival }),
                _ => Rc::new(remote::Nowhere),
            }
        });
        Ok(Session::with_store(store, Some(&Self::agent(on)))?.with_remotes(remotes))
    }

    /// Runs one command of ours on a machine, as a process of its own, with the harm that is planned for it.
    pub fn command<T>(
        &mut self,
        on: usize,
        harm: Option<Plan>,
        do_it: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<Result<T, End>, Broken> {
        self.be_on(on);
        self.sim.begin(harm);
        let before = clock::now_millis();
        let mut said = Vec::new();
        let result = self.open(on).and_then(|mut session| {
            let result = do_it(&mut session);
            said = session.take_warnings();
            result
        });
        let course = self.sim.end();
        self.now_ms += clock::now_millis() - before;
        self.tally.commands += 1;
        if course.died {
            self.after_death(on, &course, harm)?;
            return Ok(Err(End::Died));
        }
        if course.struck.is_some() {
            self.tally.errors += 1;
        }
        match result {
            Ok(value) => {
                self.oracle.acknowledge(on, &self.places(on)?)?;
                if course.struck.is_none()
                    && let Some(w) = said.iter().find(|w| w.starts_with("recorded, but not yet on"))
                {
                    return Err(Broken::new("a healthy command works", w.clone()));
                }
                Ok(Ok(value))
            }
            Err(fault) => {
                self.tally.refused += 1;
                if course.struck.is_none() && is_breakdown(&fault, self.machines[on].line) {
                    return Err(Broken::new("a healthy command works", fault.message));
                }
                Ok(Err(End::Refused(fault)))
            }
        }
    }

    /// A command that nothing stands in the way of, and that must do what it is asked.
    pub fn healthy<T>(&mut self, on: usize, do_it: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Result<T, Broken> {
        match self.command(on, None, do_it)? {
            Ok(value) => Ok(value),
            Err(End::Refused(f)) => Err(Broken::new("the next command works unaided", f.message)),
            Err(End::Died) => Err(Broken::new("the next command works unaided", "it died")),
        }
    }

    /// What a dead process leaves: locks of git, and after a power cut less than it wrote.
    fn after_death(&mut self, on: usize, course: &Course, harm: Option<Plan>) -> Result<(), Broken> {
        let places = self.places(on)?;
        if let Some((Act::Sync, lock)) = &course.struck
            && lock.extension().is_some_and(|e| e == "lock")
            && lock.starts_with(places.private.parent().unwrap_or(&places.private))
        {
            let noted = fs::read_if_there(&places.intent())?.unwrap_or_default();
            let noted = String::from_utf8_lossy(&noted).into_owned();
            if let Some(new) = noted.split_whitespace().nth(3) {
                let repo = self.repo(on)?;
                for name in [STATE, Places::BACKUP_REF] {
                    fs::create_dir_all(repo.lock_path(name).parent().unwrap_or(&places.private))?;
                    fs::replace(&repo.lock_path(name), new.as_bytes())?;
                }
            }
        }
        if harm.is_some_and(|h| h.harm == Harm::PowerCut) {
            self.tally.power_cuts += 1;
            self.machines[on].boot += 1;
            self.oracle.forget_pending(on);
            super::oracle::cut_log(&places, course)?;
        } else {
            self.tally.crashes += 1;
        }
        Ok(())
    }
}

/// Whether an error is of the sort that a command may not end with where nothing is wrong.
fn is_breakdown(fault: &Fault, line: Line) -> bool {
    const SIGNS: &[&str] = &[
        "cannot use",
        "cannot read",
        "cannot write",
        "cannot make",
        "cannot open",
        "cannot append",
        "cannot look",
        "outcome unknown",
        "another command",
        "was moved by others",
        "not set up",
        "this process is dead",
        "is locked",
    ];
    let unreachable =
        line != Line::Fine && ["cannot be reached", "cannot be asked"].iter().any(|said| fault.message.contains(said));
    !unreachable && SIGNS.iter().any(|s| fault.message.contains(s))
}

/// The least that makes a folder a repository.
fn repository(git_dir: &Path, config: &str) -> Result<(), Broken> {
    for folder in ["objects", "refs/heads", "info"] {
        fs::create_dir_all(&git_dir.join(folder))?;
    }
    fs::replace(&git_dir.join("HEAD"), b"ref: refs/heads/main\n")?;
    fs::replace(&git_dir.join("config"), config.as_bytes())?;
    Ok(())
}

fn settings(hubs: &[PathBuf]) -> String {
    let mut text = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[vermas]\n\tfactory = app\n".to_owned();
    for (name, path) in HUBS.iter().zip(hubs) {
        text.push_str(&format!("[remote \"{name}\"]\n\turl = {}\n", path.display()));
    }
    text
}
