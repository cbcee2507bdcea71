//! A client for callers without an executor: each call blocks until it is done.

use smol::block_on;

use super::{Error, FileInfoMap, FileUpdate, Limits, Outcome, RemoteServer, ServerStatus};
use crate::config::Address;

/// A client of a set of servers whose calls block.
#[derive(Debug)]
pub struct Client(super::Client);

impl Client {
    /// A client of the servers at these addresses, like [`super::Client::new`].
    pub fn new(addresses: &[Address], limits: Limits) -> Client {
        Client(super::Client::new(addresses, limits))
    }

    /// The servers, in the order of their ids. Use [`wait`] to call one of them.
    pub fn servers(&mut self) -> &mut [RemoteServer] {
        self.0.servers()
    }

    /// How many attempts have failed, like [`super::Client::failed_attempts`].
    pub fn failed_attempts(&self) -> u64 {
        self.0.failed_attempts()
    }

    /// Asks all servers concurrently, like [`super::Client::at_each`].
    pub fn at_each<T>(&mut self, ask: impl AsyncFn(&mut RemoteServer) -> T) -> Vec<T> {
        block_on(self.0.at_each(ask))
    }

    /// The server that claims to lead, like [`super::Client::leader`].
    ///
    /// # Errors
    ///
    /// If no server claims to lead in time.
    pub fn leader(&mut self) -> Result<(usize, ServerStatus), Error> {
        block_on(self.0.leader())
    }

    /// The whole map, like [`super::Client::files`].
    ///
    /// # Errors
    ///
    /// If no leader confirms it in time.
    pub fn files(&mut self) -> Result<FileInfoMap, Error> {
        block_on(self.0.files())
    }

    /// Makes an update, like [`super::Client::update`].
    ///
    /// # Errors
    ///
    /// If it had no effect and will have none.
    pub fn update(&mut self, update: &FileUpdate) -> Result<Outcome, Error> {
        block_on(self.0.update(update))
    }
}

/// Waits for a call to one server: `wait(server.status())`.
pub fn wait<T>(call: impl Future<Output = T>) -> T {
    block_on(call)
}
