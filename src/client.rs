//! A client of a set of servers. It finds the leader, follows it through elections, and reports only what is known
//! about the outcome of an update.
//!
//! [`RemoteServer`] has the calls that any server answers. [`Client`] has the calls that only the leader answers. It
//! sends them to the last known leader, and then follows the answers until a call is confirmed or the
//! [deadline](Limits::deadline) has passed. After a definite refusal (*crashed*, *not the leader*, *busy*) it tries
//! another server or waits. The module never resends anything silently: it replaces a kept connection that has ended
//! before the first byte of a call, never after.
//!
//! A read can be retried. An update with an unknown outcome is retried only after the map has shown that it did not
//! take effect; see [`Client::update`].
//!
//! The client works on smol's reactor, under any executor. [`blocking`] is the same client for callers without an
//! executor. The module knows neither the server's runtime nor how results are displayed.
//!
//! ```no_run
//! use std::path::Path;
//! use surfstore::client::{FileUpdate, Limits, Outcome, blocking::Client};
//! use surfstore::config::Config;
//!
//! let config = Config::read(Path::new("configs/config5.txt"))?;
//! let mut client = Client::new(&config.servers, Limits::default());
//! let update = FileUpdate { name: "a.txt".into(), version: 1, hashes: ["hash1".into()].into() };
//! match client.update(&update)? {
//!     Outcome::Applied => println!("a majority holds it"),
//!     Outcome::Refused { stored } => println!("the stored version is {stored:?}"),
//!     Outcome::Unknown { reason } => println!("it may have taken effect, or may still do so: {reason}"),
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```

mod answer;
pub mod blocking;
mod connection;
mod error;
mod leader;
mod server;
mod update;

use std::time::{Duration, Instant};

use smol::LocalExecutor;

use crate::config::Address;
use crate::protocol::Ask;

pub use crate::protocol::ServerStatus;
pub use answer::{FileInfo, FileInfoMap};
pub use error::Error;
pub use server::RemoteServer;
pub use update::{FileUpdate, Outcome};

use leader::{Search, Sought};

/// The longest wait: an `Instant` much further in the future may not be representable.
const WAIT_MAX: Duration = Duration::from_secs(365 * 86400);

/// Timeouts of a client. No wait is longer than a year.
///
/// The size of an answer has no limit: the map is as large as its updates made it, and an answer that is too large once
/// is too large whenever it is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The timeout of an operation, including all its attempts.
    pub deadline: Duration,
    /// The timeout of one attempt, because another server may have become the leader in the meantime. The first attempt
    /// at the leader takes at most a quarter of the deadline if there is another server. After an attempt that takes all
    /// of its time, the next one at the same server has twice as much, because a large map may need it.
    pub attempt: Duration,
    /// How long to look for a leader while every server refuses the connection, so that no process listens: they may be
    /// about to start. By default as long as the deadline.
    pub refusals: Duration,
}

impl Default for Limits {
    /// Two elections fit into 10 s. No answer but a large map takes more than 3 s unless a majority is missing.
    fn default() -> Limits {
        Limits {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_secs(3),
            refusals: Duration::MAX,
        }
    }
}

/// A client of a set of servers, which makes one call at a time.
#[derive(Debug)]
pub struct Client {
    servers: Vec<RemoteServer>,
    limits: Limits,
    /// The server to send the next call for the leader to: an index into `servers`, unless that is empty.
    guess: usize,
    /// The number of attempts that failed.
    failed_attempts: u64,
}

impl Client {
    /// A client of the servers at these addresses, usually those of a [`Config`](crate::config::Config). It connects on
    /// demand.
    pub fn new(addresses: &[Address], limits: Limits) -> Client {
        let servers = addresses.iter().map(|address| RemoteServer::new(address, limits)).collect();
        Client { servers, limits, guess: 0, failed_attempts: 0 }
    }

    /// The servers, in the order of their ids.
    pub fn servers(&mut self) -> &mut [RemoteServer] {
        &mut self.servers
    }

    /// How many attempts at a call for the leader have failed since the client was made. If the number is the same
    /// before and after a call, its first attempt was answered.
    pub fn failed_attempts(&self) -> u64 {
        self.failed_attempts
    }

    /// Asks all servers concurrently, and returns their answers.
    pub async fn at_each<T>(&mut self, ask: impl AsyncFn(&mut RemoteServer) -> T) -> Vec<T> {
        let executor = LocalExecutor::new();
        let tasks: Vec<_> =
            self.servers.iter_mut().map(|server| executor.spawn(ask(server))).collect();
        let mut answers = Vec::with_capacity(tasks.len());
        let gathered = async {
            for task in tasks {
                answers.push(task.await);
            }
        };
        executor.run(gathered).await;
        answers
    }

    /// The whole map, including deleted files, as confirmed by a majority.
    ///
    /// # Errors
    ///
    /// If no leader confirms it in time.
    pub async fn files(&mut self) -> Result<FileInfoMap, Error> {
        self.read_files(&mut Search::new(self.limits, self.servers.len())).await
    }

    async fn read_files(&mut self, search: &mut Search) -> Result<FileInfoMap, Error> {
        let document = Ask::Files.document();
        loop {
            if let Sought::Answered(value) = self.seek(&document, search).await? {
                return answer::files(value).map_err(Error::Unexpected);
            }
        }
    }
}

/// The current time plus `time`.
fn after(time: Duration) -> Instant {
    Instant::now() + time.min(WAIT_MAX)
}
