//! What several commands say in the same way.

use serde_json::Value;

use super::Context;
use crate::ui::{Mode, Table};

/// Several things: an array, or a table; `nothing` is said on standard error where there are none.
pub fn many(ctx: &Context, records: Vec<Value>, nothing: &str, table: impl FnOnce() -> Table) {
    if records.is_empty() && ctx.ui.mode() == Mode::Text {
        return ctx.nothing(nothing);
    }
    ctx.many(records, |ui| table().render(ui.look()));
}

/// A time for a column: as distance on a terminal, in full into a pipe.
pub fn when(ctx: &Context, at: crate::domain::Timestamp) -> String {
    if ctx.ui.look().width.is_some() {
        crate::ui::time::ago(at.millis(), crate::sys::clock::now_millis())
    } else {
        at.to_string()
    }
}
