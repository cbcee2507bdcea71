//! How long a new member without data takes to catch up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Etcd, value};
use crate::servers::Servers;

/// What the keys begin with. A number follows, so that a key has 60 bytes.
const PREFIX: &str = "file-------------------------------------------------/";

/// The revision among the metrics.
const REVISION: &str = "etcd_debugging_mvcc_current_revision ";

/// How many clients put the keys.
const CLIENTS: usize = 64;

/// The maximum time for catching up, and the pause between two looks. A look at the metrics costs the server a few
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// The times from the start of a new member's process until it has what the leader had at that moment.
pub(crate) struct Rejoined {
    /// Until its metrics show it.
    pub(crate) holds: Duration,
    /// Until it takes calls, and an answer shows it. It takes none before its address is committed. It often proposes
    /// that before it is connected to the leader, and then again after 7 s.
    pub(crate) serves: Duration,
}

/// Puts so many keys, unless they are there, and replaces a follower by a new member.
pub(crate) async fn rejoin(servers: &mut Servers, keys: usize) -> Result<Rejoined> {
    let prefix = Bytes::from(PREFIX);
    fill(servers, keys).await?;
    let mut leader = Etcd::connect(servers.leader().await?).await?;
    let id = servers.replace_follower().await?;
    let goal = revision(&mut leader).await?;
    let began = Instant::now();
    let [port, metrics] = servers.join(id)?;
    let served = tokio::spawn(async move {
        while !serves(port, goal).await {
            sleep(PAUSE).await;
        }
        began.elapsed()
    });
    let mut holds = None;
    while !served.is_finished() {
        if holds.is_none() && shown_revision(metrics).is_some_and(|shown| goal as f64 <= shown) {
            holds = Some(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "a new member does not catch up");
        sleep(PAUSE).await;
    }
    let serves = served.await?;
    let count = Etcd::connect(port).await?.count(&prefix).await?;
    ensure!(count == keys, "the new member has {count} keys instead of {keys}");
    servers.wait_for_leader().await?;
    Ok(Rejoined { holds: holds.unwrap_or(serves), serves })
}

/// Puts so many keys, each once, unless they are there.
pub(crate) async fn fill(servers: &Servers, keys: usize) -> Result<()> {
    let mut etcd = Etcd::connect(servers.leader().await?).await?;
    if etcd.count(&Bytes::from(PREFIX)).await? == keys {
        return Ok(());
    }
    let mut clients: JoinSet<Result<()>> = JoinSet::new();
    for first in 0..CLIENTS {
        let mut etcd = etcd.clone();
        clients.spawn(async move {
            for number in (first..keys).step_by(CLIENTS) {
                etcd.put(format!("{PREFIX}{number:06}").into(), value(1)).await?;
            }
            Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}

async fn serves(port: u16, goal: i64) -> bool {
    match Etcd::connect(port).await {
        Ok(mut etcd) => revision(&mut etcd).await.is_ok_and(|revision| goal <= revision),
        Err(_) => false,
    }
}

/// How far the server is.
async fn revision(etcd: &mut Etcd) -> Result<i64> {
    Ok(etcd.status().await?.header.unwrap_or_default().revision)
}

/// The same as the server's metrics show it, which it shows before it takes calls.
fn shown_revision(port: u16) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let mut values = page.lines().filter_map(|line| line.strip_prefix(REVISION));
    values.next()?.trim().parse().ok()
}
