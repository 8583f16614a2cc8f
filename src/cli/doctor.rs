//! `git vermas doctor`

use serde_json::json;

use super::Context;
use crate::app::Fault;
use crate::app::doctor::{self, Check, Health};
use crate::app::packing;
use crate::ui::{Label, Mode};

/// Look whether everything around the state is as it should be
///
/// Looking changes nothing. With --fix, every repair is shown first and then done; none deletes
/// anything. The exit code is 1 where an error is left.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Mend what can be mended
    #[arg(long)]
    fix: bool,
    /// Pack the state branch's loose objects, and do nothing else
    #[arg(long, conflicts_with = "fix")]
    pack: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if self.pack {
            return pack(ctx);
        }
        let identity = ctx.global.identity.as_deref();
        let mut checks = doctor::examine(identity)?;
        if self.fix && checks.iter().any(|c| c.repair.is_some()) {
            let warnings = doctor::mend(&checks, identity, &|repair| ctx.ui.note(repair))?;
            warnings.iter().for_each(|w| ctx.ui.warn(w));
            checks = doctor::examine(identity)?;
        }
        let records: Vec<_> = checks.iter().map(|c| serde_json::to_value(c).unwrap_or_default()).collect();
        let errors = checks.iter().filter(|c| c.health == Health::Error).count();
        match ctx.ui.mode() {
            Mode::Json => ctx.ui.json(&json!({"errors": errors, "checks": records})),
            Mode::Jsonl => ctx.ui.jsonl(&records),
            Mode::Text => ctx.ui.page(&checks.iter().map(|c| shown(ctx, c)).collect::<String>()),
        }
        match errors {
            0 => Ok(()),
            1 => Err(Fault::failed("there is an error")),
            n => Err(Fault::failed(format!("there are {n} errors"))),
        }
    }
}

fn pack(ctx: &Context) -> Result<(), Fault> {
    let packed = packing::pack()?;
    if ctx.ui.is_json() {
        ctx.one(&json!(packed), |_| String::new());
        return Ok(());
    }
    ctx.ui.note(&match packed.objects {
        0 => "nothing to pack".to_owned(),
        n => format!("packed {n} objects of {} commits", packed.commits),
    });
    Ok(())
}

fn shown(ctx: &Context, c: &Check) -> String {
    let paint = ctx.ui.paint();
    let (label, word) = match c.health {
        Health::Ok => (Label::Good, "ok"),
        Health::Info => (Label::Dim, "note"),
        Health::Warning => (Label::Warning, "warning"),
        Health::Error => (Label::Error, "error"),
    };
    let mut text = format!("{}  {}: {}\n", paint.text(label, word), c.name, paint.text(Label::Plain, &c.what));
    for line in c.mend.iter().filter(|_| c.health != Health::Ok).flat_map(|m| m.lines()) {
        text.push_str(&format!("    {}\n", paint.text(Label::Hint, line)));
    }
    text
}
