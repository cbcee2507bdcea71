//! The crashed server (the handout's `crash()`): keeps all state and does not participate.

use super::core::Core;
use super::event::{Call, CallError, CallId, Effects, Event, Reply};
use super::follower::Follower;
use super::node::Node;
use super::role::{Role, RoleName};
use super::server::Server;

/// A server that sends nothing, waits for nothing and refuses its peers' requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crashed;

impl Role for Crashed {
    const NAME: RoleName = RoleName::Crashed;

    fn enter(&self, core: &mut Core, out: &mut Effects) {
        out.stop_timers();
        core.last_hurry = None;
        core.discard_incoming(out);
        core.give_up(|_| true, CallError::OutcomeLost, out);
        core.give_up_waiting(out);
    }

    fn check(&self, core: &Core) {
        assert!(core.pending.is_empty(), "a crashed server has no waiting calls");
    }
}

impl Node<Crashed> {
    pub(super) fn step(self, event: Event, out: &mut Effects) -> Server {
        match event {
            Event::Call(call, request) => self.serve(call, request, out),
            // Its timers are stopped, and it is no longer interested in replies to what it sent before it crashed.
            Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Response { .. }
            | Event::Unanswered { .. }
            | Event::Disconnected(_)
            | Event::Saved(_) => Server::Crashed(self),
        }
    }

    fn serve(self, call: CallId, request: Call, out: &mut Effects) -> Server {
        match request {
            Call::Crash => out.reply(call, Reply::Done),
            Call::Restore => {
                let follower = self.transition(Follower::default(), out);
                out.reply(call, Reply::Done);
                return Server::Follower(follower);
            }
            Call::Update(_)
            | Call::ReadFiles
            | Call::RequestVote(_)
            | Call::AppendEntries(_)
            | Call::InstallSnapshot(_) => {
                out.fail(call, CallError::Crashed);
            }
        }
        Server::Crashed(self)
    }
}
