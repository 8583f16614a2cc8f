//! `git vermas mail`

use super::{At, Context, answer, complete, inbox};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::mail::{self, Filter};

/// Look at the mail of all agents
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    List(List),
}

/// List mail, oldest first, what was archived included
#[derive(Debug, clap::Args)]
struct List {
    /// Only mail to this agent
    #[arg(long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    to: Option<String>,
    /// Only mail from this agent
    #[arg(long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    from: Option<String>,
    /// Only mail of this type
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// Only what has not been read
    #[arg(long)]
    unread: bool,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let Command::List(list) = self.command;
        list.run(ctx)
    }
}

impl List {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let filter = Filter {
            to: self.to.map(|a| session.agent_id(&a)).transpose()?,
            from: self.from.map(|a| session.agent_id(&a)).transpose()?,
            message_type: self.message_type,
            unread: self.unread,
        };
        let all = mail::list(&mut session, &filter)?;
        let records = all.iter().map(mail::record).collect();
        answer::many(ctx, records, "no mail like that", || inbox::table(ctx, &all, true));
        ctx.finish(&mut session);
        Ok(())
    }
}
