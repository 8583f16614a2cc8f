//! `git vermas wo dep`

use serde_json::{Value, json};

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::orders::{self, Node};
use crate::cli::{At, Context, complete};
use crate::ui::{Label, Ui};

/// Say what a work order waits for
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Add(Add),
    Remove(Remove),
    Tree(Tree),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Add(a) => a.run(ctx),
            Command::Remove(a) => a.run(ctx),
            Command::Tree(a) => a.run(ctx),
        }
    }
}

/// Let a work order wait for others
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The order that waits
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
    /// The orders that must be closed first
    #[arg(required = true, value_name = "DEPENDS-ON", add = complete::ids(Kind::WorkOrder))]
    on: Vec<String>,
}

impl Add {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let done = orders::add_dependencies(&mut session, &self.id, &self.on)?;
        super::change::changed(ctx, &mut session, &[done], "linked")
    }
}

/// Let a work order wait no longer for another
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The order that waits
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
    /// The order it waits for
    #[arg(value_name = "DEPENDS-ON", add = complete::ids(Kind::WorkOrder))]
    on: String,
}

impl Remove {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let id = orders::remove_dependency(&mut session, &self.id, &self.on)?;
        super::change::changed(ctx, &mut session, &[(id, true)], "unlinked")
    }
}

/// Show what a work order waits for, and what that waits for
#[derive(Debug, clap::Args)]
pub struct Tree {
    /// The work order
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
    #[command(flatten)]
    past: At,
}

impl Tree {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let id = session.order_id(&self.id)?;
        let node = orders::tree(&mut session, &id)?;
        ctx.one(&record(&node), |ui| {
            let mut out = String::new();
            draw(ui, &node, "", "", &mut out);
            out
        });
        ctx.finish(&mut session);
        Ok(())
    }
}

fn record(n: &Node) -> Value {
    json!({"id": n.id, "title": n.title, "status": n.status, "again": n.again,
        "needs": n.needs.iter().map(record).collect::<Vec<_>>()})
}

fn draw(ui: &Ui, n: &Node, lead: &str, below: &str, out: &mut String) {
    let paint = ui.paint();
    let again = if n.again { " (shown above)" } else { "" };
    out.push_str(&format!(
        "{lead}{} {} {}{again}\n",
        paint.text(Label::Id, &n.id),
        paint.text(Label::status(&n.status), &n.status),
        paint.text(Label::Title, &n.title)
    ));
    for (i, child) in n.needs.iter().enumerate() {
        let last = i + 1 == n.needs.len();
        let (branch, rest) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        draw(ui, child, &format!("{below}{branch}"), &format!("{below}{rest}"), out);
    }
}
