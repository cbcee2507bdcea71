//! Output: results on stdout, everything else on stderr, colours only on a terminal.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use super::error::CommandError;
use crate::value::is_visible;

/// Where results and messages go.
#[derive(Debug)]
pub(super) struct Screen {
    /// Whether stdout is a terminal.
    pub(super) is_terminal: bool,
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
        let is_terminal = io::stdout().is_terminal();
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Screen { is_terminal, has_colours: is_terminal && !is_plain }
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

    /// Prints a message that is not a result. If stderr is closed, it is lost.
    pub(super) fn say(&self, text: &str) {
        let _ = write_whole(&mut io::stderr(), format!("{}\n", text.trim_end()).as_bytes());
    }

    /// The text in that colour, if colours are on.
    pub(super) fn paint(&self, colour: Option<Colour>, text: &str) -> String {
        match colour {
            Some(Colour(number)) if self.has_colours => format!("\u{1b}[{number}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    /// Lines of columns. The first row is the header. Each line is in its colour.
    pub(super) fn table(&self, rows: &[Row]) -> String {
        let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
        let width = |column| {
            let cells = rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell: &String| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Row| {
            let cells = row.cells.iter().zip(&widths);
            let padded: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
            self.paint(row.colour, padded.join("  ").trim_end())
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Writes everything. A stream may be non-blocking, because another process that has it made it so: if it is full, this
/// waits for its reader, as with any other stream.
///
/// # Errors
///
/// If the stream cannot be written.
pub fn write_whole(stream: &mut (impl Write + AsFd), bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match until_ready(stream, |stream| stream.write(rest))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    until_ready(stream, Write::flush)
}

/// Repeats an action until the stream does not refuse it for lack of room.
fn until_ready<S: AsFd, T>(stream: &mut S, act: impl Fn(&mut S) -> io::Result<T>) -> io::Result<T> {
    loop {
        match act(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // An error of the stream itself, or a signal, makes the next attempt tell it.
                let _ = poll(&mut [PollFd::new(stream, PollFlags::OUT)], None);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn screen(has_colours: bool) -> Screen {
        Screen { is_terminal: true, has_colours }
    }

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let rows = [Row::new(["A", "B"]), Row::new(["ä-long", "1"]).coloured(Some(RED))];
        assert_eq!(screen(false).table(&rows), "A       B\nä-long  1");
        assert_eq!(screen(true).table(&rows), "A       B\n\u{1b}[31mä-long  1\u{1b}[0m");
    }

    #[test]
    fn what_is_shown_plain_cannot_steer_a_terminal() {
        assert_eq!(plain("ü a\u{1b}[31m\n\u{9b}"), "ü a\\u{1b}[31m\\n\\u{9b}");
        assert_eq!(plain("a\u{202e}txt.\u{200b}b\u{2066}"), "a\\u{202e}txt.\\u{200b}b\\u{2066}");
        assert_eq!(plain("e\u{301} אב ✓"), "e\u{301} אב ✓", "these are only letters and marks");
    }

    #[test]
    fn a_non_blocking_stream_is_written_as_a_whole() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|place: usize| place.to_le_bytes()[1]).collect();
        let written = sent.clone();
        let writes = std::thread::spawn(move || write_whole(&mut writer, &written));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writes.join().unwrap().unwrap();
        assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    }
}
