//! `git vermas version`

use serde_json::json;

use super::Context;
use crate::app::fault::Fault;
use crate::ui::Mode;

/// The version of the files and lines under `.work/` that this program writes; newer ones are read and carried.
const FORMATS: u32 = 1;

/// What a script may rely on beyond the version.
const FEATURES: &[&str] = &["json", "jsonl", "sha1", "sha256"];

/// Show the version of this program and of its formats
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let version = env!("CARGO_PKG_VERSION");
        let record = || json!({ "version": version, "features": FEATURES, "formats": { "version": FORMATS } });
        match ctx.ui.mode() {
            Mode::Text => ctx.ui.out(&format!("git-vermas {version}")),
            Mode::Json => ctx.ui.json(&record()),
            Mode::Jsonl => ctx.ui.jsonl([&record()]),
        }
        Ok(())
    }
}
