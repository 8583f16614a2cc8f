//! Records on standard output one after the other, however many there are.
//!
//! A large part goes to a thread that writes it while the next is made. Whoever makes the records never waits for a reader
//! that is slow or stopped (a pager): the state may be locked as long as they are made.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use serde_json::Value;

use super::{Mode, Stream, Ui, escape, put};

/// How much is handed to the writer at once, in bytes.
const PART: usize = 128 * 1024;

/// Standard output, taking records that are JSON already.
pub struct Records<'a> {
    ui: &'a Ui,
    form: Form,
    part: String,
    writer: Option<(Sender<String>, JoinHandle<()>)>,
    is_first: bool,
    /// What every record says last, as a field of JSON.
    last_field: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    /// For a person's eyes: taken apart, and set over several lines.
    Page,
    Lines,
}

impl Ui {
    /// Begins a list of records: one array, or one a line.
    pub fn records(&self) -> Records<'_> {
        let form = match self.mode() {
            Mode::Jsonl => Form::Lines,
            Mode::Json if Stream::Out.is_terminal() => Form::Page,
            _ => Form::Array,
        };
        Records { ui: self, form, part: String::new(), writer: None, is_first: true, last_field: None }
    }
}

impl Records<'_> {
    /// Has every record say this, too: `"name":value`.
    #[must_use]
    pub fn with_field(mut self, field: String) -> Self {
        self.last_field = Some(field);
        self
    }

    /// Adds one record.
    pub fn add(&mut self, json: &str) {
        match (self.form, self.is_first) {
            (Form::Lines, _) => {}
            (_, true) => self.part.push('['),
            (_, false) => self.part.push(','),
        }
        self.is_first = false;
        match (&self.last_field, json.strip_suffix('}')) {
            (Some(field), Some(open)) => self.part.extend([open, ",", field, "}"]),
            _ => self.part.push_str(json),
        }
        if self.form == Form::Lines {
            self.part.push('\n');
        }
        if self.part.len() >= PART && self.form != Form::Page {
            self.hand_over();
        }
    }

    /// Ends the list, and waits until all of it is written.
    pub fn end(mut self) {
        match (self.form, self.is_first) {
            (Form::Lines, _) => {}
            (_, true) => self.part.push_str("[]\n"),
            (_, false) => self.part.push_str("]\n"),
        }
        if self.form == Form::Page {
            return self.ui.json(&serde_json::from_str(&self.part).unwrap_or(Value::Array(Vec::new())));
        }
        if let Some((parts, writer)) = self.writer.take() {
            drop(parts);
            // It ends the program itself where it cannot write.
            let _ = writer.join();
        }
        put(escape::json(&self.part).as_bytes());
    }

    fn hand_over(&mut self) {
        let part = std::mem::replace(&mut self.part, String::with_capacity(PART + PART / 8));
        let (parts, _) = self.writer.get_or_insert_with(|| {
            let (parts, taken) = channel::<String>();
            let write = move || taken.into_iter().for_each(|part| put(escape::json(&part).as_bytes()));
            (parts, std::thread::spawn(write))
        });
        // It takes parts until it is told that there are no more.
        let _ = parts.send(part);
    }
}

impl Drop for Records<'_> {
    /// A list that broke off ends where it is, so that the error comes after it.
    fn drop(&mut self) {
        if let Some((parts, writer)) = self.writer.take() {
            drop(parts);
            let _ = writer.join();
        }
    }
}
