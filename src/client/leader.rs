//! Finding the leader, and following it through elections.

use std::time::{Duration, Instant};

use async_io::Timer;

use super::error::Failure;
use super::{Client, Error, ServerStatus, after};
use crate::config::Address;
use crate::protocol::fault;
use crate::value::Value;
use crate::xmlrpc::Fault;

/// The pause once all servers were asked in vain: a part of an election, and a random part so that clients that were
/// refused together do not come back together.
const PAUSE: Duration = Duration::from_millis(25);

/// One operation's search for a leader that does it.
pub(super) struct Search {
    /// When the operation has to be over.
    pub(super) until: Instant,
    /// How many servers were asked in vain since the last pause.
    tried: usize,
    /// What was heard last; empty before anything was.
    trouble: String,
}

impl Search {
    pub(super) fn new(deadline: Duration) -> Search {
        Search { until: after(deadline), tried: 0, trouble: String::new() }
    }

    /// Remembers what was heard last. A connection for which there was no time left tells less than what came before.
    fn note(&mut self, address: &Address, failure: &Failure) {
        let is_cut_short = matches!(failure, Failure::Unsent(_)) && self.until <= Instant::now();
        if !is_cut_short || self.trouble.is_empty() {
            self.trouble = format!("{address}: {failure}");
        }
    }

    async fn pause(&mut self) {
        self.tried = 0;
        let pause = PAUSE + PAUSE.mul_f64(2.0 * fastrand::f64());
        Timer::at(self.until.min(Instant::now() + pause)).await;
    }
}

/// What came of a call that is the leader's.
pub(super) enum Sought {
    /// The leader has answered.
    Answered(Value),
    /// A server that may have been the leader was sent the call and has not answered: the call may have an effect, or
    /// may have one later.
    Lost,
    /// The leader said that it no longer knows what will come of the call. That is decided with the next answer that a
    /// leader gives, since that leader's log holds the call, or the call is in nobody's log for long.
    Left,
}

/// Where to go after a server has refused.
enum Next {
    /// To the leader it named, if that is a server of this set, or else to the next.
    Elsewhere(Option<usize>),
    /// There again, after a pause.
    Later,
}

impl Client {
    /// Sends the document to one server after another until one does not refuse it definitely.
    ///
    /// # Errors
    ///
    /// If time is up, or a server found that the call itself is wrong. What was sent here has no effect then.
    pub(super) async fn seek(
        &mut self,
        document: &[u8],
        search: &mut Search,
    ) -> Result<Sought, Error> {
        while Instant::now() < search.until {
            let until = search.until.min(after(self.limits.attempt));
            let Some(server) = self.servers.get_mut(self.guess) else {
                return Err(Error::NoLeader("there are no servers".to_owned()));
            };
            let failure = match server.send(document, until).await {
                Ok(value) => return Ok(Sought::Answered(value)),
                Err(failure) => failure,
            };
            let address = server.address().clone();
            search.note(&address, &failure);
            match failure {
                Failure::Lost(_) => return Ok(self.leave(search, Sought::Lost).await),
                Failure::Unsent(_) | Failure::NotServed(_) => {
                    self.go_on(search, Next::Elsewhere(None)).await;
                }
                Failure::Fault(fault) => match fault.code {
                    fault::OUTCOME_UNKNOWN => return Ok(self.leave(search, Sought::Left).await),
                    // Where a server went wrong, nothing is known.
                    fault::INTERNAL => return Ok(self.leave(search, Sought::Lost).await),
                    fault::CRASHED => self.go_on(search, Next::Elsewhere(None)).await,
                    fault::NOT_LEADER => {
                        let named = self.named_by(&fault);
                        self.go_on(search, Next::Elsewhere(named)).await;
                    }
                    fault::BUSY => self.go_on(search, Next::Later).await,
                    _ => return Err(Error::Fault(fault)),
                },
            }
        }
        Err(Error::NoLeader(search.trouble.clone()))
    }

    /// Goes on from a server that left a call open.
    async fn leave(&mut self, search: &mut Search, sought: Sought) -> Sought {
        self.guess = self.after_guess();
        search.pause().await;
        sought
    }

    async fn go_on(&mut self, search: &mut Search, next: Next) {
        search.tried += 1;
        let is_round = self.servers.len() <= search.tried;
        match next {
            Next::Elsewhere(named) => self.guess = named.unwrap_or_else(|| self.after_guess()),
            Next::Later => search.pause().await,
        }
        if is_round {
            search.pause().await;
        }
    }

    fn after_guess(&self) -> usize {
        (self.guess + 1) % self.servers.len().max(1)
    }

    /// The leader that a fault names. An address that is not of this set is not followed.
    fn named_by(&self, fault: &Fault) -> Option<usize> {
        let named = fault::named_leader(fault)?;
        let is_named = |text: String| text.eq_ignore_ascii_case(named);
        self.servers.iter().position(|server| is_named(server.address().to_string()))
    }

    /// The server that says it leads, in the highest term if there are several, with its id.
    ///
    /// Without a majority behind it a server may say so and be deposed already; only an answer to a read or an update
    /// is confirmed.
    ///
    /// # Errors
    ///
    /// If no server says so in time.
    pub async fn leader(&mut self) -> Result<(usize, ServerStatus), Error> {
        let mut search = Search::new(self.limits.deadline);
        // The first error of the last look for which there was time.
        let mut trouble = None;
        loop {
            let until = search.until;
            let statuses = self.at_each(async |server| server.status_before(until).await).await;
            let is_over = until <= Instant::now();
            if !is_over || trouble.is_none() {
                trouble = Some(statuses.iter().find_map(|status| status.as_ref().err().cloned()));
            }
            let known = statuses.into_iter().enumerate();
            let leader = known
                .filter_map(|(id, status)| Some((id, status.ok()?)))
                .filter(|(_, status)| status.leads())
                .max_by_key(|(_, status)| status.term);
            if let Some((id, status)) = leader {
                self.guess = id;
                return Ok((id, status));
            }
            if is_over {
                let trouble = trouble.flatten().map(|error| format!("; {error}"));
                let trouble = trouble.unwrap_or_default();
                return Err(Error::NoLeader(format!("no server says that it leads{trouble}")));
            }
            search.pause().await;
        }
    }
}
