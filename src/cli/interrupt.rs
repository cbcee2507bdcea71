//! Ctrl-C during calls to servers, and SIGTERM in process 1 of a container, to which the kernel applies no default
//! action.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::process;
use std::thread;
use std::time::Instant;

use async_signal::{Signal, Signals};
use smol::channel::{self, Receiver};
use smol::future;
use smol::stream::StreamExt;

use super::arguments::CliCommand;
use super::error::{CommandError, INTERRUPTED};
use super::live::CLEAR_REST;
use super::screen::Screen;
use crate::terminal::{SAME_SIGNAL, write_whole};

/// From now on Ctrl-C ends the program, with one sentence about what is known of the command.
pub(super) fn watch(command: &CliCommand, screen: &Screen) -> Result<(), CommandError> {
    let mut signals = Signals::new([Signal::Int])
        .and_then(|mut signals| {
            if process::id() == 1 {
                signals.add_signals([Signal::Term])?;
            }
            Ok(signals)
        })
        .map_err(|error| unwatched(&error))?;
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
        process::exit(code.into());
    });
    Ok(())
}

fn unwatched(error: &io::Error) -> CommandError {
    CommandError::error(format!("signals cannot be watched: {error}"))
}

/// Ctrl-C, SIGTERM or a hang-up of the terminal, for a command that has to undo something before it ends. The first
/// signal interrupts the calls that are made through this, and the next one after [`SAME_SIGNAL`] ends the program.
#[derive(Debug)]
pub(super) struct Interruption {
    /// Closed by the first signal.
    interrupted: Receiver<Infallible>,
}

impl Interruption {
    /// Watches signals from now on. `left` is the message of the second signal: what is not undone then.
    pub(super) fn watch(left: &'static str) -> Result<Interruption, CommandError> {
        // Asked now, because a terminal that has hung up is none.
        let has_terminal = io::stdin().is_terminal();
        let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]);
        let signals = signals.map_err(|error| unwatched(&error))?;
        let mut signals = signals.filter(move |signal| match signal {
            Ok(Signal::Hup) => has_terminal,
            _ => true,
        });
        let (sender, interrupted) = channel::bounded(1);
        thread::spawn(move || {
            smol::block_on(signals.next());
            drop(sender);
            let first = Instant::now();
            // What ends a session may send a hang-up as well.
            let is_second =
                |signal: &_| !matches!(signal, Ok(Signal::Hup)) && SAME_SIGNAL <= first.elapsed();
            smol::block_on(signals.find(is_second));
            let _ = write_whole(&mut io::stderr(), format!("surfstore: {left}\n").as_bytes());
            process::exit(INTERRUPTED.into());
        });
        Ok(Interruption { interrupted })
    }

    /// Fails if a signal has come: after a call that must not be interrupted.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.interrupted.is_closed() { Err(CommandError::interrupted()) } else { Ok(()) }
    }

    /// Does the work, unless a signal interrupts it.
    pub(super) async fn or<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        let interrupted = async {
            let Err(_) = self.interrupted.recv().await;
            Err(CommandError::interrupted())
        };
        future::or(work, interrupted).await
    }
}

/// The exit code and the message.
fn last_word(command: &CliCommand) -> (u8, &'static str) {
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
