//! How long a set takes to start again after all of its processes have ended at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::failover::put_somehow;
use crate::rejoin;
use crate::servers::Servers;

/// Puts so many keys, unless they are there, and then kills all servers and starts them again, that many times. Returns
/// the times from their start to the first put that one of them takes.
pub(crate) async fn restart(
    servers: &mut Servers,
    keys: usize,
    times: usize,
) -> Result<Vec<Duration>> {
    rejoin::fill(servers, keys).await?;
    let mut took = Vec::new();
    for _ in 0..times {
        servers.kill_all()?;
        let began = Instant::now();
        let ports = servers.launch_all()?;
        let mut clients: JoinSet<_> = ports.into_iter().map(put_somehow).collect();
        clients.join_next().await.context("there are servers")??;
        took.push(began.elapsed());
        clients.shutdown().await;
        servers.wait_for_leader().await?;
    }
    Ok(took)
}
