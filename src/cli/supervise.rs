//! `git vermas supervise`

use serde_json::json;

use super::Context;
use crate::app::fault::Fault;
use crate::app::supervise;

/// Look after the workers
///
/// One round: passes on to QA what workers have handed in, and notices workers whose session is gone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One round, and no more
    #[arg(long, required = true)]
    once: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let round = supervise::round(&mut session)?;
        ctx.one(&json!(round), |_| {
            let mut out = format!("{} slots looked at\n", round.workers_checked);
            for id in &round.ready_for_qa {
                out.push_str(&format!("{id} is ready for QA: git vermas qa run\n"));
            }
            for agent in &round.dead {
                out.push_str(&format!("{agent} is gone before its order was done: git vermas worker spawn {agent}\n"));
            }
            for agent in &round.unstarted {
                out.push_str(&format!("{agent} has an order and was not started: git vermas worker spawn {agent}\n"));
            }
            for id in &round.for_a_person {
                out.push_str(&format!("a worker asks for help: git vermas read {id}\n"));
            }
            out
        });
        ctx.finish(&mut session);
        Ok(())
    }
}
