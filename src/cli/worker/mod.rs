//! `git vermas worker` and `git vermas workers`

mod done;
mod list;
mod look;
mod run;

use super::{At, Context};
use crate::app::fault::Fault;

/// Start, look at and stop workers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    List(list::List),
    Spawn(run::Spawn),
    Status(list::Status),
    Attach(look::Attach),
    Logs(look::Logs),
    Diff(look::Diff),
    Done(done::Args),
    Kill(run::Kill),
    #[command(hide = true)]
    EndSession(run::EndSession),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::List(a) => a.run(ctx),
            Command::Spawn(a) => a.run(ctx),
            Command::Status(a) => a.run(ctx),
            Command::Attach(a) => a.run(ctx),
            Command::Logs(a) => a.run(ctx),
            Command::Diff(a) => a.run(ctx),
            Command::Done(a) => a.run(ctx),
            Command::Kill(a) => a.run(ctx),
            Command::EndSession(a) => a.run(ctx),
        }
    }
}

/// List workers: every slot and what happens in it
#[derive(Debug, clap::Args)]
pub struct Workers {
    #[command(flatten)]
    past: At,
}

impl Workers {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        list::List { past: self.past }.run(ctx)
    }
}
