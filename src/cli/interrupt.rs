//! Ctrl-C during calls to servers.

use std::io::{self, Write};
use std::process;
use std::thread;

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use super::arguments::Command;
use super::failure::Failure;

/// The exit code after Ctrl-C, by the convention of shells.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C ends the program, with one sentence about what is known of the command.
pub(super) fn watch(command: &Command) -> Result<(), Failure> {
    let mut signals = Signals::new([Signal::Int])
        .map_err(|error| Failure::error(format!("signals cannot be watched: {error}")))?;
    let (code, last_word) = last_word(command);
    thread::spawn(move || {
        smol::block_on(signals.next());
        if !last_word.is_empty() {
            let _ = writeln!(io::stderr(), "surfstore: {last_word}");
        }
        process::exit(code);
    });
    Ok(())
}

/// The exit code and the message.
fn last_word(command: &Command) -> (i32, &'static str) {
    match command {
        // It ends in no other way.
        Command::Status { watch: true, .. } => (0, ""),
        Command::Update { .. } => (
            INTERRUPTED,
            "interrupted; outcome unknown: the update may have taken effect, or may still do so",
        ),
        Command::Crash { .. } | Command::Restore { .. } | Command::Call { .. } => {
            (INTERRUPTED, "interrupted; what was sent may have taken effect, or may still do so")
        }
        _ => (INTERRUPTED, "interrupted"),
    }
}
