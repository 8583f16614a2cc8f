//! `git vermas dispatch`

use serde_json::json;

use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::dispatch::{self, Dispatched, Wish};
use crate::app::fault::Fault;
use crate::ui::{Label, Ui};

/// Give work orders to workers
///
/// Each order gets a free slot: a worktree under workers/ on a branch of its own, an assignment, and a session in which the
/// agent starts with the order as its first prompt.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    ids: Vec<String>,
    /// The slot to use, instead of the first free one
    #[arg(long, value_name = "N", add = complete::ids(Kind::Slot))]
    slot: Option<String>,
    /// The agent to start: claude, codex, gemini, aider, opencode, shell, or one of your own
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The branch to start from and to land on
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Let the remote decide who gets the order
    #[arg(long)]
    exclusive: bool,
    /// Say what would happen, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let exclusive = self.exclusive || session.setting("vermas.claims").as_deref() == Some("remote");
        let wish = Wish { slot: self.slot, agent: self.agent, base: self.base, dry_run: self.dry_run, exclusive };
        let (done, failed) = dispatch::dispatch_all(&mut session, &self.ids, &wish);
        match done.as_slice() {
            [] => {}
            [one] if self.ids.len() == 1 => ctx.one(&json!(one), |ui| text(ui, &done)),
            _ => ctx.many(done.iter().map(|d| json!(d)).collect(), |ui| text(ui, &done)),
        }
        ctx.finish(&mut session);
        failed.map_or(Ok(()), Err)
    }
}

fn text(ui: &Ui, all: &[Dispatched]) -> String {
    let paint = ui.paint();
    let mut out = String::new();
    for d in all {
        let verb = if d.dry_run { "would give" } else { "gave" };
        out.push_str(&format!(
            "{verb} {} {} to {} ({}): {} on {}, session {}\n",
            paint.text(Label::Id, &d.work_order_id),
            paint.text(Label::Title, &d.title),
            paint.text(Label::Agent, &d.slot),
            d.backend,
            d.branch,
            d.base,
            d.session
        ));
    }
    if let (Some(d), false) = (all.first(), all.iter().any(|d| d.dry_run)) {
        out.push_str(&format!("look: git vermas status; git vermas worker attach {}\n", d.slot));
    }
    out
}
