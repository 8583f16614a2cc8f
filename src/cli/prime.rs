//! `git vermas prime`

use super::{At, Context, prime_text};
use crate::app::fault::Fault;
use crate::app::prime;

/// Show what an agent needs at the start of a session
///
/// Who it is, its assignment with the order's description, comments and what was said when it was sent back, its unread
/// mail, and the rules. What others wrote stands behind bars, with its author. Nothing is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    past: At,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session_at(&self.past)?;
        let prime = prime::gather(&mut session)?;
        let rules = prime_text::rules(prime.role);
        ctx.one(&prime.record(&rules), |_| prime_text::page(&prime, &rules));
        ctx.finish(&mut session);
        Ok(())
    }
}
