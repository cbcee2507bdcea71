//! Signals whose default action is wrong for a server.
//!
//! All others, and SIGTERM and SIGINT in an ordinary process, keep their default actions, so that a parent process sees
//! which signal ended the server.

use std::io::{self, IsTerminal};
use std::{mem, process, thread};

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

/// The exit code of a process that a signal ended, without the signal's number: the convention of shells.
const ENDED_BY_SIGNAL: i32 = 128;

/// From now on these signals do what is right for a server.
///
/// # Errors
///
/// If the signals cannot be caught. They then keep their default actions.
pub fn start() -> io::Result<()> {
    // A log file has reached the process's limit on the size of files. If the signal is caught, the write fails like
    // any other, and only its line is lost.
    let mut harmless = vec![Signal::Xfsz];
    // A server that nobody runs in a terminal should survive the end of the session that started it, and a log rotation
    // that sends this signal to every daemon: it would lose its memory.
    if !io::stdin().is_terminal() {
        harmless.push(Signal::Hup);
    }
    // That they are caught is enough. It ends with the process.
    mem::forget(Signals::new(harmless)?);
    if process::id() == 1 { end_process_1() } else { Ok(()) }
}

/// Makes SIGTERM and SIGINT end the process. To process 1, which the first process of a container is, the kernel
/// applies no default action.
fn end_process_1() -> io::Result<()> {
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    // A thread of its own, so that the end does not wait for a long step of the server.
    let wait = move || {
        if let Some(Ok(signal)) = smol::block_on(signals.next()) {
            process::exit(ENDED_BY_SIGNAL + signal as i32);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}
