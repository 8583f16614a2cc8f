//! Sharing the state with a remote: fetch, join, push, and again when somebody was faster.

use std::time::Duration;

use serde::Serialize;

use super::fault::Fault;
use super::session::Session;
use crate::git::push::{self, Asking, Fetched, Pushed, RemoteRef};
use crate::git::{Oid, objects};
use crate::sys::{clock, random, running};

/// How often a push is tried when others are faster.
const MOST_ROUNDS: u32 = 24;
/// Stamps this far ahead of our clock are mentioned, in milliseconds.
const SKEW_WORTH_A_WORD_MS: i64 = 5 * 60 * 1000;

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub remote: String,
    pub branch: String,
    /// The tip that both sides have now.
    pub tip: Option<String>,
    /// Events that came from other machines.
    pub received: usize,
    /// Commits that the remote had not seen.
    pub sent: usize,
    /// How often somebody else was faster.
    pub races: u32,
    /// Files of which both texts were kept: (path, the other text's path).
    pub kept_both: Vec<(String, String)>,
    /// Whether nothing was changed because this was only asked.
    pub dry_run: bool,
}

/// How the branch stands against the remote as it was last seen; nothing is asked of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub remote: String,
    pub branch: String,
    pub tip: Option<String>,
    pub remote_tip: Option<String>,
    /// Commits here that the remote was not seen to have.
    pub ahead: usize,
    /// Commits of the remote that are not joined yet.
    pub behind: usize,
}

/// The remote the state travels by.
pub fn remote_name(session: &Session) -> String {
    session.setting("vermas.remote").unwrap_or_else(|| "origin".to_owned())
}

/// Makes sure that the remote is a configured one.
pub fn check_remote(session: &Session, remote: &str) -> Result<(), Fault> {
    crate::git::name::check_remote(remote).map_err(|_| Fault::usage(format!("'{remote}' is no name of a remote")))?;
    if session.setting(&format!("remote.{remote}.url")).is_none() {
        return Err(Fault::not_found(format!("there is no remote '{remote}'"))
            .hint("add one with git remote add, or name another with --remote"));
    }
    Ok(())
}

/// Whether git may ask for a password: where nobody could answer, it would be waited for without end.
pub fn asking() -> Asking {
    if running::has_terminal() { Asking::Allowed } else { Asking::Never }
}

/// How the branch stands against what was last seen of the remote.
pub fn standing(session: &mut Session, remote: &str) -> Result<Standing, Fault> {
    let tip = session.store.tip()?;
    let places = session.store.places().clone();
    let seen = session.store.repo().ref_target(&push::tracking_ref(remote, &places.state_ref))?;
    let count = |a: Option<Oid>, b: Option<Oid>| -> Result<usize, Fault> {
        match (a, b) {
            (Some(a), b) => commits_without(session, a, b),
            (None, _) => Ok(0),
        }
    };
    Ok(Standing {
        remote: remote.to_owned(),
        branch: places.branch().to_owned(),
        ahead: count(tip, seen)?,
        behind: count(seen, tip)?,
        tip: tip.map(|t| t.to_string()),
        remote_tip: seen.map(|t| t.to_string()),
    })
}

fn commits_without(session: &Session, tip: Oid, without: Option<Oid>) -> Result<usize, Fault> {
    Ok(session.store.repo().count_commits(tip, without)?)
}

/// Shares the state with `remote` until both have the same. `say` hears what is being done.
///
/// After a crash, or with the line cut, nothing is lost: what is here is here, and the next sync goes on.
pub fn sync(session: &mut Session, remote: &str, dry_run: bool, say: &dyn Fn(&str)) -> Result<Report, Fault> {
    check_remote(session, remote)?;
    let there = session.remote(remote, asking());
    let places = session.store.places().clone();
    let mut report =
        Report { remote: remote.to_owned(), branch: places.branch().to_owned(), dry_run, ..Report::default() };
    if !dry_run {
        session.store.checkpoint()?;
    }
    let mut is_rebuilt = false;
    for round in 0..MOST_ROUNDS {
        say(&format!("fetching from {remote}"));
        let theirs = match push::fetch_from(&*there, &places.state_ref)? {
            Fetched::At(oid) => objects::parse_oid(&oid),
            Fetched::NoSuchRef => None,
            Fetched::Refused(text) => {
                let fault = Fault::failed(format!("what {remote} has cannot be taken: {text}"));
                return Err(advise(fault, &text, ELSEWHERE, (remote, places.branch())));
            }
            Fetched::Unreachable(text) => return Err(offline(remote, &text)),
        };
        session.store.refresh_objects();
        if dry_run {
            return standing_as_report(session, theirs, report);
        }
        if let Some(theirs) = theirs {
            say("joining both states");
            let merged = session.store.merge(theirs)?;
            report.received += merged.arrived;
            report.kept_both.extend(merged.kept_both);
            if merged.arrived > 0 {
                super::contested::tell(session)?;
            }
        }
        let tip = match session.store.tip()? {
            Some(t) => t,
            None => session.store.checkpoint()?.ok_or_else(|| Fault::failed("there is no state to share"))?,
        };
        report.tip = Some(tip.to_string());
        if theirs == Some(tip) {
            warn_of_skew(session);
            return Ok(report);
        }
        report.sent = match commits_without(session, tip, theirs) {
            // Somebody took objects out of our history: what they held is in the log.
            Err(_) if !std::mem::replace(&mut is_rebuilt, true) => {
                say("mending the state branch");
                session.store.rebuild()?;
                continue;
            }
            counted => counted?,
        };
        say(&format!("pushing to {remote}"));
        let expected = theirs.map(|t| t.to_string());
        match push::push_to(&*there, &tip.to_string(), &places.state_ref, expected.as_deref())? {
            Pushed::Done => {
                warn_of_skew(session);
                return Ok(report);
            }
            Pushed::Stale { .. } => {
                report.races += 1;
                let base = 5_u64 << round.min(6);
                clock::sleep(Duration::from_millis(base + random::bits() % (base * 4)));
            }
            Pushed::Refused(text) => {
                let fault = Fault::failed(format!("{remote} refused the state: {text}"))
                    .hint("nothing is lost: it is all here, and goes with the next sync that is let in");
                return Err(advise(fault, &text, "all of them are here", (remote, places.branch())));
            }
            Pushed::Unreachable(text) => return Err(offline(remote, &text)),
        }
    }
    Err(Fault::failed(format!("somebody was faster {MOST_ROUNDS} times in a row"))
        .hint("nothing is lost; try again: git vermas sync"))
}

/// Where what a remote has lost is not here.
pub(super) const ELSEWHERE: &str = "in a clone that has all of them";

/// Adds how a remote gets the branch anew where it says that it lacks objects of what its own ref names: it was collected
/// beside a push, or its disk was spoiled. Only this advice hangs on these words.
pub(super) fn advise(fault: Fault, text: &str, whence: &str, (remote, branch): (&str, &str)) -> Fault {
    match ["missing necessary objects", "not our ref", "bad object"].iter().any(|sign| text.contains(sign)) {
        true => fault.hint(format!(
            "where {remote} has lost objects, it gets the branch anew ({whence}): \
             git push --no-verify {remote} --delete {branch} && git vermas sync --remote {remote}"
        )),
        false => fault,
    }
}

fn offline(remote: &str, text: &str) -> Fault {
    Fault::failed(format!("{remote} cannot be reached: {text}"))
        .hint("nothing is lost: everything is recorded here, and goes with the next sync")
}

fn standing_as_report(session: &Session, theirs: Option<Oid>, mut report: Report) -> Result<Report, Fault> {
    let tip = session.store.tip()?;
    report.tip = tip.map(|t| t.to_string());
    report.sent = tip.map(|t| commits_without(session, t, theirs)).transpose()?.unwrap_or_default();
    report.received = theirs.map(|t| commits_without(session, t, tip)).transpose()?.unwrap_or_default();
    Ok(report)
}

/// A machine whose clock runs ahead is worth a word.
fn warn_of_skew(session: &mut Session) {
    let now = clock::now_millis();
    // Both sides have the same by now: what cannot be read any more is no failure to share.
    let newest = session.view().and_then(|view| Ok(view.newest_event()?));
    match newest {
        Ok(Some((at, actor))) if at - now > SKEW_WORTH_A_WORD_MS => session.warn(format!(
            "an event by {actor} is stamped {} minutes ahead of this machine's clock",
            (at - now) / 60_000
        )),
        Ok(_) => {}
        Err(e) => session.warn(format!("the clocks could not be compared: {}", e.message)),
    }
}

/// What the remote has now.
pub fn ask(session: &Session, remote: &str) -> Result<RemoteRef, Fault> {
    Ok(session.remote(remote, Asking::Never).ask(&session.store.places().state_ref)?)
}
