//! `git vermas wo show`, `stats`

use serde_json::{Value, json};

use super::history;
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{orders, replay};
use crate::cli::{At, Context, complete};
use crate::sys::clock;
use crate::ui::{Label, Ui, time};

/// Show work orders with everything known about them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    ids: Vec<String>,
    /// Also who changed what, when and why, and on which machine: an entry for each event, oldest first
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let (mut records, mut pasts) = (Vec::with_capacity(self.ids.len()), Vec::new());
        for text in &self.ids {
            let id = session.order_id(text)?;
            let mut record = orders::detail(&mut session, &id)?;
            let mut past = String::new();
            if self.history {
                let life = replay::life(&mut session, &id)?;
                record["history"] = life.iter().map(replay::Entry::record).collect();
                past = history::text(&ctx.ui, &life);
            }
            pasts.push(past);
            records.push(record);
        }
        let words = |ui: &Ui, list: &[Value]| {
            let one = |(r, past): (&Value, &String)| text(ui, r) + past;
            list.iter().zip(&pasts).map(one).collect::<Vec<_>>().join("\n")
        };
        match records.as_slice() {
            [one] => ctx.one(one, |ui| words(ui, std::slice::from_ref(one))),
            _ => {
                let shown = records.clone();
                ctx.many(records, |ui| words(ui, &shown));
            }
        }
        ctx.finish(&mut session);
        Ok(())
    }
}

fn text(ui: &Ui, r: &Value) -> String {
    let paint = ui.paint();
    let word = |name: &str| r[name].as_str().unwrap_or_default();
    let now = clock::now_millis();
    let ago = |t: &str| time::millis(t).map(|ms| time::ago(ms, now)).unwrap_or_default();
    let mut out = format!("{}  {}\n", paint.text(Label::Id, word("id")), paint.text(Label::Heading, word("title")));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{:<12}{value}\n", format!("{name}:")));
        }
    };
    let mut status = paint.text(Label::status(word("status")), word("status"));
    if r["ready"] == true {
        status.push_str(&format!(" ({})", paint.text(Label::Good, "ready")));
    }
    if r["merged"] == true {
        status.push_str(&format!(" ({})", paint.text(Label::Good, "merged")));
    }
    line("status", status);
    let urgency = u8::try_from(r["priority"].as_i64().unwrap_or(2).clamp(0, 255)).unwrap_or_default();
    line("priority", paint.text(Label::Priority(urgency), &format!("P{}", r["priority"])));
    line("type", word("issue_type").to_owned());
    line("agent", paint.text(Label::Agent, word("assignee")));
    let created = format!(
        "{} by {} ({})",
        word("created_at"),
        paint.text(Label::Agent, word("created_by")),
        ago(word("created_at"))
    );
    line("created", created);
    line("changed", format!("{} ({})", word("updated_at"), ago(word("updated_at"))));
    if let Some(at) = r["closed_at"].as_str() {
        let reason = r["close_reason"].as_str().filter(|s| !s.is_empty()).map(|s| format!(": {s}")).unwrap_or_default();
        line("closed", format!("{at} by {}{}", word("closed_by"), paint.text(Label::Plain, &reason)));
    }
    if let Some(commit) = r["merge_commit"].as_str() {
        line("landed", format!("{commit} on {}", word("base")));
    }
    let list = |name: &str| {
        let values = r[name].as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(|s| paint.text(Label::Id, s)).collect::<Vec<_>>().join(" ")
    };
    line("labels", list("labels"));
    line("waits for", list("blocked_by"));
    line("blocks", list("blocks"));
    for (key, value) in r["metadata"].as_object().into_iter().flatten() {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line(key, paint.text(Label::Plain, &shown));
    }
    for c in r["conflicts"].as_array().into_iter().flatten() {
        let value = c["value"].as_str().map_or_else(|| c["value"].to_string(), str::to_owned);
        let text = format!("{} = {value}, by {} at {}", c["field"].as_str().unwrap_or_default(), c["by"], c["at"]);
        line("conflict", paint.text(Label::Warning, &text.replace('"', "")));
    }
    for c in r["commits"].as_array().into_iter().flatten() {
        let hash: String = c["commit"].as_str().unwrap_or_default().chars().take(10).collect();
        line("commit", format!("{hash} {}", paint.text(Label::Plain, c["subject"].as_str().unwrap_or_default())));
    }
    if !word("description").is_empty() {
        out.push_str(&format!("\n{}\n", paint.block(Label::Plain, word("description"))));
    }
    for x in r["rejections"].as_array().into_iter().flatten() {
        let heading = format!("sent back by QA at {}", x["at"].as_str().unwrap_or_default());
        out.push_str(&format!("\n{}\n", paint.text(Label::Warning, &heading)));
        out.push_str(&format!("{}\n", paint.block(Label::Plain, x["reason"].as_str().unwrap_or_default())));
    }
    for c in r["comments"].as_array().into_iter().flatten() {
        let by = c["by"].as_str().unwrap_or_default();
        let at = c["at"].as_str().unwrap_or_default();
        out.push_str(&format!("\n{} {}\n", paint.text(Label::Agent, by), paint.text(Label::Time, at)));
        out.push_str(&format!("{}\n", paint.block(Label::Plain, c["body"].as_str().unwrap_or_default())));
    }
    out
}

/// Count work orders by status, type and priority
#[derive(Debug, clap::Args)]
pub struct Stats {
    #[command(flatten)]
    past: At,
}

impl Stats {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let view = session.view()?;
        let (status, types, priority) = (view.count_by("status")?, view.count_by("type")?, view.count_by("priority")?);
        let total: i64 = status.values().sum();
        let record = json!({
            "total": total, "ready": view.count_ready()?, "blocked": view.count_blocked()?,
            "by_status": status, "by_type": types, "by_priority": priority, "conflicts": view.count_conflicts()?,
            "events": view.count_events()?,
        });
        ctx.one(&record, |_| {
            let mut out = String::new();
            for (name, value) in record.as_object().into_iter().flatten() {
                match value {
                    Value::Object(m) => {
                        for (key, n) in m {
                            out.push_str(&format!("{:<24}{n}\n", format!("{}/{key}", name.trim_start_matches("by_"))));
                        }
                    }
                    other => out.push_str(&format!("{name:<24}{other}\n")),
                }
            }
            out
        });
        ctx.finish(&mut session);
        Ok(())
    }
}
