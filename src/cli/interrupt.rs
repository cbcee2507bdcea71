//! Ctrl-C during calls to servers, and SIGTERM in process 1 of a container, to which the kernel applies no default
//! action.

use std::io;
use std::process;
use std::thread;

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use super::arguments::CliCommand;
use super::error::CommandError;
use super::live::CLEAR_REST;
use super::screen::Screen;
use crate::terminal::write_whole;

/// The exit code after Ctrl-C, by the convention of shells.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C ends the program, with one sentence about what is known of the command.
pub(super) fn watch(command: &CliCommand, screen: &Screen) -> Result<(), CommandError> {
    let mut signals = Signals::new([Signal::Int])
        .and_then(|mut signals| {
            if process::id() == 1 {
                signals.add_signals([Signal::Term])?;
            }
            Ok(signals)
        })
        .map_err(|error| CommandError::error(format!("signals cannot be watched: {error}")))?;
    let (code, last_word) = last_word(command);
    let is_live = screen.with_cursor().is_some()
        && matches!(command, CliCommand::Status { watch: Some(_), .. });
    thread::spawn(move || {
        smol::block_on(signals.next());
        if is_live {
            // Removes the `^C` from the line of the next prompt.
            let _ = write_whole(&mut io::stdout().lock(), CLEAR_REST.as_bytes());
        }
        if !last_word.is_empty() {
            let _ = write_whole(&mut io::stderr(), format!("surfstore: {last_word}\n").as_bytes());
        }
        process::exit(code);
    });
    Ok(())
}

/// The exit code and the message.
fn last_word(command: &CliCommand) -> (i32, &'static str) {
    match command {
        // It ends in no other way.
        CliCommand::Status { watch: Some(_), .. } => (0, ""),
        CliCommand::Update { .. } | CliCommand::Import { .. } => (
            INTERRUPTED,
            "interrupted; outcome unknown: the update may have taken effect, or may still do so",
        ),
        CliCommand::Crash { .. } | CliCommand::Restore { .. } | CliCommand::Call { .. } => {
            (INTERRUPTED, "interrupted; what was sent may have taken effect, or may still do so")
        }
        _ => (INTERRUPTED, "interrupted"),
    }
}
