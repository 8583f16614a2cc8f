//! The forms in which a command gives its answer: text, one JSON document, one record a line.

use serde_json::Value;

use super::Context;
use crate::ui::{Mode, Table};

/// One thing: an object, or text.
pub fn one(ctx: &Context, record: &Value, text: impl FnOnce() -> String) {
    match ctx.ui.mode() {
        Mode::Text => ctx.ui.page(&text()),
        Mode::Json => ctx.ui.json(record),
        Mode::Jsonl => ctx.ui.jsonl([record]),
    }
}

/// Several things: an array, or a table; `nothing` is said on standard error where there are none.
pub fn many(ctx: &Context, records: Vec<Value>, nothing: &str, table: impl FnOnce() -> Table) {
    match ctx.ui.mode() {
        Mode::Text if records.is_empty() => ctx.ui.note(nothing),
        Mode::Text => ctx.ui.table(&table()),
        Mode::Json => ctx.ui.json(&Value::Array(records)),
        Mode::Jsonl => ctx.ui.jsonl(&records),
    }
}

/// A time for a column: as distance on a terminal, in full into a pipe.
pub fn when(ctx: &Context, at: crate::domain::Timestamp) -> String {
    if ctx.ui.look().width.is_some() {
        crate::ui::time::ago(at.millis(), crate::sys::clock::now_millis())
    } else {
        at.to_string()
    }
}
