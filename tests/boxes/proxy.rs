//! A network between servers: one TCP port for each ordered pair of them, which controls what arrives.
//!
//! A request and its reply share a connection, so a connection that server `i` makes to server `j` has two directions:
//! requests go `i` -> `j` on it, and replies `j` -> `i`. A fault of the direction `i` -> `j` applies to all connections
//! between the two, whichever of them made the connection. Bytes of one connection are never reordered, doubled or
//! changed, because TCP never does that; it can happen to whole requests on different connections, and in the
//! simulation to all.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, iter};

use smol::channel::Sender;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Executor, Task, Timer, future};
use support::turns::free_port;

use crate::way::{Direction, Rough, Way};

/// The network.
pub(crate) struct Proxy {
    ports: BTreeMap<Direction, u16>,
    links: Arc<Links>,
    /// The tasks that accept connections and forward what is sent over them. A port without one is closed.
    listeners: Mutex<BTreeMap<Direction, Task<()>>>,
    executor: Arc<Executor<'static>>,
    /// The thread that does all of this, and what ends it when it is dropped.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Proxy {
    /// An open network between servers that listen on these ports.
    pub(crate) fn between(servers: &[u16]) -> Proxy {
        let executor = Arc::new(Executor::new());
        let (over, end) = smol::channel::bounded::<()>(1);
        let run = Arc::clone(&executor);
        let thread = thread::spawn(move || assert!(smol::block_on(run.run(end.recv())).is_err()));
        let size = servers.len();
        let pairs = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
        let links = Arc::new(Links { servers: servers.into(), ..Links::default() });
        let (ports, listeners) = (BTreeMap::new(), Mutex::default());
        let mut proxy = Proxy { ports, links, listeners, executor, thread: Some((over, thread)) };
        for link in pairs.filter(|(from, to)| from != to) {
            // Another run may take a port between this check and its use.
            let bind = |port| Some((port, listener(port).ok()?));
            let (port, listener) = iter::repeat_with(free_port).find_map(bind).unwrap();
            proxy.ports.insert(link, port);
            proxy.listen(link, listener);
        }
        proxy
    }

    /// The port on which `from` calls `to`.
    pub(crate) fn port(&self, link: Direction) -> u16 {
        self.ports[&link]
    }

    /// Sets how what is sent in that direction is treated from now on.
    pub(crate) fn set(&self, direction: Direction, way: Way) {
        self.links.ways.lock().unwrap().insert(direction, way);
    }

    /// How many bytes have passed in that direction.
    pub(crate) fn passed(&self, direction: Direction) -> usize {
        self.links.passed.lock().unwrap().get(&direction).copied().unwrap_or_default()
    }

    /// Closes the port on which `from` calls `to`, and all connections made there.
    pub(crate) fn refuse(&self, link: Direction) {
        let listener = self.listeners.lock().unwrap().remove(&link);
        smol::block_on(listener.expect("the port is open").cancel());
        self.reset(link);
    }

    /// Opens the port on which `from` calls `to`.
    pub(crate) fn accept(&self, link: Direction) {
        self.listen(link, listener(self.port(link)).unwrap());
    }

    /// Ends all connections of `from` to `to`. New ones are accepted as before.
    pub(crate) fn reset(&self, link: Direction) {
        let open = self.links.open.lock().unwrap().remove(&link);
        // It is fine if a connection has ended already.
        open.into_iter().flatten().for_each(|end| _ = end.shutdown(Shutdown::Both));
    }

    fn listen(&self, link: Direction, listener: TcpListener) {
        let listen = Arc::clone(&self.links).listen(listener, link);
        self.listeners.lock().unwrap().insert(link, self.executor.spawn(listen));
    }
}

fn listener(port: u16) -> io::Result<TcpListener> {
    smol::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some((over, thread)) = self.thread.take() {
            drop(over);
            assert!(thread.join().is_ok() || thread::panicking());
        }
    }
}

/// The state that the connections share.
#[derive(Default)]
struct Links {
    servers: Box<[u16]>,
    ways: Mutex<BTreeMap<Direction, Way>>,
    passed: Mutex<BTreeMap<Direction, usize>>,
    /// Both ends of the connections that were made on each link, those that have ended included.
    open: Mutex<BTreeMap<Direction, Vec<TcpStream>>>,
}

impl Links {
    fn way(&self, direction: Direction) -> Way {
        self.ways.lock().unwrap().get(&direction).cloned().unwrap_or_default()
    }

    /// Accepts connections, all of which end when this ends.
    async fn listen(self: Arc<Links>, listener: TcpListener, link: Direction) {
        let connections = Executor::new();
        let accept = async {
            while let Ok((near, _)) = listener.accept().await {
                // However it ends, the servers see it end.
                connections.spawn(Arc::clone(&self).serve(near, link)).detach();
            }
        };
        connections.run(accept).await;
    }

    async fn serve(self: Arc<Links>, near: TcpStream, (from, to): Direction) {
        if matches!(self.way((from, to)), Way::Cut | Way::BlackHole) {
            return swallow(near).await;
        }
        let server = (Ipv4Addr::LOCALHOST, self.servers[to]);
        let Ok(far) = TcpStream::connect(server).await else { return };
        let ends = [near.clone(), far.clone()];
        self.open.lock().unwrap().entry((from, to)).or_default().extend(ends);
        let there = self.carry(near.clone(), far.clone(), (from, to));
        let back = self.carry(far, near, (to, from));
        let _ = future::zip(there, back).await;
    }

    /// Forwards bytes in one direction until they end.
    async fn carry(
        &self,
        mut source: TcpStream,
        mut sink: TcpStream,
        direction: Direction,
    ) -> io::Result<()> {
        sink.set_nodelay(true)?;
        let mut chunk = vec![0; 64 << 10];
        loop {
            // A broken connection has ended.
            let count = source.read(&mut chunk).await.unwrap_or_default();
            if !self.passes(direction).await {
                swallow(source).await;
                return sink.shutdown(Shutdown::Both);
            }
            if count == 0 {
                return sink.shutdown(Shutdown::Write);
            }
            *self.passed.lock().unwrap().entry(direction).or_default() += count;
            sink.write_all(&chunk[..count]).await?;
        }
    }

    /// Waits until what is at one end of the direction has reached the other. Returns whether it gets there.
    async fn passes(&self, direction: Direction) -> bool {
        loop {
            match self.way(direction) {
                Way::Open => return true,
                Way::Cut => Timer::after(Duration::from_millis(5)).await,
                Way::BlackHole => return false,
                Way::Rough(Rough { delay, lost, late }) => {
                    let time = if fastrand::u8(0..100) < late { 200..=2400 } else { delay };
                    Timer::after(Duration::from_millis(fastrand::u64(time))).await;
                    return lost <= fastrand::u8(0..100);
                }
            };
        }
    }
}

/// Reads everything that arrives, until the end.
async fn swallow(mut source: TcpStream) {
    let mut chunk = [0; 4096];
    while source.read(&mut chunk).await.is_ok_and(|count| 0 < count) {}
}
