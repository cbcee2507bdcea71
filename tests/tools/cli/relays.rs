//! Relays between a program and the servers of a cluster, which can hold one call or its answer.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use support::harness::Cluster;
use support::wait::PATIENCE;
use tempfile::TempDir;

/// What is held at the first call of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The call, before the server gets it.
    Call,
    /// The answer.
    Answer,
}

/// A relay for each server. A program reaches the servers through them with the configuration at `config`.
pub(crate) struct Relays {
    pub(crate) config: PathBuf,
    shared: Arc<Shared>,
    held: Receiver<usize>,
    release: Sender<()>,
    _folder: TempDir,
}

struct Shared {
    method: &'static str,
    what: Held,
    is_first: AtomicBool,
    held: Mutex<Sender<usize>>,
    released: Mutex<Receiver<()>>,
    /// The methods that crash or restore servers, in the order of their calls.
    heard: Mutex<Vec<&'static str>>,
}

impl Relays {
    pub(crate) fn new(cluster: &Cluster, method: &'static str, what: Held) -> Relays {
        let (holds, held) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let shared = Arc::new(Shared {
            method,
            what,
            is_first: AtomicBool::new(true),
            held: Mutex::new(holds),
            released: Mutex::new(released),
            heard: Mutex::default(),
        });
        let mut config = format!("M: {}\n", cluster.size());
        for id in 0..cluster.size() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            writeln!(config, "metadata{id}: 127.0.0.1:{port}").unwrap();
            let (shared, address) = (Arc::clone(&shared), cluster.at(id).address().to_owned());
            thread::spawn(move || {
                for client in listener.incoming() {
                    let (shared, address) = (Arc::clone(&shared), address.clone());
                    thread::spawn(move || shared.relay(id, client?, TcpStream::connect(address)?));
                }
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, config).unwrap();
        Relays { config: path, shared, held, release, _folder: folder }
    }

    /// Waits until something is held, and returns the server.
    #[track_caller]
    pub(crate) fn held(&self) -> usize {
        self.held.recv_timeout(PATIENCE).expect("the method is called")
    }

    /// Lets it go on.
    pub(crate) fn release(&self) {
        self.release.send(()).unwrap();
    }

    /// How often a method that crashes or restores servers was called.
    pub(crate) fn heard(&self, method: &str) -> usize {
        self.shared.heard.lock().unwrap().iter().filter(|heard| **heard == method).count()
    }
}

impl Shared {
    /// Relays a connection until one end closes it. A client sends its next call after the answer to the last one.
    fn relay(&self, id: usize, client: TcpStream, server: TcpStream) -> io::Result<()> {
        let answers_may_pass = Arc::new(Mutex::new(()));
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        let may_pass = Arc::clone(&answers_may_pass);
        thread::spawn(move || {
            let ended = copy(&mut from, |chunk| {
                let _passes = may_pass.lock().unwrap();
                to.write_all(chunk)
            });
            to.shutdown(Shutdown::Both).and(ended)
        });
        let (mut from, mut to) = (client, server);
        let ended = copy(&mut from, |chunk| {
            let text = String::from_utf8_lossy(chunk);
            let is_call_of = |method: &&str| text.contains(&format!("surfstore.{method}<"));
            let method = ["crash", "restore"].into_iter().find(is_call_of);
            self.heard.lock().unwrap().extend(method);
            let is_held = method == Some(self.method) && self.is_first.swap(false, SeqCst);
            if is_held && self.what == Held::Call {
                self.hold(id);
            }
            let _passes = is_held.then(|| answers_may_pass.lock().unwrap());
            to.write_all(chunk)?;
            if is_held && self.what == Held::Answer {
                self.hold(id);
            }
            Ok(())
        });
        to.shutdown(Shutdown::Both).and(ended)
    }

    fn hold(&self, id: usize) {
        // A test that is over no longer listens.
        let _ = self.held.lock().unwrap().send(id);
        let _ = self.released.lock().unwrap().recv();
    }
}

/// Passes on what can be read until the end.
fn copy(from: &mut TcpStream, mut pass: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            count => pass(&chunk[..count])?,
        }
    }
}
