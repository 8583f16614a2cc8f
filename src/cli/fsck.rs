//! `git vermas fsck`

use super::{At, Context};
use crate::app::Fault;
use crate::app::fsck::{self, Finding, Severity};
use crate::domain::text::counted;
use crate::ui::{Label, Mode};

/// Check every promise of the state: on the branch, on disk, in what the events say
///
/// Changes nothing. The exit code is 1 where an error was found; warnings and notes are no errors.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check the branch as it was at this revision, and nothing on disk
    #[arg(long, value_name = "REVISION", conflicts_with = "past.at")]
    rev: Option<String>,
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let mut progress = ctx.ui.progress("Checking");
        progress.say("reading the log and the branch");
        let report = match ctx.as_of() {
            Some(_) => fsck::of_the_past(&mut session),
            None => fsck::run(&session, self.rev.as_deref()),
        };
        drop(progress);
        let report = report?;
        match ctx.ui.mode() {
            Mode::Json => ctx.ui.json(&serde_json::to_value(&report).unwrap_or_default()),
            Mode::Jsonl => {
                let all: Vec<_> = report.findings.iter().map(|f| serde_json::to_value(f).unwrap_or_default()).collect();
                ctx.ui.jsonl(&all);
            }
            Mode::Text => {
                let mut text: String = report.findings.iter().map(|f| shown(ctx, f)).collect();
                let count = |s| report.count(s);
                text.push_str(&format!(
                    "{}, {}, {}: {}, {}, {}\n",
                    counted(report.events, "event"),
                    counted(report.orders, "work order"),
                    counted(report.messages, "message"),
                    counted(count(Severity::Error), "error"),
                    counted(count(Severity::Warning), "warning"),
                    counted(count(Severity::Info), "note")
                ));
                ctx.page(&text);
            }
        }
        match report.count(Severity::Error) {
            0 => Ok(()),
            n => {
                Err(Fault::failed(format!("the state has {n} errors"))
                    .hint("see what can be mended: git vermas doctor"))
            }
        }
    }
}

/// One finding as lines of text.
pub(super) fn shown(ctx: &Context, f: &Finding) -> String {
    let paint = ctx.ui.paint();
    let (label, word) = match f.severity {
        Severity::Error => (Label::Error, "error"),
        Severity::Warning => (Label::Warning, "warning"),
        Severity::Info => (Label::Dim, "note"),
    };
    let place = paint.text(Label::Id, &f.place);
    let mut text = format!("{}: {place}: {}\n", paint.text(label, word), paint.text(Label::Plain, &f.what));
    if let Some(mend) = &f.mend {
        text.push_str(&format!("    {}\n", paint.text(Label::Hint, mend)));
    }
    text
}
