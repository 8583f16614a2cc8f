//! `git vermas wo create`

use std::path::PathBuf;

use crate::app::Session;
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::orders::{self, Wish};
use crate::cli::{Context, complete};
use crate::domain::OrderId;
use crate::domain::decide::order::NewOrder;
use crate::ui::Label;

/// Create a work order, or many from a file
///
/// Prints the new id. With --batch, every line of the file is one JSON object with at least a "title"; "ref" (or an
/// "id" from elsewhere, which is not kept) names a line for the "dependencies" and "parent" of others. All are created in one commit, or none: a disk without room for all of
/// them takes none. Only a disk or a machine that fails in the middle of the write can leave a first part of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done, in one line of at most 100 characters
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    title: Option<String>,
    /// The details, in Markdown
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Read the details from a file ('-' is standard input)
    #[arg(short = 'F', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// task, bug, feature, epic or merge-request
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    issue_type: Option<String>,
    /// 0 (critical) to 4 (backlog)
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// A label; may be repeated
    #[arg(short, long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// The order this one is a part of
    #[arg(long, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    parent: Option<String>,
    /// An order that must be closed first; may be repeated
    #[arg(long = "dep", value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    dependencies: Vec<String>,
    /// Further data, key=value; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Who is to do it
    #[arg(long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    assignee: Option<String>,
    /// Create every order of a JSONL file ('-' is standard input)
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    batch: Option<PathBuf>,
    /// Write it although it looks like a key or token
    #[arg(long)]
    allow_secret: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if let Some(file) = &self.batch {
            return batch(ctx, file, self.allow_secret);
        }
        let mut session = ctx.session()?;
        let mut order = NewOrder {
            title: self.title.unwrap_or_default(),
            description: super::text_from(self.description, self.file.as_deref())?.unwrap_or_default(),
            issue_type: self.issue_type,
            priority: self.priority,
            labels: self.labels,
            metadata: super::metadata(&self.metadata)?,
            allow_secret: self.allow_secret,
            ..NewOrder::default()
        };
        order.assignee = self.assignee.map(|a| session.agent_id(&a)).transpose()?;
        let wish = Wish { order, parent: self.parent, dependencies: self.dependencies };
        let id = orders::create(&mut session, wish)?;
        ctx.ui.recorded(id.as_str());
        if ctx.ui.is_json() {
            let record = orders::detail(&mut session, &id).map_err(|f| f.behind_a_change(id.as_str()))?;
            ctx.one(&record, |_| String::new());
        } else {
            ctx.ui.out(&ctx.ui.paint().text(Label::Id, id.as_str()));
        }
        ctx.finish(&mut session);
        Ok(())
    }
}

/// How much one batch may hold, in bytes: some hundred thousand orders.
const LARGEST_BATCH: usize = 256 << 20;

fn batch(ctx: &Context, file: &std::path::Path, allow_secret: bool) -> Result<(), Fault> {
    let mut session = ctx.session()?;
    let text = crate::cli::body::read(file, LARGEST_BATCH)?;
    let name = if file == std::path::Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    if text.len() > LARGEST_BATCH {
        let most = LARGEST_BATCH >> 20;
        return Err(
            Fault::usage(format!("{name} holds more than {most} MiB")).hint("create the orders in several batches")
        );
    }
    let ids = orders::create_batch(&mut session, &name, &text, allow_secret)?;
    ctx.ui.recorded("all of it");
    if ctx.ui.is_json() {
        let lines = lines_of(&mut session, &ids).map_err(|f| f.behind_a_change("all of it"))?;
        let mut records = ctx.ui.records();
        lines.iter().for_each(|l| records.add(l));
        records.end();
    } else {
        let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
        ctx.ui.out(&lines);
    }
    ctx.finish(&mut session);
    Ok(())
}

/// The orders as lines of JSON.
fn lines_of(session: &mut Session, ids: &[OrderId]) -> Result<Vec<String>, Fault> {
    let view = session.view()?;
    let mut lines = Vec::with_capacity(ids.len());
    for id in ids {
        lines.extend(view.order_row(id.as_str())?.as_ref().map(orders::listed));
    }
    Ok(lines)
}
