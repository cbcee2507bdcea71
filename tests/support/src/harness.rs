//! A cluster of servers, each a separate process.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::{iter, thread};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{Client, TRUE, hash};
use crate::programs::target;
use crate::turns::{Turn, free_port};
use crate::wait::{ELECTION, PATIENCE, wait_until};

/// The script `run-server.sh`, with the release binary already built, so that no start waits for the build.
pub static SCRIPT: LazyLock<&str> = LazyLock::new(|| {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../run-server.sh");
    let output = command(script, Path::new("absent"), 0).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    script
});

/// The variable that names a server's data folder.
pub const DATA_FOLDER: &str = "SURFSTORE_DATA_DIR";

fn command(script: &str, config: &Path, id: usize) -> Command {
    let mut command = Command::new(script);
    command.arg(config).arg(id.to_string()).env("CARGO_TARGET_DIR", target()).stdin(Stdio::null());
    command.env_remove(DATA_FOLDER);
    command
}

/// The text of a configuration.
fn config(addresses: &[String]) -> String {
    let mut config = format!("M: {}\n", addresses.len());
    for (id, address) in addresses.iter().enumerate() {
        writeln!(config, "metadata{id}: {address}").unwrap();
    }
    config
}

/// A set of servers, any of which may be running. All are killed when it is dropped.
///
/// Their output is kept in files, and shown if the test fails.
pub struct Cluster {
    folder: TempDir,
    servers: Vec<Client>,
    processes: Vec<Option<Child>>,
    /// Whether every server has a data folder.
    is_durable: bool,
    _turn: Arc<Turn>,
}

impl Cluster {
    /// A cluster on `localhost`, without running servers.
    pub fn stopped(size: usize) -> Cluster {
        Cluster::on("localhost", size, Arc::new(Turn::take()))
    }

    /// A cluster on that host, without running servers.
    pub fn on(host: &str, size: usize, turn: Arc<Turn>) -> Cluster {
        let addresses: Vec<_> = (0..size).map(|_| format!("{host}:{}", free_port())).collect();
        Cluster::of(&addresses, turn)
    }

    /// A cluster of servers at these addresses, without running servers.
    pub fn of(addresses: &[String], turn: Arc<Turn>) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config"), config(addresses)).unwrap();
        let servers = addresses.iter().map(|address| Client::new(address)).collect();
        let processes = iter::repeat_with(|| None).take(addresses.len()).collect();
        Cluster { folder, servers, processes, is_durable: false, _turn: turn }
    }

    /// A cluster on `localhost` whose servers have data folders, without running servers.
    pub fn durable(size: usize) -> Cluster {
        let mut cluster = Cluster::stopped(size);
        cluster.is_durable = true;
        cluster
    }

    /// A running cluster with its leader.
    pub fn led(size: usize) -> (Cluster, usize) {
        let mut cluster = Cluster::stopped(size);
        cluster.start(0..size);
        let leader = cluster.leader();
        (cluster, leader)
    }

    /// Running clusters, each with a leader, in one turn: for tests that wait a lot and cause little load.
    pub fn several(count: usize, size: usize) -> Vec<Cluster> {
        let turn = Arc::new(Turn::take());
        let started = |_| {
            let mut cluster = Cluster::on("localhost", size, Arc::clone(&turn));
            cluster.start(0..size);
            cluster.leader();
            cluster
        };
        (0..count).map(started).collect()
    }

    /// The file of the configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Starts servers, and waits until they answer.
    pub fn start(&mut self, ids: impl IntoIterator<Item = usize> + Clone) {
        for id in ids.clone() {
            let command = self.command(id);
            self.launch(id, command);
        }
        for id in ids {
            self.await_answer(id);
        }
    }

    /// The command that starts a server and keeps its output in files.
    pub fn command(&self, id: usize) -> Command {
        let mut command = command(&SCRIPT, &self.config(), id);
        if self.is_durable {
            command.env(DATA_FOLDER, self.data_folder(id));
        }
        self.keep_output(id, &mut command);
        command
    }

    /// The data folder of a server, if the servers have any.
    pub fn data_folder(&self, id: usize) -> PathBuf {
        self.folder.path().join(format!("data{id}"))
    }

    /// The command that starts a server whose configuration has these addresses for the others and itself.
    pub fn command_with(&self, id: usize, addresses: &[String]) -> Command {
        let file = self.folder.path().join(format!("config{id}"));
        fs::write(&file, config(addresses)).unwrap();
        let mut command = command(&SCRIPT, &file, id);
        self.keep_output(id, &mut command);
        command
    }

    /// Makes the command that starts a server keep its output in files.
    pub fn keep_output(&self, id: usize, command: &mut Command) {
        let log = |stream: &str| {
            File::options().create(true).append(true).open(self.log(id, stream)).unwrap()
        };
        command.stdout(log("stdout")).stderr(log("stderr"));
    }

    /// Starts a server by that command. The caller has to wait for it.
    pub fn launch(&mut self, id: usize, mut command: Command) {
        assert!(self.processes[id].is_none(), "server {id} runs already");
        self.processes[id] = Some(command.spawn().unwrap());
    }

    /// The process of a running server.
    pub fn process(&mut self, id: usize) -> &mut Child {
        self.processes[id].as_mut().expect("the server runs")
    }

    #[track_caller]
    pub fn await_answer(&self, id: usize) {
        wait_until(PATIENCE, "a server that was started answers", || {
            self.at(id).try_call("surfstore.ping", &[]).is_ok()
        });
    }

    /// Ends a server's process by SIGKILL.
    pub fn kill(&mut self, id: usize) {
        let mut process = self.processes[id].take().expect("the server runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Waits until a process ends by itself, and returns its exit code.
    #[track_caller]
    pub fn await_end(&mut self, id: usize) -> Option<i32> {
        let mut status = None;
        wait_until(PATIENCE, "the process ends", || {
            status = self.process(id).try_wait().unwrap();
            status.is_some()
        });
        self.processes[id] = None;
        status.unwrap().code()
    }

    /// Ends processes and starts them again, so that they have lost their memory. Waits until they answer.
    pub fn relaunch(&mut self, ids: &[usize]) {
        ids.iter().for_each(|id| self.kill(*id));
        self.start(ids.iter().copied());
    }

    /// Suspends a process, or resumes it: its port accepts connections all the time, but nothing is answered.
    pub fn signal(&mut self, id: usize, signal: Signal) {
        kill_process(Pid::from_child(self.process(id)), signal).unwrap();
    }

    /// The lines that the server has written to stderr, over all its processes, without their times.
    pub fn lines(&self, id: usize) -> Vec<String> {
        self.written(id, "stderr").lines().map(|line| untimed(line).to_owned()).collect()
    }

    /// How many of its lines contain this.
    pub fn said(&self, id: usize, what: &str) -> usize {
        self.lines(id).iter().filter(|line| line.contains(what)).count()
    }

    /// Waits until all running servers count, according to all of them.
    #[track_caller]
    pub fn await_whole(&self) {
        wait_until(PATIENCE, "every server that runs counts", || {
            self.running().into_iter().all(|id| {
                self.at(id).ids("roster") == self.running() && self.at(id).ids("guests").is_empty()
            })
        });
    }

    /// The file that keeps what the server writes to that stream.
    fn log(&self, id: usize, stream: &str) -> PathBuf {
        self.folder.path().join(format!("{stream}{id}"))
    }

    /// What the server has written to that stream.
    pub fn written(&self, id: usize, stream: &str) -> String {
        fs::read_to_string(self.log(id, stream)).unwrap_or_default()
    }

    /// The client of a server. Calls that may block are started instead, because all share this client.
    pub fn at(&self, id: usize) -> &Client {
        &self.servers[id]
    }

    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// The running servers, crashed or not.
    pub fn running(&self) -> Vec<usize> {
        (0..self.size()).filter(|id| self.processes[*id].is_some()).collect()
    }

    /// The running servers, except that one.
    pub fn others(&self, id: usize) -> Vec<usize> {
        self.running().into_iter().filter(|other| *other != id).collect()
    }

    /// The servers that say they lead.
    #[track_caller]
    pub fn leaders(&self) -> Vec<usize> {
        self.running().into_iter().filter(|id| self.at(*id).is_leader()).collect()
    }

    /// The one leader, which must exist within the time of an election.
    #[track_caller]
    pub fn leader(&self) -> usize {
        let mut leaders = Vec::new();
        wait_until(ELECTION, "exactly one server leads", || {
            leaders = self.leaders();
            leaders.len() == 1
        });
        leaders[0]
    }

    pub fn crash(&self, ids: &[usize]) {
        ids.iter().for_each(|id| self.at(*id).crash());
    }

    pub fn restore(&self, ids: &[usize]) {
        ids.iter().for_each(|id| self.at(*id).restore());
    }

    /// Updates a file at the leader, and waits until these servers have applied it.
    #[track_caller]
    pub fn agree(&self, leader: usize, ids: &[usize], name: &str, version: i64) {
        let hashes = hash(&format!("{name} {version}"));
        assert_eq!(self.at(leader).update(name, version, &hashes), TRUE);
        self.await_version(ids, name, version);
        let files = self.at(leader).files().unwrap();
        assert_eq!(files.get(name), Some(&(version, hashes)));
    }

    #[track_caller]
    pub fn await_version(&self, ids: &[usize], name: &str, version: i64) {
        for id in ids {
            let what = format!("server {id} has version {version} of {name:?}");
            wait_until(PATIENCE, &what, || self.at(*id).version(name) == version);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            self.show();
        }
    }
}

impl Cluster {
    /// Shows the output of every server.
    #[expect(clippy::print_stderr, reason = "the test harness shows it if a test fails")]
    fn show(&self) {
        for (id, server) in self.servers.iter().enumerate() {
            let written = self.written(id, "stderr");
            eprintln!("server {id} at {} wrote:\n{written}", server.address());
        }
    }
}

/// A line without the time at its beginning. An error that ends the process has none.
pub fn untimed(line: &str) -> &str {
    let form = "0000-00-00T00:00:00.000Z ";
    let has_form = |begin: &str| {
        begin
            .chars()
            .zip(form.chars())
            .all(|(c, form)| c == form || (form == '0' && c.is_ascii_digit()))
    };
    match line.split_at_checked(form.len()) {
        Some((begin, rest)) if has_form(begin) => rest,
        _ => line,
    }
}
