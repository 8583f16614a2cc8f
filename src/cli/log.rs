//! `git vermas log`

use super::{At, Context, answer, complete};
use crate::app::candidates::Kind;
use crate::app::history::{self, Entry, Wanted};
use crate::app::{Fault, told, when};
use crate::domain::Timestamp;
use crate::sys::clock;
use crate::ui::{Cell, Column, Label, Table};

/// How many digits of a commit's id are shown in a line.
const SHORT: usize = 10;

/// Show what happened, newest first: when, who, what
///
/// A line for each event, by the commits of the state branch that recorded them, on every clone. With a work order, only
/// what concerns it. The commit is what git vermas undo takes, and --at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A work order
    #[arg(value_name = "WO", add = complete::ids(Kind::WorkOrder))]
    order: Option<String>,
    /// One line for each commit
    #[arg(long)]
    oneline: bool,
    /// Only the newest so many commits
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    most: Option<usize>,
    /// Only from then on: 2h, 3d, 1w for so long ago, yesterday, a date, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let since = self.since.as_deref().map(|t| when::parse(t, clock::now_millis())).transpose()?;
        let mut session = ctx.session_at(&self.past)?;
        let order = self.order.as_deref().map(|t| session.order_id(t)).transpose()?;
        let wanted = Wanted {
            order,
            since: since.map(Timestamp::from_millis),
            only_with_events: !self.oneline && !ctx.ui.is_json(),
            most: self.most,
        };
        let all = history::of(&mut session, &wanted)?;
        ctx.many(all.iter().map(Entry::record).collect(), |ui| match self.oneline {
            true => all.iter().map(|e| line(ctx, e) + "\n").collect(),
            false => table(ctx, &all).render(ui.look()),
        });
        ctx.finish(&mut session);
        Ok(())
    }
}

fn short(e: &Entry) -> String {
    e.commit.to_string().chars().take(SHORT).collect()
}

fn line(ctx: &Context, e: &Entry) -> String {
    let paint = ctx.ui.paint();
    format!("{} {}", paint.text(Label::Id, &short(e)), paint.text(Label::Plain, &e.subject))
}

/// A line for each event. On a terminal the commit stands at the first line of its group, into a pipe at each.
fn table(ctx: &Context, all: &[Entry]) -> Table {
    let columns = [Column::left("COMMIT"), Column::left("WHEN"), Column::left("AGENT"), Column::elastic("WHAT")];
    let mut table = Table::new(columns);
    let terminal = ctx.ui.look().width.is_some();
    for entry in all {
        let halves = told::said_by_others(entry.events.iter().map(|(e, _)| e));
        let said = entry.events.iter().rev().filter(|(e, _)| !halves.contains(e.id.as_str()));
        for (n, (e, told)) in said.enumerate() {
            table.row([
                Cell::new(Label::Id, if n > 0 && terminal { String::new() } else { short(entry) }),
                Cell::new(Label::Time, answer::when(ctx, e.at)),
                Cell::new(Label::Agent, &e.actor),
                Cell::plain(told.sentence()),
            ]);
        }
    }
    table
}
