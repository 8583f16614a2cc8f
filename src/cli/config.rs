//! `git vermas config`

use super::{Context, answer, complete};
use crate::app::candidates::Kind;
use crate::app::fault::{Fault, Kind as FaultKind};
use crate::app::session::repository;
use crate::app::settings::{self, Held};
use crate::ui::{Cell, Column, Label, Table};

/// Show or change the settings of this machine
///
/// They are git's own settings, in the section vermas, and can be changed with git config as well; this command knows
/// their names, defaults and what may stand there. Without a command it lists them all.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Get(Get),
    Set(Set),
    List(List),
}

/// Show one setting, or its default
///
/// Exits with 1 and says nothing where it is not set and has no default, as git config does.
#[derive(Debug, clap::Args)]
struct Get {
    /// The setting; vermas. may be left out
    #[arg(add = complete::ids(Kind::Setting))]
    key: String,
}

/// Set one setting in this repository
#[derive(Debug, clap::Args)]
struct Set {
    /// The setting; vermas. may be left out
    #[arg(add = complete::ids(Kind::Setting))]
    key: String,
    /// Its value
    #[arg(allow_hyphen_values = true)]
    value: String,
}

/// List every setting with its value, where that comes from, and what it means
#[derive(Debug, clap::Args)]
struct List {}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            None => List {}.run(ctx),
            Some(Command::Get(args)) => args.run(ctx),
            Some(Command::Set(args)) => args.run(ctx),
            Some(Command::List(args)) => args.run(ctx),
        }
    }
}

fn record(held: &Held) -> serde_json::Value {
    serde_json::to_value(held).unwrap_or_default()
}

fn warn(ctx: &Context, held: &Held) {
    if let Some(fault) = &held.fault {
        ctx.ui.warn(&format!("{}: {fault}", held.key));
    }
}

impl Get {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let held = settings::get(&repository()?, &self.key)?;
        ctx.one(&record(&held), |_| held.value.clone().unwrap_or_default());
        warn(ctx, &held);
        if held.value.is_none() { Err(Fault::silent(FaultKind::Failed)) } else { Ok(()) }
    }
}

impl Set {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let key = settings::set(&repository()?, &self.key, &self.value)?;
        // Read anew, as git has it now.
        let held = settings::get(&repository()?, &key)?;
        ctx.one(&record(&held), |_| String::new());
        if !ctx.ui.is_json() {
            ctx.ui.note(&format!("{key} is now {}", self.value));
        }
        if held.value.as_deref() != Some(self.value.as_str()) {
            ctx.ui.warn(&format!("another value holds here, from the command line or the environment: {key}"));
        }
        Ok(())
    }
}

impl List {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let all = settings::list(&repository()?);
        answer::many(ctx, all.iter().map(record).collect(), "", || table(&all));
        all.iter().for_each(|held| warn(ctx, held));
        Ok(())
    }
}

fn table(all: &[Held]) -> Table {
    let mut table = Table::new([
        Column::left("SETTING"),
        Column::left("VALUE"),
        Column::left("ORIGIN"),
        Column::elastic("MEANING"),
    ]);
    for h in all {
        let label = if h.origin == "set" { Label::Heading } else { Label::Plain };
        table.row([
            Cell::new(Label::Id, &h.key),
            Cell::new(label, h.value.as_deref().unwrap_or("-")),
            Cell::new(Label::Dim, h.origin),
            Cell::plain(&h.meaning),
        ]);
    }
    table
}
