//! The load: clients that each send a call when the one before is answered, and what comes of it.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::{Client, Etcd, Operation};
use crate::servers::Servers;

/// How long the clients call before the timed part begins, so that nothing is slow for being new.
const WARM_UP: Duration = Duration::from_millis(500);

/// What is to be done: a line of the input.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    pub(crate) clients: usize,
    pub(crate) time: Duration,
}

/// What came of it: a line of the output.
pub(crate) struct Figures {
    name: String,
    clients: usize,
    elapsed: Duration,
    cpu: Duration,
    /// How long each call took, shortest first; never empty.
    latencies: Vec<Duration>,
}

impl Load {
    /// Puts the load on the leader; what goes before the timed part is in none of the figures.
    pub(crate) async fn run(&self, servers: &Servers) -> Result<Figures> {
        let clients = self.prepare(servers.leader().await?).await?;
        let start = Instant::now() + WARM_UP;
        let end = start + self.time;
        let mut running: JoinSet<_> =
            clients.into_iter().map(|client| call_between(client, start, end)).collect();
        tokio::time::sleep_until(start.into()).await;
        let cpu_before = servers.cpu()?;
        let mut latencies = Vec::new();
        while let Some(of_one) = running.join_next().await {
            latencies.append(&mut of_one??);
        }
        let (elapsed, cpu) = (start.elapsed(), servers.cpu()? - cpu_before);
        latencies.sort_unstable();
        Ok(Figures { name: self.name.clone(), clients: self.clients, elapsed, cpu, latencies })
    }

    /// Makes the clients ready. They share a connection: etcd and the clients compute less per call when several calls
    /// come in one packet. With a connection each, 16 clients had about four fifths as many updates answered, and 64
    /// clients not quite three fifths as many puts; reads of 1,000 keys came out the same.
    async fn prepare(&self, leader: u16) -> Result<Vec<Client>> {
        let mut etcd = Etcd::connect(leader).await?;
        if let Operation::Read(count) = self.operation {
            etcd.create_keys(count).await?;
        }
        let mut clients = Vec::new();
        for id in 0..self.clients {
            clients.push(Client::prepare(etcd.clone(), self.operation, id).await?);
        }
        Ok(clients)
    }
}

/// Calls until the end, and at least once after the start; the answer is how long each call after the start took.
async fn call_between(mut client: Client, start: Instant, end: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let sent = Instant::now();
        client.call().await?;
        let answered = Instant::now();
        if start <= sent {
            latencies.push(answered - sent);
            if end <= answered {
                return Ok(latencies);
            }
        }
    }
}

impl Figures {
    /// The time within which so many of a hundred calls were answered.
    fn percentile(&self, percent: usize) -> u128 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).map_or(0, Duration::as_micros)
    }
}

impl fmt::Display for Figures {
    /// As JSON in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.latencies.len() as f64;
        write!(f, r#"{{"operation":"{}","clients":{},"#, self.name, self.clients)?;
        write!(f, r#""calls_per_second":{:.1},"#, calls / self.elapsed.as_secs_f64())?;
        write!(f, r#""p50_us":{},"p99_us":{},"#, self.percentile(50), self.percentile(99))?;
        write!(f, r#""max_us":{},"#, self.percentile(100))?;
        write!(f, r#""cpu_us_per_call":{:.1}}}"#, self.cpu.as_secs_f64() * 1e6 / calls)
    }
}
