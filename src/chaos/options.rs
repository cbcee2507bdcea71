//! The options of the chaos monkey.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use crate::config::Config;

/// The environment variable that names the configuration if the arguments do not.
pub const CONFIG_VARIABLE: &str = "SURFSTORE_CONFIG";

/// The maximum number of workers; a server lets 1024 calls wait.
const WORKERS_MAX: i64 = 256;

/// Crashes and restores the servers of a running set at random while its own workers update and read, and checks what
/// the servers answer.
///
/// Ctrl-C ends the run early: the servers are restored, and what was seen is checked and reported. A second Ctrl-C ends
/// it at once.
///
/// Environment: SURFSTORE_CONFIG names the configuration if -f does not.
///
/// Exit codes: 0 no violation; 1 a violation, or the run proves nothing; 2 wrong arguments or configuration; 4 the set
/// cannot be reached; 130 ended by a second Ctrl-C.
#[derive(Clone, Debug, Parser)]
#[command(name = "chaos-monkey", version)]
pub struct Options {
    /// The configuration file of the set. The default is the file that SURFSTORE_CONFIG names.
    #[arg(short = 'f', long = "config", value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// Whether so many servers may be down that there is no majority.
    #[arg(long, value_enum, default_value_t = Majority::Never, value_name = "never|sometimes")]
    pub majority: Majority,
    /// The mean time between two faults, in seconds.
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub pace: Duration,
    /// How long the chaos lasts, in seconds.
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub duration: Duration,
    /// The random seed. The default is a new one each time.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The number of workers that update and read.
    #[arg(long, default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX))]
    pub workers: u16,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whether a majority of the servers may be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Majority {
    /// A majority is always up.
    Never,
    /// Now and then no majority is up, so that calls have to wait.
    Sometimes,
}

impl fmt::Display for Majority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Majority::Never => "never",
            Majority::Sometimes => "sometimes",
        })
    }
}

/// A duration, as given in arguments.
fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds = text.parse().context("expected a number of seconds")?;
    ensure!((0.05..=1e6).contains(&seconds), "expected a number of seconds from 0.05 to 1000000");
    Ok(Duration::from_secs_f64(seconds))
}

impl Options {
    /// The set to use, from the arguments or from the environment variable.
    ///
    /// # Errors
    ///
    /// If no configuration is named, if it cannot be read, or if the rules do not allow any server of the set to crash.
    pub fn set(&self, variable: Option<OsString>) -> anyhow::Result<Config> {
        let variable = variable.filter(|path| !path.is_empty());
        let named = self.config.clone().or_else(|| variable.map(PathBuf::from));
        let path = named.with_context(|| {
            format!("no configuration; name one with -f, or in {CONFIG_VARIABLE}")
        })?;
        let config = Config::read(&path)?;
        ensure!(
            self.majority == Majority::Sometimes || 3 <= config.servers.len(),
            "a set of {} tolerates no failure; use --majority sometimes to crash its servers anyway",
            config.servers.len()
        );
        Ok(config)
    }

    /// The command that repeats this run, as far as the seed determines it.
    pub fn command(&self, seed: u64) -> String {
        let config = match &self.config {
            Some(path) => format!("-f {} ", path.display()),
            None => String::new(),
        };
        format!(
            "chaos-monkey {config}--seed {seed} --majority {} --pace {} --duration {} --workers {}",
            self.majority,
            self.pace.as_secs_f64(),
            self.duration.as_secs_f64(),
            self.workers
        )
    }
}
