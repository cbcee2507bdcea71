//! A text that is redrawn in place. The cursor stays below it, in view, so that whatever ends the program leaves the
//! last text and a clean prompt.

use crate::terminal::Size;

/// Moves the cursor to the top left, and clears the terminal.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Moves the cursor to the start of its line, and clears everything from there on.
pub(super) const CLEAR_REST: &str = "\r\u{1b}[J";

/// What is drawn at present.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The size of the terminal, and the number of lines.
    drawn: Option<(Size, usize)>,
}

impl Live {
    /// What must be written, with a line ending, to show this text in the place of the one before.
    pub(super) fn frame(&mut self, size: Size, text: &str) -> String {
        let lines: Vec<_> = text.lines().take(size.rows.saturating_sub(1)).collect();
        let begin = match self.drawn.replace((size, lines.len())) {
            None => String::new(),
            Some((before, count)) if before == size => format!("\u{1b}[{count}A{CLEAR_REST}"),
            // After a change of size, it is unknown how many lines the old text takes.
            Some(_) => CLEAR.to_owned(),
        };
        begin + &lines.join("\n")
    }

    /// What must be written, without a line ending, to remove the text.
    pub(super) fn removal(&mut self) -> String {
        match self.drawn.take() {
            Some((_, count @ 1..)) => format!("\u{1b}[{count}A{CLEAR_REST}"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_replaces_the_one_before_and_never_scrolls() {
        let size = Size { columns: 80, rows: 3 };
        let mut live = Live::default();
        assert_eq!(live.frame(size, "a\nb"), "a\nb");
        assert_eq!(live.frame(size, "c"), "\u{1b}[2A\r\u{1b}[Jc");
        assert_eq!(live.frame(size, "d\ne\nf"), "\u{1b}[1A\r\u{1b}[Jd\ne");
        let narrower = Size { columns: 60, ..size };
        assert_eq!(live.frame(narrower, "g"), format!("{CLEAR}g"));
        assert_eq!(live.removal(), "\u{1b}[1A\r\u{1b}[J");
        assert_eq!((live.removal(), live.frame(size, "h")), (String::new(), "h".to_owned()));
    }
}
