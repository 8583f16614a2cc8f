//! One line on a terminal's standard error that says how far long work has come.

use std::time::Duration;

use super::escape;
use super::screen::Stream;
use super::table::cut;
use crate::sys::clock::Deadline;

/// Work that ends within this time shows nothing.
const QUIET_AT_FIRST: Duration = Duration::from_millis(400);
/// A line is redrawn no more often than this.
const REDRAW: Duration = Duration::from_millis(100);

/// How far it has come; the line is wiped when this is dropped.
#[derive(Debug)]
pub struct Progress {
    what: String,
    on: bool,
    drawn: bool,
    next: Deadline,
}

impl Progress {
    pub(super) fn new(what: &str, on: bool) -> Self {
        Self { what: escape::line(what).into_owned(), on, drawn: false, next: Deadline::after(QUIET_AT_FIRST) }
    }

    /// Says that `done` of `total` is done; a total of 0 is one that is not known.
    pub fn set(&mut self, done: u64, total: u64) {
        if self.on && self.next.passed() {
            let line = text(&self.what, done, total);
            self.draw(&line);
        }
    }

    /// Says in words what is going on now.
    pub fn say(&mut self, words: &str) {
        if self.on && self.next.passed() {
            let line = format!("{}: {}", self.what, escape::line(words));
            self.draw(&line);
        }
    }

    fn draw(&mut self, line: &str) {
        let (width, _) = Stream::Err.size();
        // Not being able to draw is no reason to stop working.
        let _ = Stream::Err.write(format!("\r\x1b[K{}", cut(line, width - 1)).as_bytes());
        self.drawn = true;
        self.next = Deadline::after(REDRAW);
    }
}

fn text(what: &str, done: u64, total: u64) -> String {
    match (done * 100).checked_div(total) {
        Some(percent) => format!("{what}: {:3}% ({done}/{total})", percent.min(100)),
        None => format!("{what}: {done}"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = Stream::Err.write(b"\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_total_that_is_not_known_has_no_percentage() {
        assert_eq!(text("Reading", 7, 0), "Reading: 7");
        assert_eq!(text("Reading", 7, 9), "Reading:  77% (7/9)");
    }
}
