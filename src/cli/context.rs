//! What a command is given to work with.

use super::Global;
use crate::app::fault::Fault;
use crate::ui::{Mode, Setup, Ui};

/// The screen, and the options every command takes. The repository is not here: a command that needs one asks for it,
/// so that `version`, help and completion scripts work everywhere and at once.
#[derive(Debug)]
pub struct Context {
    pub ui: Ui,
    pub global: Global,
}

impl Context {
    /// The screen alone: nothing is looked at or moved to.
    pub(super) fn new(global: Global) -> Self {
        let mode = global.mode().unwrap_or(Mode::Json);
        let setup = Setup { mode, quiet: global.quiet, color: global.color, ..Setup::default() };
        Self { ui: Ui::new(setup), global }
    }

    /// Heeds the options that can be wrong, and goes to the directory of `-C`.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        self.global.mode()?;
        self.global.dir.as_deref().map_or(Ok(()), enter)
    }

    /// Shows an error and gives its exit code.
    pub(super) fn fail(&self, fault: &Fault) -> u8 {
        self.ui.fault(fault);
        fault.kind.code()
    }
}

/// Relative paths on the line are meant from there, as with `git -C`.
fn enter(dir: &std::path::Path) -> Result<(), Fault> {
    crate::sys::env::set_current_dir(dir)
        .map_err(|e| Fault::usage(format!("cannot change to '{}': {}", dir.display(), crate::sys::fs::plain(&e))))
}
