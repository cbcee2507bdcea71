//! A single server, started by `cluster`.

use std::ffi::OsStr;
use std::io;
use std::process;
use std::thread;

use super::error::CommandError;
use crate::config::ServerArguments;
use crate::runtime::{self, disk, memory_limit, output, signals};

/// Runs the server until stdin ends, which happens when the process that started this one ends for any reason.
pub(super) fn run(config: &OsStr, id: &OsStr) -> Result<(), CommandError> {
    let usage = |error: anyhow::Error| CommandError::usage(format!("{error:#}"));
    let arguments = ServerArguments::parse([config, id].map(OsStr::to_owned)).map_err(usage)?;
    let memory_max = memory_limit::wanted().map_err(usage)?;
    signals::start()
        .map_err(|error| CommandError::error(format!("signals cannot be caught: {error}")))?;
    output::start();
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    match runtime::run(arguments, memory_max, disk::wanted().as_deref()) {
        Ok(never) => match never {},
        Err(error) => Err(CommandError::error(format!("{error:#}"))),
    }
}
