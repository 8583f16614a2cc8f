//! What must hold, and what is known of it: every line that was acknowledged, every mark that a use case left, who won
//! which prize; and the look at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::town::{STATE, Town};
use crate::app::fault::Fault;
use crate::app::fsck::{self, Severity};
use crate::domain::event::Event;
use crate::git::{GitError, Oid, RepoError};
use crate::store::{Places, StoreError, segments_of};
use crate::sys::fs;
use crate::sys::simulated::Course;
use crate::wire::{line, projection};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub promise: &'static str,
    pub what: String,
}

impl Broken {
    pub fn new(promise: &'static str, what: impl Into<String>) -> Self {
        Self { promise, what: what.into() }
    }
}

/// What the simulation itself needs of the machine, and did not get.
const OWN: &str = "the simulation can work";

impl From<std::io::Error> for Broken {
    fn from(e: std::io::Error) -> Self {
        Self::new(OWN, e.to_string())
    }
}
impl From<RepoError> for Broken {
    fn from(e: RepoError) -> Self {
        Self::new(OWN, e.to_string())
    }
}
impl From<StoreError> for Broken {
    fn from(e: StoreError) -> Self {
        Self::new(OWN, e.to_string())
    }
}
impl From<GitError> for Broken {
    fn from(e: GitError) -> Self {
        Self::new(OWN, e.to_string())
    }
}
impl From<Fault> for Broken {
    fn from(e: Fault) -> Self {
        Self::new(OWN, e.message)
    }
}

/// What is known.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Lines of events that stood in the log when a command ended well.
    lines: BTreeSet<Vec<u8>>,
    /// Words that must be found in some event at the end.
    marks: BTreeSet<String>,
    /// Words that a foreign program wrote and no command of ours has taken in yet, by machine.
    pending: BTreeMap<usize, Vec<String>>,
    /// How much of each machine's log was looked at: inode and offset.
    looked: BTreeMap<usize, (u64, usize)>,
    winners: BTreeMap<String, String>,
    /// Whether the remote was set back, so that a prize may be given twice.
    pub arbiter_betrayed: bool,
}

impl Oracle {
    /// A command on this machine has ended well: what stands in its log is acknowledged.
    pub fn acknowledge(&mut self, on: usize, places: &Places) -> Result<(), Broken> {
        let inode = fs::Stamp::of(&places.log()).map(|s| s.inode).unwrap_or_default();
        let bytes = fs::read_if_there(&places.log())?.unwrap_or_default();
        let (known, from) = self.looked.get(&on).copied().unwrap_or_default();
        let from = if known == inode && from <= bytes.len() { from } else { 0 };
        let mut end = from;
        for (at, raw) in line::complete(&bytes[from..]) {
            if let Ok(e) = line::event(raw) {
                self.lines.insert(e.raw);
            }
            end = from + at + raw.len() + 1;
        }
        self.looked.insert(on, (inode, end));
        self.marks.extend(self.pending.remove(&on).unwrap_or_default());
        Ok(())
    }

    pub fn mark(&mut self, word: String) {
        self.marks.insert(word);
    }

    pub fn mark_pending(&mut self, on: usize, word: String) {
        self.pending.entry(on).or_default().push(word);
    }

    /// A foreign writer wrote over what another had written, before any command of ours saw it: nobody promises to know that.
    pub fn forget_replaced(&mut self, on: usize, text: &str) {
        if let Some(words) = self.pending.get_mut(&on) {
            words.retain(|w| !text.contains(w.as_str()));
        }
    }

    pub fn forget_pending(&mut self, on: usize) {
        self.pending.remove(&on);
        self.looked.remove(&on);
    }

    /// An exclusive claim was granted.
    pub fn won(&mut self, prize: &str, agent: &str) -> Result<(), Broken> {
        match self.winners.insert(prize.to_owned(), agent.to_owned()) {
            Some(other) if other != agent && !self.arbiter_betrayed => {
                Err(Broken::new("a prize has one winner", format!("{prize} was given to {other} and to {agent}")))
            }
            _ => Ok(()),
        }
    }
}

/// What a power cut leaves of the log: what was synced, and any part of the rest.
pub fn cut_log(places: &Places, course: &Course) -> Result<(), Broken> {
    let Some(stamp) = fs::Stamp::of(&places.log()) else { return Ok(()) };
    let Some(synced) = course.synced.get(&stamp.inode) else { return Ok(()) };
    let left = synced + crate::sys::random::bits() % (stamp.size.saturating_sub(*synced) + 1);
    Ok(crate::sys::simulated::cut(&places.log(), left)?)
}

/// What one machine shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    files: BTreeMap<String, Vec<u8>>,
}

/// Looks at all machines after they have met.
pub fn judge(town: &mut Town) -> Result<(), Broken> {
    let count = town.machines.len();
    let mut first: Option<(Oid, Shown)> = None;
    for on in 0..count {
        let repo = town.repo(on)?;
        let tip = repo.ref_target(STATE)?.ok_or_else(|| Broken::new("machines agree", "a branch is gone"))?;
        let tree = repo.commit(tip)?.tree;
        let shown = shown(town, on)?;
        match &first {
            None => first = Some((tree, shown)),
            Some((t, s)) => {
                if let Some((name, _)) = s.files.iter().find(|(n, b)| shown.files.get(*n) != Some(b)) {
                    return Err(Broken::new("machines agree", format!("{name} differs on machine {on}")));
                }
                if *s != shown {
                    return Err(Broken::new("machines agree", format!("machine {on} has more files than the first")));
                }
                if *t != tree {
                    return Err(Broken::new("machines agree", format!("the tree of machine {on} differs")));
                }
            }
        }
        judge_events(town, on, tree)?;
        judge_fsck(town, on)?;
    }
    judge_rebuilt(town)?;
    let winners = if town.oracle.arbiter_betrayed { BTreeMap::new() } else { town.oracle.winners.clone() };
    for (prize, agent) in winners {
        let holder = town.healthy(0, |s| {
            let id = s.order_id(&prize)?;
            Ok(s.view()?.order(&id)?.and_then(|o| o.assignee().map(str::to_owned)))
        })?;
        if holder.as_deref() != Some(agent.as_str()) {
            let what = format!("{prize} was given to {agent} and is held by {holder:?}");
            return Err(Broken::new("a prize stays with its winner", what));
        }
    }
    Ok(())
}

/// The projections on a machine's disk; they must be what all events of its log add up to, folded at once from nothing.
fn shown(town: &Town, on: usize) -> Result<Shown, Broken> {
    let places = town.places(on)?;
    let folded = projection::of(&events_of_log(&places)?);
    let mut files = BTreeMap::new();
    for (path, wanted) in [(places.orders(), folded.orders_bytes()), (places.messages(), folded.messages_bytes())] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read_if_there(&path)?.unwrap_or_default();
        if bytes != wanted {
            let what =
                format!("{name} on machine {on} is not what the events add up to: {}", difference(&bytes, &wanted));
            return Err(Broken::new("the state is a function of the events", what));
        }
        files.insert(name, bytes);
    }
    let wanted = folded.assignment_files();
    let there = fs::list(&places.work)?.into_iter().filter(|n| n.starts_with(".assignment-"));
    for name in there.chain(wanted.keys().cloned()).collect::<BTreeSet<_>>() {
        let bytes = fs::read_if_there(&places.work.join(&name))?.unwrap_or_default();
        let says = String::from_utf8_lossy(&bytes).trim().to_owned();
        if says != wanted.get(&name).map(|t| t.trim()).unwrap_or_default() {
            let what = format!("{name} on machine {on} says {says:?}, the events {:?}", wanted.get(&name));
            return Err(Broken::new("the state is a function of the events", what));
        }
        if !says.is_empty() {
            files.insert(name, says.into_bytes());
        }
    }
    Ok(Shown { files })
}

fn difference(a: &[u8], b: &[u8]) -> String {
    let lines = |x: &[u8]| String::from_utf8_lossy(x).lines().map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (lines(a), lines(b));
    match a.iter().zip(&b).find(|(x, y)| x != y) {
        Some((x, y)) => format!("{x} instead of {y}"),
        None => format!("{} lines instead of {}", a.len(), b.len()),
    }
}

fn events_of_log(places: &Places) -> Result<Vec<Event>, Broken> {
    let bytes = fs::read_if_there(&places.log())?.unwrap_or_default();
    Ok(line::complete(&bytes).flat_map(|(_, raw)| line::events_in(raw)).collect())
}

/// Everything acknowledged is in the log and on the branch, and there once.
fn judge_events(town: &Town, on: usize, tree: Oid) -> Result<(), Broken> {
    let lost = |what: String| Err(Broken::new("nothing acknowledged is lost", what));
    let repo = town.repo(on)?;
    let in_log: BTreeSet<Vec<u8>> = events_of_log(&town.places(on)?)?.into_iter().map(|e| e.raw).collect();
    let mut on_branch: BTreeSet<Vec<u8>> = BTreeSet::new();
    for segment in segments_of(&repo, tree)?.values() {
        on_branch.extend(repo.blob(segment.oid)?.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
    }
    for acknowledged in &town.oracle.lines {
        let text = String::from_utf8_lossy(acknowledged);
        if !in_log.contains(acknowledged) {
            return lost(format!("the log of machine {on} lacks {text}"));
        }
        if !on_branch.contains(acknowledged) {
            return lost(format!("the branch of machine {on} lacks {text}"));
        }
    }
    let all: String = in_log.iter().map(|l| String::from_utf8_lossy(l).into_owned() + "\n").collect();
    match town.oracle.marks.iter().find(|m| !all.contains(*m)) {
        Some(mark) => lost(format!("machine {on} knows nothing of {mark}")),
        None => Ok(()),
    }
}

fn judge_fsck(town: &mut Town, on: usize) -> Result<(), Broken> {
    let report = town.healthy(on, |s| fsck::run(s, None))?;
    // What the run itself put there: other programs' junk, clocks far ahead, the same line twice.
    const ALLOWED: &[&str] =
        &["set aside", "ahead", "the same event as", "different lines carry", "circle", "depend", "claimed it too"];
    let bad = |f: &&fsck::Finding| match f.severity {
        Severity::Error => true,
        Severity::Warning => {
            let from_disk = f.place.starts_with(".work/events.jsonl:");
            !from_disk && !ALLOWED.iter().any(|a| f.what.contains(a))
        }
        Severity::Info => false,
    };
    match report.findings.iter().find(bad) {
        Some(f) => Err(Broken::new("fsck is clean", format!("machine {on}, {}: {}", f.place, f.what))),
        None => Ok(()),
    }
}

/// A cache that is made anew shows the same.
fn judge_rebuilt(town: &mut Town) -> Result<(), Broken> {
    let before = shown(town, 0)?;
    town.healthy(0, |s| Ok(s.store.rebuild().map(|_| ())?))?;
    if shown(town, 0)? == before {
        Ok(())
    } else {
        Err(Broken::new("the state is a function of the events", "a rebuilt machine shows something else"))
    }
}
