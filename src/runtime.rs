//! Sockets, connections, clocks, peers, output and signals around the [`service`](crate::service). The only user of
//! async-h1.
//!
//! One thread runs everything on one executor: the event loop, which owns the service; the listeners and a task for
//! each connection; a supervisor of all connections; two lanes for each peer, which carry its requests. Long
//! computations, which share nothing with that thread, and look-ups of host names are offloaded to a thread pool. The
//! thread sleeps under low load and busy-polls its sockets under high load. A panic in a connection's task ends that
//! connection. A panic anywhere else ends the process, so that no process keeps listening without answering.

mod alarm;
mod bind;
mod busy_poll;
mod connection;
mod connections;
pub mod disk;
mod event_loop;
mod fairness;
mod head_codec;
mod http_server;
pub mod memory_limit;
mod message;
mod offload;
pub mod output;
mod peer;
mod process;
pub mod signals;
mod timing;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use anyhow::Context;
use async_io::Async;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::{LocalExecutor, Task, future};

use crate::config::{Config, ServerArguments};
use crate::gate::Site;
use crate::raft::{Cluster, Compaction, Incarnation, NUMBER_MAX, Origin, ServerId};
use crate::service::{AnswerBudget, HeldBytes, Service, Settings};
use connections::Connections;
use disk::DataFolder;
use event_loop::EventLoop;
use http_server::HttpServer;
use peer::Peer;

/// The maximum number of descriptors that the server asks for: far more than it may have connections.
const DESCRIPTORS_MAX: u64 = 1 << 16;

/// Runs a server until the process ends. `memory_max` bounds its memory, in bytes; `None` stands for three quarters of
/// what the process can have. `data` is the folder in which the server keeps its state; without one, it keeps it in
/// memory only.
///
/// # Errors
///
/// If the server cannot listen at its configured address, or cannot use its data folder, now or later.
pub fn run(
    arguments: ServerArguments,
    memory_max: Option<usize>,
    data: Option<&Path>,
) -> anyhow::Result<Infallible> {
    let ServerArguments { config, id } = arguments;
    output::name_server(id);
    let memory_max = memory_max.unwrap_or_else(memory_limit::default);
    let cluster = cluster(&config, id).context("the server is not in the configuration")?;
    let address = config.servers.get(id).context("the server is not in the configuration")?;
    let descriptors = raise_descriptor_limit();
    let (sockets, where_bound) = bind::bind(address)?;
    let executor = Rc::new(LocalExecutor::new());
    let (inbox, messages) = smol::channel::unbounded();
    let (requests, budget) = (HeldBytes::default(), AnswerBudget::default());
    let peer_count = cluster.peers().count();
    let connections = Connections::new(descriptors, peer_count, requests.clone(), budget.clone());
    let mut peers = BTreeMap::new();
    for peer in cluster.peers() {
        let address = config
            .servers
            .get(usize::from(peer.0))
            .context("a peer is not in the configuration")?;
        peers.insert(peer, Peer::new(peer, address, &inbox, &executor));
    }
    let (disk, origin) = match data {
        Some(path) => {
            let fresh = Incarnation::on_disk(fastrand::u64(..));
            let (disk, saved) = DataFolder::open(path, cluster, fresh, inbox.clone())?;
            (Some(disk), Origin::Disk(saved))
        }
        None => (None, Origin::Memory(Incarnation::in_memory(fastrand::u64(..)))),
    };
    let settings = Settings {
        cluster,
        config: config.clone(),
        origin,
        compaction: Compaction::within(memory_max),
        rng: fastrand::Rng::new(),
        waiting_max: connections.waiting_max(),
        budget,
        requests,
        memory_max,
    };
    let started = Service::start(settings, Instant::now());
    let mut tasks = vec![
        executor.spawn(EventLoop::new(peers, disk).run(started, messages)),
        executor.spawn(Rc::clone(&connections).supervise(inbox.clone())),
    ];
    let http_server = HttpServer::new(connections, inbox, Site::new(address, &config));
    for socket in sockets {
        let listening = Rc::clone(&http_server).listen(Async::new(socket)?, Rc::clone(&executor));
        tasks.push(executor.spawn(listening));
    }
    log::info!("server {id} of {} listens on {where_bound}", cluster.size());
    bind::check_own_name(address);
    smol::block_on(busy_poll::run(&executor, first(tasks)))
}

/// Raises the limit on descriptors as far as this process may, because the usual limit is lower than the number of
/// connections. Returns the new limit.
fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS_MAX, |maximum| maximum.min(DESCRIPTORS_MAX));
    if current.is_some_and(|current| current < wanted) {
        // With fewer descriptors, idle connections are evicted earlier.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS_MAX)
}

/// The set of servers as the core knows it: numbers without addresses.
fn cluster(config: &Config, id: usize) -> Option<Cluster> {
    let size = u8::try_from(config.servers.len()).ok()?;
    let cluster = Cluster::new(ServerId(u8::try_from(id).ok()?), size)?;
    Some(cluster.named(config.digest() % NUMBER_MAX))
}

/// Waits for tasks that never return successfully. The first one to fail or panic ends the process.
async fn first(tasks: Vec<Task<anyhow::Result<Infallible>>>) -> anyhow::Result<Infallible> {
    let mut tasks = tasks;
    future::poll_fn(|context| {
        let ended = tasks.iter_mut().find_map(|task| match Pin::new(task).poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// The outcome of a run in which `bystander` is a connection's task and `essential` one that must never end.
    fn run_with(
        bystander: impl Future<Output = ()> + 'static,
        essential: impl Future<Output = anyhow::Result<Infallible>> + 'static,
    ) -> Result<anyhow::Result<Infallible>, Box<dyn std::any::Any + Send>> {
        let executor = LocalExecutor::new();
        executor.spawn(bystander).detach();
        let tasks = vec![executor.spawn(future::pending()), executor.spawn(essential)];
        catch_unwind(AssertUnwindSafe(|| smol::block_on(busy_poll::run(&executor, first(tasks)))))
    }

    /// Lets every other task run before it ends.
    async fn fail() -> anyhow::Result<Infallible> {
        future::yield_now().await;
        anyhow::bail!("the end")
    }

    #[test]
    fn a_panic_in_the_event_loop_ends_the_process() {
        assert!(run_with(async {}, async { panic!("an invariant is broken") }).is_err());
    }

    #[test]
    fn a_panic_in_a_connections_task_ends_that_connection_alone() {
        let ended = run_with(async { panic!("a connection") }, fail());
        assert_eq!(ended.expect("no panic reaches the caller").unwrap_err().to_string(), "the end");
    }
}
