//! The three etcd servers: started in a folder of their own, watched until they have a leader, and ended.
//!
//! They run as they come, with two exceptions in their favour, unless a folder is given: the data are in memory where the
//! machine has a folder for that, and nothing is synced to disk where etcd knows how not to. SurfStore's servers do
//! neither without a data folder.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::client::Etcd;
use crate::messages::StatusResponse;

const COUNT: usize = 3;
const NO_SYNC: &str = "--unsafe-no-fsync";

/// Three servers that end, and whose data go, with this value.
pub(crate) struct Servers {
    // Dropped in this order: the folder is removed when no process writes to it any more.
    running: Vec<Running>,
    folder: TempDir,
    /// The ports of the servers for clients, for each other, and for their metrics.
    ports: [[u16; COUNT]; 3],
    /// Whether nothing is synced.
    unsynced: bool,
}

impl Servers {
    /// Starts the servers and waits until all of them know the leader. With a folder, they keep their data there, and
    /// sync them.
    pub(crate) async fn start(folder: Option<PathBuf>) -> Result<Servers> {
        let memory = Path::new("/dev/shm");
        let elsewhere = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let unsynced = folder.is_none() && knows(NO_SYNC)?;
        let parent = folder.unwrap_or(elsewhere);
        let folder = tempfile::Builder::new().prefix("etcd-load-").tempdir_in(&parent)?;
        let ports = free_ports()?;
        let mut servers = Servers { running: Vec::new(), folder, ports, unsynced };
        for id in 0..COUNT {
            servers.running.push(servers.launch(id, Set::New)?);
        }
        let version = servers.wait_for_leader().await?;
        let sync = if unsynced { "without fsync" } else { "with fsync" };
        eprintln!("etcd {version}, {COUNT} servers, data in {}, {sync}", parent.display());
        Ok(servers)
    }

    /// Starts a server. If it finds the data of the process before it, it goes on with them, whatever the set is.
    fn launch(&self, id: usize, set: Set) -> Result<Running> {
        let [clients, peers, metrics] = &self.ports;
        let members: Vec<_> =
            peers.iter().enumerate().map(|(id, port)| member(id, *port)).collect();
        let (port, peer) = (clients[id], peers[id]);
        let log = File::create(self.log(id))?;
        let mut command = Command::new("etcd");
        command
            .args(["--name", &name(id), "--initial-cluster", &members.join(",")])
            .args(["--initial-cluster-state", set.name()])
            .args(["--listen-peer-urls", &url(peer)])
            .args(["--initial-advertise-peer-urls", &url(peer)])
            .args(["--listen-client-urls", &url(port)])
            .args(["--advertise-client-urls", &url(port)])
            .args(["--listen-metrics-urls", &url(metrics[id])])
            .args(["--logger", "zap", "--log-level", "error"])
            .args(self.unsynced.then_some(NO_SYNC))
            .arg("--data-dir")
            .arg(self.data(id))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().context("etcd cannot be started")?;
        Ok(Running { child, port })
    }

    fn data(&self, id: usize) -> PathBuf {
        self.folder.path().join(name(id))
    }

    fn log(&self, id: usize) -> PathBuf {
        self.folder.path().join(name(id) + ".log")
    }

    /// Waits until every server knows the leader; the answer is etcd's version.
    pub(crate) async fn wait_for_leader(&mut self) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            self.check_running()?;
            let answers = self.statuses().await;
            if let Ok(statuses) = &answers
                && let [first, ..] = &statuses[..]
                && statuses.iter().all(|status| status.leader != 0)
            {
                return Ok(first.version.clone());
            }
            if deadline < Instant::now() {
                answers?;
                bail!("etcd elects no leader");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails if a server has ended, with what it said last.
    fn check_running(&mut self) -> Result<()> {
        for id in 0..self.running.len() {
            if let Some(status) = self.running[id].child.try_wait()? {
                let log = fs::read_to_string(self.log(id)).unwrap_or_default();
                bail!(
                    "etcd ended by itself ({status}): {}",
                    log.lines().last().unwrap_or_default()
                );
            }
        }
        Ok(())
    }

    async fn statuses(&self) -> Result<Vec<StatusResponse>> {
        let mut statuses = Vec::new();
        for server in &self.running {
            statuses.push(Etcd::connect(server.port).await?.status().await?);
        }
        Ok(statuses)
    }

    /// The port of the server that leads.
    pub(crate) async fn leader(&self) -> Result<u16> {
        Ok(self.running[self.leading().await?].port)
    }

    async fn leading(&self) -> Result<usize> {
        let statuses = self.statuses().await?;
        let leads = |status: &StatusResponse| {
            status.header.as_ref().is_some_and(|header| header.member_id == status.leader)
        };
        statuses.iter().position(leads).context("no etcd server leads")
    }

    /// Ends the leader's process at once. Returns its number and the ports of the others.
    pub(crate) async fn kill_leader(&mut self) -> Result<(usize, Vec<u16>)> {
        let leader = self.leading().await?;
        let others = self.running.iter().map(|server| server.port);
        let others = others.enumerate().filter(|(id, _)| *id != leader).map(|(_, port)| port);
        let others = others.collect();
        self.running[leader].child.kill()?;
        Ok((leader, others))
    }

    /// Starts a server again whose process was ended, and waits until it takes part.
    pub(crate) async fn restart(&mut self, id: usize) -> Result<()> {
        self.running[id].child.wait()?;
        self.running[id] = self.launch(id, Set::New)?;
        self.wait_for_leader().await?;
        Ok(())
    }

    /// Ends all processes at once.
    pub(crate) fn kill_all(&mut self) -> Result<()> {
        for server in &mut self.running {
            server.child.kill()?;
        }
        for server in &mut self.running {
            server.child.wait()?;
        }
        Ok(())
    }

    /// Starts all servers whose processes were ended. Returns where they will take calls.
    pub(crate) fn launch_all(&mut self) -> Result<Vec<u16>> {
        for id in 0..COUNT {
            self.running[id] = self.launch(id, Set::New)?;
        }
        Ok(self.ports[0].to_vec())
    }

    /// Ends a follower's process, removes it from the set, removes its data, and adds it again, as etcd's documentation
    /// says. Starts no process. Returns its number.
    pub(crate) async fn replace_follower(&mut self) -> Result<usize> {
        let leader = self.leading().await?;
        let id = (leader + 1) % COUNT;
        let status = Etcd::connect(self.running[id].port).await?.status().await?;
        let member = status.header.context("a status has a header")?.member_id;
        self.running[id].child.kill()?;
        self.running[id].child.wait()?;
        let etcd = Etcd::connect(self.running[leader].port).await?;
        until_accepted(async || etcd.clone().remove_member(member).await).await?;
        fs::remove_dir_all(self.data(id))?;
        let peer = url(self.ports[1][id]);
        until_accepted(async || etcd.clone().add_member(peer.clone()).await).await?;
        Ok(id)
    }

    /// Starts the process of a member that was added to the set. Returns the ports where it will take calls, and show
    /// its metrics.
    pub(crate) fn join(&mut self, id: usize) -> Result<[u16; 2]> {
        self.running[id] = self.launch(id, Set::Existing)?;
        Ok([self.ports[0][id], self.ports[2][id]])
    }

    /// The time that all servers together have been computing.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.running.iter().map(|server| cpu(server.child.id())).sum()
    }
}

/// What a server without data belongs to.
#[derive(Clone, Copy)]
enum Set {
    New,
    Existing,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Set::New => "new",
            Set::Existing => "existing",
        }
    }
}

/// A server; it ends with this value.
struct Running {
    child: Child,
    /// Where it takes calls.
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a change of members again and again. It is refused before the servers have been connected for 5 s.
async fn until_accepted(change: impl AsyncFn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = change().await {
        if deadline < Instant::now() {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Whether etcd takes the flag; some versions do and do not list it.
fn knows(flag: &str) -> Result<bool> {
    let mut command = Command::new("etcd");
    let output = command.args([flag, "--version"]).output();
    let output =
        output.context("there is no program etcd (Debian: apt-get install etcd-server)")?;
    Ok(output.status.success())
}

/// Ports that are free: all are held until the last is found, so that they differ.
fn free_ports() -> Result<[[u16; COUNT]; 3]> {
    let mut held = Vec::new();
    let mut ports = [[0; COUNT]; 3];
    for port in ports.as_flattened_mut() {
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        *port = socket.local_addr()?.port();
        held.push(socket);
    }
    Ok(ports)
}

fn name(id: usize) -> String {
    format!("etcd{id}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn member(id: usize, port: u16) -> String {
    format!("{}={}", name(id), url(port))
}

/// The time that a process has been computing, in its own code and in the kernel.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name, in parentheses, may hold blanks; fields are counted from behind it.
    let (_, fields) = stat.rsplit_once(") ").context("a process has no state")?;
    let ticks =
        fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}
