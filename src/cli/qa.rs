//! `git vermas qa`

use serde_json::json;

use super::{At, Context, complete};
use crate::app::fault::{Fault, Kind};
use crate::app::qa::{self, Outcome};
use crate::app::{candidates, qa_queue, vouched};
use crate::ui::{Cell, Column, Label, Table, Ui};

/// Test what was handed in, and land it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Approve(Approve),
    Run(Run),
    Status(Status),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Approve(a) => a.run(ctx),
            Command::Run(a) => a.run(ctx),
            Command::Status(a) => a.run(ctx),
        }
    }
}

/// Let work that was handed in elsewhere be tested and landed here
///
/// Whoever can push to the remote can say that work was handed in. qa run takes what a worker of this machine handed in;
/// all else waits until somebody here has looked at it. Approved is the commit that is handed in now, and no later one;
/// --commit makes sure that it is the one you looked at.
/// git config vermas.qa.trust remote takes everything.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(candidates::Kind::WorkOrder))]
    ids: Vec<String>,
    /// Only if this is the commit that is handed in, of one work order: the one that you looked at
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
}

impl Approve {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if self.commit.is_some() && self.ids.len() > 1 {
            return Err(Fault::usage("--commit goes with one work order"));
        }
        let mut session = ctx.session()?;
        let (ids, commit) = (self.ids.iter(), self.commit.as_deref());
        let approved: Vec<_> =
            ids.map(|id| vouched::approve(&mut session, id, commit)).collect::<Result<_, Fault>>()?;
        ctx.many(approved.iter().map(|e| json!(e)).collect(), |ui| {
            let paint = ui.paint();
            let line = |e: &qa_queue::Entry| {
                let (id, commit) = (paint.text(Label::Id, e.work_order_id.as_str()), paint.text(Label::Id, &e.commit));
                format!(
                    "{} {id} {}: {commit}\n",
                    paint.text(Label::Good, "approved"),
                    paint.text(Label::Title, &e.title)
                )
            };
            approved.iter().map(line).collect()
        });
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Work through what was handed in
///
/// Each is merged in a scratch worktree and tested there (git config vermas.qa.test). What passes is landed by a
/// fast-forward of the base, and its order closes; what fails goes back to its worker with the last lines of the output.
/// Exit code 1 when something was sent back, 5 when something waits.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Only the first one
    #[arg(long)]
    once: bool,
}

impl Run {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let progress = std::cell::RefCell::new(ctx.ui.progress("qa"));
        let outcomes = qa::run(&mut session, self.once, &|w| progress.borrow_mut().say(w))?;
        drop(progress);
        if outcomes.is_empty() && !ctx.ui.is_json() {
            ctx.ui.note("nothing was handed in");
        } else {
            ctx.many(outcomes.iter().map(|o| json!(o)).collect(), |ui| text(ui, &outcomes));
        }
        ctx.finish(&mut session);
        if outcomes.iter().any(|o| matches!(o, Outcome::Waits { .. })) {
            return Err(Fault::new(Kind::Conflict, "not everything could land")
                .hint("mend what is in the way, then run it again: git vermas qa run"));
        }
        let back = outcomes.iter().filter(|o| matches!(o, Outcome::Rejected { .. })).count();
        if back > 0 {
            return Err(Fault::failed(format!("{back} of {} went back to its worker", outcomes.len())));
        }
        Ok(())
    }
}

fn text(ui: &Ui, outcomes: &[Outcome]) -> String {
    let paint = ui.paint();
    let mut out = String::new();
    for o in outcomes {
        match o {
            Outcome::Merged { work_order_id, title, commit, base, tested } => {
                let short: String = commit.chars().take(10).collect();
                let how = if *tested {
                    "tested and merged"
                } else {
                    "merged without tests (git config vermas.qa.test is not set)"
                };
                out.push_str(&format!(
                    "{} {} {}: {how} into {base} as {short}\n",
                    paint.text(Label::Good, "landed"),
                    paint.text(Label::Id, work_order_id),
                    paint.text(Label::Title, title)
                ));
            }
            Outcome::Rejected { work_order_id, title, reason, restarted, .. } => {
                let next = if *restarted { "its worker is at it again" } else { "its worker is not running" };
                out.push_str(&format!(
                    "{} {} {}; {next}\n{}\n",
                    paint.text(Label::Bad, "sent back"),
                    paint.text(Label::Id, work_order_id),
                    paint.text(Label::Title, title),
                    indented(&paint.block(Label::Plain, reason))
                ));
            }
            Outcome::Waits { work_order_id, title, reason } => {
                out.push_str(&format!(
                    "{} {} {}: {}\n",
                    paint.text(Label::Warning, "waits"),
                    paint.text(Label::Id, work_order_id),
                    paint.text(Label::Title, title),
                    paint.text(Label::Plain, reason)
                ));
            }
        }
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

/// List what was handed in and not settled
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    past: At,
}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let queue = qa_queue::queue(&mut session)?;
        if queue.is_empty() && !ctx.ui.is_json() {
            ctx.nothing("nothing was handed in");
        } else {
            ctx.many(queue.iter().map(|e| json!(e)).collect(), |ui| {
                let mut table = Table::new([
                    Column::left("ID"),
                    Column::left("P"),
                    Column::elastic("TITLE"),
                    Column::left("AGENT"),
                    Column::left("COMMIT"),
                    Column::right("SENT BACK"),
                ]);
                for e in &queue {
                    table.row([
                        Cell::new(Label::Id, e.work_order_id.as_str()),
                        Cell::plain(format!("P{}", e.priority)),
                        Cell::new(Label::Title, &e.title),
                        Cell::new(Label::Agent, e.agent.as_deref().unwrap_or("-")),
                        Cell::new(Label::Id, e.commit.chars().take(10).collect::<String>()),
                        Cell::plain(e.rejections.to_string()),
                    ]);
                }
                table.render(ui.look())
            });
        }
        ctx.finish(&mut session);
        Ok(())
    }
}
