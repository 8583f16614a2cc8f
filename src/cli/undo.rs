//! `git vermas undo`

use serde_json::Value;

use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::undo::{self, How, Undone};
use crate::ui::{Cell, Column, Label, Table};

/// Undo the last command, a commit or an event, by changes that bring back what was
///
/// History is never rewritten: undoing records new events, and can itself be undone, so that a second undo in a row does
/// the first command again. Without an argument it is the last command of the one who asks, on this machine. A commit of
/// the state branch stands for all that it brought, an event for all that its command did to the same order, message or
/// agent.
///
/// What was changed again since is not overwritten: undo refuses and says who changed it; with --force it leaves that as
/// it is and undoes the rest. A creation is undone by closing, a comment by a mark that it is withdrawn, a mail by
/// putting it away while it is unread. A mail that was read, a merge that landed and a session that was started are not
/// undone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Commits of the state branch, or events
    #[arg(value_name = "COMMIT|EVENT", add = complete::ids(Kind::Commit))]
    names: Vec<String>,
    /// Show what would be done and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Leave what stands in the way as it is, and undo the rest
    #[arg(long)]
    force: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let how = How { force: self.force, dry_run: self.dry_run };
        let undone = undo::undo(&mut session, &self.names, how)?;
        let told = undo::what(&mut session, &undone.meant);
        let told = if self.dry_run { told? } else { told.map_err(|f| f.behind_a_change("what undoes it"))? };
        ctx.one(&undone.record(self.dry_run), |ui| table(&undone).render(ui.look()));
        if !ctx.ui.is_json() {
            for o in &undone.left {
                ctx.ui.warn(&format!("left as it is: {}: {}", o.field, o.why));
            }
            let verb = if self.dry_run { "would undo" } else { "undid" };
            ctx.ui.note(&format!("{verb}: {told}"));
        }
        ctx.finish(&mut session);
        Ok(())
    }
}

/// One field a line: what it is, from what to what it goes.
fn table(undone: &Undone) -> Table {
    let mut table =
        Table::new([Column::left("ID"), Column::left("FIELD"), Column::elastic("CHANGE"), Column::left("TITLE")]);
    for part in &undone.parts {
        for c in part.changes.iter().filter(|c| c.from != c.to) {
            table.row([
                Cell::new(Label::Id, &part.id),
                Cell::plain(&c.field),
                Cell::plain(format!("{} → {}", shown(&c.from), shown(&c.to))),
                Cell::new(Label::Title, part.title.as_deref().unwrap_or_default()),
            ]);
        }
    }
    table
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(s) if s.is_empty() => "empty".to_owned(),
        Value::String(s) => crate::domain::text::headline(s, 60),
        other => other.to_string(),
    }
}
