//! `git vermas assignment`

use serde_json::json;

use super::{At, Context, answer, complete};
use crate::app::assignments::{self, Found};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::domain::order::Conflict;
use crate::ui::{Cell, Column, Label, Paint, Table};

/// Show or set what an agent is to do now
///
/// An agent has one assignment at the most: a work order, a mail or a process. The law is that an agent that finds one
/// does it at once and asks nobody. Without a command this shows one's own, or that of the agent named.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    show: Show,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Show(Show),
    Set(Set),
    Clear(Clear),
    Attach(Attach),
    List(List),
}

/// Show what an agent is to do
#[derive(Debug, clap::Args)]
struct Show {
    /// The agent, as slot0, supervisor, qa or in full; without it, oneself
    #[arg(add = complete::ids(Kind::Agent))]
    agent: Option<String>,
    #[command(flatten)]
    past: At,
}

/// Give an agent its assignment
///
/// What it points at must exist. An assignment that is there already is not pushed out unless --replace is given.
#[derive(Debug, clap::Args)]
struct Set {
    /// The agent, as slot0, supervisor, qa or in full
    #[arg(add = complete::ids(Kind::Agent))]
    agent: String,
    /// What to do: work_order:ID, mail:ID or process:ID; a bare id says its type by its prefix
    #[arg(value_name = "TYPE:ID", add = complete::ids(Kind::Target))]
    target: String,
    /// Push out the assignment that the agent has
    #[arg(long)]
    replace: bool,
}

/// Take an agent's assignment away
#[derive(Debug, clap::Args)]
struct Clear {
    /// The agent; without it, oneself
    #[arg(add = complete::ids(Kind::Agent))]
    agent: Option<String>,
}

/// Make a mail one's own assignment
#[derive(Debug, clap::Args)]
struct Attach {
    /// The mail
    #[arg(value_name = "MAIL-ID", add = complete::ids(Kind::Mail))]
    mail: String,
    /// Push out the assignment that is there
    #[arg(long)]
    replace: bool,
}

/// List every agent that has an assignment
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if let (Some(agent), Some(_)) = (&self.show.agent, &self.command) {
            return Err(
                Fault::usage(format!("'{agent}' stands before the command")).hint("git vermas assignment show AGENT")
            );
        }
        if let (Some(_), Some(_)) = (&self.show.past.at, &self.command) {
            return Err(Fault::usage("--at stands before the command").hint("git vermas assignment show --at WHEN"));
        }
        match self.command {
            None => self.show.run(ctx),
            Some(Command::Show(args)) => args.run(ctx),
            Some(Command::Set(args)) => args.run(ctx),
            Some(Command::Clear(args)) => args.run(ctx),
            Some(Command::Attach(args)) => args.run(ctx),
            Some(Command::List(args)) => args.run(ctx),
        }
    }
}

impl Show {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let agent = self.agent.map_or_else(|| Ok(session.actor.clone()), |a| session.agent_id(&a))?;
        // Somebody who speaks for the agent (--as) only looks.
        let itself = session.actor == agent && ctx.global.identity.is_none() && ctx.as_of().is_none();
        let found = assignments::look(&mut session, &agent, itself)?;
        ctx.one(&found.record(), |_| page(&found, ctx.ui.paint()));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// The assignment in words; the first line is what agents look for.
fn page(found: &Found, paint: Paint) -> String {
    let (Some(target), Some(next)) = (&found.target, found.next()) else {
        return format!("Assignment is empty\n{}", disputed(found, paint));
    };
    let title = found.title.as_deref().unwrap_or("(not known here; git vermas sync may bring it)");
    let worker = found.agent.as_worker().is_some();
    let done = match target.ref_type.as_str() {
        "mail" => format!("git vermas archive {}, then git vermas assignment clear", target.ref_id),
        "process" => "git vermas process step done, for each step".to_owned(),
        _ if worker => "commit, then co worker done".to_owned(),
        _ => format!("git vermas wo close {}, then git vermas assignment clear", target.ref_id),
    };
    format!(
        "{} {}  {}\nDo it now. Read it first: {next}\nWhen it is done: {done}\n{}",
        paint.text(Label::Heading, "ASSIGNED:"),
        paint.text(Label::Id, &target.to_string()),
        paint.text(Label::Title, title),
        disputed(found, paint),
    )
}

/// What other machines made its assignment at the same time.
fn disputed(found: &Found, paint: Paint) -> String {
    let line = |c: &Conflict| {
        let text = match c.value.as_str() {
            Some(other) => format!("CONFLICT: {} gave it {other} at the same time", c.by),
            None => format!("CONFLICT: {} took the assignment away at the same time", c.by),
        };
        let settle = format!("settle it: git vermas assignment set {} TYPE:ID --replace", found.agent);
        format!("{}\n{}\n", paint.text(Label::Warning, &text), paint.text(Label::Hint, &settle))
    };
    found.conflicts.iter().map(line).collect()
}

impl Set {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let agent = session.agent_id(&self.agent)?;
        let target = assignments::target(&mut session, &self.target)?;
        let set = assignments::set(&mut session, &agent, &target, self.replace)?;
        show_set(ctx, &set);
        ctx.finish(&mut session);
        Ok(())
    }
}

fn show_set(ctx: &Context, set: &assignments::Set) {
    let mut record = set.found.record();
    record["changed"] = set.changed.into();
    record["replaced"] = set.replaced.as_ref().map(ToString::to_string).into();
    ctx.one(&record, |_| table(ctx, std::slice::from_ref(&set.found)).render(ctx.ui.look()));
    if !ctx.ui.is_json() && !set.changed {
        ctx.ui.note("that was its assignment already");
    }
}

impl Clear {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let agent = self.agent.map_or_else(|| Ok(session.actor.clone()), |a| session.agent_id(&a))?;
        let previous = assignments::clear(&mut session, &agent)?;
        let record = json!({
            "agent": agent, "previous_ref": previous.as_ref().map(ToString::to_string), "cleared": previous.is_some(),
        });
        ctx.one(&record, |_| String::new());
        if !ctx.ui.is_json() {
            ctx.ui.note(&match previous {
                Some(target) => format!("{agent} no longer has {target}"),
                None => format!("{agent} had no assignment"),
            });
        }
        ctx.finish(&mut session);
        Ok(())
    }
}

impl Attach {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let id = session.message_id(&self.mail)?;
        let target = assignments::target(&mut session, &format!("mail:{id}"))?;
        let agent = session.actor.clone();
        let set = assignments::set(&mut session, &agent, &target, self.replace)?;
        show_set(ctx, &set);
        ctx.finish(&mut session);
        Ok(())
    }
}

impl List {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let all = assignments::list(&mut session)?;
        let records = all.iter().map(Found::record).collect();
        answer::many(ctx, records, "no agent has an assignment", || table(ctx, &all));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// The mark of what machines disagree on, as in lists of orders.
fn mark(found: &Found) -> &'static str {
    if found.conflicts.is_empty() { "" } else { " (!)" }
}

fn table(ctx: &Context, all: &[Found]) -> Table {
    let mut table = Table::new([
        Column::left("AGENT"),
        Column::left("ASSIGNMENT"),
        Column::left("SINCE"),
        Column::left("FOUND"),
        Column::elastic("TITLE"),
    ]);
    for f in all {
        let target = f.target.as_ref().map(ToString::to_string).unwrap_or_default();
        table.row([
            Cell::new(Label::Agent, f.agent.as_str()),
            Cell::new(Label::Id, target),
            Cell::new(Label::Time, f.since.map(|t| answer::when(ctx, t)).unwrap_or_default()),
            Cell::plain(if f.checked.is_some() { "yes" } else { "no" }),
            Cell::new(Label::Title, format!("{}{}", f.title.as_deref().unwrap_or_default(), mark(f))),
        ]);
    }
    table
}
