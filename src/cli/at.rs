//! `--at`: the option of commands that only read, by which they show the state as it was.

use super::complete;
use crate::app::candidates::Kind;

/// Which state is shown.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct At {
    /// Show the state as it was then: at a time (2h, yesterday, 2026-01-06), a revision of the state branch, or an event
    ///
    /// A time means the events stamped up to then; a revision those that the branch held at that commit; an event itself
    /// and all before it in the order of events. Ids are looked up in that state, and nothing is written.
    #[arg(id = "past.at", long = "at", value_name = "WHEN", add = complete::ids(Kind::Point), display_order = 800)]
    pub at: Option<String>,
}
