//! What a command is given to work with.

use serde_json::Value;

use super::Global;
use crate::app::Session;
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
        let setup = Setup { mode, quiet: global.quiet, color: global.color, git_setting };
        Self { ui: Ui::new(setup), global }
    }

    /// Heeds the options that can be wrong, and goes to the directory of `-C`.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        self.global.mode()?;
        self.global.dir.as_deref().map_or(Ok(()), enter)
    }

    /// The state of the repository stood in, on behalf of the agent that acts here.
    pub fn session(&self) -> Result<Session, Fault> {
        Session::open(self.global.identity.as_deref())
    }

    /// Says what came up beside the result. Called when a command's own output is out.
    pub fn finish(&self, session: &mut Session) {
        for warning in session.take_warnings() {
            self.ui.warn(&warning);
        }
    }

    /// Shows one record: as JSON, or in words.
    pub fn one(&self, record: &Value, words: impl FnOnce(&Ui) -> String) {
        match self.ui.mode() {
            Mode::Text => self.ui.page(&words(&self.ui)),
            Mode::Json => self.ui.json(record),
            Mode::Jsonl => self.ui.jsonl([record]),
        }
    }

    /// Shows several records: as a JSON array, one a line, or in words.
    pub fn many(&self, records: Vec<Value>, words: impl FnOnce(&Ui) -> String) {
        match self.ui.mode() {
            Mode::Text => self.ui.page(&words(&self.ui)),
            Mode::Json => self.ui.json(&Value::Array(records)),
            Mode::Jsonl => self.ui.jsonl(&records),
        }
    }

    /// Shows an error and gives its exit code.
    pub(super) fn fail(&self, fault: &Fault) -> u8 {
        if !fault.is_silent() {
            self.ui.fault(fault);
        }
        fault.kind.code()
    }
}

/// One of git's settings where we stand; the screen asks for them on a terminal only. Outside a repository there are none.
fn git_setting(key: &str) -> Option<String> {
    crate::app::session::repository().ok()?.settings().get(key)
}

/// Relative paths on the line are meant from there, as with `git -C`.
fn enter(dir: &std::path::Path) -> Result<(), Fault> {
    crate::sys::env::set_current_dir(dir)
        .map_err(|e| Fault::usage(format!("cannot change to '{}': {}", dir.display(), crate::sys::fs::plain(&e))))
}
