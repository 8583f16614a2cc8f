//! `git vermas archive`

use serde_json::{Value, json};

use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::mail;

/// Put messages away: they leave the inbox and stay in the state
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The messages
    #[arg(required = true, add = complete::ids(Kind::Mail))]
    id: Vec<String>,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let done = mail::archive(&mut session, &self.id)?;
        let records: Vec<Value> =
            done.iter().map(|(id, changed)| json!({"id": id, "archived": true, "changed": changed})).collect();
        match records.as_slice() {
            [one] => ctx.one(one, |_| String::new()),
            _ => ctx.many(records, |_| String::new()),
        }
        if !ctx.ui.is_json() {
            let new = done.iter().filter(|(_, changed)| *changed).count();
            ctx.ui.note(&format!("archived {new} of {}", done.len()));
        }
        ctx.finish(&mut session);
        Ok(())
    }
}
