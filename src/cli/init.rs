//! `git vermas init`

use serde_json::json;

use super::Context;
use crate::app::fault::Fault;
use crate::app::setup;

/// Set this repository up
///
/// Makes the state branch (or takes over the remote's), .work/ and the git hooks. Running it again changes nothing. Nothing
/// of yours is touched: .work/ and workers/ are kept out of `git status` by info/exclude, hooks that are there go on
/// running, and `git vermas hooks uninstall` takes ours away again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The remote the state travels by
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Leave the git hooks out
    #[arg(long)]
    no_hooks: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let report = {
            let progress = std::cell::RefCell::new(ctx.ui.progress("init"));
            setup::init(self.remote.as_deref(), !self.no_hooks, &|w| progress.borrow_mut().say(w))?
        };
        let record = json!({
            "branch": report.branch, "replica": report.replica, "factory": report.factory, "made": report.made,
            "adopted": report.adopted, "remote": report.remote,
        });
        if ctx.ui.is_json() || !ctx.global.quiet {
            ctx.one(&record, |_| {
                if report.made.is_empty() {
                    return format!("everything is set up; nothing was changed (state branch {})", report.branch);
                }
                let mut out = format!("set up {}:\n", report.factory);
                for line in &report.made {
                    out.push_str(&format!("  {line}\n"));
                }
                out.push_str(
                    "\nto undo it: git vermas hooks uninstall, then remove .work and the state branch yourself\n",
                );
                out.push_str("next: git vermas wo create \"What is to be done\"\n");
                out
            });
        }
        for warning in &report.warnings {
            ctx.ui.warn(warning);
        }
        Ok(())
    }
}
