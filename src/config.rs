//! The configuration file, and the two command-line arguments of a server.
//!
//! The module decides which files and arguments are accepted, and reports an error in one line. It deliberately does
//! not resolve host names: a name is resolved whenever a connection is made (see [`dial`](crate::dial)), so that a host
//! that is unknown today can be reached tomorrow.
//!
//! ```text
//! M: 2                        # how many servers there are
//! metadata0: localhost:9001   # one line per server, in any order
//! metadata1: [::1]:9002
//! ```

mod address;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

pub use address::Address;

/// The maximum number of servers in a set.
pub const SERVERS_MAX: usize = 10;

/// A file larger than this, in bytes, is not a configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The maximum number of characters of a faulty line that a message quotes.
const QUOTE_CHARS_MAX: usize = 60;

/// The error for any number of arguments other than two; `run-server.sh` prints the same text.
const USAGE: &str = "wrong number of arguments; usage: run-server.sh CONFIG ID \
    (the configuration file, and the number of this server, counted from 0)";

/// What `surfstore-server --help` prints: its lines fit 60 columns. Its manual page is made from it.
pub const SERVER_HELP: &str = "\
usage: surfstore-server CONFIG ID
       surfstore-server --check DIR

Runs one server of the set in the file CONFIG, in the
foreground. ID is its number, counted from 0.

With --check, verifies the data folder DIR of a stopped
server, says what is in it, and changes nothing.

SURFSTORE_DATA_DIR names the folder in which the server
keeps its data; it is created if it is missing. Each server
needs its own. Without it, the server keeps everything in
memory.
SURFSTORE_LOG sets the log level: error, warn, info, debug
or trace.
SURFSTORE_MEMORY_MAX bounds its memory: a number of bytes,
or a number with a unit such as 512M or 3G. Above the bound,
updates that need more are answered with busy. By default it
is three quarters of what the process can have.

Exit codes: 1 the server cannot be started, or --check finds
a flaw; 2 wrong arguments, configuration or environment.
";

/// A set of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The 1 to 10 servers. The index of each is its id. No address occurs twice.
    pub servers: Vec<Address>,
    /// One line for each line of the file that was not understood.
    pub warnings: Vec<String>,
}

/// The arguments that a server is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerArguments {
    /// The set that the server belongs to.
    pub config: Config,
    /// The server's own id, an index into the set.
    pub id: usize,
}

impl ServerArguments {
    /// Parses `CONFIG ID`, the command-line arguments without the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<ServerArguments> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let [file, id] = arguments.as_slice() else { bail!(USAGE) };
        let config = Config::read(Path::new(file))?;
        let last = config.servers.len() - 1;
        let Some(id) = id.to_str().and_then(number).filter(|id| *id <= last) else {
            bail!(
                "ID is {}; expected a server of {file:?}, 0 to {last}",
                quote(&id.to_string_lossy())
            );
        };
        Ok(ServerArguments { config, id })
    }
}

impl Config {
    /// A hash of the servers' names and their order. Host names are compared case-insensitively.
    pub fn digest(&self) -> u64 {
        let names: Vec<String> =
            self.servers.iter().map(|address| address.to_string().to_ascii_lowercase()).collect();
        let digest = Sha256::digest(names.join(" "));
        let bytes: [u8; 8] = std::array::from_fn(|place| digest[place]);
        u64::from_be_bytes(bytes)
    }

    /// Reads the file at `path`. Every error and warning names it.
    pub fn read(path: &Path) -> anyhow::Result<Config> {
        // Debug form: a path may contain line breaks, and an error is one line.
        let mut config = read_text(path)
            .and_then(|text| Config::parse(&text))
            .with_context(|| format!("{path:?}"))?;
        for warning in &mut config.warnings {
            *warning = format!("{path:?}: {warning}");
        }
        Ok(config)
    }

    /// Parses the text of a configuration file.
    pub fn parse(text: &str) -> anyhow::Result<Config> {
        let mut lines = Lines::default();
        // Some editors start a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            lines.add(index + 1, line).with_context(|| format!("line {}", index + 1))?;
        }
        lines.finish()
    }
}

/// The content of the lines read so far.
#[derive(Default)]
struct Lines {
    /// M, and the number of the line that gave it.
    count: Option<(usize, usize)>,
    /// The address of each server, and the number of the line that gave it.
    servers: BTreeMap<usize, (Address, usize)>,
    /// One for each line that was not understood.
    warnings: Vec<String>,
}

impl Lines {
    /// Adds the line with this number, counted from 1.
    fn add(&mut self, line_number: usize, line: &str) -> anyhow::Result<()> {
        // No host or port contains a `#`, so any line may end with a comment.
        let line = line.split('#').next().unwrap_or_default().trim();
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let (key, value) = (key.trim(), value.trim());
        if line.is_empty() {
            Ok(())
        } else if key == "M" {
            self.add_count(line_number, value)
        } else if let Some(id) = key.strip_prefix("metadata").filter(|id| is_digits(id)) {
            self.add_server(line_number, id, value)
        } else {
            self.warnings.push(format!(
                "line {line_number}: {} is ignored; expected M: COUNT or metadataN: HOST:PORT",
                quote(line)
            ));
            Ok(())
        }
    }

    fn add_count(&mut self, line_number: usize, value: &str) -> anyhow::Result<()> {
        if let Some((_, first)) = self.count {
            bail!("M is already set on line {first}");
        }
        let count =
            number(value).filter(|count| (1..=SERVERS_MAX).contains(count)).with_context(|| {
                format!("M is {}; expected a number from 1 to {SERVERS_MAX}", quote(value))
            })?;
        self.count = Some((count, line_number));
        Ok(())
    }

    fn add_server(&mut self, line_number: usize, id: &str, value: &str) -> anyhow::Result<()> {
        let id = number(id).filter(|id| *id < SERVERS_MAX).with_context(|| {
            format!("metadata{} is beyond M; servers are numbered from metadata0", shorten(id))
        })?;
        if let Some((_, first)) = self.servers.get(&id) {
            bail!("metadata{id} is already set on line {first}");
        }
        let address: Address = value.parse().with_context(|| format!("metadata{id}"))?;
        if let Some((other, (_, first))) =
            self.servers.iter().find(|(_, (known, _))| known.is_same(&address))
        {
            bail!(
                "metadata{id} has the address {address} of metadata{other} on line {first}; expected a different one"
            );
        }
        self.servers.insert(id, (address, line_number));
        Ok(())
    }

    /// Checks what only the whole file shows: that exactly the servers below M were given.
    fn finish(self) -> anyhow::Result<Config> {
        let Some((count, count_line)) = self.count else {
            bail!(
                "M is missing; expected a line M: COUNT, the number of servers from 1 to {SERVERS_MAX}"
            );
        };
        for (id, (_, line)) in &self.servers {
            ensure!(
                *id < count,
                "line {line}: metadata{id} is beyond M, which is {count}; servers are numbered from metadata0"
            );
        }
        for id in 0..count {
            ensure!(
                self.servers.contains_key(&id),
                "metadata{id} is missing; M is {count} on line {count_line}, so expected a line metadata{id}: HOST:PORT"
            );
        }
        let servers = self.servers.into_values().map(|(address, _)| address).collect();
        Ok(Config { servers, warnings: self.warnings })
    }
}

/// Reads the whole file as text, if it can be a configuration.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)
        // Bounded, because the path may name an endless device.
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .context("the configuration file cannot be read")?;
    ensure!(
        u64::try_from(bytes.len())? <= FILE_BYTES_MAX,
        "longer than {FILE_BYTES_MAX} bytes; expected a configuration file"
    );
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        anyhow::anyhow!("line {line}: not UTF-8; expected a configuration file in UTF-8")
    })
}

/// A number that consists of decimal digits only: `str::parse` would also accept a sign.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| is_digits(text))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text in quotes, truncated, with all characters escaped that could break or colour a line.
fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
