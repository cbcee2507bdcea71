//! Runs one server of a set: `surfstore-server CONFIG ID`.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use surfstore::config::Arguments;
use surfstore::runtime::output;

/// The exit code for arguments or a configuration that are refused; nothing was started.
const EXIT_REFUSED: u8 = 2;

/// How long the last lines are waited for.
const LAST_FLUSH: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    output::start();
    let code = match Arguments::parse(env::args_os().skip(1)) {
        Ok(arguments) => run(&arguments),
        Err(error) => {
            output::say(&format!("surfstore-server: {error:#}"));
            ExitCode::from(EXIT_REFUSED)
        }
    };
    output::flush(LAST_FLUSH);
    code
}

/// Runs the server until it ends.
fn run(arguments: &Arguments) -> ExitCode {
    for warning in &arguments.config.warnings {
        log::warn!("{warning}");
    }
    ExitCode::SUCCESS
}
