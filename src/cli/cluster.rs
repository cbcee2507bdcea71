//! Runs servers on this machine in the foreground. Each is a process of its own, and all end together.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;

use async_signal::{Signal, Signals};
use smol::LocalExecutor;
use smol::future;
use smol::io::{AsyncBufReadExt, BufReader};
use smol::process::{Child, Command};
use smol::stream::StreamExt;

use super::doctor::counted;
use super::error::CommandError;
use super::screen::{Colour, Screen, plain};
use crate::client::blocking::Client;
use crate::client::{self, Limits};
use crate::config::{Address, Config};
use crate::raft::ServerId;
use crate::runtime::disk;
use crate::storage::{self, Folder, OpenError};

/// The default number of servers.
const SERVERS: u8 = 5;

/// The default port of the first server.
const FIRST_PORT: u16 = 9001;

/// The environment variable that makes glibc return the memory of large requests to the system, and its value. A test
/// checks that run-server.sh and the unit for systemd have the same.
const MMAP_THRESHOLD: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// If a port is in use: the distance between the first ports that are tried instead, and the bound on their number.
const FREE_STEP: u16 = 100;
const FREE_MAX: u16 = 100;

/// The maximum number of names that are tried for the folder of a configuration.
const FOLDERS_MAX: u32 = 100;

/// `cluster`
pub(super) fn run(
    screen: &Screen,
    servers: Option<u8>,
    config: Option<&Path>,
    first_port: Option<u16>,
    data: Option<&Path>,
    limits: Limits,
) -> Result<(), CommandError> {
    if env::var_os(disk::VARIABLE).is_some_and(|folder| !folder.is_empty()) && data.is_none() {
        let variable = disk::VARIABLE;
        let what = format!("{variable} names the folder of a single server; use --data DIR");
        return Err(CommandError::usage(what));
    }
    let written = match (config, servers, first_port) {
        (Some(_), Some(_), _) => return Err(CommandError::usage("N and -f cannot be combined")),
        (Some(_), None, Some(_)) => {
            return Err(CommandError::usage("--first-port and -f cannot be combined"));
        }
        (Some(_), None, None) => None,
        (None, servers, first_port) => Some(TemporaryConfig::new(
            servers.unwrap_or(SERVERS),
            first_port.unwrap_or(FIRST_PORT),
        )?),
    };
    let path = written.as_ref().map(TemporaryConfig::path).or(config.map(Path::to_path_buf));
    let path = path.unwrap_or_default();
    let config = Config::read(&path).map_err(|error| CommandError::usage(format!("{error:#}")))?;
    for warning in &config.warnings {
        screen.say(&format!("surfstore: warning: {}", plain(warning)));
    }
    let mut client = Client::new(&config.servers, limits);
    let hosts = client.at_each(async |server| server.host_addresses().await);
    for (address, found) in config.servers.iter().zip(hosts) {
        let found = found?;
        check_free(address, &found).map_err(|error| match &written {
            Some(_) => with_free_ports(error, &config, &found),
            None if is_taken(address.port, &found) => with_other_ports(error, &config, data),
            None => error,
        })?;
    }
    if let Some(data) = data {
        check_owners(data, config.servers.len())?;
        for folder in (0..config.servers.len()).map(|id| folder(data, id)) {
            // Whatever is created on the way there is for this user only, as the folder itself is.
            let created = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            created.map_err(|error| CommandError::error(format!("{folder:?}: {error}")))?;
        }
        storage::sync_parent(data)
            .map_err(|error| CommandError::error(format!("{data:?}: {error}")))?;
    }
    smol::block_on(keep_running(screen, &config, &path, data))
}

/// The folder in which a server keeps its state.
fn folder(data: &Path, id: usize) -> PathBuf {
    data.join(id.to_string())
}

/// Checks that no folder belongs to another server, or to a set of another size. If a folder cannot be read, its server
/// says so, and the others go on.
fn check_owners(data: &Path, servers: usize) -> Result<(), CommandError> {
    let size = u8::try_from(servers).unwrap_or(u8::MAX);
    for id in 0..size {
        let path = folder(data, usize::from(id));
        let owner =
            Folder::existing(&path).and_then(|it| storage::check_owner(&it, ServerId(id), size));
        if let Err(error @ (OpenError::OtherServer { .. } | OpenError::OtherSize { .. })) = owner {
            return Err(CommandError::usage(format!("{path:?}: {error}")));
        }
    }
    Ok(())
}

/// Runs the servers until a signal arrives or all of them have ended.
async fn keep_running(
    screen: &Screen,
    config: &Config,
    path: &Path,
    data: Option<&Path>,
) -> Result<(), CommandError> {
    // Asked now, because a terminal that has hung up is none.
    let has_terminal = io::stdin().is_terminal();
    // Before any server is started, so that none is left behind.
    let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Xfsz]);
    let mut signals = signals
        .map_err(|error| CommandError::error(format!("signals cannot be watched: {error}")))?;
    let addresses: Vec<_> = config.servers.iter().map(ToString::to_string).collect();
    screen.show_sentences(&format!(
        "{}, at {}; Ctrl-C stops them all\nin another terminal:",
        counted(addresses.len(), "server"),
        addresses.join(" "),
    ))?;
    // It is copied, so it is never broken.
    screen.show(&format!(
        "  export SURFSTORE_CONFIG={}",
        fs::canonicalize(path).unwrap_or(path.to_path_buf()).display()
    ))?;
    let executor = LocalExecutor::new();
    let _ready = executor.spawn(tell_ready(screen, config));
    let mut tasks = Vec::new();
    for id in 0..config.servers.len() {
        let child = start(path, id, data).map_err(|error| {
            CommandError::error(format!("server {id} cannot be started: {error}"))
        })?;
        tasks.push(executor.spawn(follow(screen, id, child)));
    }
    let all_end = async {
        for task in tasks {
            task.await;
        }
        Err(CommandError::error("all servers have ended"))
    };
    let told = async {
        // As for a single server, a hang-up means the end only if a terminal has hung up, and a file that has reached
        // its limit only loses lines.
        while let Some(Ok(signal)) = signals.next().await {
            match signal {
                Signal::Xfsz => {}
                Signal::Hup if !has_terminal => {}
                _ => break,
            }
        }
        screen.say("surfstore: stopping all servers");
        Ok(())
    };
    executor.run(future::or(told, all_end)).await
}

/// Says which server leads as soon as one does.
async fn tell_ready(screen: &Screen, config: &Config) {
    // However long the servers take to read what they have on disk.
    let limits = Limits { deadline: Duration::MAX, ..Limits::default() };
    let Ok((_, leader)) = client::Client::new(&config.servers, limits).leader().await else {
        return;
    };
    let address = plain(&leader.address);
    let _ = screen.show(&format!("ready: {address} leads; try `surfstore status`"));
}

/// Starts a server by running this same program, so that the versions never differ.
fn start(config: &Path, id: usize, data: Option<&Path>) -> io::Result<Child> {
    let mut command = process::Command::new(env::current_exe()?);
    command.arg("server").arg(config).arg(id.to_string());
    let (variable, bytes) = MMAP_THRESHOLD;
    if env::var_os(variable).is_none() {
        command.env(variable, bytes);
    }
    if let Some(data) = data {
        command.env(disk::VARIABLE, folder(data, id));
    }
    // Ctrl-C must reach only this process, which then ends the server.
    command.process_group(0);
    let mut command = Command::from(command);
    // The server ends when its stdin is closed, even if this process is killed.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn()
}

/// Shows the output of a server until it ends.
async fn follow(screen: &Screen, id: usize, mut child: Child) {
    // If nobody reads stdout, the line is dropped, so that the server keeps running.
    let show = |line: &str| {
        let _ = screen.show_marked(Colour::of_server(id), &format!("[{id}]"), line);
    };
    show(&format!("process {}", child.id()));
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(Ok(line)) = lines.next().await {
            show(&line);
        }
    }
    // Only now may its stdin be closed, which waiting for the process does.
    match child.status().await {
        Ok(status) => show(&format!("ended: {status}")),
        Err(error) => show(&format!("ended: {error}")),
    }
}

/// Checks before any server is started that a server can listen on the address.
fn check_free(address: &Address, found: &[IpAddr]) -> Result<(), CommandError> {
    let places = found.iter().map(|ip| SocketAddr::new(*ip, address.port));
    let mut refusal = Some("the host has no address".to_owned());
    for place in places {
        match TcpListener::bind(place) {
            Ok(_) => refusal = None,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let port = address.port;
                return Err(CommandError::error(format!("port {port} is in use ({place})")));
            }
            // A machine may lack one of the two address families.
            Err(error) => refusal = refusal.map(|_| error.to_string()),
        }
    }
    match refusal {
        None => Ok(()),
        Some(reason) => Err(CommandError::error(format!(
            "{address} is not an address of this machine: {reason}"
        ))),
    }
}

/// Whether a program listens on the port, at one of the addresses.
fn is_taken(port: u16, found: &[IpAddr]) -> bool {
    found.iter().any(|ip| {
        let bound = TcpListener::bind((*ip, port));
        bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    })
}

/// The same error, with a suggestion of free ports if some are nearby. All servers are at these addresses.
fn with_free_ports(error: CommandError, config: &Config, found: &[IpAddr]) -> CommandError {
    match free_ports(config, found) {
        Some(port) => {
            CommandError { message: format!("{}; try --first-port {port}", error.message), ..error }
        }
        None => error,
    }
}

/// The same error, with the command that starts as many servers on other ports of this machine. The ports of a
/// configuration are not this program's to change.
fn with_other_ports(error: CommandError, config: &Config, data: Option<&Path>) -> CommandError {
    let servers = config.servers.len();
    let localhost = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let data = data.map(|data| format!(" --data {}", data.display())).unwrap_or_default();
    match free_ports(config, &localhost) {
        Some(port) => {
            let how = format!("try `surfstore cluster {servers} --first-port {port}{data}`");
            CommandError { message: format!("{}; {how}", error.message), ..error }
        }
        None => error,
    }
}

/// The first of as many ports in a row as the servers have, all of them free at these addresses.
fn free_ports(config: &Config, found: &[IpAddr]) -> Option<u16> {
    let first = config.servers.iter().map(|server| server.port).min()?;
    let span = u16::try_from(config.servers.len()).ok()?.checked_sub(1)?;
    let is_free = |port| check_free(&Address { host: "localhost".to_owned(), port }, found).is_ok();
    let are_free =
        |first: &u16| first.checked_add(span).is_some_and(|last| (*first..=last).all(is_free));
    let mut others = (1..FREE_MAX).map_while(|step| first.checked_add(step * FREE_STEP));
    others.find(are_free)
}

/// A temporary configuration, deleted when it is dropped.
struct TemporaryConfig {
    folder: PathBuf,
}

impl TemporaryConfig {
    fn new(servers: u8, first_port: u16) -> Result<TemporaryConfig, CommandError> {
        let mut text = format!("M: {servers}\n");
        for id in 0..servers {
            let port = first_port.checked_add(u16::from(id));
            let port = port.ok_or_else(|| CommandError::usage("there are no ports above 65535"))?;
            let _ = writeln!(text, "metadata{id}: localhost:{port}");
        }
        let written = TemporaryConfig { folder: new_folder()? };
        let path = written.path();
        fs::write(&path, text)
            .map_err(|error| CommandError::error(format!("{path:?}: {error}")))?;
        Ok(written)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("config")
    }
}

/// Creates a new folder that only this user can access, so that no other user can change the configuration. A folder
/// left behind by an earlier process with the same id is skipped.
fn new_folder() -> Result<PathBuf, CommandError> {
    let mut attempt = 1;
    loop {
        let folder = env::temp_dir().join(format!("surfstore-{}-{attempt}", process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < FOLDERS_MAX => {
                attempt += 1;
            }
            Err(error) => return Err(CommandError::error(format!("{folder:?}: {error}"))),
        }
    }
}

impl Drop for TemporaryConfig {
    fn drop(&mut self) {
        // Leftovers in a folder for temporary files are harmless.
        let _ = fs::remove_file(self.path());
        let _ = fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_suggested_are_free_at_every_address_of_the_host() {
        let found = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)].map(IpAddr::V4);
        let taken = TcpListener::bind((found[1], 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let text = format!("M: 1\nmetadata0: localhost:{}\n", port - FREE_STEP);
        let config = Config::parse(&text).unwrap();
        let error = with_free_ports(CommandError::error("taken"), &config, &found).message;
        let suggested: u16 =
            error.strip_prefix("taken; try --first-port ").unwrap().parse().unwrap();
        assert!(port < suggested, "{suggested} is not free, nor is any port before it");
    }

    #[test]
    fn every_way_to_start_a_server_sets_the_same_mmap_threshold() {
        let (variable, bytes) = MMAP_THRESHOLD;
        let unit = include_str!("../../configs/systemd/surfstore@.service");
        for (text, line) in [
            (include_str!("../../run-server.sh"), format!("{variable}=${{{variable}:-{bytes}}}")),
            (unit, format!("Environment={variable}={bytes}")),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
            assert_eq!(text.matches(bytes).count(), 1, "{bytes} occurs once");
        }
    }
}
