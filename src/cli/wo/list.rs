//! `git vermas wo list`, `search`, `ready`, `blocked`

use std::borrow::Cow;

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{Session, orders};
use crate::cli::{At, Context, complete};
use crate::store::{Filter, Pick, Sort};
use crate::sys::clock;
use crate::ui::{Cell, Column, Label, Table, time};

/// List work orders, closed ones too
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only these: open, assigned, in_progress, closed, or what another program set; may be repeated
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
        orders::check_words(&session.view()?, &filter)?;
        show(ctx, &mut session, &Pick::Matching(filter.into()), "no work orders match")
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
        show(ctx, &mut session, &Pick::Matching(filter.into()), "no work order holds these words")
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
        show(ctx, &mut ctx.session_at(&self.past)?, &Pick::Ready(self.limit), "nothing is ready")
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
        show(ctx, &mut ctx.session_at(&self.past)?, &Pick::Blocked, "nothing is blocked")
    }
}

fn show(ctx: &Context, session: &mut Session, pick: &Pick, none: &str) -> Result<(), Fault> {
    if ctx.ui.is_json() {
        let mut records = ctx.records();
        orders::each_listed(session, pick, |json| records.add(json))?;
        records.end();
    } else {
        let table = table(session, pick)?;
        if table.is_empty() {
            ctx.nothing(none);
        } else {
            ctx.page(&table.render(ctx.ui.look()));
        }
    }
    ctx.finish(session);
    Ok(())
}

/// Rows for a person.
fn table(session: &mut Session, pick: &Pick) -> Result<Table, Fault> {
    let now = clock::now_millis();
    let mut table = Table::new([
        Column::left("ID"),
        Column::left("P"),
        Column::left("STATUS"),
        Column::left("TYPE"),
        Column::elastic("TITLE"),
        Column::left("AGENT"),
        Column::optional("WAITS FOR"),
        Column::right("CHANGED"),
    ]);
    session.view()?.each_line(pick, |l| {
        let urgency = u8::try_from(l.priority.clamp(0, 255)).unwrap_or_default();
        let title = if l.conflicts > 0 { format!("{} (!)", l.title).into() } else { Cow::Borrowed(l.title) };
        table.row([
            Cell::new(Label::Id, l.id),
            Cell::new(Label::Priority(urgency), priority(l.priority)),
            Cell::new(Label::status(l.status), l.status),
            Cell::plain(l.issue_type),
            Cell::new(Label::Title, title),
            Cell::new(Label::Agent, l.assignee.unwrap_or("-")),
            Cell::new(Label::Id, l.waits.map(words).unwrap_or_default()),
            Cell::new(Label::Time, time::ago(l.updated, now)),
        ]);
    })?;
    Ok(table)
}

fn priority(n: i64) -> Cow<'static, str> {
    const KNOWN: [&str; 5] = ["P0", "P1", "P2", "P3", "P4"];
    match usize::try_from(n).ok().and_then(|n| KNOWN.get(n)) {
        Some(known) => Cow::Borrowed(known),
        None => format!("P{n}").into(),
    }
}

/// A JSON array of ids as words.
fn words(ids: &str) -> String {
    serde_json::from_str::<Vec<String>>(ids).unwrap_or_default().join(" ")
}
