//! A set of servers, each a separate process.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::programs::program;
use support::running::{Running, wait_for};
use support::turns::free_port;
use surfstore::client::blocking::{Client, wait};
use surfstore::client::{Limits, ServerStatus};
use surfstore::config::{Address, Config};
use tempfile::TempDir;

use crate::figures::{Figures, micros};
use crate::files::Files;
use crate::load::{self, Until, Work};
use crate::usage;

/// The maximum time for anything here that is not measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// The servers, which end with this.
pub(crate) struct Cluster {
    folder: TempDir,
    /// Whether each server has a data folder.
    is_durable: bool,
    processes: Vec<Running>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) client: Client,
}

impl Cluster {
    /// So many servers with a leader, which keep everything in memory.
    pub(crate) fn start(size: usize) -> Cluster {
        Cluster::start_on(size, None)
    }

    /// The same; each has a data folder of its own in a new folder there, if a place is given.
    pub(crate) fn start_on(size: usize, place: Option<&Path>) -> Cluster {
        let mut text = format!("M: {size}\n");
        for id in 0..size {
            // Writing to memory does not fail.
            let _ = writeln!(text, "metadata{id}: 127.0.0.1:{}", free_port());
        }
        let addresses = Config::parse(&text).expect("a good configuration").servers;
        let folder = match place {
            Some(place) => tempfile::tempdir_in(place),
            None => tempfile::tempdir(),
        };
        let folder = folder.expect("a folder for the configuration");
        std::fs::write(folder.path().join("config.txt"), text).expect("a file");
        let client = Client::new(&addresses, Limits { deadline: PATIENCE, ..Limits::default() });
        let is_durable = place.is_some();
        let processes = Vec::new();
        let mut cluster = Cluster { folder, is_durable, processes, addresses, client };
        cluster.processes = (0..size).map(|id| cluster.launch(id)).collect();
        cluster.addresses.iter().for_each(|address| wait_for(address.port));
        cluster.leader();
        cluster
    }

    fn launch(&self, id: usize) -> Running {
        let mut server = Command::new(program("surfstore-server"));
        server.env_remove("SURFSTORE_DATA_DIR");
        if self.is_durable {
            server.env("SURFSTORE_DATA_DIR", self.folder.path().join(id.to_string()));
        }
        Running::start(server.arg(self.folder.path().join("config.txt")).arg(id.to_string()))
    }

    /// Ends a server's process.
    pub(crate) fn kill(&mut self, id: usize) {
        let process = &mut self.processes[id].0;
        process.kill().expect("a process that runs");
        process.wait().expect("it is reaped");
    }

    /// Starts a server whose process has ended.
    pub(crate) fn start_again(&mut self, id: usize) {
        self.processes[id] = self.launch(id);
    }

    pub(crate) fn crash(&mut self, id: usize) {
        wait(self.client.servers()[id].crash()).expect("it crashes");
    }

    pub(crate) fn restore(&mut self, id: usize) {
        wait(self.client.servers()[id].restore()).expect("it is restored");
    }

    pub(crate) fn size(&self) -> usize {
        self.addresses.len()
    }

    /// The leader.
    pub(crate) fn leader(&mut self) -> usize {
        self.client.leader().expect("a leader").0
    }

    pub(crate) fn status(&mut self, id: usize) -> ServerStatus {
        wait(self.client.servers()[id].status()).expect("a status")
    }

    /// Brings a follower back. Returns the time until it has applied all that is committed before.
    pub(crate) fn level_after(&mut self, back: fn(&mut Cluster, usize), id: usize) -> Duration {
        let leader = self.leader();
        let goal = self.status(leader).commit_index;
        let began = Instant::now();
        back(self, id);
        let server = &mut self.client.servers()[id];
        eventually("the follower is level", || {
            wait(server.status()).is_ok_and(|status| goal <= status.last_applied)
        });
        began.elapsed()
    }

    /// Whether the leader's roster names the processes that run, all of them.
    pub(crate) fn counts_all(&mut self) -> bool {
        let leader = self.leader();
        let status = self.status(leader);
        status.roster.len() == self.size() && status.guests.is_empty()
    }

    /// Waits until all servers have applied what the leader has committed.
    pub(crate) fn settle(&mut self) {
        let leader = self.leader();
        let goal = self.status(leader).commit_index;
        for id in 0..self.size() {
            eventually("all servers are level", || goal <= self.status(id).last_applied);
        }
    }

    /// Lets clients call the leader, and measures what that costs the servers.
    pub(crate) fn load(
        &mut self,
        files: &mut Files,
        work: Work,
        clients: usize,
        until: Until,
    ) -> Figures {
        let leader = self.leader();
        let before = self.cpu(leader);
        let figures = load::run(self.addresses[leader].port, files, work, clients, until);
        let calls = figures.calls as f64;
        let spent = self.cpu(leader).into_iter().zip(before).map(|(after, before)| after - before);
        let cpu = spent.map(|spent| micros(spent) / calls).collect();
        Figures { cpu, ..figures }
    }

    /// The CPU time of each server, that one first.
    pub(crate) fn cpu(&self, first: usize) -> Vec<Duration> {
        self.from(first).map(usage::cpu).collect()
    }

    /// The memory of each server in bytes, that one first.
    pub(crate) fn resident(&self, first: usize) -> Vec<u64> {
        self.from(first).map(usage::resident).collect()
    }

    /// The most memory that each server has had so far, in bytes, that one first.
    pub(crate) fn peak(&self, first: usize) -> Vec<u64> {
        self.from(first).map(usage::peak).collect()
    }

    /// The process ids, that server's first.
    fn from(&self, first: usize) -> impl Iterator<Item = u32> {
        let (before, from) = self.processes.split_at(first);
        from.iter().chain(before).map(|process| process.0.id())
    }

    /// Checks that the map is exactly what was acknowledged, and that every server reaches it.
    pub(crate) fn check(&mut self, files: &[&Files]) {
        let map = self.client.files().expect("the map");
        let updated: Vec<_> = files.iter().flat_map(|files| files.updated()).collect();
        assert_eq!(map.len(), updated.len(), "as many files as were updated");
        for (name, version, hashes) in &updated {
            let file = map.get(*name).unwrap_or_else(|| panic!("there is no file {name}"));
            assert_eq!((file.version, &file.hashes), (*version, *hashes), "{name}");
        }
        let (names, versions): (Vec<_>, Vec<_>) =
            updated.into_iter().map(|(name, version, _)| (name, version)).unzip();
        let are_reached = |at: &Result<_, _>| at.as_ref() == Ok(&versions);
        eventually("every server has the versions", || {
            let everywhere = self.client.at_each(async |server| server.versions(&names).await);
            everywhere.iter().all(are_reached)
        });
    }
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
