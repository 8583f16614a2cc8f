//! `git vermas merge-driver`

use std::path::PathBuf;

use super::Context;
use crate::app::{Fault, merge_driver};

/// Join two versions of a list of the state branch, for git merge
///
/// git calls it by the setting merge.vermas.driver; nobody types it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The common ancestor's version (%O)
    base: PathBuf,
    /// Our version, which the result replaces (%A)
    ours: PathBuf,
    /// Their version (%B)
    theirs: PathBuf,
    /// Where the file stands in the tree (%P)
    path: String,
}

impl Args {
    pub fn run(self, _ctx: &Context) -> Result<(), Fault> {
        // A union needs no ancestor: no record is ever taken away.
        let Self { base: _, ours, theirs, path } = self;
        merge_driver::run(&ours, &theirs, &path)
    }
}
