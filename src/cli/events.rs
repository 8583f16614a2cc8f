//! `git vermas events`: what happened, line by line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Map, Value, json};

use super::{At, Context, complete};
use crate::app::candidates::Kind;
use crate::app::events::{self, Stats, Wanted};
use crate::app::{Fault, Session, replay, when};
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::text::counted;
use crate::store::Follow;
use crate::sys::{clock, fs};
use crate::ui::{Cell, Column, Label, Mode, Records, Stream, Table};

/// Look at the events that everything else is made from
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Emit(Emit),
    Export(Export),
    List(List),
    Replay(Replay),
    Stats(StatsArgs),
    Tail(Tail),
}

/// Which events.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only types that fit this pattern, in which * stands for any text: 'work_order.*'
    #[arg(long = "type", value_name = "GLOB", add = complete::ids(Kind::EventType))]
    kind: Option<String>,
    /// Only those by this agent, or by all that fit a pattern
    #[arg(long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    actor: Option<String>,
    /// Only from then on: 2h, 3d, 1w for so long ago, a date, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Which {
    fn wanted(&self) -> Result<Wanted, Fault> {
        let now = clock::now_millis();
        let point =
            |t: &Option<String>| t.as_deref().map(|t| when::parse(t, now).map(Timestamp::from_millis)).transpose();
        Ok(Wanted {
            kind: self.kind.clone(),
            actor: self.actor.clone(),
            since: point(&self.since)?,
            until: point(&self.until)?,
        })
    }
}

/// List events, oldest first
///
/// With --jsonl the lines are the events' own, byte for byte.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Only the newest so many
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    past: At,
}

/// Show the newest events, and with -f each new one as it arrives, whoever writes it
#[derive(Debug, clap::Args)]
struct Tail {
    /// Go on until Ctrl-C
    #[arg(long, short = 'f')]
    follow: bool,
    /// How many of those that are there already
    #[arg(long = "lines", short = 'n', value_name = "N", default_value_t = 10)]
    lines: usize,
    #[command(flatten)]
    which: Which,
}

/// Show a work order after each of its events
#[derive(Debug, clap::Args)]
struct Replay {
    /// The work order
    #[arg(add = complete::ids(Kind::WorkOrder))]
    id: String,
    #[command(flatten)]
    past: At,
}

/// Count events by type, agent and day
#[derive(Debug, clap::Args)]
struct StatsArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    past: At,
}

/// Write the lines of events, byte for byte, to standard output or a file
#[derive(Debug, clap::Args)]
struct Export {
    #[command(flatten)]
    which: Which,
    /// The file; what it held is replaced
    #[arg(long, short = 'o', value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    #[command(flatten)]
    past: At,
}

/// Write an event
///
/// For types of your own (words of a-z and _ with full stops between them), and for those of this
/// program with the fields without which they would say nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Emit {
    /// The type
    #[arg(value_name = "TYPE", value_parser = NonEmptyStringValueParser::new(), add = complete::ids(Kind::EventType))]
    kind: String,
    /// What it says, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// Who did it, if not the one who writes it down
    #[arg(long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    actor: Option<String>,
    /// Write it even if it looks like it holds a secret
    #[arg(long)]
    allow_secret: bool,
}

impl Args {
    /// The point that the command is about.
    fn at(&self) -> At {
        match &self.command {
            Command::Export(a) => a.past.clone(),
            Command::List(a) => a.past.clone(),
            Command::Replay(a) => a.past.clone(),
            Command::Stats(a) => a.past.clone(),
            Command::Emit(_) | Command::Tail(_) => At::default(),
        }
    }

    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.at())?;
        let done = match self.command {
            Command::Emit(a) => emit(ctx, &mut session, a),
            Command::Export(a) => export(ctx, &mut session, &a),
            Command::List(a) => list(ctx, &mut session, &a),
            Command::Replay(a) => replay(ctx, &mut session, &a),
            Command::Stats(a) => stats(ctx, &mut session, &a),
            Command::Tail(a) => tail(ctx, &mut session, &a),
        };
        session.take_warnings().iter().for_each(|w| ctx.ui.warn(w));
        done
    }
}

/// Events in the form that was asked for, as they come.
enum Listing<'a> {
    Json(Records<'a>),
    /// The lines as they are, a part at a time; on a terminal with what could steer it made visible.
    Lines(Vec<u8>),
    Text(Table),
}

/// How much is written at once, in bytes.
const PART: usize = 128 * 1024;

impl<'a> Listing<'a> {
    fn begin(ctx: &'a Context) -> Self {
        match ctx.ui.mode() {
            Mode::Json => Self::Json(ctx.ui.records()),
            Mode::Jsonl => Self::Lines(Vec::new()),
            Mode::Text => {
                let columns = ["TIME", "AGENT", "TYPE", "ABOUT"].map(Column::left);
                Self::Text(Table::new(columns.into_iter().chain([Column::elastic("")])))
            }
        }
    }

    fn add(&mut self, ctx: &Context, e: &Event) {
        match self {
            Self::Json(records) => records.add(&events::value(e).to_string()),
            Self::Lines(_) if Stream::Out.is_terminal() => ctx.ui.jsonl([&events::value(e)]),
            Self::Lines(part) => {
                part.extend_from_slice(&e.raw);
                part.push(b'\n');
                if part.len() >= PART {
                    ctx.ui.bytes(part);
                    part.clear();
                }
            }
            Self::Text(table) => table.row(row(e)),
        }
    }

    fn end(self, ctx: &Context) {
        match self {
            Self::Json(records) => records.end(),
            Self::Lines(part) => ctx.ui.bytes(&part),
            Self::Text(table) => ctx.page(&table.render(ctx.ui.look())),
        }
    }
}

fn list(ctx: &Context, session: &mut Session, a: &List) -> Result<(), Fault> {
    let mut listing = Listing::begin(ctx);
    events::each(session, &a.which.wanted()?, a.limit, |e| listing.add(ctx, &e))?;
    listing.end(ctx);
    Ok(())
}

fn row(e: &Event) -> [Cell<'_>; 5] {
    [
        Cell::new(Label::Time, e.at.to_string()),
        Cell::new(Label::Agent, &e.actor),
        Cell::plain(&e.kind),
        Cell::new(Label::Id, e.subject_id().unwrap_or_default()),
        Cell::plain(events::summary(e)),
    ]
}

/// One event on one line, for a list whose end is not known.
fn line(ctx: &Context, e: &Event) -> String {
    let paint = ctx.ui.paint();
    let parts = [
        paint.text(Label::Time, &e.at.to_string()),
        paint.text(Label::Agent, &e.actor),
        paint.text(Label::Plain, &e.kind),
        paint.text(Label::Id, &e.subject_id().unwrap_or_default()),
        paint.text(Label::Plain, &events::summary(e)),
    ];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("  ")
}

fn tail(ctx: &Context, session: &mut Session, a: &Tail) -> Result<(), Fault> {
    let wanted = a.which.wanted()?;
    let (mut follow, first) = Follow::from_end(session.store.places(), a.lines, |e| wanted.fits(e))?;
    if !a.follow {
        let mut listing = Listing::begin(ctx);
        first.iter().for_each(|e| listing.add(ctx, e));
        listing.end(ctx);
        return Ok(());
    }
    let tell = |e: &Event| match ctx.ui.mode() {
        Mode::Text => ctx.ui.out(&line(ctx, e)),
        // A document that never ends is none: one record a line in both forms.
        Mode::Json => ctx.ui.jsonl([&events::value(e)]),
        Mode::Jsonl => {
            let mut one = Listing::Lines(Vec::new());
            one.add(ctx, e);
            one.end(ctx);
        }
    };
    first.iter().for_each(tell);
    loop {
        follow.wait();
        follow.news()?.iter().filter(|e| wanted.fits(e)).for_each(tell);
    }
}

fn replay(ctx: &Context, session: &mut Session, a: &Replay) -> Result<(), Fault> {
    let id = session.order_id(&a.id)?;
    let steps = replay::replay(session, &id)?;
    let record = |s: &replay::Step| {
        json!({"event_id": s.event.id, "event_type": s.event.kind, "timestamp": s.event.at, "actor": s.event.actor,
            "state": s.state})
    };
    let records: Vec<Value> = steps.iter().map(record).collect();
    match ctx.ui.mode() {
        Mode::Json => ctx.ui.json(&Value::Array(records)),
        Mode::Jsonl => ctx.ui.jsonl(&records),
        Mode::Text => {
            let mut text = String::new();
            for s in &steps {
                text.push_str(&line(ctx, &s.event));
                text.push('\n');
                for change in super::wo::changes(s) {
                    text.push_str(&ctx.ui.paint().text(Label::Dim, &format!("    {change}")));
                    text.push('\n');
                }
            }
            ctx.page(&text);
        }
    }
    Ok(())
}

fn stats(ctx: &Context, session: &mut Session, a: &StatsArgs) -> Result<(), Fault> {
    let mut stats = Stats::default();
    events::each(session, &a.which.wanted()?, None, |e| stats.add(&e))?;
    let record = serde_json::to_value(&stats).unwrap_or_default();
    ctx.one(&record, |ui| {
        let mut table = Table::new([Column::left("BY"), Column::elastic("WHAT"), Column::right("EVENTS")]);
        let mut rows = |by: &str, what: &str, count: usize| {
            table.row([Cell::plain(by), Cell::plain(what), Cell::plain(count.to_string())]);
        };
        for (by, counts) in [("type", &stats.by_type), ("agent", &stats.by_actor), ("day", &stats.by_day)] {
            counts.iter().for_each(|(what, count)| rows(by, what, *count));
        }
        rows("all", "", stats.total);
        table.render(ui.look())
    });
    Ok(())
}

fn export(ctx: &Context, session: &mut Session, a: &Export) -> Result<(), Fault> {
    let Some(file) = &a.output else {
        let mut lines = if ctx.ui.mode() == Mode::Json { Listing::begin(ctx) } else { Listing::Lines(Vec::new()) };
        events::each(session, &a.which.wanted()?, None, |e| lines.add(ctx, &e))?;
        lines.end(ctx);
        return Ok(());
    };
    let (mut bytes, mut count) = (Vec::new(), 0);
    events::each(session, &a.which.wanted()?, None, |e| {
        bytes.extend_from_slice(&e.raw);
        bytes.push(b'\n');
        count += 1;
    })?;
    fs::replace(file, &bytes)?;
    let record = json!({"file": file.display().to_string(), "events": count});
    match ctx.ui.mode() {
        Mode::Text => ctx.ui.note(&format!("wrote {} to {}", counted(count, "event"), file.display())),
        Mode::Json => ctx.ui.json(&record),
        Mode::Jsonl => ctx.ui.jsonl([&record]),
    }
    Ok(())
}

fn emit(ctx: &Context, session: &mut Session, a: Emit) -> Result<(), Fault> {
    let data: Map<String, Value> = crate::wire::json::object(a.data.as_bytes())
        .map_err(|e| Fault::usage(format!("--data: {e}")).hint("--data '{\"work_order_id\": \"wo-…\"}'"))?;
    let actor = a.actor.as_deref().map(|t| session.agent_id(t)).transpose()?;
    let event = events::emit(session, &a.kind, data, actor, a.allow_secret)?;
    match ctx.ui.mode() {
        Mode::Text => ctx.ui.out(event["event_id"].as_str().unwrap_or_default()),
        Mode::Json => ctx.ui.json(&event),
        Mode::Jsonl => ctx.ui.jsonl([&event]),
    }
    Ok(())
}
