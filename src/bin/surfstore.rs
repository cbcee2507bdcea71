//! SurfStore for people: starts servers, shows how they are doing, and calls them. See `surfstore --help`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    surfstore::cli::run(env::args_os())
}
