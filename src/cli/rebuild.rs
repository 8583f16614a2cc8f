//! `git vermas rebuild`

use super::Context;
use crate::app::{Fault, Session};
use crate::domain::text::counted;
use crate::ui::Mode;

/// Make everything derived anew: the cache, the lists in .work
///
/// The log and the state branch are what everything is made from; they are only read. Nothing is lost
/// by running this, at any time.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = Session::open(ctx.global.identity.as_deref())?;
        let mut progress = ctx.ui.progress("Rebuilding");
        progress.say("reading the log and the branch");
        let done = session.store.rebuild();
        drop(progress);
        let done = done?;
        session.take_warnings().iter().for_each(|w| ctx.ui.warn(w));
        let record = serde_json::to_value(&done).unwrap_or_default();
        match ctx.ui.mode() {
            Mode::Json => ctx.ui.json(&record),
            Mode::Jsonl => ctx.ui.jsonl([&record]),
            Mode::Text => ctx.ui.out(&format!(
                "rebuilt from {}: {}, {}",
                counted(done.events, "event"),
                counted(done.orders, "work order"),
                counted(done.messages, "message"),
            )),
        }
        Ok(())
    }
}
