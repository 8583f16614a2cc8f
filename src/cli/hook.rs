//! `git vermas hook`: what the hook shims and the agents' own hooks call.

use std::io::Read as _;

use super::Context;
use crate::app::fault::Fault;
use crate::app::{Session, agent_hook, session, validate};
use crate::sys::env;

/// Answer a hook of git or of an agent
///
/// Called by the hooks that `git vermas hooks install` puts in place and by the settings that an
/// agent is started with; nobody types it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Claude(Claude),
    PreCommit(PreCommit),
    PrePush(PrePush),
    PrepareCommitMsg(PrepareCommitMsg),
    Update(Update),
}

/// Take in what Claude Code says and hand over what is new; its event comes as JSON on standard input
#[derive(Debug, clap::Args)]
struct Claude {
    /// The event, by its name there
    event: String,
}

/// Look at what is staged
#[derive(Debug, clap::Args)]
struct PreCommit {
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Look at a state that is about to be pushed; what is pushed comes on standard input
#[derive(Debug, clap::Args)]
struct PrePush {
    /// The name of the remote
    remote: Option<String>,
    /// Where it is
    url: Option<String>,
}

/// Nothing: the shim adds the trailer by itself
#[derive(Debug, clap::Args)]
struct PrepareCommitMsg {
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Look at a state that somebody pushes here
#[derive(Debug, clap::Args)]
struct Update {
    /// The full name of the branch
    name: String,
    /// Where it was
    old: String,
    /// Where it goes
    new: String,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Claude(a) => claude(ctx, &a.event),
            Command::PreCommit(_) => validate::pre_commit(&session::repository()?),
            Command::PrePush(_) => validate::pre_push(&session::repository()?, &standard_input()?),
            Command::PrepareCommitMsg(_) => Ok(()),
            Command::Update(a) => validate::update(&session::repository()?, &a.name, &a.old, &a.new),
        }
    }
}

/// An agent is never stopped by a fault of ours: it is kept in a log, and the agent goes on.
fn claude(ctx: &Context, event: &str) -> Result<(), Fault> {
    // Only a session that we started says who it is; the person's own is none of our business.
    if ctx.global.identity.is_none() && env::var("AGENT_ID").is_none() {
        return Ok(());
    }
    let answer = || -> Result<(), Fault> {
        let input = crate::wire::json::object(standard_input()?.as_bytes()).map_err(Fault::failed)?;
        let mut session = Session::open(ctx.global.identity.as_deref())?;
        let reply = agent_hook::claude(&mut session, event, &input)?;
        ctx.ui.bytes(reply.text.as_bytes());
        agent_hook::acknowledge(&mut session, &reply)
    };
    if let Err(fault) = answer() {
        agent_hook::keep_failure(event, &fault);
    }
    Ok(())
}

/// What git hands over, as text.
fn standard_input() -> Result<String, Fault> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
