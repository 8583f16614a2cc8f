//! The command line: words in, an exit code out.
//!
//! # How a command group is added
//!
//! 1. One file `cli/<group>.rs` with `#[derive(clap::Args)] pub struct Args`. Its doc comment is the help and the man
//!    page: a first line without a full stop, then an empty line and the rest. A group of commands holds
//!    `#[command(subcommand)] command: Command`, an enum with `#[derive(clap::Subcommand)] #[command(defer = true)]`
//!    whose variants each hold an `Args` type of their own. Variants have no doc comment: the type has it.
//! 2. `impl Args { pub fn run(self, ctx: &Context) -> Result<(), Fault> }`: parse at the edge, call the use case in
//!    `app`, show what it gave through `ctx.ui`. Nothing is printed in any other way.
//! 3. A variant in [`Command`], a line in its `run`, and a place in [`overview::GROUPS`], which a test insists on.
//! 4. An argument that takes a live name says so: `#[arg(add = complete::ids(Kind::WorkOrder))]`.
//!
//! `#[command(defer = true)]` builds the arguments of a command only when it is called: start-up costs the names.
//!
//! **Invariant:** no runtime, no repository and no setting is touched before a command asks for it.

mod answer;
mod archive;
mod assignment;
mod at;
mod body;
pub mod complete;
mod completions;
mod config;
mod context;
mod crash;
mod demo;
mod dispatch;
mod doctor;
mod events;
mod fsck;
mod global;
mod handoff;
mod hook;
mod hooks;
mod inbox;
mod init;
mod invoke;
mod log;
mod mail;
pub mod man;
mod man_text;
mod merge_driver;
pub mod overview;
mod prime;
mod prime_text;
mod qa;
mod read;
mod rebuild;
mod send;
mod status;
mod supervise;
mod sync;
mod undo;
mod usage;
mod version;
mod wo;
mod worker;
mod worktree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser as _};

pub use at::At;
pub use context::Context;
pub use crash::install as install_crash_report;
pub use global::Global;

use crate::app::fault::Fault;
use crate::app::session;

/// The colours of help, out of the ones that `ui` knows.
const STYLES: Styles =
    Styles::plain().header(Style::new().bold()).usage(Style::new().bold()).literal(AnsiColor::Cyan.on_default());

/// A factory for coding agents in any git repository, with git as the only database
///
/// Work orders, assignments, mail and events live on one branch of this repository; workers do the orders, each in a
/// worktree and a terminal session of its own; a merge queue tests what they hand in and lands it.
#[derive(Debug, clap::Parser)]
#[command(name = "git-vermas", bin_name = "git vermas", version, styles = STYLES, max_term_width = 100)]
#[command(subcommand_value_name = "command", arg_required_else_help = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Every command, in the order in which help lists them.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub enum Command {
    Status(status::Args),
    Prime(prime::Args),
    Assignment(assignment::Args),
    Send(send::Args),
    Inbox(inbox::Args),
    Read(read::Args),
    Archive(archive::Args),
    Mail(mail::Args),
    Handoff(handoff::Args),
    Config(config::Args),
    Completions(completions::Args),
    Demo(demo::Args),
    Dispatch(dispatch::Args),
    Doctor(doctor::Args),
    Events(events::Args),
    Fsck(fsck::Args),
    #[command(hide = true)]
    Hook(hook::Args),
    Hooks(hooks::Args),
    Init(init::Args),
    Log(log::Args),
    Man(man::Args),
    #[command(hide = true)]
    MergeDriver(merge_driver::Args),
    Qa(qa::Args),
    Rebuild(rebuild::Args),
    Supervise(supervise::Args),
    Sync(sync::Args),
    Undo(undo::Args),
    Version(version::Args),
    Wo(wo::Args),
    Worker(worker::Args),
    Workers(worker::Workers),
    Worktree(worktree::Args),
}

impl Command {
    fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self {
            Self::Status(args) => args.run(ctx),
            Self::Prime(args) => args.run(ctx),
            Self::Assignment(args) => args.run(ctx),
            Self::Send(args) => args.run(ctx),
            Self::Inbox(args) => args.run(ctx),
            Self::Read(args) => args.run(ctx),
            Self::Archive(args) => args.run(ctx),
            Self::Mail(args) => args.run(ctx),
            Self::Handoff(args) => args.run(ctx),
            Self::Config(args) => args.run(ctx),
            Self::Completions(args) => args.run(ctx),
            Self::Demo(args) => args.run(ctx),
            Self::Dispatch(args) => args.run(ctx),
            Self::Doctor(args) => args.run(ctx),
            Self::Events(args) => args.run(ctx),
            Self::Fsck(args) => args.run(ctx),
            Self::Hook(args) => args.run(ctx),
            Self::Hooks(args) => args.run(ctx),
            Self::Init(args) => args.run(ctx),
            Self::Log(args) => args.run(ctx),
            Self::Man(args) => args.run(ctx),
            Self::MergeDriver(args) => args.run(ctx),
            Self::Qa(args) => args.run(ctx),
            Self::Rebuild(args) => args.run(ctx),
            Self::Supervise(args) => args.run(ctx),
            Self::Sync(args) => args.run(ctx),
            Self::Undo(args) => args.run(ctx),
            Self::Version(args) => args.run(ctx),
            Self::Wo(args) => args.run(ctx),
            Self::Worker(args) => args.run(ctx),
            Self::Workers(args) => args.run(ctx),
            Self::Worktree(args) => args.run(ctx),
        }
    }
}

/// The whole tree of commands with every argument built: for help, man pages and completion.
pub fn tree() -> clap::Command {
    let mut tree = Cli::command();
    tree.build();
    tree
}

/// Runs the program on its arguments, the first of which is the name it was called by.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    crash::install();
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(shell) = complete::asked() {
        crate::app::candidates::register(crate::app::live::candidates);
        return ExitCode::from(complete::answer(&shell, &args));
    }
    ExitCode::from(start(&args, false))
}

/// Reads a line. Nearly every line is right and names its command first, and needs no other; help and errors come from the
/// whole tree.
fn parse(words: &[String]) -> Result<Cli, clap::Error> {
    named_alone(words).map_or_else(|| Cli::try_parse_from(words), Ok)
}

/// The line as the command that it names reads it, without building the others; `None` where that is not all it takes.
fn named_alone(words: &[String]) -> Option<Cli> {
    let named = Cli::command().find_subcommand(words.get(1)?)?.clone();
    let root = clap::Command::new("git-vermas").disable_help_subcommand(true).subcommand_required(true);
    let matches = Global::augment_args(root).subcommand(named).try_get_matches_from(words).ok()?;
    Cli::from_arg_matches(&matches).ok()
}

/// Whether an answer was given in part, or a part of standard input is read.
fn has_begun(args: &[OsString]) -> bool {
    crate::ui::has_spoken() || args.iter().any(|a| a == "-")
}

/// Runs the line; a second time where the first came to grief on the cache.
fn start(args: &[OsString], is_again: bool) -> u8 {
    let glance = Global::glance(args);
    let said = invoke::words(args).and_then(|words| {
        if words.len() < 2 {
            return Err(usage::nothing_said(&glance));
        }
        parse(&words).map_err(|e| usage::Said::from_clap(e, &words))
    });
    let cli = match said {
        Ok(cli) => cli,
        Err(said) => return said.tell(&Context::new(glance)),
    };
    let ctx = Context::new(cli.global);
    match ctx.prepare().and_then(|()| cli.command.run(&ctx)) {
        Ok(()) => 0,
        Err(fault) if !is_again && session::may_go_again(&fault) && !has_begun(args) => start(args, true),
        Err(fault) => ctx.fail(&fault),
    }
}
