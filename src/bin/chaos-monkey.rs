//! Crashes and restores the servers of a running set at random, and checks their answers: `chaos-monkey -f CONFIG`.

use std::env;
use std::io::{self, ErrorKind};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::anyhow;
use async_signal::{Signal, Signals};
use clap::{CommandFactory, FromArgMatches};
use smol::stream::StreamExt;
use surfstore::chaos::options::{CONFIG_VARIABLE, Options};
use surfstore::chaos::run::run;
use surfstore::terminal::{SAME_SIGNAL, help_columns, write_whole};
use surfstore::value::is_visible;

/// The exit code for a violation, for a run that proves nothing, and for a report that cannot be written.
const EXIT_VIOLATION: u8 = 1;

/// The exit code for invalid arguments or an invalid configuration.
const EXIT_REFUSED: u8 = 2;

/// The exit code for an unreachable set.
const EXIT_UNREACHABLE: u8 = 4;

/// The exit code after a second Ctrl-C, by the convention of shells.
const EXIT_INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let command = <Options as CommandFactory>::command().term_width(help_columns());
    let parsed = command.try_get_matches().and_then(|matches| Options::from_arg_matches(&matches));
    let options = match parsed {
        Ok(options) => options,
        Err(message) if message.use_stderr() => {
            say(message.to_string().trim_end());
            return ExitCode::from(EXIT_REFUSED);
        }
        Err(help) => return show(help.to_string().trim_end(), true),
    };
    let config = match options.set(env::var_os(CONFIG_VARIABLE)) {
        Ok(config) => config,
        Err(error) => return refuse(&error, EXIT_REFUSED),
    };
    let interrupted = match interruption() {
        Ok(interrupted) => interrupted,
        Err(error) => return refuse(&error.into(), EXIT_UNREACHABLE),
    };
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    say(&format!("chaos-monkey: seed {seed}"));
    let report = match run(&options, &config, seed, &interrupted) {
        Ok(report) => report,
        Err(error) => return refuse(&error, EXIT_UNREACHABLE),
    };
    let shown = if options.json { report.json().to_string() } else { report.to_string() };
    show(&shown, report.is_clean())
}

/// Prints a result. If nobody reads it, because the reader of a pipe is gone, the exit code still reports it.
fn show(text: &str, is_well: bool) -> ExitCode {
    match write_whole(&mut io::stdout(), format!("{text}\n").as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            refuse(&anyhow!("stdout cannot be written: {error}"), EXIT_VIOLATION)
        }
        _ if is_well => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_VIOLATION),
    }
}

/// A flag that the first Ctrl-C sets. The second ends the process.
fn interruption() -> io::Result<Arc<AtomicBool>> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&interrupted);
    thread::spawn(move || {
        smol::block_on(async {
            signals.next().await;
            first.store(true, Ordering::Relaxed);
            say(
                "chaos-monkey: stopping early to restore and check; press Ctrl-C again to exit at once",
            );
            let began = Instant::now();
            signals.find(|_| SAME_SIGNAL <= began.elapsed()).await;
            process::exit(EXIT_INTERRUPTED);
        });
    });
    Ok(interrupted)
}

/// Prints an error on one line. It may contain text from a server, or from another program at its address.
fn refuse(error: &anyhow::Error, code: u8) -> ExitCode {
    say(&format!("chaos-monkey: {error:#}").replace(|character| !is_visible(character), " "));
    ExitCode::from(code)
}

fn say(line: &str) {
    let _ = write_whole(&mut io::stderr(), format!("{line}\n").as_bytes());
}
