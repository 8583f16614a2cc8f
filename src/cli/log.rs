//! `git vermas log`

use serde_json::Value;

use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::history::{self, Entry};
use crate::app::{Fault, Session, events};
use crate::ui::{Label, Mode};

/// How many digits of a commit's id are shown in a line.
const SHORT: usize = 10;

/// Show the history of the state branch: when, who, what
///
/// With a work order, only the commits that concern it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A work order
    #[arg(value_name = "WO", add = complete::ids(Kind::WorkOrder))]
    order: Option<String>,
    /// One line for each commit
    #[arg(long)]
    oneline: bool,
    /// Only the newest so many
    #[arg(short = 'n', long = "max-count", value_name = "N")]
    most: Option<usize>,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = Session::open(ctx.global.identity.as_deref())?;
        let order = self.order.as_deref().map(|t| session.order_id(t)).transpose()?;
        let all = history::of(&mut session, order.as_ref(), self.most)?;
        let records = || all.iter().map(Entry::record).collect::<Vec<Value>>();
        match ctx.ui.mode() {
            Mode::Json => ctx.ui.json(&Value::Array(records())),
            Mode::Jsonl => ctx.ui.jsonl(&records()),
            Mode::Text if self.oneline => {
                ctx.ui.page(&all.iter().map(|e| line(ctx, e) + "\n").collect::<String>());
            }
            Mode::Text => ctx.ui.page(&all.iter().map(|e| block(ctx, e)).collect::<Vec<_>>().join("\n")),
        }
        session.take_warnings().iter().for_each(|w| ctx.ui.warn(w));
        Ok(())
    }
}

fn line(ctx: &Context, e: &Entry) -> String {
    let paint = ctx.ui.paint();
    let id: String = e.commit.to_string().chars().take(SHORT).collect();
    format!("{} {}", paint.text(Label::Id, &id), paint.text(Label::Plain, &e.subject))
}

fn block(ctx: &Context, e: &Entry) -> String {
    let paint = ctx.ui.paint();
    let joined = if e.parents > 1 { " (joins another history)" } else { "" };
    let mut text = format!("{}{joined}\n", paint.text(Label::Id, &format!("commit {}", e.commit)));
    text.push_str(&format!("Date:   {}\n", paint.text(Label::Time, &e.at.to_string())));
    text.push_str(&format!("Author: {}\n\n", paint.text(Label::Plain, &e.author)));
    text.push_str(&format!("    {}\n", paint.text(Label::Title, &e.subject)));
    if !e.events.is_empty() {
        text.push('\n');
    }
    for event in &e.events {
        let parts = [
            paint.text(Label::Agent, &event.actor),
            paint.text(Label::Plain, &event.kind),
            paint.text(Label::Id, &event.subject_id().unwrap_or_default()),
            paint.text(Label::Plain, &events::summary(event)),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        text.push_str(&format!("    {}\n", parts.join("  ")));
    }
    text
}
