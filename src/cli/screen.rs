//! Output: results on stdout, everything else on stderr, colours only on a terminal. What would not fit a terminal is
//! wrapped between words, or cut if it is a table. Output that does not go to a terminal is left as it is.

use std::env;
use std::io::{self, ErrorKind, IsTerminal};

use serde_json::Value as Json;

use super::error::CommandError;
use super::values;
use crate::terminal::{self, Size, cut_end, cut_middle, pad, wrap, write_whole};
use crate::value::is_visible;

/// The space between two columns.
const GAP: &str = "  ";

/// The width to which a column is cut at most: the port and a part of the host remain.
const CUT_MIN: usize = 12;

/// The width below which a column is not cut as long as others can be left out: that of most addresses.
const WHOLE_MAX: usize = 24;

/// Where results and messages go.
#[derive(Debug)]
pub(super) struct Screen {
    /// Whether stdout is a terminal whose cursor can be moved.
    has_cursor: bool,
    has_colours: bool,
}

/// A terminal colour, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(u8);

pub(super) const RED: Colour = Colour(31);
pub(super) const GREEN: Colour = Colour(32);
pub(super) const YELLOW: Colour = Colour(33);

/// The colours of the servers. After the last one they repeat.
const SERVERS: [Colour; 6] = [Colour(36), GREEN, YELLOW, Colour(35), Colour(34), RED];

impl Colour {
    pub(super) fn of_server(id: usize) -> Colour {
        SERVERS.get(id % SERVERS.len()).copied().unwrap_or(GREEN)
    }
}

impl Screen {
    /// The screen of this process. By convention any non-empty value of `NO_COLOR` switches colours off.
    pub(super) fn new() -> Screen {
        let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_cursor = io::stdout().is_terminal() && !is_dumb;
        Screen { has_cursor, has_colours: has_cursor && !is_plain }
    }

    /// The size of the terminal that results go to, if its cursor can be moved.
    pub(super) fn with_cursor(&self) -> Option<Size> {
        terminal::size(io::stdout()).filter(|_| self.has_cursor)
    }

    /// Prints a result, and ends its last line. A reader such as `head` may close the pipe early. This changes neither
    /// what is done nor the exit code.
    pub(super) fn show(&self, text: &str) -> Result<(), CommandError> {
        self.show_to_reader(text).map(drop)
    }

    /// Prints a result like [`show`](Screen::show). Returns whether stdout still has a reader.
    pub(super) fn show_to_reader(&self, text: &str) -> Result<bool, CommandError> {
        let mut stdout = io::stdout().lock();
        match write_whole(&mut stdout, format!("{text}\n").as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(CommandError::error(format!("stdout cannot be written: {error}"))),
        }
    }

    /// Writes what moves the cursor. If stdout is closed, it is lost.
    pub(super) fn steer(&self, text: &str) {
        let _ = write_whole(&mut io::stdout().lock(), text.as_bytes());
    }

    /// Prints a result that is a sentence on each line.
    pub(super) fn show_sentences(&self, text: &str) -> Result<(), CommandError> {
        let columns = terminal::size(io::stdout()).map_or(usize::MAX, |size| size.columns);
        let lines: Vec<_> = text.lines().map(|line| wrap(line, columns, 0)).collect();
        self.show(&lines.join("\n"))
    }

    /// Prints a result that is a sentence after a mark: the lines after the first begin below the sentence.
    pub(super) fn show_marked(
        &self,
        colour: Colour,
        mark: &str,
        sentence: &str,
    ) -> Result<(), CommandError> {
        let text = format!("{mark} {}", plain(sentence));
        let text = match terminal::size(io::stdout()) {
            Some(size) => wrap(&text, size.columns, terminal::width(mark) + 1),
            None => text,
        };
        let rest = text.strip_prefix(mark).unwrap_or_default();
        self.show(&format!("{}{rest}", self.paint(Some(colour), mark)))
    }

    /// Prints a result for programs.
    pub(super) fn show_json(&self, document: &Json) -> Result<(), CommandError> {
        self.show(&values::shown(&format!("{document:#}")))
    }

    /// Prints a message that is not a result. If stderr is closed, it is lost.
    pub(super) fn say(&self, text: &str) {
        let lines = text.trim_end().lines().map(|line| match terminal::size(io::stderr()) {
            Some(size) => wrap(line, size.columns, 0),
            None => line.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let _ = write_whole(&mut io::stderr(), format!("{text}\n").as_bytes());
    }

    /// The text in that colour, if colours are on.
    pub(super) fn paint(&self, colour: Option<Colour>, text: &str) -> String {
        match colour {
            Some(Colour(number)) if self.has_colours => format!("\u{1b}[{number}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    /// Lines of columns, which fit the terminal if there is one. The first row is the header. Each line is in its
    /// colour.
    pub(super) fn table(&self, layout: &Layout, rows: &[Row]) -> String {
        let columns = terminal::size(io::stdout()).map_or(usize::MAX, |size| size.columns);
        self.table_within(columns, layout, rows)
    }

    pub(super) fn table_within(&self, columns: usize, layout: &Layout, rows: &[Row]) -> String {
        let shown = layout.fit(columns, widths(rows));
        let line = |row: &Row| {
            let cells = shown.iter().filter_map(|(column, width)| {
                let cell = row.cells.get(*column)?;
                // The last cell of a short row may be longer than its column.
                let is_cut = *column == layout.cut;
                let cell = if is_cut { cut_middle(cell, *width) } else { cell.clone() };
                Some(pad(&cell, *width))
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            self.paint(row.colour, &cut_end(line.trim_end(), columns))
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How a table is made to fit.
#[derive(Debug)]
pub(super) struct Layout {
    /// The column whose cells are cut in the middle.
    pub(super) cut: usize,
    /// The columns that are left out, in this order, before a cell of usual length is cut.
    pub(super) spare: &'static [usize],
    /// The least widths of columns, so that a table that is redrawn keeps its layout while its values change.
    pub(super) least: &'static [(usize, usize)],
}

impl Layout {
    /// The columns that are shown, each with its width.
    fn fit(&self, columns: usize, widths: Vec<usize>) -> Vec<(usize, usize)> {
        let least =
            |column| self.least.iter().find(|(of, _)| *of == column).map(|(_, least)| *least);
        let widths = widths.into_iter().enumerate();
        let mut shown: Vec<_> = widths
            .map(|(column, width)| (column, width.max(least(column).unwrap_or_default())))
            .collect();
        let total = |shown: &[(usize, usize)]| {
            shown.iter().map(|(_, width)| width + GAP.len()).sum::<usize>() - GAP.len()
        };
        let can_cut = |shown: &[(usize, usize)], rest: usize| {
            let cut = shown.iter().find(|(column, _)| *column == self.cut);
            cut.map_or(0, |(_, width)| width.saturating_sub(rest))
        };
        for spare in self.spare {
            if total(&shown) - can_cut(&shown, WHOLE_MAX) <= columns {
                break;
            }
            shown.retain(|(column, _)| column != spare);
        }
        let excess = total(&shown).saturating_sub(columns).min(can_cut(&shown, CUT_MIN));
        for (_, width) in shown.iter_mut().filter(|(column, _)| *column == self.cut) {
            *width -= excess;
        }
        shown
    }
}

/// The widths of the columns. The last cell of a row that is shorter than others may be longer than its column.
fn widths(rows: &[Row]) -> Vec<usize> {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    let width = |column| {
        let has_column = |row: &&Row| column + 1 < row.cells.len() || row.cells.len() == columns;
        let cells = rows.iter().filter(has_column).filter_map(|row| row.cells.get(column));
        cells.map(|cell: &String| terminal::width(cell)).max().unwrap_or_default()
    };
    (0..columns).map(width).collect()
}

/// A line of a table.
#[derive(Debug)]
pub(super) struct Row {
    cells: Vec<String>,
    colour: Option<Colour>,
}

impl Row {
    pub(super) fn new(cells: impl IntoIterator<Item = impl Into<String>>) -> Row {
        Row { cells: cells.into_iter().map(Into::into).collect(), colour: None }
    }

    pub(super) fn coloured(self, colour: Option<Colour>) -> Row {
        Row { colour, ..self }
    }
}

/// The text on one line, with every character visible: file names may contain any character.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_visible(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown
}

/// The name of a file on one line. The empty name is one too.
pub(super) fn shown_name(name: &str) -> String {
    if name.is_empty() { "\"\"".to_owned() } else { plain(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(has_colours: bool) -> Screen {
        Screen { has_cursor: true, has_colours }
    }

    const LAYOUT: Layout = Layout { cut: 1, spare: &[3, 2], least: &[] };

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let rows = [Row::new(["A", "B"]), Row::new(["ä-long", "1"]).coloured(Some(RED))];
        let table = |has_colours| screen(has_colours).table_within(80, &LAYOUT, &rows);
        assert_eq!(table(false), "A       B\nä-long  1");
        assert_eq!(table(true), "A       B\n\u{1b}[31mä-long  1\u{1b}[0m");
    }

    #[test]
    fn a_table_that_is_too_wide_loses_columns_first_and_is_then_cut() {
        let rows = [
            Row::new(["ID", "ADDRESS", "ROLE", "TERM"]),
            Row::new(["0", "localhost:9001", "follower", "7"]),
            Row::new(["1", "localhost:9002", "unreachable"]),
        ];
        for (columns, lines) in [
            (
                usize::MAX,
                [
                    "ID  ADDRESS         ROLE      TERM",
                    "0   localhost:9001  follower  7",
                    "1   localhost:9002  unreachable",
                ],
            ),
            (
                33,
                [
                    "ID  ADDRESS         ROLE",
                    "0   localhost:9001  follower",
                    "1   localhost:9002  unreachable",
                ],
            ),
            (17, ["ID  ADDRESS", "0   localh…t:9001", "1   localh…t:9002"]),
            (10, ["ID  ADDRE…", "0   local…", "1   local…"]),
        ] {
            let table = screen(false).table_within(columns, &LAYOUT, &rows);
            assert_eq!(table.lines().collect::<Vec<_>>(), lines, "{columns}");
        }
    }

    #[test]
    fn a_long_cell_is_cut_before_columns_are_left_out() {
        let address = "a-host-with-a-long-name.example.org:9001";
        let rows = [Row::new(["0", address, "follower", "7"])];
        let table = |columns| screen(false).table_within(columns, &LAYOUT, &rows);
        assert_eq!(table(40), "0  a-host-with…ple.org:9001  follower  7");
        assert_eq!(table(39), "0  a-host-with-…mple.org:9001  follower");
    }

    #[test]
    fn wide_characters_and_least_widths_count_as_columns() {
        let rows = [Row::new(["NAME", "VERSION"]), Row::new(["文件名", "1"]), Row::new(["a", "2"])];
        let table = |layout| screen(false).table_within(80, layout, &rows);
        assert_eq!(table(&LAYOUT), "NAME    VERSION\n文件名  1\na       2");
        let layout = Layout { least: &[(0, 7)], ..LAYOUT };
        assert_eq!(table(&layout), "NAME     VERSION\n文件名   1\na        2");
    }

    #[test]
    fn what_is_shown_plain_cannot_steer_a_terminal() {
        assert_eq!(plain("ü a\u{1b}[31m\n\u{9b}"), "ü a\\u{1b}[31m\\n\\u{9b}");
        assert_eq!(plain("a\u{202e}txt.\u{200b}b\u{2066}"), "a\\u{202e}txt.\\u{200b}b\\u{2066}");
        assert_eq!(plain("e\u{301} אב ✓"), "e\u{301} אב ✓", "these are only letters and marks");
    }
}
