//! What operators see of a server while it runs: log lines, and the figures of the monitor.

use std::collections::BTreeSet;
use std::time::Instant;

use log::Level;

use super::Shell;
use crate::monitor;
use crate::raft::{
    self, AppendOutcome, CallId, Event, Failure, Flaw, Identity, Incarnation, Member, Reply,
    RoleName, Server, ServerId,
};

/// What has been reported, so that it is not reported twice.
#[derive(Debug)]
pub(super) struct Reporter {
    logged: LoggedState,
    /// The flaws of forged requests that were logged. Each is logged once, because such requests may come in floods.
    warned: BTreeSet<Flaw>,
    /// The peer's request in the current event, if a log line has already said why it is refused.
    explained: Option<CallId>,
}

/// The state of the server, as far as log lines report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoggedState {
    role: RoleName,
    leads: bool,
    incarnation: Incarnation,
}

impl Reporter {
    /// A reporter for a server that starts. It has logged nothing, and operators assume that a server is a follower.
    pub(super) fn new(server: &Server) -> Reporter {
        let incarnation = server.identity().incarnation;
        let logged = LoggedState { role: RoleName::Follower, leads: false, incarnation };
        Reporter { logged, warned: BTreeSet::new(), explained: None }
    }
}

impl Shell {
    /// Reports the state after the start: a server that is alone leads already.
    pub(super) fn has_started(&mut self, server: &Server) {
        if server.role() != RoleName::Follower {
            self.monitor.stood_for_election();
        }
        self.report(server);
    }

    /// Records what an event says about the peers, before the server handles it.
    pub(super) fn note(&mut self, event: &Event, server: &Server, now: Instant) {
        self.reporter.explained = None;
        match event {
            Event::Response { from, response } => {
                self.show(Some(*from), response.sender(), server, now);
                self.monitor.heard(now);
            }
            Event::Unanswered { by, failure, .. } => {
                match failure {
                    Failure::Crashed(sender) => _ = self.show(Some(*by), sender, server, now),
                    Failure::Ended => self.monitor.ended(*by),
                    Failure::Silent => {}
                }
                self.monitor.unanswered_by(*by);
            }
            Event::Call(call, raft::Call::RequestVote(request)) => {
                let explains = self.show(None, &request.sender, server, now);
                self.reporter.explained = explains.then_some(*call);
            }
            Event::Call(call, raft::Call::AppendEntries(request)) => {
                let explains = self.show(None, &request.sender, server, now);
                self.reporter.explained = explains.then_some(*call);
            }
            Event::Call(call, raft::Call::InstallSnapshot(request)) => {
                let explains = self.show(None, &request.sender, server, now);
                self.reporter.explained = explains.then_some(*call);
            }
            Event::Timeout(_)
            | Event::Call(..)
            | Event::HangUp(_)
            | Event::Disconnected(_)
            | Event::Saved(_) => {}
        }
    }

    /// Records the identity that another server has shown, and logs what is new. Returns whether a log line says why
    /// the request of that server is refused.
    fn show(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        server: &Server,
        now: Instant,
    ) -> bool {
        if self.monitor.has_been_shown(asked, sender) {
            return false;
        }
        let own = server.identity();
        for line in self.monitor.shown(asked, sender, &own, now) {
            self.log(Level::Warn, line);
        }
        monitor::explains_refusal(sender, &own)
    }

    /// Records what the core replies.
    pub(super) fn note_reply(&mut self, id: CallId, reply: &Reply, now: Instant) {
        match reply {
            Reply::Failed(raft::CallError::Forged(flaw))
                if self.reporter.explained != Some(id) && self.reporter.warned.insert(flaw) =>
            {
                self.log(Level::Warn, format!("refused a peer's request: {flaw}"));
            }
            Reply::Append(reply) => match reply.outcome {
                AppendOutcome::Accepted
                | AppendOutcome::Mismatch(_)
                | AppendOutcome::Incomplete(_) => self.monitor.heard(now),
                AppendOutcome::Stale | AppendOutcome::Refused => {}
            },
            _ => {}
        }
    }

    /// Logs which servers a ballot waited for in vain. A ballot that is won when its time is up has not failed.
    pub(super) fn end_ballot(&mut self, waits_for: Vec<ServerId>, server: &Server) {
        if server.role() == RoleName::Candidate
            && let Some(line) = self.monitor.ballot_ended(waits_for)
        {
            self.log(Level::Warn, line);
        }
    }

    /// Logs why the server stands for election soon.
    pub(super) fn report_lost_leader(&mut self, peer: Member) {
        self.log(
            Level::Info,
            format!("the connections of server {}, its leader, have closed", peer.id.0),
        );
    }

    /// Publishes the state after a step to the monitor, and logs each change of role. A candidate that starts a new
    /// ballot has not changed its role.
    pub(super) fn report(&mut self, server: &Server) {
        let status = server.status();
        self.monitor.observe(status, server.files().len(), server.log().roster());
        let Reporter { logged: before, .. } = self.reporter;
        let now = LoggedState {
            role: status.role,
            leads: server.leads(),
            incarnation: status.incarnation,
        };
        if before == now {
            return;
        }
        self.reporter.logged = now;
        let (id, term) = (server.identity().id.0, status.current_term.0);
        if before.incarnation != now.incarnation {
            let line =
                format!("server {id} gives up its history, which has no updates, for another");
            self.log(Level::Info, line);
        }
        if (before.role, before.leads) == (now.role, now.leads) {
            return;
        }
        self.log(
            Level::Info,
            match now.role {
                RoleName::Leader if now.leads => {
                    format!("server {id} is the leader of term {term}")
                }
                RoleName::Leader => format!("server {id} founds a new history in term {term}"),
                RoleName::Candidate => format!("server {id} stands for election after term {term}"),
                RoleName::Follower => format!("server {id} is a follower in term {term}"),
                RoleName::Crashed => format!("server {id} is crashed in term {term}"),
            },
        );
    }
}
