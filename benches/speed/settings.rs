//! What is measured, and how long: from the command line and the environment.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The settings.
pub(crate) struct Settings {
    /// The parts that run; all, if it is empty.
    pub(crate) parts: Vec<String>,
    /// How many servers the sets of `calls` have.
    pub(crate) servers: Vec<usize>,
    /// How many clients there are in `calls`.
    pub(crate) clients: Vec<usize>,
    /// Whether etcd is compared, if there is one.
    pub(crate) etcd: bool,
    /// How many turns each subject has; `TURNS`.
    pub(crate) turns: usize,
    /// How long a turn takes; `TURN_SECONDS`.
    pub(crate) turn: Duration,
    /// How often the leader is crashed; `FAILOVERS`.
    pub(crate) failovers: usize,
    /// How many updates `growth` makes; `UPDATES`.
    pub(crate) updates: usize,
    /// Whether a bound that is missed is a failure.
    pub(crate) bounds: bool,
    /// Where the document and the plot are written, if they are.
    pub(crate) folder: Option<PathBuf>,
}

impl Settings {
    /// Reads `[PART …] [SERVERS …] [--bounds] [--write FOLDER]`, with these parts. Numbers make it short: without
    /// crowds of clients, and without etcd.
    pub(crate) fn read(parts: &[&str]) -> Result<Settings, String> {
        let mut settings = Settings {
            parts: Vec::new(),
            servers: Vec::new(),
            clients: vec![1, 16, 64],
            etcd: false,
            turns: variable("TURNS", 5)?,
            turn: Duration::from_secs_f64(variable("TURN_SECONDS", 0.3)?),
            failovers: variable("FAILOVERS", 30)?,
            updates: variable("UPDATES", 500_000)?,
            bounds: false,
            folder: None,
        };
        // Cargo itself adds `--bench`.
        let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            if argument == "--write" {
                settings.folder = Some(folder(arguments.next())?);
            } else if argument == "--bounds" {
                settings.bounds = true;
            } else if parts.contains(&&*argument) {
                settings.parts.push(argument);
            } else if let Ok(servers @ 1..=10) = argument.parse() {
                settings.servers.push(servers);
            } else {
                let parts = parts.join(", ");
                return Err(format!(
                    "{argument:?} is neither a number of servers nor one of {parts}"
                ));
            }
        }
        if settings.servers.is_empty() {
            settings.servers = vec![1, 3, 5];
            settings.clients.push(256);
            settings.etcd = true;
        }
        Ok(settings)
    }
}

/// A folder with a document for the results: it is checked now, so that it does not turn out to be missing at the end.
fn folder(argument: Option<String>) -> Result<PathBuf, String> {
    let folder = PathBuf::from(argument.ok_or("--write needs a folder")?);
    if !folder.join("speed.md").is_file() {
        return Err(format!("there is no speed.md in {folder:?}"));
    }
    Ok(folder)
}

/// The variable of the environment, or the default if it is not set.
fn variable<T: FromStr>(name: &str, otherwise: T) -> Result<T, String> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}={text} is not a number")),
        Err(_) => Ok(otherwise),
    }
}
