//! Finds the leader, and follows it through elections.

use std::time::{Duration, Instant};

use async_io::Timer;

use super::error::AttemptError;
use super::{Client, Error, Limits, ServerStatus, after};
use crate::config::Address;
use crate::protocol::fault;
use crate::value::Value;
use crate::xmlrpc::Fault;

/// The first pause after all servers were asked without success: a fraction of the time that a failover takes when a
/// leader's process ends. Each further one is longer by a quarter. Up to twice as much is added at random, so that
/// clients refused together do not retry together.
const PAUSE: Duration = Duration::from_millis(3);

/// The longest pause, without its random part: a fraction of an election time.
const PAUSE_MAX: Duration = Duration::from_millis(25);

/// The first attempt at a server of several takes at most this fraction of the operation's time, so that one server
/// that has stopped does not use it up. The second attempt at the same server has twice as much, and both together leave
/// a quarter for the others: until a follower notices that its leader has stopped, it still names that leader.
const ATTEMPTS: u32 = 4;

/// The search of one operation for a leader that executes it.
pub(super) struct Search {
    /// The deadline of the operation.
    pub(super) until: Instant,
    /// What is known of each server.
    turns: Vec<Turn>,
    /// The number of servers asked without success since the last pause.
    tried: usize,
    /// The next pause, without its random part.
    pause: Duration,
    /// The last failure; empty at first.
    trouble: String,
    /// The same, if it is that a server is busy.
    busy: Option<Fault>,
    /// How long to go on while every server refuses the connection.
    refusals: Duration,
    /// Since when every server has refused the connection.
    refused_since: Option<Instant>,
}

/// When to ask a server, and for how long.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// The timeout of the next attempt.
    attempt: Duration,
    /// Until then, other servers are asked before this one, unless one of them names it as the leader.
    rests_until: Instant,
    /// Whether it refused the last connection.
    refuses: bool,
}

impl Search {
    /// A search among so many servers.
    pub(super) fn new(limits: Limits, servers: usize) -> Search {
        let attempt = first_attempt(limits, servers);
        let turn = Turn { attempt, rests_until: Instant::now(), refuses: false };
        Search {
            until: after(limits.deadline),
            turns: vec![turn; servers],
            tried: 0,
            pause: PAUSE,
            trouble: String::new(),
            busy: None,
            refusals: limits.refusals,
            refused_since: None,
        }
    }

    /// When the next attempt at this server ends.
    fn attempt_until(&self, server: usize) -> Instant {
        let attempt = self.turns.get(server).map_or(Duration::ZERO, |turn| turn.attempt);
        self.until.min(after(attempt))
    }

    /// Records an attempt that failed. The server rests for as long as the attempt took. If the answer did not come in
    /// time, the next attempt has more, because a large map may need it.
    fn count_failure(
        &mut self,
        server: usize,
        began: Instant,
        until: Instant,
        error: &AttemptError,
    ) {
        let now = Instant::now();
        if let Some(turn) = self.turns.get_mut(server) {
            turn.rests_until = now + now.saturating_duration_since(began);
            if until <= now && matches!(error, AttemptError::Lost(_)) {
                turn.attempt = turn.attempt.saturating_mul(2);
            }
        }
        self.note_refusal(server, matches!(error, AttemptError::Refused(_)));
    }

    /// The first of these servers that does not rest, or the one that rests for the shortest time.
    fn first_of(&self, servers: impl Iterator<Item = usize>) -> Option<usize> {
        let now = Instant::now();
        servers.min_by_key(|id| self.turns.get(*id).map(|turn| turn.rests_until.max(now)))
    }

    /// Records whether a server has refused the connection. An attempt that the deadline cuts short says nothing.
    fn note_refusal(&mut self, server: usize, refuses: bool) {
        let now = Instant::now();
        if !refuses && self.until <= now {
            return;
        }
        if let Some(turn) = self.turns.get_mut(server) {
            turn.refuses = refuses;
        }
        let all_refuse = self.turns.iter().all(|turn| turn.refuses);
        self.refused_since = all_refuse.then(|| self.refused_since.unwrap_or(now));
    }

    /// The error, if all servers refuse the connection and have done so for long enough.
    fn check_refusals(&self) -> Result<(), Error> {
        let is_over =
            |since: Instant| self.refusals <= since.elapsed() || self.until <= Instant::now();
        match self.refused_since.is_some_and(is_over) {
            true => Err(Error::NoServer(self.turns.len())),
            false => Ok(()),
        }
    }

    /// Records the last failure. A connection that failed for lack of time does not replace an earlier one.
    fn note(&mut self, address: &Address, error: &AttemptError) {
        let is_cut_short = matches!(error, AttemptError::Unsent(_)) && self.until <= Instant::now();
        if !is_cut_short || self.trouble.is_empty() {
            self.trouble = format!("{address}: {error}");
            self.busy = match error {
                AttemptError::Fault(fault) if fault.code == fault::BUSY => Some(fault.clone()),
                _ => None,
            };
        }
    }

    async fn pause(&mut self) {
        self.tried = 0;
        let pause = self.pause + self.pause.mul_f64(2.0 * fastrand::f64());
        self.pause = PAUSE_MAX.min(self.pause.mul_f64(1.25));
        Timer::at(self.until.min(Instant::now() + pause)).await;
    }
}

/// The timeout of the first attempt at one of so many servers. Without others there is none to leave time for.
fn first_attempt(limits: Limits, servers: usize) -> Duration {
    let share = if servers <= 1 { limits.deadline } else { limits.deadline / ATTEMPTS };
    limits.attempt.min(share)
}

/// The result of a call to the leader.
pub(super) enum Sought {
    /// The leader has answered.
    Answered(Value),
    /// The call was sent to a server that may have been the leader, and no answer arrived: the call may have taken
    /// effect, or may do so later.
    Lost,
    /// The leader no longer knows the outcome of the call. The next answer of a leader settles it: either that leader's
    /// log contains the call, or the call will never be committed.
    Left,
}

/// What to do after a server has refused.
enum NextServer {
    /// Go to the leader that it named, if that is a server of this set, or else to the next server.
    Elsewhere(Option<usize>),
    /// Retry the same server after a pause.
    Later,
}

impl Client {
    /// Sends the document to one server after another until one does not definitely refuse it.
    ///
    /// # Errors
    ///
    /// If the deadline passes, also because a server is busy, if every server refuses the connection for long enough, or
    /// if a server reports that the call itself is invalid. In all cases the document had no effect.
    pub(super) async fn seek(
        &mut self,
        document: &[u8],
        search: &mut Search,
    ) -> Result<Sought, Error> {
        while Instant::now() < search.until {
            let (began, until) = (Instant::now(), search.attempt_until(self.guess));
            let Some(server) = self.servers.get_mut(self.guess) else {
                return Err(Error::NoLeader("there are no servers".to_owned()));
            };
            let error = match server.send(document, until).await {
                Ok(value) => return Ok(Sought::Answered(value)),
                Err(error) => error,
            };
            self.failed_attempts = self.failed_attempts.saturating_add(1);
            let address = server.address().clone();
            search.note(&address, &error);
            search.count_failure(self.guess, began, until, &error);
            search.check_refusals()?;
            match error {
                AttemptError::Lost(_) => return Ok(self.leave(search, Sought::Lost).await),
                AttemptError::Refused(_) | AttemptError::Unsent(_) | AttemptError::NotServed(_) => {
                    self.go_on(search, NextServer::Elsewhere(None)).await;
                }
                AttemptError::Fault(fault) => match fault.code {
                    fault::OUTCOME_UNKNOWN => return Ok(self.leave(search, Sought::Left).await),
                    // After an internal error of a server, the outcome is unknown.
                    fault::INTERNAL => return Ok(self.leave(search, Sought::Lost).await),
                    fault::CRASHED => self.go_on(search, NextServer::Elsewhere(None)).await,
                    fault::NOT_LEADER => {
                        let named = self.named_by(&fault);
                        self.go_on(search, NextServer::Elsewhere(named)).await;
                    }
                    fault::BUSY => self.go_on(search, NextServer::Later).await,
                    _ => return Err(Error::Fault(fault)),
                },
            }
        }
        search.check_refusals()?;
        Err(match &search.busy {
            Some(fault) => Error::Fault(fault.clone()),
            None => Error::NoLeader(search.trouble.clone()),
        })
    }

    /// Moves to the next server after one has left the outcome of a call open.
    async fn leave(&mut self, search: &mut Search, sought: Sought) -> Sought {
        self.guess = self.after_guess(search);
        search.pause().await;
        sought
    }

    async fn go_on(&mut self, search: &mut Search, next: NextServer) {
        search.tried += 1;
        let is_round = self.servers.len() <= search.tried;
        match next {
            NextServer::Elsewhere(named) => {
                self.guess = named.unwrap_or_else(|| self.after_guess(search))
            }
            NextServer::Later => search.pause().await,
        }
        if is_round {
            search.pause().await;
        }
    }

    /// The next server.
    fn after_guess(&self, search: &Search) -> usize {
        let count = self.servers.len().max(1);
        let others = (1..count).map(|step| (self.guess + step) % count);
        search.first_of(others).unwrap_or(self.guess)
    }

    /// The leader that a fault names. An address outside this set is ignored.
    fn named_by(&self, fault: &Fault) -> Option<usize> {
        let named = fault::named_leader(fault)?;
        let is_named = |text: String| text.eq_ignore_ascii_case(named);
        self.servers.iter().position(|server| is_named(server.address().to_string()))
    }

    /// The server that claims to lead, with its id. If there are several, the one in the highest term.
    ///
    /// A server without a majority may claim to lead after it has been deposed. Only an answer to a read or an update
    /// is confirmed.
    ///
    /// # Errors
    ///
    /// If no server claims to lead in time.
    pub async fn leader(&mut self) -> Result<(usize, ServerStatus), Error> {
        let mut search = Search::new(self.limits, self.servers.len());
        let mut attempt = first_attempt(self.limits, self.servers.len());
        // The first error of the last round for which there was time.
        let mut trouble = None;
        loop {
            let until = search.until.min(after(attempt));
            let statuses = self.at_each(async |server| server.status_before(until).await).await;
            for (id, status) in statuses.iter().enumerate() {
                search.note_refusal(id, matches!(status, Err(Error::Refused(_))));
            }
            search.check_refusals()?;
            let is_over = search.until <= Instant::now();
            if until <= Instant::now() {
                attempt = attempt.saturating_mul(2);
            }
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
                return Err(Error::NoLeader(format!(
                    "no server says that it is the leader{trouble}"
                )));
            }
            search.pause().await;
        }
    }
}
