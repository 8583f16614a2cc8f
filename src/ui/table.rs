//! Aligned columns.
//!
//! On a terminal one elastic column gives way so that a row fits the width. Into a pipe nothing is cut and there is no
//! heading: every line is a record, columns stand two spaces apart, no line ends in a blank.

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
}

impl Column {
    pub fn left(heading: &'static str) -> Self {
        Self { heading, side: Side::Left }
    }

    /// Set to the right, for numbers.
    pub fn right(heading: &'static str) -> Self {
        Self { heading, side: Side::Right }
    }

    /// The one that is cut with `…` where a terminal is too narrow.
    pub fn elastic(heading: &'static str) -> Self {
        Self { heading, side: Side::Elastic }
    }
}

/// One field of a row; its text is escaped when it is made.
#[derive(Debug, Clone)]
pub struct Cell {
    label: Label,
    text: String,
}

impl Cell {
    pub fn new(label: Label, text: impl AsRef<str>) -> Self {
        Self { label, text: escape::line(text.as_ref()).into_owned() }
    }

    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new(Label::Plain, text)
    }
}

/// Rows under construction.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; fields that are missing at its end are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text; nothing at all where it has no rows.
    pub fn render(&self, look: Look) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heading: Option<Vec<Cell>> =
            look.width.map(|_| self.columns.iter().map(|c| Cell::new(Label::Heading, c.heading)).collect());
        let widths = self.widths(heading.as_deref(), look.width);
        let mut out = String::new();
        for row in heading.iter().chain(&self.rows) {
            self.set(&mut out, row, &widths, look.paint);
        }
        out
    }

    fn widths(&self, heading: Option<&[Cell]>, screen: Option<usize>) -> Vec<usize> {
        let rows = || heading.into_iter().chain(self.rows.iter().map(Vec::as_slice));
        let wide = |i: usize| rows().filter_map(|r| r.get(i)).map(|c| c.text.width()).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..self.columns.len()).map(wide).collect();
        let elastic = self.columns.iter().position(|c| c.side == Side::Elastic);
        if let (Some(screen), Some(i)) = (screen, elastic) {
            let all = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let room = widths[i].saturating_sub(all.saturating_sub(screen));
            widths[i] = widths[i].min(room.max(NARROWEST));
        }
        widths
    }

    fn set(&self, out: &mut String, row: &[Cell], widths: &[usize], paint: Paint) {
        let start = out.len();
        for (i, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let empty = Cell { label: Label::Plain, text: String::new() };
            let cell = row.get(i).unwrap_or(&empty);
            let text = cut(&cell.text, *width);
            let pad = " ".repeat(width.saturating_sub(text.width()));
            if i > 0 {
                out.push_str(&" ".repeat(GAP));
            }
            let painted = paint.text(cell.label, &text);
            if column.side == Side::Right {
                out.push_str(&pad);
                out.push_str(&painted);
            } else {
                out.push_str(&painted);
                out.push_str(&pad);
            }
        }
        out.truncate(out.trim_end_matches(' ').len().max(start));
        out.push('\n');
    }
}

/// Cuts text to a width in cells, with `…` as the last of them where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
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
    fn an_empty_table_is_no_text() {
        assert_eq!(Table::new([Column::left("ID")]).render(Look { paint: Paint::new(false), width: Some(80) }), "");
    }
}
