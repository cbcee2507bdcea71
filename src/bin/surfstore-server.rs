//! Runs one server of a set: `surfstore-server CONFIG ID`.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use surfstore::config::Arguments;
use surfstore::runtime::{self, output};

/// The exit code for invalid arguments or an invalid configuration; nothing was started.
const EXIT_REFUSED: u8 = 2;

/// The exit code if the server cannot be started for another reason, such as a port in use.
const EXIT_FAILED: u8 = 1;

/// How long to wait for the last log lines.
const LAST_FLUSH: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    output::start();
    let code = match Arguments::parse(env::args_os().skip(1)) {
        Ok(arguments) => run(arguments),
        Err(error) => refuse(&error, EXIT_REFUSED),
    };
    output::flush(LAST_FLUSH);
    code
}

/// Runs the server. It returns only if the server could not be started.
fn run(arguments: Arguments) -> ExitCode {
    for warning in &arguments.config.warnings {
        log::warn!("{warning}");
    }
    match runtime::run(arguments) {
        Ok(never) => match never {},
        Err(error) => refuse(&error, EXIT_FAILED),
    }
}

fn refuse(error: &anyhow::Error, code: u8) -> ExitCode {
    output::say(&format!("surfstore-server: {error:#}"));
    ExitCode::from(code)
}
