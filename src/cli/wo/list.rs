//! `git vermas wo list`, `search`, `ready`, `blocked`

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::orders;
use crate::cli::{At, Context, complete};
use crate::store::{Filter, OrderRow, Sort};
use crate::sys::clock;
use crate::ui::{Cell, Column, Label, Table, Ui, time};

/// List work orders, closed ones too
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only these: open, assigned, in_progress or closed; may be repeated
    #[arg(short, long = "status", value_name = "STATUS", value_delimiter = ',')]
    statuses: Vec<String>,
    /// Only these types; may be repeated
    #[arg(short = 't', long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Only these priorities, 0 to 4; may be repeated
    #[arg(short, long = "priority", value_name = "N", value_delimiter = ',', allow_negative_numbers = true)]
    priorities: Vec<i64>,
    /// Only those held by this agent
    #[arg(short, long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    assignee: Option<String>,
    /// Only those with this label
    #[arg(short, long, value_name = "LABEL")]
    label: Option<String>,
    /// Only the parts of this order
    #[arg(long, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    parent: Option<String>,
    /// Only those created since: a time, or 2h, 3d, 1w ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those not changed for this long: 2h, 3d, 1w, or since a time
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// priority, created, updated or title
    #[arg(long, value_name = "KEY", default_value = "priority", hide_default_value = true)]
    sort: String,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    past: At,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        orders::check_words(&self.statuses, &self.types, &self.priorities)?;
        let sort = match self.sort.as_str() {
            "priority" => Sort::Priority,
            "created" => Sort::Created,
            "updated" => Sort::Updated,
            "title" => Sort::Title,
            other => {
                let fault = Fault::usage(format!("'{other}' is nothing to sort by"));
                return Err(fault.hint("use one of: priority, created, updated, title"));
            }
        };
        let now = clock::now_millis();
        let when = |text: Option<String>| text.map(|t| crate::app::when::parse(&t, now)).transpose();
        let (since, older_than) = (when(self.since)?, when(self.older_than)?);
        let mut session = ctx.session_at(&self.past)?;
        let filter = Filter {
            statuses: self.statuses,
            types: self.types,
            priorities: self.priorities,
            assignee: self.assignee.map(|a| session.agent_id(&a)).transpose()?.map(|a| a.to_string()),
            label: self.label,
            parent: self.parent.map(|p| session.order_id(&p)).transpose()?.map(|p| p.to_string()),
            since,
            older_than,
            sort,
            limit: self.limit,
            ..Filter::default()
        };
        let rows = orders::list(&mut session, &filter)?;
        show(ctx, rows, "no work orders match");
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Find work orders that hold all these words
///
/// Looks through ids, titles, descriptions and labels; upper and lower case count as the same.
#[derive(Debug, clap::Args)]
pub struct Search {
    /// The words to find
    #[arg(required = true)]
    words: Vec<String>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    past: At,
}

impl Search {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let filter = Filter { words: self.words, limit: self.limit, ..Filter::default() };
        let rows = orders::list(&mut session, &filter)?;
        show(ctx, rows, "no work order holds these words");
        ctx.finish(&mut session);
        Ok(())
    }
}

/// List what can be done now: open, and nothing to wait for
///
/// The most urgent first, then the oldest.
#[derive(Debug, clap::Args)]
pub struct Ready {
    /// At most this many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    past: At,
}

impl Ready {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let rows = session.view()?.ready(self.limit)?.into_iter().map(|r| (r, Vec::new())).collect();
        show(ctx, rows, "nothing is ready");
        ctx.finish(&mut session);
        Ok(())
    }
}

/// List what waits for other work orders
#[derive(Debug, clap::Args)]
pub struct Blocked {
    #[command(flatten)]
    past: At,
}

impl Blocked {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let view = session.view()?;
        let mut blockers = view.all_open_blockers()?;
        let rows = view.blocked()?;
        let rows = rows.into_iter().map(|r| (blockers.remove(&r.id).unwrap_or_default(), r)).map(|(b, r)| (r, b));
        show(ctx, rows.collect(), "nothing is blocked");
        ctx.finish(&mut session);
        Ok(())
    }
}

fn show(ctx: &Context, rows: Vec<(OrderRow, Vec<String>)>, none: &str) {
    if ctx.ui.is_json() {
        let records: Vec<String> = rows.iter().map(|(r, b)| orders::listed(r, b)).collect();
        ctx.records(records);
    } else if rows.is_empty() {
        ctx.nothing(none);
    } else {
        ctx.page(&table(&ctx.ui, &rows));
    }
}

/// Rows for a person.
fn table(ui: &Ui, rows: &[(OrderRow, Vec<String>)]) -> String {
    let now = clock::now_millis();
    let blocked = rows.iter().any(|(_, b)| !b.is_empty());
    let mut columns = vec![
        Column::left("ID"),
        Column::left("P"),
        Column::left("STATUS"),
        Column::left("TYPE"),
        Column::elastic("TITLE"),
        Column::left("AGENT"),
    ];
    if blocked {
        columns.push(Column::left("WAITS FOR"));
    }
    columns.push(Column::right("CHANGED"));
    let mut table = Table::new(columns);
    for (r, waits) in rows {
        let title = if r.conflicts > 0 { format!("{} (!)", r.title) } else { r.title.clone() };
        let urgency = u8::try_from(r.priority.clamp(0, 255)).unwrap_or_default();
        let mut cells = vec![
            Cell::new(Label::Id, &r.id),
            Cell::new(Label::Priority(urgency), format!("P{}", r.priority)),
            Cell::new(Label::status(&r.status), &r.status),
            Cell::plain(&r.issue_type),
            Cell::new(Label::Title, title),
            Cell::new(Label::Agent, r.assignee.as_deref().unwrap_or("-")),
        ];
        if blocked {
            cells.push(Cell::new(Label::Id, waits.join(" ")));
        }
        cells.push(Cell::new(Label::Time, time::ago(r.updated, now)));
        table.row(cells);
    }
    table.render(ui.look())
}
