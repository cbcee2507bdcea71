//! The command-line program: one command for each operation on a set of servers.
//!
//! - `arguments` defines the command line; `screen` shows results, and `live` redraws them in place; `clock` knows the
//!   local time; `error` defines the exit codes, and `interrupt` handles Ctrl-C.
//! - `values` parses and prints the values of calls as people type them.
//! - `who` reports conflicts between the servers: histories, which servers count, which ones elections wait for, and
//!   which ones keep nothing on disk.
//! - `completions` writes scripts for shells, and the candidates that they ask for; `man` writes manual pages. Both work
//!   from `arguments`.
//! - `ports` knows which ports the system may give to outgoing connections.
//! - The other modules are the commands.
//!
//! Results go to stdout, everything else to stderr. The module accesses servers only through [`client`](crate::client).
//! The one exception is the server that `cluster` starts, which is this program too.

mod arguments;
mod bench;
mod call;
mod clock;
mod cluster;
mod completions;
mod doctor;
mod error;
mod files;
mod import;
mod interrupt;
mod live;
mod man;
mod ports;
mod roles;
mod screen;
mod server;
mod status;
mod values;
mod who;

use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::client::Limits;
use crate::client::blocking::Client;
use crate::config::Config;
use arguments::{Arguments, CliCommand, Format, OnlyJson};
use error::CommandError;
use screen::{Screen, plain};

/// The environment variable that names the configuration if no option does.
const CONFIG_VARIABLE: &str = "SURFSTORE_CONFIG";

/// Executes a command line, which includes the program's name.
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command_line: Vec<_> = command_line.into_iter().collect();
    if completions::answer(&command_line) {
        return ExitCode::SUCCESS;
    }
    let screen = Screen::new();
    let ended = match Arguments::read(command_line) {
        Ok(arguments) => obey(&arguments, &screen),
        // Help is a result; other messages here are not.
        Err(message) if message.use_stderr() => {
            screen.say(&arguments::text(&message));
            return ExitCode::from(error::USAGE);
        }
        Err(help) => screen.show(arguments::text(&help).trim_end()),
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

fn obey(arguments: &Arguments, screen: &Screen) -> Result<(), CommandError> {
    let Arguments { command, config, .. } = arguments;
    let limits = arguments.limits();
    match command {
        CliCommand::Cluster { servers, first_port, data } => {
            let is_named = config.is_some() || servers.is_some() || first_port.is_some();
            let inherited = if is_named { None } else { config_to_start()? };
            let config = config.as_deref().or(inherited.as_deref());
            return cluster::run(screen, *servers, config, *first_port, data.as_deref(), limits);
        }
        CliCommand::Server { set, id } => return server::run(set, id),
        CliCommand::Completions { shell } => {
            return screen.show(completions::script(*shell).trim_end());
        }
        CliCommand::Man { page, all: None } => return man::show(screen, page.as_deref()),
        CliCommand::Man { all: Some(folder), .. } => return man::write_all(screen, folder),
        _ => {}
    }
    let named = match command {
        CliCommand::Doctor { file: Some(file), .. } => Some(file),
        _ => config.as_ref(),
    };
    let config = read_config(named, screen)?;
    // A benchmark undoes what it has done before it ends.
    if !matches!(command, CliCommand::Bench { .. }) {
        interrupt::watch(command, screen)?;
    }
    let mut client = Client::new(&config.servers, limits);
    call_servers(command, screen, &config, &mut client, limits).map_err(|error| {
        if !error.nothing_runs {
            return error;
        }
        let how = how_to_start(&config, named);
        CommandError { message: format!("{}; {how}", error.message), ..error }
    })
}

/// The commands that call servers.
fn call_servers(
    command: &CliCommand,
    screen: &Screen,
    config: &Config,
    client: &mut Client,
    limits: Limits,
) -> Result<(), CommandError> {
    match command {
        CliCommand::Status { watch, output } => status::run(screen, client, *watch, output.output),
        CliCommand::Leader { output } => roles::leader(screen, client, output.output),
        CliCommand::Ls { output } => files::list(screen, client, output.format()),
        CliCommand::Get { file, output } => files::get(screen, client, file, output.format()),
        CliCommand::Version { file, output } => {
            files::version(screen, client, file.as_deref(), output.output)
        }
        CliCommand::Update { file, version, hashes, output } => {
            files::update(screen, client, file, *version, hashes, output.output)
        }
        CliCommand::Export => files::list(screen, client, Format::Json),
        CliCommand::Import { file, versions, output } => {
            import::run(screen, client, file, *versions, output.output)
        }
        CliCommand::Crash { server, output } => {
            roles::crash(screen, client, *server, output.output)
        }
        CliCommand::Restore { server, output } => {
            roles::restore(screen, client, *server, output.output)
        }
        CliCommand::Call { method, arguments, at, output: OnlyJson::Json } => {
            call::run(screen, client, *at, method, arguments)
        }
        CliCommand::Doctor { output, .. } => doctor::run(screen, config, limits, output.output),
        CliCommand::Bench { plan, output } => {
            bench::run(screen, config, limits, *plan, output.output)
        }
        CliCommand::Cluster { .. }
        | CliCommand::Server { .. }
        | CliCommand::Completions { .. }
        | CliCommand::Man { .. } => Ok(()),
    }
}

/// What to do if no server of the configuration runs.
fn how_to_start(config: &Config, named: Option<&PathBuf>) -> String {
    let is_here = |host: &str| {
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    let them = if config.servers.len() == 1 { "the server" } else { "them" };
    match named {
        _ if !config.servers.iter().all(|server| is_here(&server.host)) => format!("start {them}"),
        Some(path) => format!("start {them} with `surfstore cluster -f {}`", path.display()),
        None => format!("start {them} with `surfstore cluster`"),
    }
}

/// The configuration that the environment names.
fn from_environment() -> Option<PathBuf> {
    env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The configuration that the environment names, for servers to be started. An earlier `cluster` may have written it,
/// and removed it at its end.
fn config_to_start() -> Result<Option<PathBuf>, CommandError> {
    match from_environment() {
        Some(path) if path.try_exists().is_ok_and(|exists| !exists) => {
            Err(CommandError::usage(format!(
                "{CONFIG_VARIABLE} names {path:?}, which does not exist; to start servers without it: \
                 `unset {CONFIG_VARIABLE}`"
            )))
        }
        named => Ok(named),
    }
}

/// Reads the configuration that the option or the environment names.
fn read_config(named: Option<&PathBuf>, screen: &Screen) -> Result<Config, CommandError> {
    let path = named.cloned().or_else(from_environment).ok_or_else(|| {
        CommandError::usage(format!("no configuration; name one with -f, or in {CONFIG_VARIABLE}"))
    })?;
    let config = Config::read(&path).map_err(|error| CommandError::usage(format!("{error:#}")))?;
    for warning in &config.warnings {
        screen.say(&format!("surfstore: warning: {}", plain(warning)));
    }
    Ok(config)
}
