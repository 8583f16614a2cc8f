//! The demonstration: the main job from an empty directory to a landed, shared result, in a few seconds.
//!
//! A small project with tests and a bare remote are made in a temporary directory; three work orders are given to two
//! workers at a time, in real sessions with a script as the agent; one of them is sent back by QA and mends its work. The
//! commands that are shown are the ones that are run, and what is claimed at the end was looked at.
//!
//! **Invariant:** nothing outside the temporary directory is read or written: not the person's settings, repositories or
//! tmux server. Nothing is left behind, however it ends; a caretaker process sees to that even when we are killed.

mod checks;
mod stage;
mod story;

use serde::Serialize;

use super::fault::Fault;
use crate::launch::Kind;
use crate::sys::clock::Stopwatch;

pub use stage::sweep;

/// How the demonstration is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Leave the repositories for a look at them.
    pub keep: bool,
    /// How sessions are run; without it in tmux, where that is there.
    pub launcher: Option<Kind>,
}

/// What happens, as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat<'a> {
    /// A new part begins.
    Scene(&'a str),
    /// A remark.
    Word(&'a str),
    /// What a person would type, and the directory they stand in.
    Typed { place: &'a str, line: &'a str },
    /// A line that it printed.
    Printed(&'a str),
    /// Something that was looked at and is so.
    Holds(&'a str),
}

/// Hears the story.
pub type Narrator<'a> = &'a dyn Fn(Beat<'_>);

/// A command that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub place: String,
    pub command: String,
    pub exit_code: i32,
}

/// What became of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub id: String,
    pub title: String,
    pub status: String,
    pub merged: bool,
    pub rejections: usize,
}

/// What was done and seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub seconds: f64,
    pub launcher: Kind,
    /// Where everything is, if it was kept.
    pub kept: Option<String>,
    pub orders: Vec<Order>,
    /// What was looked at and is so.
    pub checks: Vec<String>,
    pub steps: Vec<Step>,
}

/// Plays the whole story. An error says what did not come out as it should, and where to look.
pub fn run(wish: &Wish, narrate: Narrator<'_>) -> Result<Report, Fault> {
    let watch = Stopwatch::start();
    let mut stage = stage::Stage::set_up(wish, narrate)?;
    let told = story::play(&mut stage).and_then(|ids| checks::all(&mut stage, &ids));
    let (orders, checks) = match told {
        Ok(told) => told,
        Err(fault) => return Err(stage.explain(fault)),
    };
    let report = Report {
        launcher: stage.launcher(),
        kept: wish.keep.then(|| stage.root().display().to_string()),
        orders,
        checks,
        steps: stage.take_steps(),
        seconds: 0.0,
    };
    stage.strike()?;
    Ok(Report { seconds: (watch.elapsed().as_secs_f64() * 100.0).round() / 100.0, ..report })
}
