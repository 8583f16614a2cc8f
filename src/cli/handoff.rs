//! `git vermas handoff`

use super::Context;
use super::body::Body;
use crate::app::fault::Fault;
use crate::app::mail;

/// Leave a message to oneself and make it one's assignment
///
/// For the session that comes next: it finds the message as its assignment and goes on from there. What was the
/// assignment until now is named in the message.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    body: Body,
    /// What it is about, on one line
    #[arg(
        short,
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        default_value = "Handoff",
        hide_default_value = true
    )]
    subject: String,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let body = self.body.read()?.filter(|b| !b.trim().is_empty());
        let body = body.ok_or_else(|| {
            Fault::usage("a handoff needs its text").hint("say what is done and what comes next: -m TEXT, or -F FILE")
        })?;
        let mut session = ctx.session()?;
        let message = mail::handoff(&mut session, &self.subject, &body, self.body.allow_secret)?;
        ctx.one(&mail::record(&message), |_| message.id.clone());
        if !ctx.ui.is_json() {
            let instead = mail::work_before(&message).map(|t| format!(", for {t}")).unwrap_or_default();
            ctx.ui.note(&format!("the next session of {} finds it as its assignment{instead}", session.actor));
        }
        ctx.finish(&mut session);
        Ok(())
    }
}
