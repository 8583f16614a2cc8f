//! `git vermas doctor`

use serde_json::json;

use super::Context;
use crate::app::doctor::{self, Check, Health};
use crate::app::{Fault, packing, simulate};
use crate::domain::text::counted;
use crate::ui::{Label, Mode};

/// Look whether everything around the state is as it should be
///
/// Looking changes nothing. With --fix, every repair is shown first and then done; none deletes
/// anything. The exit code is 1 where an error is left. With --simulate, the program itself is
/// looked at: what was acknowledged must be there after anything, and all machines must agree.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Mend what can be mended
    #[arg(long)]
    fix: bool,
    /// Pack the state branch's loose objects, and do nothing else
    #[arg(long, conflicts_with = "fix")]
    pack: bool,
    /// Simulate this many runs of several machines, in no repository
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["fix", "pack"])]
    simulate: Option<u64>,
    /// The seed of the first run that is simulated
    #[arg(long, value_name = "S", default_value_t = 1, requires = "simulate")]
    seed: u64,
    /// Leave the repositories of the last run that is simulated, for a look at them
    #[arg(long, requires = "simulate")]
    keep: bool,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        if self.pack {
            return pack(ctx);
        }
        if let Some(count) = self.simulate {
            return simulated(ctx, self.seed, count, self.keep);
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
        n => format!("packed {} of {}", counted(n, "object"), counted(packed.commits, "commit")),
    });
    Ok(())
}

fn simulated(ctx: &Context, first: u64, count: u64, keep: bool) -> Result<(), Fault> {
    let progress = std::cell::RefCell::new(ctx.ui.progress("simulate"));
    let report = simulate::run(first, count, keep, &|w| progress.borrow_mut().say(w))?;
    drop(progress);
    ctx.one(&json!(report), |_| told(&report));
    match report.failed {
        0 => Ok(()),
        1 => Err(Fault::failed("a promise is broken")),
        n => Err(Fault::failed(format!("promises are broken with {n} seeds"))),
    }
}

fn told(r: &simulate::Report) -> String {
    let t = &r.tally;
    let last = r.first_seed.saturating_add(r.seeds).saturating_sub(1);
    let mut text = format!(
        "{} ({} to {last}) in {:.1} s: {}, {} ({} refused), {}, {}, {}, {}, {}, {}, {}; {}",
        counted(r.seeds, "seed"),
        r.first_seed,
        r.seconds,
        counted(t.steps, "step"),
        counted(t.commands, "command"),
        t.refused,
        counted(t.syncs, "sync"),
        counted(t.plain_merges, "plain merge"),
        counted(t.crashes, "crash"),
        counted(t.power_cuts, "power cut"),
        counted(t.errors, "error"),
        counted(t.claims_won, "exclusive claim"),
        counted(t.clones_copied, "copied clone"),
        counted(r.failed, "broken promise"),
    );
    for f in &r.failures {
        text.push_str(&format!("\nseed {}: {}: {}\n", f.seed, f.promise, f.what));
        if !f.schedule.is_empty() {
            text.push_str(&format!(
                "the shortest schedule found has {} of {} steps:",
                f.schedule.len(),
                f.steps_before
            ));
        }
        for step in &f.schedule {
            text.push_str(&format!("\n  {}", json!(step)));
        }
    }
    if let Some(place) = &r.kept {
        text.push_str(&format!("\nthe repositories are in {place}"));
    }
    text
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
