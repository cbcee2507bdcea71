//! SurfStore's command-line program: starts servers, shows their status, and calls them. See `surfstore --help`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    surfstore::cli::run(env::args_os())
}
