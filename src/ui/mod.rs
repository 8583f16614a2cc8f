//! The only room that prints.
//!
//! **Invariant:** standard output carries data and nothing else; notes, warnings, errors, questions and progress go to
//! standard error. **Invariant:** text passes the escaping layer on its way out, whoever wrote it.
//!
//! Not here: what to say. `cli` puts words and records together; this room decides how they look and where they go.

pub mod escape;
pub mod page;
pub mod progress;
pub mod records;
pub mod screen;
pub mod style;
pub mod table;
pub mod time;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

pub use progress::Progress;
pub use records::Records;
pub use screen::{Stream, at_a_terminal};
pub use style::{Label, Paint, When};
pub use table::{Cell, Column, Look, Table};

use crate::app::fault::{Fault, Kind};
use crate::sys::env;

/// The form data is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Text,
    /// One document.
    Json,
    /// One record a line.
    Jsonl,
}

/// What a [`Ui`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub mode: Mode,
    pub quiet: bool,
    pub color: When,
    /// Reads one of git's settings; asked on a terminal only, since what goes into a pipe must not depend on it.
    pub git_setting: fn(&str) -> Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { mode: Mode::Text, quiet: false, color: When::Auto, git_setting: |_| None }
    }
}

/// Whether anything was written to standard output.
static HAS_SPOKEN: AtomicBool = AtomicBool::new(false);

/// Whether anything was written to standard output.
pub fn has_spoken() -> bool {
    HAS_SPOKEN.load(Ordering::Relaxed)
}

/// What is recorded already when the answer is written.
static RECORDED: OnceLock<String> = OnceLock::new();

/// The way to a person, or to the program that stands in for one.
#[derive(Debug)]
pub struct Ui {
    setup: Setup,
    paint_out: OnceLock<Paint>,
    paint_err: OnceLock<Paint>,
}

impl Ui {
    pub fn new(setup: Setup) -> Self {
        Self { setup, paint_out: OnceLock::new(), paint_err: OnceLock::new() }
    }

    pub fn mode(&self) -> Mode {
        self.setup.mode
    }

    /// Whether data is wanted as JSON, of either form.
    pub fn is_json(&self) -> bool {
        self.setup.mode != Mode::Text
    }

    /// Colours for standard output.
    pub fn paint(&self) -> Paint {
        *self.paint_out.get_or_init(|| self.decide(Stream::Out))
    }

    fn paint_err(&self) -> Paint {
        *self.paint_err.get_or_init(|| self.decide(Stream::Err))
    }

    fn decide(&self, stream: Stream) -> Paint {
        let terminal = stream.understands_colour();
        let git = || (self.setup.git_setting)("color.vermas").or_else(|| (self.setup.git_setting)("color.ui"));
        let git = if terminal && self.setup.color == When::Auto { git() } else { None };
        let force = env::var("CLICOLOR_FORCE");
        Paint::new(style::decide(style::Facts {
            when: self.setup.color,
            no_color: env::var_os("NO_COLOR").is_some(),
            clicolor_force: force.as_deref(),
            git: git.as_deref(),
            terminal,
        }))
    }

    /// How a page for standard output is laid out.
    pub fn look(&self) -> Look {
        Look { paint: self.paint(), width: Stream::Out.is_terminal().then(|| Stream::Out.size().0) }
    }

    /// From now on this is recorded, whatever becomes of the answer: where it cannot be written, that is said, or somebody
    /// would do it a second time.
    pub fn recorded(&self, what: impl Into<String>) {
        let _ = RECORDED.set(what.into());
    }

    /// Text on standard output, ended by a newline; no text prints nothing.
    pub fn out(&self, text: &str) {
        if !text.is_empty() {
            put(escape::page(&ended(text), self.paint().is_on()).as_bytes());
        }
    }

    /// Text on standard output, through the pager where that is a terminal and the text longer than it.
    pub fn page(&self, text: &str) {
        if Stream::Out.is_terminal() {
            let (width, height) = Stream::Out.size();
            if page::rows(text, width) >= height
                && let Some(pager) = page::pager((self.setup.git_setting)("core.pager"))
                && page::show(&pager, &escape::page(&ended(text), self.paint().is_on()))
            {
                return;
            }
        }
        self.out(text);
    }

    /// A table on standard output, paged where it is long.
    pub fn table(&self, table: &Table) {
        self.page(&table.render(self.look()));
    }

    /// Bytes on standard output exactly as they are: a script, a page in a format of its own, an exported file.
    pub fn bytes(&self, bytes: &[u8]) {
        put(bytes);
    }

    /// Standard output as a stream, for a session that is shown as it goes on. Control characters are made visible.
    pub fn stream(&self) -> impl std::io::Write + use<> {
        Escaped
    }

    /// One JSON document: over several lines on a terminal, on one in a pipe.
    pub fn json(&self, value: &Value) {
        let text = if Stream::Out.is_terminal() { format!("{value:#}\n") } else { format!("{value}\n") };
        put(escape::json(&text).as_bytes());
    }

    /// One record a line, all in one write.
    pub fn jsonl<'a>(&self, records: impl IntoIterator<Item = &'a Value>) {
        let text: String = records.into_iter().map(|r| format!("{r}\n")).collect();
        put(escape::json(&text).as_bytes());
    }

    /// A word on what was done; silenced by `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.setup.quiet {
            self.say(text);
        }
    }

    /// Something that a person should know although it worked.
    pub fn warn(&self, text: &str) {
        self.say(&format!("{} {}", self.paint_err().text(Label::Warning, "warning:"), escape::block(text)));
    }

    /// An error, as text or as one line of JSON, on standard error.
    pub fn fault(&self, fault: &Fault) {
        if self.is_json() {
            let error = serde_json::json!({"error": {
                "kind": fault.kind.name(), "message": fault.message, "hint": fault.hint_text() }});
            return put_err(escape::json(&format!("{error}\n")).as_bytes());
        }
        self.say(&fault_text(fault, self.paint_err()));
    }

    /// Begins a line that says how far long work has come; on a terminal only.
    pub fn progress(&self, what: &str) -> Progress {
        Progress::new(what, !self.setup.quiet && !self.is_json() && Stream::Err.is_terminal())
    }

    /// Asks for a yes or no; anything but a yes is a no. Where nobody can be asked that is an error, with the hint that
    /// says how to answer beforehand.
    pub fn confirm(&self, question: &str, beforehand: &str) -> Result<bool, Fault> {
        if !screen::has_person() {
            return Err(Fault::failed(format!("{question} (nobody is there to answer)")).hint(beforehand));
        }
        put_err(format!("{} [y/N] ", escape::line(question)).as_bytes());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    fn say(&self, text: &str) {
        put_err(escape::page(&ended(text), self.paint_err().is_on()).as_bytes());
    }
}

/// Passes text on through the escaping layer.
struct Escaped;

impl std::io::Write for Escaped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        put(escape::without_codes(&String::from_utf8_lossy(bytes)).as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An error in words: git's own text as it is, ours with its place and its hints below.
fn fault_text(fault: &Fault, paint: Paint) -> String {
    let gits_own = fault.kind == Kind::Git && fault.message.starts_with("fatal: ");
    let mut text = if gits_own { String::new() } else { format!("{} ", paint.text(Label::Error, "error:")) };
    text.push_str(&escape::block(&fault.message));
    for line in fault.hints.iter().flat_map(|h| h.lines()) {
        text.push_str(&format!("\n{} {}", paint.text(Label::Hint, "hint:"), escape::block(line)));
    }
    text
}

fn ended(text: &str) -> std::borrow::Cow<'_, str> {
    if text.ends_with('\n') { text.into() } else { format!("{text}\n").into() }
}

/// Writes to standard output. A reader that has left (`head`, `less` and q) ends the program quietly, the work being
/// done; a full disk behind it is a failure, since the data went nowhere.
fn put(bytes: &[u8]) {
    HAS_SPOKEN.store(true, Ordering::Relaxed);
    let Err(e) = Stream::Out.write(bytes) else { return };
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    let mut fault = Fault::failed(format!("cannot write to standard output: {}", crate::sys::fs::plain(&e)));
    if let Some(what) = RECORDED.get() {
        fault = fault.behind_a_change(what);
    }
    put_err(escape::page(&ended(&fault_text(&fault, Paint::new(false))), false).as_bytes());
    std::process::exit(i32::from(fault.kind.code()));
}

/// Writes to standard error; where that fails there is nobody left to tell.
fn put_err(bytes: &[u8]) {
    let _ = Stream::Err.write(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_its_hints_and_no_control_characters() {
        let fault = Fault::conflict("wo-1 \x1b[2J is taken").hint("git vermas wo show wo-1\nor wait");
        assert_eq!(
            fault_text(&fault, Paint::new(false)),
            "error: wo-1 \\x1b[2J is taken\nhint: git vermas wo show wo-1\nhint: or wait"
        );
    }

    #[test]
    fn git_speaks_for_itself() {
        let fault = Fault::git("fatal: not a git repository (or any of the parent directories): .git");
        assert!(fault_text(&fault, Paint::new(false)).starts_with("fatal: not a git"));
    }
}
