//! The command line: its commands, options and help.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{
    Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
    value_parser,
};

use crate::client::Limits;
use crate::terminal::{help_columns, wrap};

/// The text below the list of commands. `man` makes sections of its lists.
const AFTER_COMMANDS: &str = "\
Results go to stdout, everything else to stderr.

Environment: SURFSTORE_CONFIG names the configuration if -f does not; NO_COLOR switches colours off if it is not empty.

Exit codes: 0 success; 1 error; 2 wrong command line or configuration; 3 refused by a server, or a version conflict; \
4 no leader or no majority within the timeout; 130 ended by Ctrl-C.";

/// SurfStore's fault-tolerant metadata store: starts servers, shows their status, and calls them.
#[derive(Debug, Parser)]
#[command(name = "surfstore", version, after_help = AFTER_COMMANDS)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: CliCommand,

    /// The configuration file [default: the one that SURFSTORE_CONFIG names]
    #[arg(short = 'f', long = "config", value_name = "CONFIG", global = true,
          value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,

    /// How long to look for the leader, or to wait for an answer [default: 10, but 1 if no server runs]
    #[arg(long, value_name = "SECONDS", global = true, value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
}

/// The other programs that have a page.
pub(super) const PROGRAMS: [&str; 2] = ["surfstore-server", "chaos-monkey"];

/// How long to wait for servers that may be about to start: a process needs a fraction of it.
const REFUSALS: Duration = Duration::from_secs(1);

impl Arguments {
    /// The arguments of a command line, which includes the program's name. The error may be help, which is wrapped for
    /// this terminal.
    pub(super) fn read(
        command_line: impl IntoIterator<Item = OsString>,
    ) -> Result<Arguments, clap::Error> {
        let columns = help_columns();
        let command = Arguments::definition()
            .term_width(columns)
            .mut_subcommands(|command| with_whole_examples(command, columns));
        Arguments::from_arg_matches(&command.try_get_matches_from(command_line)?)
    }

    /// The timeouts. An explicit one also holds if no server runs: a script may start the servers after this program.
    pub(super) fn limits(&self) -> Limits {
        let usual = Limits::default();
        let deadline = self.timeout.unwrap_or(usual.deadline);
        let refusals = self.timeout.unwrap_or(REFUSALS);
        Limits { deadline, attempt: usual.attempt.min(deadline), refusals }
    }

    /// The definition of the command line. `man` takes the names of the pages, which only the whole definition knows.
    pub(super) fn definition() -> clap::Command {
        let all = Arguments::command();
        let shown = all.get_subcommands().filter(|command| !command.is_hide_set());
        let pages: Vec<_> = shown
            .map(|command| command.get_name().to_owned())
            .chain(PROGRAMS.map(str::to_owned))
            .collect();
        all.mut_subcommand("man", |man| man.mut_arg("page", |page| page.value_parser(pages)))
    }

    /// The commands and options that the help shows, without those that it hides.
    pub(super) fn shown() -> clap::Command {
        let all = Arguments::definition();
        let shown = all.get_subcommands().filter(|command| !command.is_hide_set());
        let mut program = clap::Command::new("surfstore")
            .version(env!("CARGO_PKG_VERSION"))
            .subcommand_required(true)
            .after_help(AFTER_COMMANDS)
            .args(all.get_arguments())
            .subcommands(shown.map(without_hidden));
        if let Some(about) = all.get_about() {
            program = program.about(about.clone());
        }
        program
    }
}

/// Stands for a space at which the library must not break a line.
const NO_BREAK: char = '\u{a0}';

/// The text of help, or of an error in the command line, with usual spaces.
pub(super) fn text(message: &clap::Error) -> String {
    message.to_string().replace(NO_BREAK, " ")
}

/// The command with examples that are never broken, because they are copied.
fn with_whole_examples(command: clap::Command, columns: usize) -> clap::Command {
    let Some(help) = command.get_after_help().map(ToString::to_string) else { return command };
    let paragraphs = help.split("\n\n").map(|text| match text.starts_with("Example") {
        true => whole_examples(text, columns),
        false => text.to_owned(),
    });
    command.after_help(paragraphs.collect::<Vec<_>>().join("\n\n"))
}

/// The examples: if a line is too long, each says below its command what it does.
fn whole_examples(text: &str, columns: usize) -> String {
    let are_short = text.lines().all(|line| line.chars().count() <= columns);
    let line = |line: &str| match line.trim_start().split_once("  ") {
        Some((command, what)) if !are_short => {
            let what = wrap(&format!("      {}", what.trim_start()), columns, 6);
            format!("  {command}\n{what}")
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n").replace(' ', &NO_BREAK.to_string())
}

/// The command without the options that its help hides.
fn without_hidden(command: &clap::Command) -> clap::Command {
    let mut shown = clap::Command::new(command.get_name().to_owned())
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()));
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(text) = command.get_after_help() {
        shown = shown.after_help(text.clone());
    }
    shown
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

Without a configuration it writes one, shows its path, and removes it at the end. With N or --first-port it always \
does, whatever SURFSTORE_CONFIG names.

Environment: SURFSTORE_LOG sets the log level of the servers; SURFSTORE_MEMORY_MAX bounds the memory of each \
server.")]
    Cluster {
        /// The number of servers, 1 to 10, if there is no configuration [default: 5]
        #[arg(value_name = "N", value_parser = value_parser!(u8).range(1..=10))]
        servers: Option<u8>,
        /// The port of the first server; the others follow [default: 9001]
        #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
        first_port: Option<u16>,
        /// Keep the state of each server on disk, in a folder of its own in DIR [default: in memory only]
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        data: Option<PathBuf>,
    },

    /// Show the status of every server
    #[command(after_help = "\
Examples:
  surfstore status -f configs/config5.txt
  surfstore status --watch 5
  surfstore status -o json | python3 -m json.tool

LAG is the highest COMMIT of all servers minus the server's APPLIED. HEARD is how long ago it heard from the leader \
or, if it leads, from a follower. A narrow terminal shows fewer columns.

Exit code 4 if there is no leader, no majority is up, or no majority answers the leader. After Ctrl-C, --watch ends \
with exit code 0.")]
    Status {
        /// Keep refreshing, every second or every SECONDS
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
              value_parser = seconds)]
        watch: Option<Duration>,
        #[command(flatten)]
        output: Output,
    },

    /// Show the leader's address
    #[command(after_help = "\
Example:
  surfstore leader --timeout 5")]
    Leader {
        #[command(flatten)]
        output: Output,
    },

    /// List the files of the map, confirmed by a majority
    #[command(after_help = "\
Examples:
  surfstore ls
  surfstore ls -o json

The JSON is an object: name -> version and hashes.")]
    Ls {
        #[command(flatten)]
        output: OutputOrFlag,
    },

    /// Show a file's version and hashes
    #[command(after_help = "\
Example:
  surfstore get a.txt")]
    Get {
        /// The file's name
        file: String,
        #[command(flatten)]
        output: OutputOrFlag,
    },

    /// Show which version of a file, or of each file, each server has applied
    #[command(after_help = "\
Examples:
  surfstore version a.txt
  surfstore version

Without a name it shows a table: the version that a majority confirms, and that of each server. The table has at most \
100 files, the JSON has all.")]
    Version {
        /// The file's name
        file: Option<String>,
        #[command(flatten)]
        output: Output,
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
        #[command(flatten)]
        output: Output,
    },

    /// Show the map for `import`, as `ls -o json` does
    #[command(after_help = "\
Example:
  surfstore export > map.json")]
    Export,

    /// Write the files of a map that `export` has shown
    #[command(after_help = "\
Examples:
  surfstore import map.json
  surfstore import --versions map.json
  surfstore export -f a.txt | surfstore import - -f b.txt

A file whose hashes differ from the stored ones gets the next version, and a new file gets version 1. With \
--versions, a file is updated repeatedly until it has its exported version. Versions that cannot be kept are \
reported. Files that are only in the set stay as they are. After an error, repeat the command: it continues where it \
stopped.")]
    Import {
        /// The file, or - for stdin
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Keep the exported versions, with one update for each version
        #[arg(long)]
        versions: bool,
        #[command(flatten)]
        output: Output,
    },

    /// Crash a server: it keeps its state but does not participate
    #[command(after_help = "\
Examples:
  surfstore crash 2
  surfstore crash leader
  surfstore crash all")]
    Crash {
        /// A server id, `leader` or `all`
        #[arg(value_name = "ID|leader|all", value_parser = Ids::and(&["leader", "all"]),
              hide_possible_values = true)]
        server: Which,
        #[command(flatten)]
        output: Output,
    },

    /// Restore crashed servers, as followers
    #[command(after_help = "\
Examples:
  surfstore restore 2
  surfstore restore all")]
    Restore {
        /// A server id, or `all`
        #[arg(value_name = "ID|all", value_parser = Ids::and(&["all"]), hide_possible_values = true)]
        server: Which,
        #[command(flatten)]
        output: Output,
    },

    /// Call any method of a server and show its answer as JSON
    #[command(after_help = "\
Examples:
  surfstore call system.listMethods
  surfstore call tester_getversion string:a.txt --at 2
  surfstore call updatefile string:a int:1 'json:[\"h1\", 2]'

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
        #[arg(long, value_name = "ID|leader", default_value = "leader",
              value_parser = Ids::and(&["leader"]), hide_possible_values = true)]
        at: Which,
        /// The output format: always JSON
        #[arg(short, long, value_enum, default_value = "json")]
        output: OnlyJson,
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
        #[arg(value_name = "CONFIG", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },

    /// Measure how fast a set of servers is
    #[command(after_help = "\
Examples:
  surfstore bench
  surfstore bench --clients 64 --seconds 5 -o json
  surfstore bench --seconds 2 --failovers 5    also crashes the leader five times, and restores it

It measures updates and reads by one client, and then by --clients. Each client sends its next call as soon as the last \
one is answered (a closed loop). Before each measurement, the same calls are made for a second that does not count, or \
for a fifth of --seconds if that is shorter.

The updates are written to the real map, to files whose names begin with surfstore-bench/. Files of an earlier run get \
their next versions. No other file is changed. At the end, and after Ctrl-C, these files are marked as deleted, but \
remain in the map as every deleted file does. A read returns the whole map, so it is slow if the map is large. \
Every client holds the map that it reads: the hashes in the map times --clients may be at most 4000000.

With --failovers, it measures the time from the crash of the leader to the next acknowledged update, and then restores \
that server, after Ctrl-C too. A majority must remain without the leader.

If an answer is wrong, an update is refused, its outcome is unknown, or another program updates one of these files, \
the benchmark ends with an error.")]
    Bench {
        #[command(flatten)]
        plan: BenchPlan,
        #[command(flatten)]
        output: Output,
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

    /// Write a manual page for `man`
    #[command(after_help = "\
Examples:
  surfstore man | man -l -
  surfstore man status | man -l -
  surfstore man --all /usr/local/share/man/man1

With --all it writes the pages of surfstore, of each of its commands, of surfstore-server and of chaos-monkey. DIR is \
created if it is missing, and pages of the same names are overwritten.

Environment: SOURCE_DATE_EPOCH gives the pages a date: it is a number of seconds since 1970.")]
    Man {
        /// A command, `surfstore-server` or `chaos-monkey` [default: the page of surfstore]
        #[arg(hide_possible_values = true, conflicts_with = "all")]
        page: Option<String>,
        /// Write every page to a file in DIR
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        all: Option<PathBuf>,
    },

    /// Run one server until stdin is closed; `cluster` starts these
    #[command(hide = true)]
    Server { set: OsString, id: OsString },
}

/// What `bench` measures.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct BenchPlan {
    /// The number of clients that call at the same time, 1 to 256
    #[arg(long, value_name = "N", default_value = "16", value_parser = value_parser!(u16).range(1..=256))]
    pub(super) clients: u16,
    /// How long each of the four measurements takes, at most 3600
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds_of_load)]
    pub(super) seconds: Duration,
    /// The number of files that are updated, at most 10000 [default: one for each client]
    #[arg(long, value_name = "F", value_parser = value_parser!(u16).range(1..=10000))]
    pub(super) files: Option<u16>,
    /// The number of hashes of each file, each of 64 digits, 1 to 10000
    #[arg(long, value_name = "H", default_value = "2", value_parser = value_parser!(u16).range(1..=10000))]
    pub(super) hashes: u16,
    /// How often to crash the leader, at most 1000
    #[arg(long, value_name = "K", default_value = "0", value_parser = value_parser!(u16).range(..=1000))]
    pub(super) failovers: u16,
}

/// The form of what is shown: for people, or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// The one format of an answer that may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OnlyJson {
    Json,
}

/// The option of every command that shows a result.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// The output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub(super) output: Format,
}

/// The same, and the flag `--json`, which scripts may use.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputOrFlag {
    #[command(flatten)]
    output: Output,
    #[arg(long, hide = true)]
    json: bool,
}

impl OutputOrFlag {
    pub(super) fn format(self) -> Format {
        if self.json { Format::Json } else { self.output.output }
    }
}

/// The servers that a command addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Id(usize),
    Leader,
    All,
}

/// Parses a server id or a word. The possible values, which only `completions` reads, are the words: it adds the ids of
/// the configuration.
#[derive(Clone, Copy, Debug)]
struct Ids {
    words: &'static [&'static str],
}

impl Ids {
    /// Any id, or one of these words.
    fn and(words: &'static [&'static str]) -> Ids {
        Ids { words }
    }

    /// What to type.
    fn expected(self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| format!("`{word}`")).collect();
        match words.as_slice() {
            [word] => format!("expected a server id or {word}"),
            _ => format!("expected a server id, {}", words.join(" or ")),
        }
    }
}

impl TypedValueParser for Ids {
    type Value = Which;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Which, clap::Error> {
        // The commands refuse the words that they do not take, and say why.
        let ids = *self;
        let parse = move |text: &str| match text {
            "leader" => Ok(Which::Leader),
            "all" => Ok(Which::All),
            id => id.parse().map(Which::Id).map_err(|_| ids.expected()),
        };
        parse.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(|word| PossibleValue::new(*word))))
    }
}

/// A time: more than 0, and at most a day.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    seconds_up_to(86400.0, text)
        .ok_or("expected a number of seconds, more than 0 and at most 86400")
}

/// A time: more than 0, and at most an hour.
fn seconds_of_load(text: &str) -> Result<Duration, &'static str> {
    seconds_up_to(3600.0, text).ok_or("expected a number of seconds, more than 0 and at most 3600")
}

fn seconds_up_to(most: f64, text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=most).contains(seconds));
    seconds.map(Duration::from_secs_f64)
}
