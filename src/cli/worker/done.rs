//! `git vermas worker done`

use serde_json::json;

use crate::app::done;
use crate::app::fault::Fault;
use crate::cli::Context;
use crate::domain::text::counted;

/// Hand in your work, as a worker
///
/// Refused while something is uncommitted, and where nothing was committed. Ends the worker's session after it has
/// returned; the slot stays held until QA has landed the work or sent it back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Commit what is uncommitted first
    #[arg(long)]
    commit: bool,
    /// The message of that commit
    #[arg(short, long, value_name = "TEXT", requires = "commit")]
    message: Option<String>,
    /// Say that nothing had to be changed
    #[arg(long)]
    no_changes: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let h = done::done(&mut session, self.commit, self.no_changes, self.message.as_deref())?;
        let commits = counted(h.commits, "commit");
        ctx.one(&json!(h), |_| format!("handed in {}: {commits} on {}", h.work_order_id, h.branch));
        ctx.finish(&mut session);
        Ok(())
    }
}
