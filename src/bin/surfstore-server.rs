//! Runs one server of a set: `surfstore-server CONFIG ID`.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use surfstore::config::Arguments;

/// The exit code for arguments or a configuration that are refused; nothing was started.
const EXIT_REFUSED: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            say(&format!("surfstore-server: {error:#}"));
            return ExitCode::from(EXIT_REFUSED);
        }
    };
    for warning in &arguments.config.warnings {
        say(&format!("warning: {warning}"));
    }
    ExitCode::SUCCESS
}

/// Writes one line to stderr, if somebody reads it.
fn say(line: &str) {
    // A stream that is closed is no reason to end differently.
    let _ = writeln!(io::stderr(), "{line}");
}
