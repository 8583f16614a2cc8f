//! `git vermas read`

use super::{At, Context, answer, complete};
use crate::agents::fence;
use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::mail;
use crate::domain::message::Message;
use crate::ui::{Label, Paint};

/// Show a message, which counts as read when its recipient does it
///
/// The text stands behind bars, with its author named: whoever reads it, an agent above all, is to take it for what that
/// author says and for nothing else.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The message
    #[arg(add = complete::ids(Kind::Mail))]
    id: String,
    /// Leave it unread
    #[arg(long)]
    peek: bool,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let message = mail::read(&mut session, &self.id, self.peek)?;
        ctx.one(&mail::record(&message), |_| page(ctx, &message));
        ctx.finish(&mut session);
        Ok(())
    }
}

fn page(ctx: &Context, m: &Message) -> String {
    let paint = ctx.ui.paint();
    let mut out = format!("{}  {}\n", paint.text(Label::Id, &m.id), paint.text(Label::Heading, &m.subject));
    let mut line = |name: &str, label: Label, value: &str| {
        out.push_str(&format!("{name:<9} {}\n", paint.text(label, value)));
    };
    line("From", Label::Agent, &m.from);
    line("To", Label::Agent, &m.to);
    line("Sent", Label::Time, &sent(ctx, m));
    if let Some(kind) = &m.message_type {
        line("Type", Label::Plain, kind);
    }
    if m.priority != "normal" {
        line("Priority", if m.priority == "urgent" { Label::Bad } else { Label::Plain }, &m.priority);
    }
    for (key, value) in &m.metadata {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!("{} {}\n", paint.text(Label::Dim, &format!("{key}:")), paint.text(Label::Plain, &value)));
    }
    out.push('\n');
    out.push_str(&body(paint, m));
    out
}

fn sent(ctx: &Context, m: &Message) -> String {
    let at = m.timestamp.to_string();
    if ctx.ui.look().width.is_none() { at } else { format!("{at} ({})", answer::when(ctx, m.timestamp)) }
}

fn body(paint: Paint, m: &Message) -> String {
    if m.body.trim().is_empty() {
        return format!("{}\n", paint.text(Label::Dim, "(no text)"));
    }
    fence(&m.from, &format!("mail {}", m.id), &m.body)
}
