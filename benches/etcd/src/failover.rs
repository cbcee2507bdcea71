//! How long no put is possible after the leader's process has ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::Etcd;
use crate::servers::Servers;

/// How long a put at a server without a leader is waited for. Such a server may keep it for seconds, even if there is
/// a new leader meanwhile.
const ATTEMPT: Duration = Duration::from_millis(100);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// The time between the moment when all servers are up and the end of the leader, in milliseconds: the shortest, and
/// how much longer it may be. Heartbeats come every 100 ms.
const REST_MS: u64 = 500;
const SPREAD_MS: u64 = 100;

/// Kills the leader that many times, each time with a client at each of the others that puts a key. Returns the times
/// to the first put that succeeded.
pub(crate) async fn fail(servers: &mut Servers, times: usize) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for turn in 0..times {
        let spread = Duration::from_millis(SPREAD_MS).mul_f64(turn as f64 / times as f64);
        sleep(Duration::from_millis(REST_MS) + spread).await;
        let (leader, others) = servers.kill_leader().await?;
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for port in others {
            clients.spawn(put_somehow(port));
        }
        clients.join_next().await.context("there are other servers")??;
        took.push(began.elapsed());
        clients.shutdown().await;
        servers.restart(leader).await?;
    }
    Ok(took)
}

/// Puts a key at a server again and again until one succeeds.
pub(crate) async fn put_somehow(port: u16) {
    loop {
        if let Ok(mut etcd) = Etcd::connect(port).await {
            let put = etcd.put("failover".into(), "value".into());
            if let Ok(Ok(())) = timeout(ATTEMPT, put).await {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}
