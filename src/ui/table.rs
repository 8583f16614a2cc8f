//! Aligned columns.
//!
//! On a terminal one elastic column gives way so that a row fits the width. Into a pipe nothing is cut and there is no
//! heading: every line is a record, columns stand two spaces apart, no line ends in a blank.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::escape;
use super::style::{Label, Paint};

const GAP: usize = 2;
/// An elastic column never gets narrower than this, in terminal cells.
const NARROWEST: usize = 8;

/// How a page is laid out; [`super::Ui::look`] knows.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub paint: Paint,
    /// The terminal's width in cells; `None` when there is none.
    pub width: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Elastic,
}

/// A column: its heading and how it is set.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    heading: &'static str,
    side: Side,
    /// Whether it is left out where nothing stands in it.
    optional: bool,
}

impl Column {
    fn new(heading: &'static str, side: Side) -> Self {
        Self { heading, side, optional: false }
    }

    pub fn left(heading: &'static str) -> Self {
        Self::new(heading, Side::Left)
    }

    /// Set to the right, for numbers.
    pub fn right(heading: &'static str) -> Self {
        Self::new(heading, Side::Right)
    }

    /// The one that is cut with `…` where a terminal is too narrow.
    pub fn elastic(heading: &'static str) -> Self {
        Self::new(heading, Side::Elastic)
    }

    /// Left out of a table in which nobody has anything there.
    pub fn optional(heading: &'static str) -> Self {
        Self { optional: true, ..Self::left(heading) }
    }
}

/// One field of a row; its text is escaped when it is made.
#[derive(Debug, Clone)]
pub struct Cell<'a> {
    label: Label,
    text: Cow<'a, str>,
}

impl<'a> Cell<'a> {
    pub fn new(label: Label, text: impl Into<Cow<'a, str>>) -> Self {
        let text = match text.into() {
            Cow::Borrowed(t) => escape::line(t),
            Cow::Owned(t) => match escape::line(&t) {
                Cow::Owned(safe) => Cow::Owned(safe),
                Cow::Borrowed(_) => Cow::Owned(t),
            },
        };
        Self { label, text }
    }

    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Label::Plain, text)
    }
}

/// A field that stands in a table: where its text ends in the table's, and how many cells it takes on a terminal.
#[derive(Debug, Clone, Copy)]
struct Field {
    label: Label,
    end: usize,
    width: usize,
}

/// Rows under construction. All their text is kept in one piece: tables are long.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    text: String,
    fields: Vec<Field>,
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), text: String::new(), fields: Vec::new() }
    }

    /// Adds a row; fields that are missing at its end are empty.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        let end = self.fields.len() + self.columns.len();
        for cell in cells.into_iter().take(self.columns.len()) {
            self.text.push_str(&cell.text);
            self.fields.push(Field { label: cell.label, end: self.text.len(), width: width_of(&cell.text) });
        }
        self.fields.resize(end, Field { label: Label::Plain, end: self.text.len(), width: 0 });
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The table as text; nothing at all where it has no rows.
    pub fn render(&self, look: Look) -> String {
        if self.is_empty() {
            return String::new();
        }
        let widths = self.widths(look.width);
        let mut out = String::with_capacity(self.text.len() + self.fields.len() * 4);
        if look.width.is_some() {
            let heading = |c: &Column| (Label::Heading, c.heading, width_of(c.heading));
            self.set(&mut out, self.columns.iter().map(heading), &widths, look.paint);
        }
        let mut at = 0;
        for row in self.fields.chunks(self.columns.len()) {
            let cells = row.iter().map(|f| {
                let text = &self.text[at..f.end];
                at = f.end;
                (f.label, text, f.width)
            });
            self.set(&mut out, cells, &widths, look.paint);
        }
        out
    }

    /// The width of each column; `None` where it is left out.
    fn widths(&self, screen: Option<usize>) -> Vec<Option<usize>> {
        let mut wide = vec![0; self.columns.len()];
        for row in self.fields.chunks(self.columns.len()) {
            for (w, f) in wide.iter_mut().zip(row) {
                *w = f.width.max(*w);
            }
        }
        let shown = |(c, w): (&Column, usize)| {
            let heading = if screen.is_some() { width_of(c.heading) } else { 0 };
            (w > 0 || !c.optional).then(|| w.max(heading))
        };
        let mut widths: Vec<Option<usize>> = self.columns.iter().zip(wide).map(shown).collect();
        let elastic = self.columns.iter().position(|c| c.side == Side::Elastic);
        if let (Some(screen), Some(i)) = (screen, elastic) {
            let there = widths.iter().flatten().count();
            let all = widths.iter().flatten().sum::<usize>() + GAP * there.saturating_sub(1);
            widths[i] = widths[i].map(|w| w.min(w.saturating_sub(all.saturating_sub(screen)).max(NARROWEST)));
        }
        widths
    }

    fn set<'a>(
        &self,
        out: &mut String,
        row: impl Iterator<Item = (Label, &'a str, usize)>,
        widths: &[Option<usize>],
        paint: Paint,
    ) {
        let (start, mut is_first) = (out.len(), true);
        for ((label, text, wide), (column, width)) in row.zip(self.columns.iter().zip(widths)) {
            let Some(width) = *width else { continue };
            if !std::mem::take(&mut is_first) {
                fill(out, GAP);
            }
            let pad = width.saturating_sub(wide);
            if column.side == Side::Right {
                fill(out, pad);
            }
            if wide > width {
                paint.put(out, label, &cut(text, width));
            } else {
                paint.put(out, label, text);
            }
            if column.side != Side::Right {
                fill(out, pad);
            }
        }
        out.truncate(out.trim_end_matches(' ').len().max(start));
        out.push('\n');
    }
}

fn fill(out: &mut String, blanks: usize) {
    const BLANKS: &str = "                                                                ";
    let mut left = blanks;
    while left > 0 {
        let some = left.min(BLANKS.len());
        out.push_str(&BLANKS[..some]);
        left -= some;
    }
}

/// How many cells escaped text takes on a terminal.
fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Cuts text to a width in cells, with `…` as the last of them where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut t = Table::new([Column::left("ID"), Column::elastic("TITLE"), Column::right("P"), Column::left("WHO")]);
        t.row([Cell::new(Label::Id, "wo-1"), Cell::plain("Add a --version flag to it"), Cell::plain("10")]);
        t.row([Cell::new(Label::Id, "wo-22"), Cell::plain("文档\n"), Cell::plain("2"), Cell::plain("slot0")]);
        t
    }

    #[test]
    fn into_a_pipe_nothing_is_cut_and_no_line_ends_in_a_blank() {
        let text = sample().render(Look { paint: Paint::new(false), width: None });
        assert_eq!(text, "wo-1   Add a --version flag to it  10\nwo-22  文档\\n                       2  slot0\n");
    }

    #[test]
    fn on_a_terminal_the_elastic_column_gives_way() {
        let text = sample().render(Look { paint: Paint::new(false), width: Some(34) });
        insta::assert_snapshot!(text, @r"
        ID     TITLE              P  WHO
        wo-1   Add a --version…  10
        wo-22  文档\n             2  slot0
        ");
        assert!(text.lines().all(|l| l.width() <= 34), "{text}");
    }

    #[test]
    fn colour_changes_no_column() {
        let text = sample().render(Look { paint: Paint::new(true), width: None });
        assert!(text.starts_with("\x1b[33mwo-1\x1b[0m   Add"), "{text:?}");
    }

    #[test]
    fn an_optional_column_is_there_where_somebody_has_something_in_it() {
        let mut t = Table::new([Column::left("ID"), Column::optional("WAITS FOR"), Column::right("P")]);
        t.row([Cell::plain("wo-1"), Cell::plain(""), Cell::plain("2")]);
        assert_eq!(t.render(Look { paint: Paint::new(false), width: None }), "wo-1  2\n");
        t.row([Cell::plain("wo-2"), Cell::plain("wo-1"), Cell::plain("2")]);
        assert_eq!(t.render(Look { paint: Paint::new(false), width: None }), "wo-1        2\nwo-2  wo-1  2\n");
    }

    #[test]
    fn an_empty_table_is_no_text() {
        assert_eq!(Table::new([Column::left("ID")]).render(Look { paint: Paint::new(false), width: Some(80) }), "");
    }
}
