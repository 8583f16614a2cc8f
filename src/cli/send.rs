//! `git vermas send`

use super::body::{self, Body};
use super::{Context, complete};
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::mail::{self, NewMail};

/// Send a message to an agent or a person
///
/// A role (supervisor, qa) is reached under its address, whoever holds it. A recipient that nobody has heard of gets the
/// message all the same once there is one; that is said at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// To whom: slot0, supervisor, qa, ceo, or an agent in full
    #[arg(add = complete::ids(Kind::Agent))]
    to: String,
    /// What it is about, on one line
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    subject: String,
    #[command(flatten)]
    body: Body,
    /// HELP, ESCALATION, NUDGE and so on; none for free text
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// urgent, normal or low
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<String>,
    /// More about the message; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = body::pair)]
    metadata: Vec<(String, String)>,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let wish = NewMail {
            to: session.agent_id(&self.to)?,
            subject: self.subject,
            body: self.body.read()?.unwrap_or_default(),
            message_type: self.message_type,
            priority: self.priority,
            metadata: self.metadata.into_iter().map(|(k, v)| (k, v.into())).collect(),
            allow_secret: self.body.allow_secret,
        };
        let message = mail::send(&mut session, &wish)?;
        ctx.ui.recorded(&message.id);
        ctx.one(&mail::record(&message), |_| message.id.clone());
        ctx.finish(&mut session);
        Ok(())
    }
}
