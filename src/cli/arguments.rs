//! The command line: its commands, options and help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum, value_parser};

/// The text below the list of commands.
const EXIT_CODES: &str = "\
Results go to stdout, everything else to stderr.

Exit codes: 0 success; 1 error; 2 wrong command line or configuration; 3 refused by a server, or a version conflict; \
4 no leader or no majority within the timeout; 130 ended by Ctrl-C.";

/// SurfStore's fault-tolerant metadata store: starts servers, shows their status, and calls them.
#[derive(Debug, Parser)]
#[command(name = "surfstore", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: CliCommand,

    /// The configuration file [default: the one that SURFSTORE_CONFIG names]
    #[arg(short = 'f', long = "config", value_name = "CONFIG", global = true)]
    pub(super) config: Option<PathBuf>,

    /// How long to keep trying
    #[arg(long, value_name = "SECONDS", default_value = "10", global = true, value_parser = seconds)]
    pub(super) timeout: Duration,
}

impl Arguments {
    /// The commands and options that shells complete: those that the help shows.
    pub(super) fn completed() -> clap::Command {
        let all = Arguments::command();
        let shown = all.get_subcommands().filter(|command| !command.is_hide_set());
        clap::Command::new("surfstore")
            .version(env!("CARGO_PKG_VERSION"))
            .args(all.get_arguments())
            .subcommands(shown)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Run servers on this machine until Ctrl-C stops them all
    #[command(after_help = "\
Examples:
  surfstore cluster                           five servers on localhost, ports 9001 to 9005
  surfstore cluster 3 --first-port 7001       three, ports 7001 to 7003
  surfstore cluster -f configs/config5.txt    the servers of a configuration
  surfstore cluster --data DIR                servers that keep their state, in DIR/0 to DIR/4

Without -f it writes a configuration, shows its path, and removes it at the end.")]
    Cluster {
        /// The number of servers, 1 to 10 [default: 5]
        #[arg(value_name = "N", value_parser = value_parser!(u8).range(1..=10))]
        servers: Option<u8>,
        /// The port of the first server; the others follow [default: 9001]
        #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
        first_port: Option<u16>,
        /// Keep the state of each server on disk, in a folder of its own in DIR [default: in memory only]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },

    /// Show the status of every server
    #[command(after_help = "\
Examples:
  surfstore status -f configs/config5.txt
  surfstore status --watch
  surfstore status -o json | python3 -m json.tool

Exit code 4 if there is no leader, no majority is up, or no majority answers the leader.
After Ctrl-C, --watch ends with exit code 0.")]
    Status {
        /// Refresh every second
        #[arg(long)]
        watch: bool,
        /// The output format
        #[arg(short, long, value_enum, default_value = "table")]
        output: Format,
    },

    /// Show the leader's address
    #[command(after_help = "\
Example:
  surfstore leader --timeout 5")]
    Leader,

    /// List the files of the map, confirmed by a majority
    #[command(after_help = "\
Examples:
  surfstore ls
  surfstore ls --json")]
    Ls {
        /// Print JSON: name -> version and hashes
        #[arg(long)]
        json: bool,
    },

    /// Show a file's version and hashes
    #[command(after_help = "\
Example:
  surfstore get a.txt")]
    Get {
        /// The file's name
        file: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },

    /// Show which version of a file each server has applied
    #[command(after_help = "\
Example:
  surfstore version a.txt")]
    Version {
        /// The file's name
        file: String,
    },

    /// Write a new version of a file, with these hashes
    #[command(after_help = "\
Examples:
  surfstore update a.txt 1 hash1 hash2    the first version
  surfstore update a.txt 2 0              deletes the file: a lone 0

The version must be exactly one higher than the stored one; if it is not, the exit code is 3. If the \
message begins with \"outcome unknown\" and the exit code is 4, the update may have taken effect, or may still do so.")]
    Update {
        /// The file's name
        file: String,
        /// The new version
        #[arg(allow_negative_numbers = true)]
        version: i64,
        /// The hashes of its blocks, sent as strings
        #[arg(value_name = "HASH")]
        hashes: Vec<String>,
    },

    /// Crash a server: it keeps its state but does not participate
    #[command(after_help = "\
Examples:
  surfstore crash 2
  surfstore crash leader
  surfstore crash all")]
    Crash {
        /// A server id, `leader` or `all`
        #[arg(value_name = "ID|leader|all")]
        server: Which,
    },

    /// Restore crashed servers, as followers
    #[command(after_help = "\
Examples:
  surfstore restore 2
  surfstore restore all")]
    Restore {
        /// A server id, or `all`
        #[arg(value_name = "ID|all")]
        server: Which,
    },

    /// Call any method of a server and show its answer as JSON
    #[command(after_help = "\
Examples:
  surfstore call system.listMethods
  surfstore call tester_getversion string:a.txt --at 2
  surfstore call updatefile string:a.txt int:1 'json:[\"hash1\", 2]'

Each argument is TYPE:TEXT. TYPE is string, int, double, bool (1, 0, true, false), base64, \
datetime (as in 19980717T14:08:55) or json. In JSON, whole numbers become int, other numbers double. In an answer, \
base64 is shown as {\"base64\": TEXT}, and a date as {\"dateTime.iso8601\": TEXT}. The call is made once and never \
retried.")]
    Call {
        /// The method, with or without its prefix
        method: String,
        /// The parameters
        #[arg(value_name = "TYPE:TEXT", allow_negative_numbers = true)]
        arguments: Vec<String>,
        /// The server to call: a server id, or `leader`
        #[arg(long, value_name = "ID|leader", default_value = "leader")]
        at: Which,
    },

    /// Find out what is wrong with a set of servers
    #[command(after_help = "\
Example:
  surfstore doctor configs/config5.txt

It compares the servers' configurations, terms, leaders and histories, reports which servers do not count and \
which ones elections wait for, and compares the versions of all files with those that a majority confirms.

Exit code 0 if nothing is wrong, 4 if there is no leader, no majority is up, or none answers the leader, otherwise 1.")]
    Doctor {
        /// The configuration file
        #[arg(value_name = "CONFIG")]
        file: Option<PathBuf>,
    },

    /// Write the completion script of a shell
    #[command(after_help = "\
Examples:
  source <(surfstore completions bash)
  surfstore completions fish | source")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Run one server until stdin is closed; `cluster` starts these
    #[command(hide = true)]
    Server { set: OsString, id: OsString },
}

/// The form of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The servers that a command addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Id(usize),
    Leader,
    All,
}

impl FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Which, &'static str> {
        match text {
            "leader" => Ok(Which::Leader),
            "all" => Ok(Which::All),
            id => id.parse().map(Which::Id).map_err(|_| "expected a server id, `leader` or `all`"),
        }
    }
}

/// A timeout: more than 0, and at most a day.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=86400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or("expected a number of seconds, more than 0 and at most 86400")
}
