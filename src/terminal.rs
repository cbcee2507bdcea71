//! What the command-line programs know of terminals: their size, text that fits, streams that are written as a whole,
//! and signals that count as one.
//!
//! The module knows nothing of what is written. Widths are columns: many characters of East Asia take two.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar;

/// Signals within this time of the first count as the same: `timeout` of coreutils signals the process and then its
/// process group, so that one timeout sends two.
pub const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// The size of a terminal that does not tell its own.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };

/// The width of help: longer lines are hard to read.
const HELP_COLUMNS: usize = 100;

/// Stands for what is left out.
const ELLIPSIS: char = '…';

/// The size of a terminal, in characters; neither number is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The length of a line.
    pub columns: usize,
    /// The number of lines.
    pub rows: usize,
}

/// The size of the terminal that the stream leads to, now: people resize terminals. `None` if it leads to none.
pub fn size(stream: impl AsFd) -> Option<Size> {
    if !stream.as_fd().is_terminal() {
        return None;
    }
    let told = tcgetwinsize(stream).ok();
    let told = |number: fn(&rustix::termios::Winsize) -> u16| {
        told.as_ref().map(number).map(usize::from).filter(|count| 0 < *count)
    };
    let variable = || env::var("COLUMNS").ok()?.parse().ok().filter(|columns| 0 < *columns);
    Some(Size {
        columns: told(|size| size.ws_col).or_else(variable).unwrap_or(UNKNOWN.columns),
        rows: told(|size| size.ws_row).unwrap_or(UNKNOWN.rows),
    })
}

/// The width of help, which goes to stdout.
pub fn help_columns() -> usize {
    size(io::stdout()).map_or(HELP_COLUMNS, |size| size.columns.min(HELP_COLUMNS))
}

/// How many columns the text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

/// How many columns a character takes; marks that are put on the one before it take none.
fn width_of(character: char) -> usize {
    character.width().unwrap_or_default()
}

/// The text in at least so many columns: spaces follow it.
pub fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    text.to_owned() + &" ".repeat(missing)
}

/// The text in at most so many columns: its end is cut.
pub fn cut_end(text: &str, columns: usize) -> String {
    match columns.checked_sub(1) {
        _ if width(text) <= columns => text.to_owned(),
        None => String::new(),
        Some(kept) => fitting(text.chars(), kept).chain([ELLIPSIS]).collect(),
    }
}

/// The text in at most so many columns: its middle is cut, because addresses and names differ at their ends.
pub fn cut_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(kept) = columns.checked_sub(1) else { return String::new() };
    let begin = fitting(text.chars(), kept / 2);
    let end: Vec<_> = fitting(text.chars().rev(), kept - kept / 2).collect();
    // A mark stays with its character.
    let end = end.into_iter().rev().skip_while(|character| width_of(*character) == 0);
    begin.chain([ELLIPSIS]).chain(end).collect()
}

/// The first characters, as many as fit.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    characters.take_while(move |character| {
        used += width_of(*character);
        used <= columns
    })
}

/// The text in lines of at most so many columns, broken between words. A command in backquotes is one word, because a
/// line break would be copied with it. Only a longer word has a longer line. All lines but the first begin with so many
/// spaces.
pub fn wrap(text: &str, columns: usize, indent: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut used = 0;
    for (place, word) in words(text).iter().enumerate() {
        let width = width(word);
        // The first word is empty if the text begins with a space.
        if place == 0 {
            used = width;
        } else if used + 1 + width <= columns {
            wrapped.push(' ');
            used += 1 + width;
        } else {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            used = indent + width;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// The words of a text. A backquote that no other one closes is a character like any other.
fn words(text: &str) -> Vec<String> {
    let marks = |text: &str| text.matches('`').count();
    let (all, mut seen) = (marks(text), 0);
    let mut words: Vec<String> = Vec::new();
    for part in text.split(' ') {
        let is_open = seen % 2 == 1 && seen < all;
        match words.last_mut().filter(|_| is_open) {
            Some(word) => word.extend([" ", part]),
            None => words.push(part.to_owned()),
        }
        seen += marks(part);
    }
    words
}

/// Writes everything. A stream may be non-blocking because another process that shares it has made it so. If it is
/// full, this waits for its reader, as with any other stream.
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
                // Whatever ends the wait, the next attempt returns the error of the stream, if it has one.
                let _ = poll(&mut [PollFd::new(stream, PollFlags::OUT)], None);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_cut_has_the_width_that_it_may_have_and_keeps_its_ends() {
        for (columns, end, middle) in [
            (14, "localhost:9001", "localhost:9001"),
            (13, "localhost:90…", "localh…t:9001"),
            (5, "loca…", "lo…01"),
            (1, "…", "…"),
            (0, "", ""),
        ] {
            assert_eq!(cut_end("localhost:9001", columns), end);
            assert_eq!(cut_middle("localhost:9001", columns), middle);
        }
        assert_eq!(cut_middle("äöüß", 4), "äöüß", "characters count, not bytes");
    }

    #[test]
    fn a_wide_character_takes_two_columns_and_a_mark_none() {
        assert_eq!([width("文件.txt"), width("e\u{301}a")], [8, 2]);
        for (columns, end, middle) in [
            (8, "文件文件", "文件文件"),
            (7, "文件文…", "文…件"),
            (6, "文件…", "文…件"),
            (4, "文…", "…件"),
            (2, "…", "…"),
            (0, "", ""),
        ] {
            assert_eq!(cut_end("文件文件", columns), end, "{columns}");
            assert_eq!(cut_middle("文件文件", columns), middle, "{columns}");
        }
        assert_eq!(cut_end("e\u{301}ab", 2), "e\u{301}…", "a mark stays with its character");
        assert_eq!(cut_middle("abce\u{301}d", 3), "a…d", "nor does it go to another one");
        assert_eq!(pad("文", 3) + "|", "文 |");
        assert_eq!(wrap("文件 文件", 8, 0), "文件\n文件");
    }

    #[test]
    fn lines_are_broken_between_words_and_later_ones_are_indented() {
        assert_eq!(wrap("one two three", 13, 2), "one two three");
        assert_eq!(wrap("one two three", 12, 2), "one two\n  three");
        assert_eq!(wrap("one two three", 7, 2), "one two\n  three");
        assert_eq!(wrap("a  b", 80, 0), "a  b");
        assert_eq!(wrap("  one two", 80, 0), "  one two", "spaces at the beginning stay");
        assert_eq!(wrap("  one two", 7, 2), "  one\n  two");
        assert_eq!(wrap("a longest-word b", 5, 1), "a\n longest-word\n b");
    }

    #[test]
    fn a_command_in_backquotes_is_never_broken() {
        assert_eq!(wrap("try `a b c`; done", 9, 2), "try\n  `a b c`;\n  done");
        assert_eq!(wrap("`a b` or `c d`", 8, 0), "`a b` or\n`c d`");
        assert_eq!(wrap("a longer `b c` d", 4, 1), "a\n longer\n `b c`\n d");
        assert_eq!(
            wrap("no ` one `a b` it", 7, 0),
            "no\n` one `a\nb` it",
            "marks are paired in order"
        );
        assert_eq!(wrap("a ` b c", 3, 0), "a `\nb c", "nothing closes it");
    }

    #[test]
    fn what_is_no_terminal_has_no_size() {
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(size(&reader), None);
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
