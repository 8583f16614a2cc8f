//! What happens in a run: a list of steps, drawn from the seed alone.
//!
//! Every step carries the chance that it needs, so that it does the same when others around it are left out.

use serde::Serialize;

use crate::sys::random::spread;
use crate::sys::simulated::{Harm, Plan};

/// How many machines there are at the beginning; a copied clone makes one more.
pub const REPLICAS: usize = 5;
/// The longest run.
const MOST_STEPS: u64 = 70;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const YEAR_MS: i64 = 365 * DAY_MS;

/// Numbers that look random and follow from the seed.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(spread(seed))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        spread(self.0)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }

    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Create,
    Batch,
    Update,
    Comment,
    Close,
    Reopen,
    Claim,
    ClaimExclusive,
    Release,
    Depend,
    Undepend,
    Assign,
    Unassign,
    Mail,
    ReadMail,
    ArchiveMail,
    EditTemplate,
    Look,
    Sync,
    Checkpoint,
    Rebuild,
    /// The machine's clock is set, by this many milliseconds.
    SetClock(i64),
    /// Time passes for everybody.
    Wait(i64),
    /// The machine's way to the remotes, from now on.
    Line(Line),
    ForeignOrder,
    ForeignMessage,
    ForeignEvent,
    ForeignEdit,
    ForeignAssignment,
    TornLine,
    /// A line of the log stands there once more.
    SameLineTwice,
    /// Lines of another machine's log arrive as a file would.
    LinesOfAnother,
    RemoteRewound,
    RemoteReplaced,
    RemoteDeleted,
    BranchDeleted,
    BranchRewound,
    CacheLost,
    WorkLost,
    /// The whole clone is copied, and both go on.
    CopyClone,
    /// Another machine's branch is joined by git itself.
    PlainMerge,
}

/// How a machine reaches the remotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Fine,
    Cut,
    /// What is sent arrives, and no answer comes back.
    NoAnswer,
    /// Between fetch and push another machine pushes.
    Rivals,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The machine.
    pub on: usize,
    pub what: What,
    pub chance: u64,
    pub harm: Option<Plan>,
}

/// A whole run.
#[derive(Debug, Clone)]
pub struct Run {
    pub seed: u64,
    /// How far each machine's clock is from the true time, in milliseconds.
    pub skew: Vec<i64>,
    /// Whether a second remote joins some of the machines.
    pub two_remotes: bool,
    pub steps: Vec<Step>,
}

/// Draws a run.
pub fn draw(seed: u64) -> Run {
    let mut n = Numbers::new(seed);
    let skew = (0..=REPLICAS)
        .map(|_| match n.below(6) {
            0 => YEAR_MS,
            1 => -YEAR_MS,
            2 => i64::try_from(n.below(20 * 60_000)).unwrap_or(0) - 10 * 60_000,
            3 => 30 * 60 * 60 * 1000,
            _ => 0,
        })
        .collect();
    // Some runs are free of one sort of trouble, so that what the others bring is not drowned in it.
    let (calm, trusty) = (n.one_in(4), n.one_in(3));
    let count = 15 + n.below(MOST_STEPS - 15);
    let mut steps: Vec<Step> = (0..count).map(|_| step(&mut n, calm, trusty)).collect();
    if n.one_in(3) {
        // Early, so that both go on for long.
        steps[n.index(8)].what = What::CopyClone;
    }
    Run { seed, skew, two_remotes: n.one_in(3), steps }
}

fn step(n: &mut Numbers, calm: bool, trusty: bool) -> Step {
    let what = loop {
        let what = draw_what(n);
        if !(trusty && is_betrayal(what)) {
            break what;
        }
    };
    let harm = (!calm && n.one_in(4)).then(|| {
        let most = if matches!(what, What::Sync | What::ClaimExclusive) { 150 } else { 45 };
        let harm = n.pick(&[
            Harm::Crash,
            Harm::Crash,
            Harm::Crash,
            Harm::PowerCut,
            Harm::NoSpace,
            Harm::DiskStaysFull,
            Harm::Broken,
            Harm::TooManyFiles,
            Harm::ReadOnly,
        ]);
        Plan { at: 1 + n.below(most), harm }
    });
    Step { on: n.index(REPLICAS + 1), what, chance: n.bits(), harm }
}

/// What somebody does to the record itself, past all tools.
fn is_betrayal(what: What) -> bool {
    use What::{BranchDeleted, BranchRewound, CopyClone, RemoteDeleted, RemoteReplaced, RemoteRewound, WorkLost};
    matches!(
        what,
        RemoteRewound | RemoteReplaced | RemoteDeleted | BranchDeleted | BranchRewound | WorkLost | CopyClone
    )
}

fn draw_what(n: &mut Numbers) -> What {
    const USE: &[What] = &[
        What::Create,
        What::Create,
        What::Batch,
        What::Update,
        What::Update,
        What::Update,
        What::Comment,
        What::Close,
        What::Close,
        What::Reopen,
        What::Claim,
        What::ClaimExclusive,
        What::Release,
        What::Depend,
        What::Undepend,
        What::Assign,
        What::Unassign,
        What::Mail,
        What::ReadMail,
        What::ArchiveMail,
        What::EditTemplate,
        What::Look,
        What::Checkpoint,
        What::Rebuild,
    ];
    const FOREIGN: &[What] = &[
        What::ForeignOrder,
        What::ForeignMessage,
        What::ForeignEvent,
        What::ForeignEvent,
        What::ForeignEdit,
        What::ForeignEdit,
        What::ForeignAssignment,
        What::TornLine,
        What::SameLineTwice,
        What::LinesOfAnother,
    ];
    const BETRAYAL: &[What] = &[
        What::RemoteRewound,
        What::RemoteReplaced,
        What::RemoteDeleted,
        What::BranchDeleted,
        What::BranchRewound,
        What::CacheLost,
        What::WorkLost,
        What::CopyClone,
    ];
    match n.below(100) {
        0..44 => n.pick(USE),
        44..66 => What::Sync,
        66..80 => n.pick(FOREIGN),
        80..84 => What::Line(n.pick(&[Line::Fine, Line::Fine, Line::Cut, Line::NoAnswer, Line::Rivals])),
        84..88 => What::SetClock(n.pick(&[-60_000, -DAY_MS, DAY_MS, YEAR_MS, -YEAR_MS, 7])),
        88..91 => What::Wait(n.pick(&[1, 500, 11_000, DAY_MS])),
        91..94 => What::PlainMerge,
        _ => n.pick(BETRAYAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything() {
        let (a, b) = (draw(5), draw(5));
        assert_eq!((a.steps, a.skew), (b.steps, b.skew));
        assert_ne!(draw(6).steps, draw(5).steps);
    }
}
