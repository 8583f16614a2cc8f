//! `git vermas worker spawn`, `kill`

use serde_json::json;

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{Session, done, slots, workers};
use crate::cli::{Context, complete};

/// Start a worker again on the order it has
#[derive(Debug, clap::Args)]
pub struct Spawn {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    /// The agent to start, instead of the one it was started with
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

impl Spawn {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let r = workers::spawn(&mut session, &slot, self.agent.as_deref())?;
        let record = json!({"slot": slot.number, "session": r.session, "backend": r.backend, "log": r.log});
        ctx.one(&record, |_| format!("started slot{} ({}), session {}", slot.number, r.backend, r.session));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Stop a worker and free its slot
///
/// What it has not handed in is saved first under refs/vermas/rescue/, and its order is open again.
#[derive(Debug, clap::Args)]
pub struct Kill {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    /// End the session only; the order, the worktree and the branch stay with the slot
    #[arg(long)]
    keep: bool,
}

impl Kill {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let k = workers::kill(&mut session, &slot, self.keep)?;
        ctx.one(&json!(k), |_| {
            let mut out = if k.session_stopped {
                format!("stopped slot{}\n", slot.number)
            } else {
                format!("nothing ran in slot{}\n", slot.number)
            };
            if let Some(id) = &k.released {
                out.push_str(&format!("{id} is open again\n"));
            }
            if let (Some(name), Some(restore)) = (&k.rescue, &k.restore) {
                out.push_str(&format!("its unfinished work is saved as {name}\nto have it back: {restore}\n"));
            }
            out
        });
        ctx.finish(&mut session);
        Ok(())
    }
}

/// End a session whose worker has handed in (called in the background)
#[derive(Debug, clap::Args)]
pub struct EndSession {
    slot: String,
    /// The program that is to end
    pid: u32,
}

impl EndSession {
    pub fn run(self, _ctx: &Context) -> Result<(), Fault> {
        let session = Session::open(None)?;
        let slot = slots::parse(&session, &self.slot)?;
        done::end_session(&session, &slot, self.pid)
    }
}
