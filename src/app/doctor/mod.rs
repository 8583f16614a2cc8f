//! Whether everything around the state is as it should be, and mending what can be mended without losing anything.
//!
//! Looking changes nothing. Every repair is a value that is shown before it is done, and none deletes anything.

mod environment;
mod settings;

use serde::Serialize;

use super::fault::Fault;
use super::fsck::{self, Severity};
use super::session::{Session, repository};
use super::setup;
use crate::domain::text::counted;
use crate::git::{Repo, RepoError, refs};
use crate::store::{COMMITS_BEFORE_PACKING, Places, missing_excludes, quarantined};
use crate::sys::{clock, fs};

/// How far clocks may differ before it is mentioned, in milliseconds.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    /// Good to know.
    Info,
    Warning,
    Error,
}

/// Something that `doctor --fix` can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// Complete what `init` makes.
    SetUp,
    /// Make everything derived anew and put waiting events on the branch.
    Rebuild,
}

impl Repair {
    /// What it does, before it is done.
    pub fn text(self) -> &'static str {
        match self {
            Self::SetUp => "put back what init makes: folders, info/exclude, the merge driver, the branch",
            Self::Rebuild => "make cache and lists anew from log and branch, and put waiting events on the branch",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub health: Health,
    pub what: String,
    /// What to do about it.
    pub mend: Option<String>,
    pub repair: Option<Repair>,
}

impl Check {
    fn new(name: &'static str, health: Health, what: impl Into<String>) -> Self {
        Self { name, health, what: what.into(), mend: None, repair: None }
    }

    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self::new(name, Health::Ok, what)
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn by(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }
}

/// Looks at everything.
pub fn examine(identity: Option<&str>) -> Result<Vec<Check>, Fault> {
    let repo = repository()?;
    let places = Places::of(&repo);
    let mut checks = environment::checks(&repo);
    checks.extend(settings::checks(&repo));
    let session = match Session::open(identity) {
        Ok(session) => session,
        Err(fault) => {
            let check = Check::new("state", Health::Error, fault.message.clone());
            checks.push(check.mend(fault.hint_text().unwrap_or_else(|| "git vermas init".to_owned())));
            return Ok(checks);
        }
    };
    checks.extend(around(&repo, &places)?);
    checks.push(match session.store.cache_fault() {
        None => Check::ok("cache", "sound"),
        Some(why) => Check::new("cache", Health::Warning, why).mend("git vermas rebuild").by(Repair::Rebuild),
    });
    checks.push(packs(&session)?);
    checks.extend(state(&session)?);
    Ok(checks)
}

/// Does the repairs of these checks, each once; `say` hears each before it is done.
pub fn mend(checks: &[Check], identity: Option<&str>, say: &dyn Fn(&str)) -> Result<Vec<String>, Fault> {
    let mut warnings = Vec::new();
    for repair in [Repair::SetUp, Repair::Rebuild] {
        if !checks.iter().any(|c| c.repair == Some(repair)) {
            continue;
        }
        say(repair.text());
        match repair {
            Repair::SetUp => {
                let report = setup::init(None, false, &|_| {})?;
                report.made.iter().for_each(|m| say(&format!("  {m}")));
                warnings.extend(report.warnings);
            }
            Repair::Rebuild => {
                let mut session = Session::open(identity)?;
                session.store.rebuild()?;
                warnings.append(&mut session.take_warnings());
            }
        }
    }
    Ok(warnings)
}

/// What stands around the state in this repository.
fn around(repo: &Repo, places: &Places) -> Result<Vec<Check>, Fault> {
    let mut checks = Vec::new();
    let missing = missing_excludes(repo, places)?;
    checks.push(if missing.is_empty() {
        Check::ok("info/exclude", "keeps .work and workers out of git status")
    } else {
        let what = format!("lacks {}", missing.join(", "));
        Check::new("info/exclude", Health::Warning, what).mend("git vermas doctor --fix").by(Repair::SetUp)
    });
    let probe = places.private.join(".doctor");
    let written = fs::replace_durably(&probe, b"can be written\n").and_then(|()| fs::remove_file(&probe));
    checks.push(match written {
        Ok(()) => Check::ok("disk", "can be written"),
        Err(e) => Check::new("disk", Health::Error, fs::plain(&e)).mend("make room, or make it writable"),
    });
    for name in [places.state_ref.as_str(), Places::BACKUP_REF, refs::PACKED] {
        let lock = repo.lock_path(name);
        if fs::exists(&lock) {
            let check = Check::new("locks", Health::Warning, format!("{} exists", lock.display()));
            checks.push(check.mend("if no git command runs here, it was left by one that was killed: move it away"));
        }
    }
    for name in [places.state_ref.as_str(), Places::BACKUP_REF] {
        if let Some(other) = repo.in_the_way(name) {
            let fault = Fault::from(RepoError::InTheWay { name: name.to_owned(), other });
            checks.push(Check::new("refs", Health::Error, &fault.message).mend(fault.hints.join("\n")));
        }
    }
    checks.extend(refs_that_cannot_serve(repo, places));
    let scratch = fs::list(&places.scratch())?;
    if !scratch.is_empty() {
        let what = format!("{} folders in {}", scratch.len(), places.scratch().display());
        checks.push(Check::new("scratch", Health::Info, what));
    }
    let aside = quarantined(places)?.len();
    if aside > 0 {
        let what = format!("{aside} lines that could not be read are kept in {}", places.quarantine().display());
        checks.push(Check::new("quarantine", Health::Warning, what).mend("see each with its reason: git vermas fsck"));
    }
    Ok(checks)
}

/// The branch and its copy, where they name another ref or nothing that can be read.
fn refs_that_cannot_serve(repo: &Repo, places: &Places) -> Vec<Check> {
    let copy = "the next command that changes something makes it anew".to_owned();
    let branch = format!("git symbolic-ref -d {} && git vermas rebuild", places.state_ref);
    let mut checks = Vec::new();
    for (name, of_link) in [(places.state_ref.as_str(), &branch), (Places::BACKUP_REF, &copy)] {
        if let Some(target) = repo.symbolic_target(name) {
            let what = format!("{name} is a symbolic ref to {target}, which is none of ours and not moved");
            checks.push(Check::new("refs", Health::Warning, what).mend(of_link));
        } else if let Err(e) = repo.ref_target(name) {
            let mend = if name == Places::BACKUP_REF { &copy } else { "git vermas rebuild" };
            checks.push(Check::new("refs", Health::Warning, Fault::from(e).message).mend(mend));
        }
    }
    checks
}

/// How much of the branch stands in small files of its own.
fn packs(session: &Session) -> Result<Check, Fault> {
    let (loose, off) = (session.store.unpacked()?, session.setting("vermas.pack").is_some_and(|s| s == "off"));
    let what = format!("{loose} commits of the state branch are in no pack of ours");
    Ok(if loose < 2 * COMMITS_BEFORE_PACKING {
        Check::ok("packing", what)
    } else if off {
        Check::new("packing", Health::Info, format!("{what}; vermas.pack is off")).mend("git vermas doctor --pack")
    } else {
        let mend = "git vermas doctor --pack; why it was not done by itself: .git/vermas/pack.log";
        Check::new("packing", Health::Warning, what).mend(mend)
    })
}

/// The state itself, as fsck sees it.
fn state(session: &Session) -> Result<Vec<Check>, Fault> {
    let report = fsck::run(session, None)?;
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let mut checks = Vec::new();
    let contents = format!(
        "{}, {}, {}",
        counted(report.events, "event"),
        counted(report.orders, "work order"),
        counted(report.messages, "message")
    );
    // What can be done about the others is said there; of a value that another program means something by, nothing.
    let unknown = report.findings.iter().filter(|f| f.severity == Severity::Info && f.mend.is_none()).count();
    checks.push(if errors + warnings == 0 && unknown > 0 {
        Check::ok("state", format!("{contents}; {} not known here, see git vermas fsck", counted(unknown, "value")))
    } else if errors + warnings == 0 {
        Check::ok("state", contents)
    } else {
        let health = if errors > 0 { Health::Error } else { Health::Warning };
        let what = format!("{contents}; {}, {}", counted(errors, "error"), counted(warnings, "warning"));
        Check::new("state", health, what).mend("see them: git vermas fsck").by(Repair::Rebuild)
    });
    if report.loose > 0 {
        let what = format!("{} events wait to be put on the branch", report.loose);
        checks.push(Check::new("publishing", Health::Warning, what).mend("git vermas rebuild").by(Repair::Rebuild));
    }
    let ahead = report.newest.map_or(0, |t| t.millis() - clock::now_millis());
    if ahead > SKEW_MS {
        let what = format!("the newest event is {} minutes ahead of this machine", ahead / 60_000);
        checks.push(Check::new("clock", Health::Warning, what).mend("set the clock, here or where it was written"));
    }
    Ok(checks)
}
