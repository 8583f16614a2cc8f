//! What a command is given to work with.

use std::cell::OnceCell;

use serde_json::Value;

use super::Global;
use super::at::At;
use crate::app::Session;
use crate::app::fault::{Fault, Kind};
use crate::app::past::{self, AsOf};
use crate::ui::{Label, Mode, Records, Setup, Stream, Ui};

/// The screen, and the options every command takes. The repository is not here: a command that needs one asks for it,
/// so that `version`, help and completion scripts work everywhere and at once.
#[derive(Debug)]
pub struct Context {
    pub ui: Ui,
    pub global: Global,
    /// The point that answers are about, where that is not the present.
    as_of: OnceCell<AsOf>,
}

impl Context {
    /// The screen alone: nothing is looked at or moved to.
    pub(super) fn new(global: Global) -> Self {
        let mode = global.mode().unwrap_or(Mode::Json);
        let setup = Setup { mode, quiet: global.quiet, color: global.color, git_setting };
        Self { ui: Ui::new(setup), global, as_of: OnceCell::new() }
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

    /// Like [`Self::session`], at the point that `--at` says. Every answer is marked as being about that point.
    pub fn session_at(&self, at: &At) -> Result<Session, Fault> {
        let mut session = self.session()?;
        if let Some(text) = &at.at {
            let _ = self.as_of.set(past::go_back(&mut session, text)?);
        }
        Ok(session)
    }

    /// The point that answers are about; `None` in the present.
    pub fn as_of(&self) -> Option<&AsOf> {
        self.as_of.get()
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
            Mode::Text => self.page(&words(&self.ui)),
            Mode::Json => self.ui.json(&self.marked(record.clone())),
            Mode::Jsonl => self.ui.jsonl([&self.marked(record.clone())]),
        }
    }

    /// Shows several records: as a JSON array, one a line, or in words.
    pub fn many(&self, records: Vec<Value>, words: impl FnOnce(&Ui) -> String) {
        let records = || records.into_iter().map(|r| self.marked(r));
        match self.ui.mode() {
            Mode::Text => self.page(&words(&self.ui)),
            Mode::Json => self.ui.json(&records().collect()),
            Mode::Jsonl => self.ui.jsonl(&records().collect::<Vec<_>>()),
        }
    }

    /// Begins a list of records that are JSON already.
    pub fn records(&self) -> Records<'_> {
        let records = self.ui.records();
        match self.as_of.get() {
            Some(as_of) => records.with_field(format!("\"as_of\":{}", as_of.record())),
            None => records,
        }
    }

    /// Shows text, under a line that says so where it is about the past. Into a pipe goes nothing but the text.
    pub fn page(&self, text: &str) {
        if let Some(words) = self.past_in_words() {
            if Stream::Out.is_terminal() {
                return self.ui.page(&format!("{}\n\n{text}", self.ui.paint().text(Label::Warning, &words)));
            }
            self.ui.note(&words);
        }
        self.ui.page(text);
    }

    /// Says that there is nothing to show.
    pub fn nothing(&self, text: &str) {
        if let Some(words) = self.past_in_words() {
            self.ui.note(&words);
        }
        self.ui.note(text);
    }

    fn past_in_words(&self) -> Option<String> {
        self.as_of.get().map(|a| format!("As of {}", a.words()))
    }

    /// A record with the point it is about.
    fn marked(&self, mut record: Value) -> Value {
        if let (Some(as_of), Value::Object(map)) = (self.as_of.get(), &mut record) {
            map.insert("as_of".to_owned(), as_of.record());
        }
        record
    }

    /// Shows an error and gives its exit code.
    pub(super) fn fail(&self, fault: &Fault) -> u8 {
        if !fault.is_silent() {
            match self.as_of.get().filter(|_| fault.kind == Kind::NotFound) {
                Some(as_of) => {
                    let then = format!("that is the state as of {}; for the present leave --at away", as_of.words());
                    self.ui.fault(&fault.clone().hint(then));
                }
                None => self.ui.fault(fault),
            }
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
