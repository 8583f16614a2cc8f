//! `git vermas sync`

use serde_json::json;

use super::Context;
use crate::app::fault::Fault;
use crate::app::sync;
use crate::domain::text::counted;

/// Share the state with a remote
///
/// Fetches the state branch, joins both sides, and pushes, again when somebody was faster. Everything that both sides
/// recorded is kept, whoever was first. Your own branches are not touched.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The remote, instead of vermas.remote
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Say how both stand as last seen, without asking the remote
    #[arg(long, conflicts_with = "dry_run")]
    status: bool,
    /// Ask the remote, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let remote = self.remote.unwrap_or_else(|| sync::remote_name(&session));
        if self.status {
            let s = sync::standing(&mut session, &remote)?;
            let record = json!(s);
            ctx.one(&record, |_| match (&s.remote_tip, s.ahead, s.behind) {
                (None, _, _) => format!("{} was never shared with {}", s.branch, s.remote),
                (Some(_), 0, 0) => format!("{} is as {} was last seen", s.branch, s.remote),
                (Some(_), a, b) => format!("{}: {a} commits to send to {}, {b} to take in", s.branch, s.remote),
            });
            ctx.finish(&mut session);
            return Ok(());
        }
        let progress = std::cell::RefCell::new(ctx.ui.progress("sync"));
        let report = sync::sync(&mut session, &remote, self.dry_run, &|w| progress.borrow_mut().say(w))?;
        drop(progress);
        if ctx.ui.is_json() || !ctx.global.quiet {
            ctx.one(&json!(report), |_| text(&report));
        }
        ctx.finish(&mut session);
        Ok(())
    }
}

fn text(r: &sync::Report) -> String {
    let (sent, received) = (counted(r.sent, "commit"), counted(r.received, if r.dry_run { "commit" } else { "event" }));
    if r.dry_run {
        return format!("would send {sent} to {} and take in {received}", r.remote);
    }
    let mut out = match (r.sent, r.received) {
        (0, 0) => format!("{} and {} are the same", r.branch, r.remote),
        (_, 0) => format!("sent {sent} to {}", r.remote),
        (0, _) => format!("took in {received} from {}", r.remote),
        _ => format!("took in {received} from {} and sent {sent}", r.remote),
    };
    for (path, other) in &r.kept_both {
        out.push_str(&format!(
            "\n.work/{path} was changed on both sides: the other text is .work/{other}; join them and remove it"
        ));
    }
    out
}
