//! `git vermas demo`

use std::path::PathBuf;

use serde_json::json;

use super::Context;
use crate::app::demo::{self, Beat, Report, Wish};
use crate::app::fault::Fault;
use crate::launch::Kind;
use crate::sys::env;
use crate::ui::{Label, Mode, Ui};

/// Show the whole job on a project that is thrown away afterwards
///
/// Makes a small project with tests and a remote in a temporary directory, gives three work orders to two workers at once,
/// has one of them sent back by QA and mended, merges and shares the result, and looks at all of it from a second clone.
/// The agent is a script: no account, no network. Your repositories, settings and tmux server are not touched, and nothing
/// is left behind.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the repositories, for a look at them
    #[arg(long)]
    keep: bool,
    /// How the workers' sessions are run; tmux where it is there
    #[arg(long, value_name = "HOW")]
    launcher: Option<How>,
    /// Take away what a demonstration in this directory leaves (it starts this itself)
    #[arg(long, hide = true, value_name = "DIR")]
    sweep: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum How {
    Tmux,
    Process,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if let Some(root) = self.sweep {
            return demo::sweep(&root, self.keep);
        }
        let launcher = self.launcher.map(|how| match how {
            How::Tmux => Kind::Tmux,
            How::Process => Kind::Process,
        });
        let aloud = ctx.ui.mode() == Mode::Text && !ctx.global.quiet;
        let tell = |beat: Beat<'_>| {
            if aloud {
                ctx.ui.out(&line(&ctx.ui, beat));
            }
        };
        let report = demo::run(&Wish { keep: self.keep, launcher }, &tell)?;
        match ctx.ui.mode() {
            Mode::Text => ctx.ui.out(&end(&ctx.ui, &report)),
            Mode::Json => ctx.ui.json(&json!(report)),
            Mode::Jsonl => ctx.ui.jsonl([&json!(report)]),
        }
        Ok(())
    }
}

fn line(ui: &Ui, beat: Beat<'_>) -> String {
    let paint = ui.paint();
    match beat {
        Beat::Scene(text) => format!("\n{}\n", paint.text(Label::Heading, text)),
        Beat::Word(text) => format!("  {}", paint.text(Label::Plain, text)),
        Beat::Typed { place, line } => {
            format!("  {} {}", paint.text(Label::Dim, &format!("{place}$")), paint.text(Label::Id, line))
        }
        Beat::Printed(text) => format!("    {}", paint.text(Label::Plain, text)).trim_end().to_owned() + "\n",
        Beat::Holds(text) => format!("  {} {}", paint.text(Label::Good, "yes"), paint.text(Label::Plain, text)),
    }
}

fn end(ui: &Ui, report: &Report) -> String {
    let heading = |text: &str| ui.paint().text(Label::Heading, text);
    let mut out = format!("\n{} in {:.1} seconds.", heading("All of it holds"), report.seconds);
    out.push_str(&match &report.kept {
        Some(place) => format!(" It is kept in {place}: cd {place}/greet, and remove it when you have seen enough.\n"),
        None => " Nothing is left behind.\n".to_owned(),
    });
    out.push_str(&format!("\n{}\n", heading("Next, in a repository of your own")));
    if env::which("git-vermas").is_none() {
        out.push_str("  cargo install --path .        puts git-vermas on your PATH\n");
    }
    out.push_str(
        "  git vermas init\n  git config vermas.qa.test 'make test'\n  git vermas wo create \"What is to be done\"\n  \
         git vermas dispatch ID        starts claude, or the first agent that is installed\n  \
         git vermas status\n  git vermas qa run\n",
    );
    out
}
