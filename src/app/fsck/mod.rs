//! Whether the state keeps its promises: on the branch, on the disk, and in what the events say.
//!
//! Looks and changes nothing: it reads log, branch and files themselves and asks no cache, so that what is found is there.

mod branch;
mod disk;
mod state;

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use serde::Serialize;

use super::events::Wanted;
use super::fault::Fault;
use super::session::Session;
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::git::Oid;
use crate::store::Point;
use crate::sys::clock;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A promise is broken.
    Error,
    /// Somebody should look at it.
    Warning,
    /// Good to know.
    Info,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// A file with its line, an id, or another place.
    #[serde(rename = "where")]
    pub place: String,
    pub what: String,
    /// The command that mends it, or what to do.
    pub mend: Option<String>,
}

/// What was looked at, and what was found: the worst first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub commit: Option<String>,
    pub events: usize,
    pub orders: usize,
    pub messages: usize,
    /// Events of the log that the branch has not got yet.
    pub loose: usize,
    pub newest: Option<Timestamp>,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    fn add(&mut self, severity: Severity, place: impl Into<String>, what: impl Into<String>, mend: Option<&str>) {
        let mend = mend.map(str::to_owned);
        self.findings.push(Finding { severity, place: place.into(), what: what.into(), mend });
    }
}

/// Checks the state that a session has gone back to: what the events of then say, and the branch where that past is a
/// commit of it.
pub fn of_the_past(session: &mut Session) -> Result<Report, Fault> {
    let mut report = Report::default();
    if let Some(Point::Commit(commit)) = session.store.point().cloned() {
        report.commit = Some(commit.to_string());
        branch::check(session.store.repo(), commit, &mut report);
    }
    let mut events = Vec::new();
    crate::app::events::each(session, &Wanted::default(), None, |e| events.push(e))?;
    state::check(&events, clock::now_millis(), &mut report);
    Ok(sorted(report))
}

/// Checks the present state, or the branch at a revision.
pub fn run(session: &Session, revision: Option<&str>) -> Result<Report, Fault> {
    let repo = session.store.repo();
    let mut report = Report::default();
    let commit: Option<Oid> = match revision {
        Some(name) => Some(repo.commit_named(name).ok_or_else(|| {
            Fault::not_found(format!("{} names no commit", crate::domain::text::quoted(name)))
                .hint("see the state's commits: git vermas log --oneline")
        })?),
        None => session.store.tip().unwrap_or_else(|e| {
            let mend = Some("any command puts the newest readable state back: git vermas rebuild");
            report.add(Severity::Error, session.store.places().branch(), e.to_string(), mend);
            None
        }),
    };
    if let (Some(name), Some(commit)) = (revision, commit)
        && matches!(session.store.is_of_the_state(commit), Ok(false))
    {
        let what = format!("{} is no commit of the state branch", crate::domain::text::quoted(name));
        return Err(Fault::not_found(what).hint("see the state's commits: git vermas log --oneline"));
    }
    report.commit = commit.map(|c| c.to_string());
    let branch = match commit {
        Some(commit) => branch::check(repo, commit, &mut report),
        None => Vec::new(),
    };
    let events = if revision.is_some() {
        branch
    } else {
        if commit.is_none() {
            let mend = Some("any command makes it from the log: git vermas rebuild");
            report.add(Severity::Warning, session.store.places().branch(), "there is no such branch", mend);
        }
        disk::check(session, branch, &mut report)?
    };
    state::check(&events, clock::now_millis(), &mut report);
    Ok(sorted(report))
}

/// Tells lines apart without keeping them: by checksums that nobody can foresee.
#[derive(Default)]
struct Sums(RandomState);

impl Sums {
    fn of(&self, e: &Event) -> u64 {
        self.0.hash_one(&e.raw)
    }

    fn of_all(&self, events: &[Event]) -> HashSet<u64> {
        events.iter().map(|e| self.of(e)).collect()
    }
}

fn sorted(mut report: Report) -> Report {
    report.findings.sort();
    report.findings.dedup();
    report
}
