//! What is under way between the servers.
//!
//! The messages under way are a multiset from which any may be delivered next, so they overtake each other freely.
//! That one is lost needs no action of its own: it is never delivered.

use std::fmt;

use surfstore::raft::{
    AppendEntries, AppendReply, Call, Command, Entry, Event, Position, Reply, Request, RequestVote,
    Response, ServerId, VoteReply,
};

use crate::steps::AT_ONCE;

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    /// What `by` asks of `to`.
    Request { by: ServerId, to: ServerId, request: Request },
    /// What `to` replies to `by`.
    Response { by: ServerId, to: ServerId, response: Response },
}

impl Message {
    /// The reply of server `to` to the request that the event brought.
    pub(crate) fn response(to: ServerId, event: &Event, reply: Reply) -> Message {
        let by = match event {
            Event::Call(_, Call::RequestVote(request)) => request.candidate_id,
            Event::Call(_, Call::AppendEntries(request)) => request.leader_id,
            other => panic!("{other:?} is no request"),
        };
        let response = match reply {
            Reply::Vote(reply) => Response::Vote(reply),
            Reply::Append(reply) => Response::Append(reply),
            other => panic!("{other:?} is no reply to a correct peer"),
        };
        Message::Response { by, to, response }
    }

    /// Who receives it, and what it is there.
    pub(crate) fn delivery(&self) -> (ServerId, Event) {
        match self {
            Message::Request { to, request: Request::RequestVote(request), .. } => {
                (*to, Event::Call(AT_ONCE, Call::RequestVote(*request)))
            }
            Message::Request { to, request: Request::AppendEntries(request), .. } => {
                (*to, Event::Call(AT_ONCE, Call::AppendEntries(request.clone())))
            }
            Message::Response { by, to, response } => {
                (*by, Event::Response { from: *to, response: *response })
            }
        }
    }

    /// Who is told that an append has failed, and what it is told.
    pub(crate) fn failure(&self) -> Option<(ServerId, Event)> {
        match self {
            Message::Request { by, to, request: request @ Request::AppendEntries(_) } => {
                Some((*by, Event::Unanswered { by: *to, request: request.clone() }))
            }
            Message::Request { .. } | Message::Response { .. } => None,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Request { by, to, request, .. } => {
                write!(f, "{} -> {}: {}", by.0, to.0, told_request(request))
            }
            Message::Response { by, to, response, .. } => {
                write!(f, "{} -> {}: {}", to.0, by.0, told_response(response))
            }
        }
    }
}

fn told_request(request: &Request) -> String {
    match request {
        Request::RequestVote(RequestVote { kind, ballot, term, last_log, .. }) => {
            format!(
                "asks for a {kind:?} in t{}, ballot {ballot}, last {}",
                term.0,
                place(*last_log)
            )
        }
        Request::AppendEntries(AppendEntries {
            term,
            prev_log,
            entries,
            leader_commit,
            round,
            has_majority,
            ..
        }) => {
            let entries: Vec<_> = entries.iter().map(told_entry).collect();
            let mark = if *has_majority { "" } else { ", without a majority" };
            format!(
                "appends {entries:?} after {} in t{}, round {}, commit {}{mark}",
                place(*prev_log),
                term.0,
                round.0,
                leader_commit.0
            )
        }
    }
}

fn told_response(response: &Response) -> String {
    match response {
        Response::Vote(VoteReply { kind, ballot, term, vote_granted }) => {
            let granted = if *vote_granted { "grants" } else { "refuses" };
            format!("{granted} the {kind:?} of ballot {ballot} in t{}", term.0)
        }
        Response::Append(AppendReply { term, round, outcome }) => {
            format!("{outcome:?} to round {} in t{}", round.0, term.0)
        }
    }
}

fn place(position: Position) -> String {
    format!("{}/t{}", position.index.0, position.term.0)
}

/// An entry in a few characters.
pub(crate) fn told_entry(entry: &Entry) -> String {
    match &entry.command {
        Command::Noop => format!("no-op t{}", entry.term.0),
        Command::Update(update) => format!("{} v{} t{}", update.name, update.version, entry.term.0),
    }
}
