//! A progress line, shown only on a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::report::Blows;
use super::watch::Watch;
use super::worker::Shared;

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
        View { is_shown: io::stderr().is_terminal(), next: Duration::ZERO }
    }

    /// Shows the progress of the run.
    pub(super) fn show(&mut self, shared: &Shared, watch: &Watch, blows: &Blows) {
        let now = shared.now();
        if !self.is_shown || now < self.next {
            return;
        }
        self.next = now + PACE;
        say(&line(shared, watch, blows));
    }

    /// Removes the line.
    pub(super) fn end(&self) {
        if self.is_shown {
            say("");
        }
    }
}

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
        "  {} applied, {} refused, {} unknown, {} reads  {} crashes  {} violations",
        calls.applied,
        calls.refused,
        calls.unknown,
        calls.reads,
        blows.crashes,
        watch.violations.len()
    );
    line
}

/// If the terminal is gone, the run continues.
fn say(line: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{EMPTY_LINE}{line}").and_then(|()| stderr.flush());
}
