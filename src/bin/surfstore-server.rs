//! Runs one server of a set: `surfstore-server CONFIG ID`.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use surfstore::config::{SERVER_HELP, ServerArguments};
use surfstore::runtime::{self, disk, memory_limit, output, signals};
use surfstore::storage::{self, Folder};

/// The exit code for invalid arguments, configuration or environment; nothing was started.
const EXIT_REFUSED: u8 = 2;

/// The exit code if the server cannot be started for another reason, such as a port in use.
const EXIT_FAILED: u8 = 1;

/// How long to wait for the last log lines.
const LAST_FLUSH: Duration = Duration::from_millis(200);

const CHECK_USAGE: &str = "wrong number of arguments; usage: surfstore-server --check DIR, \
    or surfstore-server CONFIG ID to start a server";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "--help" || only == "-h" => return show(SERVER_HELP),
        [only] if only == "--version" || only == "-V" => {
            return show(concat!("surfstore-server ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        [flag, folder] if flag == "--check" => return check(Path::new(folder)),
        [flag, ..] if flag == "--check" => return complain(CHECK_USAGE, EXIT_REFUSED),
        _ => {}
    }
    // First, because the first line may already exceed the size of a log file.
    let caught = signals::start();
    output::start();
    if let Err(error) = caught {
        log::warn!("signals cannot be caught: {error}");
    }
    let code = match ServerArguments::parse(arguments) {
        Ok(arguments) => run(arguments),
        Err(error) => refuse(&error, EXIT_REFUSED),
    };
    output::flush(LAST_FLUSH);
    code
}

/// Verifies a data folder.
fn check(folder: &Path) -> ExitCode {
    match Folder::existing(folder).and_then(|folder| storage::check(&folder)) {
        Ok(report) => show(&format!("{report}\n")),
        Err(error) => {
            let error = anyhow::Error::new(error).context(folder.display().to_string());
            complain(&format!("{error:#}"), EXIT_FAILED)
        }
    }
}

/// Ends a check. Nothing else writes to stderr then.
fn complain(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "surfstore-server: {error}");
    ExitCode::from(code)
}

fn show(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EXIT_FAILED),
    }
}

/// Runs the server. It returns only if the server could not be started.
fn run(arguments: ServerArguments) -> ExitCode {
    for warning in &arguments.config.warnings {
        log::warn!("{warning}");
    }
    let memory_max = match memory_limit::wanted() {
        Ok(memory_max) => memory_max,
        Err(error) => return refuse(&error, EXIT_REFUSED),
    };
    match runtime::run(arguments, memory_max, disk::wanted().as_deref()) {
        Ok(never) => match never {},
        Err(error) => refuse(&error, EXIT_FAILED),
    }
}

fn refuse(error: &anyhow::Error, code: u8) -> ExitCode {
    output::say(&format!("surfstore-server: {error:#}"));
    ExitCode::from(code)
}
