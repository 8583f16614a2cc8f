//! `git vermas inbox`

use super::{At, Context, answer, complete};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::mail;
use crate::domain::message::Message;
use crate::ui::{Cell, Column, Label, Table};

/// List one's mail, urgent first, then oldest first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose; without it, one's own
    #[arg(add = complete::ids(Kind::Agent))]
    agent: Option<String>,
    /// Only what has not been read
    #[arg(long)]
    unread: bool,
    /// What was archived, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let agent = self.agent.map_or_else(|| Ok(session.actor.clone()), |a| session.agent_id(&a))?;
        let all = mail::inbox(&mut session, &agent, self.unread, self.all)?;
        let nothing = format!("no {}mail for {agent}", if self.unread { "unread " } else { "" });
        answer::many(ctx, all.iter().map(mail::record).collect(), &nothing, || table(ctx, &all, false));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Messages as a table; with the recipient where there are several.
pub fn table(ctx: &Context, all: &[Message], with_recipient: bool) -> Table {
    let mut columns = vec![Column::left("ID"), Column::left("STATE"), Column::left("PRIORITY"), Column::left("FROM")];
    if with_recipient {
        columns.push(Column::left("TO"));
    }
    columns.extend([Column::left("SENT"), Column::left("TYPE"), Column::elastic("SUBJECT")]);
    let mut table = Table::new(columns);
    for m in all {
        let (state, label) = match (m.archived, m.read_at) {
            (true, _) => ("archived", Label::Dim),
            (false, Some(_)) => ("read", Label::Plain),
            (false, None) => ("new", Label::Heading),
        };
        let urgency = if m.priority == "urgent" { Label::Bad } else { Label::Plain };
        let mut row = vec![
            Cell::new(Label::Id, &m.id),
            Cell::new(label, state),
            Cell::new(urgency, &m.priority),
            Cell::new(Label::Agent, &m.from),
        ];
        if with_recipient {
            row.push(Cell::new(Label::Agent, &m.to));
        }
        row.extend([
            Cell::new(Label::Time, answer::when(ctx, m.timestamp)),
            Cell::plain(m.message_type.as_deref().unwrap_or("-")),
            Cell::new(Label::Title, &m.subject),
        ]);
        table.row(row);
    }
    table
}
