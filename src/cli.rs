//! The command-line program: one command for each operation on a set of servers.
//!
//! - `arguments` defines the command line; `screen` shows results; `error` defines the exit codes, and `interrupt`
//!   handles Ctrl-C.
//! - `values` parses and prints the values of calls as people type them.
//! - `who` reports conflicts between the servers: histories, which servers count, which ones elections wait for, and
//!   which ones keep nothing on disk.
//! - `ports` knows which ports the system may give to outgoing connections.
//! - The other modules are the commands.
//!
//! Results go to stdout, everything else to stderr. The module accesses servers only through [`client`](crate::client).
//! The one exception is the server that `cluster` starts, which is this program too.

mod arguments;
mod call;
mod cluster;
mod doctor;
mod error;
mod files;
mod interrupt;
mod ports;
mod roles;
mod screen;
mod server;
mod status;
mod values;
mod who;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::client::Limits;
use crate::client::blocking::Client;
use crate::config::Config;
use arguments::{Arguments, CliCommand};
use error::CommandError;
use screen::{Screen, plain};

pub use screen::write_whole;

/// The environment variable that names the configuration if no option does.
const CONFIG_VARIABLE: &str = "SURFSTORE_CONFIG";

/// Executes a command line, which includes the program's name.
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let screen = Screen::new();
    let ended = match Arguments::try_parse_from(command_line) {
        Ok(arguments) => obey(arguments, &screen),
        // Help is a result; other messages here are not.
        Err(message) if message.use_stderr() => {
            screen.say(&message.to_string());
            return ExitCode::from(error::USAGE);
        }
        Err(help) => screen.show(help.to_string().trim_end()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The message may contain text from a server, or from another program at its address.
            screen.say(&format!("surfstore: {}", plain(&error.message)));
            ExitCode::from(error.code)
        }
    }
}

fn obey(arguments: Arguments, screen: &Screen) -> Result<(), CommandError> {
    let Arguments { command, config, timeout } = arguments;
    let limits = Limits { deadline: timeout, attempt: Limits::default().attempt.min(timeout) };
    let client = || -> Result<Client, CommandError> {
        let config = read_config(config.as_deref(), screen)?;
        interrupt::watch(&command)?;
        Ok(Client::new(&config.servers, limits))
    };
    match &command {
        CliCommand::Cluster { servers, first_port, data } => {
            let config = config.as_deref();
            cluster::run(screen, *servers, config, *first_port, data.as_deref(), limits)
        }
        CliCommand::Server { set, id } => server::run(set, id),
        CliCommand::Status { watch, output } => {
            status::run(screen, &mut client()?, *watch, *output)
        }
        CliCommand::Leader => roles::leader(screen, &mut client()?),
        CliCommand::Ls { json } => files::list(screen, &mut client()?, *json),
        CliCommand::Get { file, json } => files::get(screen, &mut client()?, file, *json),
        CliCommand::Version { file } => files::version(screen, &mut client()?, file),
        CliCommand::Update { file, version, hashes } => {
            files::update(screen, &mut client()?, file, *version, hashes)
        }
        CliCommand::Crash { server } => roles::crash(screen, &mut client()?, *server),
        CliCommand::Restore { server } => roles::restore(screen, &mut client()?, *server),
        CliCommand::Call { method, arguments, at } => {
            call::run(screen, &mut client()?, *at, method, arguments)
        }
        CliCommand::Doctor { file } => {
            let config = read_config(file.as_deref().or(config.as_deref()), screen)?;
            interrupt::watch(&command)?;
            doctor::run(screen, &config, limits)
        }
        CliCommand::Completions { shell } => {
            // Generate into memory first, because the library panics if it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::completed(), "surfstore", &mut script);
            screen.show(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// Reads the configuration that the option or the environment names.
fn read_config(named: Option<&Path>, screen: &Screen) -> Result<Config, CommandError> {
    let from_environment = || env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
    let path = named.map(Path::to_path_buf).or_else(|| from_environment().map(PathBuf::from));
    let path = path.ok_or_else(|| {
        CommandError::usage(format!("no configuration; name one with -f, or in {CONFIG_VARIABLE}"))
    })?;
    let config = Config::read(&path).map_err(|error| CommandError::usage(format!("{error:#}")))?;
    for warning in &config.warnings {
        screen.say(&format!("surfstore: warning: {}", plain(warning)));
    }
    Ok(config)
}
