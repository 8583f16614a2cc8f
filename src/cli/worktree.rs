//! `git vermas worktree`

use serde_json::json;

use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{base, dispatch, slots, workers};
use crate::git::status::{Untracked, status};
use crate::git::worktree;
use crate::ui::{Cell, Column, Label, Table};

/// The places where workers work
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Create(Create),
    List(List),
    Remove(Remove),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Create(a) => a.run(ctx),
            Command::List(a) => a.run(ctx),
            Command::Remove(a) => a.run(ctx),
        }
    }
}

/// Make a slot's worktree before it is needed
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The slot
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    /// The branch to start from
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
}

impl Create {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let slot = slots::configured(&session, &self.slot)?;
        let base = base::of(&session, self.base.as_deref())?;
        if worktree::find(&session.git(), &slot.path)?.is_some_and(|t| !t.lost) {
            return Err(Fault::conflict(format!("slot{} has a worktree: {}", slot.number, slot.path.display())));
        }
        dispatch::make_worktree(&session, &slot, &base, &format!("slot{}", slot.number))?;
        let record = json!({"slot": slot.number, "worktree": slot.path.to_string_lossy(), "branch": slot.branch, "base": base.branch});
        ctx.one(&record, |_| format!("{} on {}, from {}", slot.path.display(), slot.branch, base.branch));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// List the worktrees of this factory's slots
#[derive(Debug, clap::Args)]
pub struct List {}

impl List {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let git = session.git();
        let workers = session.store.places().workers.clone();
        let workers = crate::sys::fs::canonicalize(&workers).unwrap_or(workers);
        let mut records = Vec::new();
        let mut table = Table::new([
            Column::left("SLOT"),
            Column::left("BRANCH"),
            Column::left("HEAD"),
            Column::left("STATE"),
            Column::elastic("PATH"),
        ]);
        for t in worktree::list(&git)?.into_iter().filter(|t| t.path.starts_with(&workers)) {
            let dirty = if t.lost { 0 } else { status(&git, &t.path, Untracked::Folded)?.len() };
            let slot = t.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let branch = t.branch.clone().unwrap_or_default().replace("refs/heads/", "");
            let head = t.head.clone().unwrap_or_default();
            let state = if t.lost {
                "lost".to_owned()
            } else if dirty > 0 {
                format!("{dirty} uncommitted")
            } else {
                "clean".to_owned()
            };
            records.push(
                json!({"slot": slot, "path": t.path.to_string_lossy(), "branch": branch, "head": head, "dirty": dirty, "lost": t.lost}),
            );
            table.row([
                Cell::new(Label::Agent, slot),
                Cell::plain(branch),
                Cell::new(Label::Id, head.chars().take(10).collect::<String>()),
                Cell::plain(state),
                Cell::plain(t.path.display().to_string()),
            ]);
        }
        ctx.many(records, |ui| table.render(ui.look()));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Remove a slot's worktree
///
/// What it holds beyond the base is saved first under refs/vermas/rescue/; its branch stays.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The slot
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
}

impl Remove {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let rescue = workers::remove_worktree(&mut session, &slot)?;
        let record = json!({"slot": slot.number, "removed": slot.path.to_string_lossy(), "rescue": rescue.as_ref().map(|r| &r.0), "restore": rescue.as_ref().map(|r| &r.1)});
        ctx.one(&record, |_| match &rescue {
            Some((name, restore)) => {
                format!(
                    "removed {}; what was in it is saved as {name}\nto have it back: {restore}",
                    slot.path.display()
                )
            }
            None => format!("removed {}", slot.path.display()),
        });
        ctx.finish(&mut session);
        Ok(())
    }
}
