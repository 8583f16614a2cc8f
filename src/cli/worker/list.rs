//! `git vermas worker list`, `status`

use serde_json::json;

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::slots::{self, Standing};
use crate::cli::{At, Context, complete};
use crate::sys::clock;
use crate::ui::{Cell, Column, Label, Table, Ui, time};

/// List every slot and what happens in it
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub(super) past: At,
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let all = slots::standings(&mut session)?;
        ctx.many(all.iter().map(|s| json!(s)).collect(), |ui| table(ui, &all));
        ctx.finish(&mut session);
        Ok(())
    }
}

/// Rows for a person.
pub fn table(ui: &Ui, all: &[Standing]) -> String {
    let now = clock::now_millis();
    let mut table = Table::new([
        Column::left("SLOT"),
        Column::left("STATE"),
        Column::left("SESSION"),
        Column::left("ORDER"),
        Column::elastic("TITLE"),
        Column::left("AGENT"),
        Column::right("SINCE"),
    ]);
    for s in all {
        let label = match s.state.as_str() {
            "working" | "submitted" => Label::Good,
            "dead" | "stopped" => Label::Bad,
            "rework" | "held" => Label::Warning,
            _ => Label::Dim,
        };
        let since = s.since.as_deref().filter(|_| s.work_order_id.is_some());
        table.row([
            Cell::new(Label::Agent, format!("slot{}", s.slot)),
            Cell::new(label, &s.state),
            Cell::plain(if s.session_state == "none" { "-" } else { &s.session_state }),
            Cell::new(Label::Id, s.work_order_id.as_deref().unwrap_or("-")),
            Cell::new(Label::Title, s.title.as_deref().or(s.reason.as_deref()).unwrap_or("-")),
            Cell::plain(s.profile.as_deref().filter(|_| s.work_order_id.is_some()).unwrap_or("-")),
            Cell::new(Label::Time, since.map(|t| time::ago_of(t, now)).unwrap_or_default()),
        ]);
    }
    table.render(ui.look())
}

/// Show one worker with everything known about it
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    #[command(flatten)]
    past: At,
}

impl Status {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let slot = slots::parse(&session, &self.slot)?;
        let all = slots::standings(&mut session)?;
        let s = all
            .into_iter()
            .find(|s| s.slot == slot.number)
            .ok_or_else(|| Fault::not_found(format!("there is no slot{}", slot.number)).hint("git vermas workers"))?;
        let record = json!(s);
        ctx.one(&record, |_| {
            let mut out = String::new();
            for (name, value) in record.as_object().into_iter().flatten() {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if !value.is_null() {
                    out.push_str(&format!("{:<16}{shown}\n", format!("{}:", name.replace('_', " "))));
                }
            }
            out
        });
        ctx.finish(&mut session);
        Ok(())
    }
}
