//! Everything outside the core: sockets, connections, timers, peers, output. The only user of smol and async-h1.
//!
//! One thread does it all, on one executor and without locks: the driver, which owns the server; the listeners and a
//! task for each connection; two lanes for each peer. A panic in a connection's task ends that connection. A panic
//! anywhere else ends the process: nothing is left that listens and does not answer.

mod bind;
mod connection;
mod deadline;
mod driver;
mod housekeeping;
mod http;
mod input;
mod listener;
pub mod output;
mod peer;
mod timing;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use anyhow::Context;
use async_io::Async;
use smol::{LocalExecutor, Task, future};

use crate::config::{Arguments, Config};
use crate::raft::{Cluster, ServerId};
use driver::Driver;
use housekeeping::House;
use listener::Reception;
use peer::Peer;

/// Runs a server for as long as the process lives.
///
/// # Errors
///
/// If the server cannot listen where the configuration says.
pub fn run(Arguments { config, id }: Arguments) -> anyhow::Result<Infallible> {
    let cluster = cluster(&config, id).context("the server is not in the configuration")?;
    let address = config.servers.get(id).context("the server is not in the configuration")?;
    let (sockets, places) = bind::bind(address)?;
    let executor = Rc::new(LocalExecutor::new());
    let (inbox, inputs) = smol::channel::unbounded();
    let mut tasks = Vec::new();
    let mut peers = BTreeMap::new();
    for peer in cluster.peers() {
        let address = config
            .servers
            .get(usize::from(peer.0))
            .context("a peer is not in the configuration")?;
        let (handle, lanes) = Peer::new(peer, address, &inbox);
        peers.insert(peer, handle);
        tasks.extend(lanes.map(|lane| executor.spawn(lane.run())));
    }
    let own_host = address.host.clone();
    tasks.push(executor.spawn(Driver::new(cluster, config, peers).run(inputs)));
    let house = House::new();
    tasks.push(executor.spawn(Rc::clone(&house).keep(inbox.clone())));
    let reception = Reception::new(house, inbox, &own_host);
    for socket in sockets {
        let listening = Rc::clone(&reception).listen(Async::new(socket)?, Rc::clone(&executor));
        tasks.push(executor.spawn(listening));
    }
    log::info!("server {id} of {} listens on {places}", cluster.size());
    smol::block_on(executor.run(first(tasks)))
}

/// The set of servers as the core knows it: by numbers.
fn cluster(config: &Config, id: usize) -> Option<Cluster> {
    let size = u8::try_from(config.servers.len()).ok()?;
    Cluster::new(ServerId(u8::try_from(id).ok()?), size)
}

/// Waits for tasks that never end well: the first to fail, or to panic, ends the process.
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
