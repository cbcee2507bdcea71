//! A progress line, shown only on a terminal.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::report::Blows;
use super::watch::Watch;
use super::worker::Shared;
use crate::terminal::{self, cut_end};

/// The time between two updates of the line.
const PACE: Duration = Duration::from_millis(200);

/// Moves to the start of the line and clears it.
const EMPTY_LINE: &str = "\r\x1b[K";

/// The progress line.
pub(super) struct View {
    is_shown: bool,
    next: Duration,
}

impl View {
    pub(super) fn new() -> View {
        View { is_shown: terminal::size(io::stderr()).is_some(), next: Duration::ZERO }
    }

    /// Shows the progress of the run.
    pub(super) fn show(&mut self, shared: &Shared, watch: &Watch, blows: &Blows) {
        let now = shared.now();
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + PACE;
        // Measured again each time, because a line that wraps could not be removed. The last column stays empty,
        // because some terminals wrap as soon as it is written.
        let Some(size) = terminal::size(io::stderr()) else { return };
        say(&cut_end(&line(shared, watch, blows), size.columns - 1));
    }

    /// Removes the line.
    pub(super) fn end(&self) {
        if self.is_shown {
            say("");
        }
    }
}

/// What matters most comes first, because a narrow terminal cuts the end.
fn line(shared: &Shared, watch: &Watch, blows: &Blows) -> String {
    let mut line = format!("{:.1} s  ", shared.now().as_secs_f64());
    for (id, crashed) in watch.crashed().into_iter().enumerate() {
        let leads = watch.leader.is_some_and(|(leader, _)| leader == id);
        line.push(if crashed {
            '-'
        } else if leads {
            'L'
        } else {
            'o'
        });
    }
    if let Some((_, term)) = watch.leader {
        let _ = write!(line, " term {term}");
    }
    let calls = &shared.record().calls;
    let _ = write!(
        line,
        "  {} violations, {} crashes  {} applied, {} refused, {} unknown, {} reads",
        watch.violations.len(),
        blows.crashes,
        calls.applied,
        calls.refused,
        calls.unknown,
        calls.reads
    );
    line
}

/// If the terminal is gone, the run continues.
fn say(line: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{EMPTY_LINE}{line}").and_then(|()| stderr.flush());
}
