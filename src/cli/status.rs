//! `git vermas status`

use super::{At, Context, answer};
use crate::app::fault::Fault;
use crate::app::status::{self, Status};
use crate::domain::Timestamp;
use crate::domain::text::counted;
use crate::ui::{Cell, Column, Label, Look, Table};

/// Show the factory on one screen
///
/// Workers and what they do, work orders by state, what could be done next, unread mail, how the state branch stands to
/// the remote's, and what needs a person.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let live = if ctx.as_of().is_some() { None } else { status::sessions(&session) };
        let status = status::of(&mut session, live.as_ref())?;
        let record = serde_json::to_value(&status).unwrap_or_default();
        ctx.one(&record, |_| page(ctx, &status));
        ctx.finish(&mut session);
        Ok(())
    }
}

fn page(ctx: &Context, s: &Status) -> String {
    let look = ctx.ui.look();
    // The summary names each line itself: without a width a table has no headings.
    let mut out = summary(s, ctx.as_of().is_some()).render(Look { width: None, ..look });
    for (heading, table) in
        [("Workers", workers(ctx, s)), ("Ready", ready(s)), ("Mail", mail(s)), ("Needs a person", attention(s))]
    {
        if !table.is_empty() {
            out.push_str(&format!("\n{}\n{}", look.paint.text(Label::Heading, heading), table.render(look)));
        }
    }
    out
}

fn summary(s: &Status, past: bool) -> Table {
    let mut table = Table::new([Column::left(""), Column::elastic("")]);
    let mut line = |name: &str, text: &str| table.row([Cell::new(Label::Dim, name), Cell::plain(text)]);
    line("factory", &format!("{} in {}", s.factory, s.repository));
    line("you", s.actor.as_str());
    line("state", &state(s, past));
    let o = &s.orders;
    let mut orders = format!(
        "{} open ({} ready), {} assigned, {} in progress, {} closed",
        o.open, o.ready, o.assigned, o.in_progress, o.closed
    );
    o.other.iter().for_each(|(status, count)| orders.push_str(&format!(", {count} {status}")));
    // Whatever their status.
    orders.push_str(&format!("; {} blocked", o.blocked));
    line("orders", &orders);
    line("mail", &if s.mail.unread == 0 { "nothing unread".to_owned() } else { format!("{} unread", s.mail.unread) });
    table
}

fn state(s: &Status, past: bool) -> String {
    let state = &s.state;
    let standing = match (state.ahead, state.behind) {
        _ if past => {
            return state.commit.clone().map_or_else(|| state.branch.clone(), |c| format!("{} at {c}", state.branch));
        }
        _ if !state.synced => format!("never synced with {}", state.remote),
        (Some(0), Some(0)) => format!("in step with {}", state.remote),
        (Some(ahead), Some(0)) => format!("{} ahead of {}", counted(ahead, "commit"), state.remote),
        (Some(0), Some(behind)) => format!("{} behind {}", counted(behind, "commit"), state.remote),
        (Some(ahead), Some(behind)) => format!("{ahead} ahead of {}, {behind} behind", state.remote),
        _ => "the branch is missing".to_owned(),
    };
    format!("{}, {standing}", state.branch)
}

fn workers(ctx: &Context, s: &Status) -> Table {
    let mut table = Table::new([
        Column::left("SLOT"),
        Column::left("STATE"),
        Column::left("ASSIGNMENT"),
        Column::left("SINCE"),
        Column::elastic("TITLE"),
    ]);
    let when = |t: Option<Timestamp>| t.map(|t| answer::when(ctx, t)).unwrap_or_default();
    for w in &s.workers {
        let label = match w.state.as_str() {
            "working" | "submitted" => Label::Good,
            "stopped" => Label::Bad,
            "free" => Label::Dim,
            _ => Label::Plain,
        };
        let state = match w.session.as_deref().filter(|s| *s != "none") {
            Some(session) => format!("{} ({session})", w.state),
            None => w.state.clone(),
        };
        table.row([
            Cell::new(Label::Agent, format!("slot{}", w.slot)),
            Cell::new(label, state),
            Cell::new(Label::Id, w.ref_id.as_deref().unwrap_or_default()),
            Cell::new(Label::Time, when(w.since)),
            Cell::new(Label::Title, w.title.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn ready(s: &Status) -> Table {
    let mut table =
        Table::new([Column::left("ID"), Column::right("P"), Column::left("TYPE"), Column::elastic("TITLE")]);
    for r in &s.ready {
        let text = |name: &str| r[name].as_str().unwrap_or_default();
        let priority = r["priority"].as_i64().unwrap_or_default();
        table.row([
            Cell::new(Label::Id, text("id")),
            Cell::new(Label::Priority(u8::try_from(priority).unwrap_or(u8::MAX)), priority.to_string()),
            Cell::plain(text("issue_type")),
            Cell::new(Label::Title, text("title")),
        ]);
    }
    table
}

fn mail(s: &Status) -> Table {
    let mut table =
        Table::new([Column::left("ID"), Column::left("PRIORITY"), Column::left("FROM"), Column::elastic("SUBJECT")]);
    for m in &s.mail.messages {
        let text = |name: &str| m[name].as_str().unwrap_or_default();
        table.row([
            Cell::new(Label::Id, text("id")),
            Cell::plain(text("priority")),
            Cell::new(Label::Agent, text("from")),
            Cell::new(Label::Title, text("subject")),
        ]);
    }
    table
}

fn attention(s: &Status) -> Table {
    let mut table = Table::new([Column::elastic("WHAT"), Column::left("GO ON WITH")]);
    for a in &s.attention {
        table.row([Cell::new(Label::Warning, &a.text), Cell::new(Label::Hint, &a.hint)]);
    }
    table
}
