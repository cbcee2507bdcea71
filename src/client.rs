//! A client of a set of servers: finds the leader, follows it through elections, and says honestly what came of an
//! update.
//!
//! A call that any server answers is a method of [`Server`]. The calls that are the leader's are methods of [`Client`]:
//! they are sent to the server that was the leader last, and from there wherever the answers point, until one is
//! confirmed or the [deadline](Limits::deadline) is over. A definite refusal (*crashed*, *not the leader*, *busy*) is
//! tried elsewhere or later. Nothing is ever sent again behind the back of this module: a connection that was kept and
//! has ended is made anew before the first byte of a call, never after.
//!
//! A read may be repeated. An update whose outcome is open is repeated only once the map has shown that it did not take
//! effect; see [`Client::update`].
//!
//! Works on smol's reactor, under any executor; [`blocking`] is the same for callers without one. The module knows
//! neither the runtime of a server nor how anything is shown to people.
//!
//! ```no_run
//! use std::path::Path;
//! use surfstore::client::{Limits, Outcome, Update, blocking::Client};
//! use surfstore::config::Config;
//!
//! let config = Config::read(Path::new("configs/config5.txt"))?;
//! let mut client = Client::new(&config.servers, Limits::default());
//! let update = Update { name: "a.txt".into(), version: 1, hashes: ["hash1".into()].into() };
//! match client.update(&update)? {
//!     Outcome::Applied => println!("a majority holds it"),
//!     Outcome::Refused { stored } => println!("the stored version is {stored:?}"),
//!     Outcome::Unknown { reason } => println!("it may have taken effect, or may yet: {reason}"),
//! }
//! # Ok::<(), anyhow::Error>(())
//! ```

mod answer;
pub mod blocking;
mod connection;
mod error;
mod leader;
mod server;
mod status;
mod update;

use std::time::{Duration, Instant};

use smol::LocalExecutor;

use crate::config::Address;
use crate::protocol::Ask;

pub use answer::{FileInfo, Files};
pub use error::Error;
pub use server::Server;
pub use status::ServerStatus;
pub use update::{Outcome, Update};

use leader::{Search, Sought};

/// The longest that anything is waited for: moments much further off may not be told.
const WAIT_MAX: Duration = Duration::from_secs(365 * 86400);

/// How long a client waits, and how much it takes. More than a year is waited for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time that an operation takes at most, with all its attempts.
    pub deadline: Duration,
    /// The time after which one attempt is given up, for another server may have become the leader meanwhile.
    pub attempt: Duration,
    /// The bytes that the body of an answer has at most.
    pub answer_bytes_max: usize,
}

impl Default for Limits {
    /// Two elections fit into 10 s; no answer is late after 3 s unless a majority is missing; 64 MiB are as many as a
    /// server holds for all its callers.
    fn default() -> Limits {
        Limits {
            deadline: Duration::from_secs(10),
            attempt: Duration::from_secs(3),
            answer_bytes_max: 64 << 20,
        }
    }
}

/// A client of a set of servers, which makes one call after another.
#[derive(Debug)]
pub struct Client {
    servers: Vec<Server>,
    limits: Limits,
    /// The server that is asked next for what is the leader's: an index into `servers`, where there are any.
    guess: usize,
}

impl Client {
    /// A client of the servers at these addresses, usually those of a [`Config`](crate::config::Config). Connections are
    /// made when they are needed.
    pub fn new(addresses: &[Address], limits: Limits) -> Client {
        let servers = addresses.iter().map(|address| Server::new(address, limits)).collect();
        Client { servers, limits, guess: 0 }
    }

    /// The servers, in the order of their ids.
    pub fn servers(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// Asks every server at the same time, and gives what each has answered.
    pub async fn at_each<T>(&mut self, ask: impl AsyncFn(&mut Server) -> T) -> Vec<T> {
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

    /// The whole map, deleted files included, as a majority confirms it.
    ///
    /// # Errors
    ///
    /// If no leader confirms it in time.
    pub async fn files(&mut self) -> Result<Files, Error> {
        self.read_files(&mut Search::new(self.limits.deadline)).await
    }

    async fn read_files(&mut self, search: &mut Search) -> Result<Files, Error> {
        let document = Ask::Files.document();
        loop {
            if let Sought::Answered(value) = self.seek(&document, search).await? {
                return answer::files(value).map_err(Error::Unexpected);
            }
        }
    }
}

/// The moment after that time.
fn after(time: Duration) -> Instant {
    Instant::now() + time.min(WAIT_MAX)
}
