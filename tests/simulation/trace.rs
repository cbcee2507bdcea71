//! Events as lines for people. They are made only where a trace is wanted.

use std::fmt::Write;

use surfstore::raft::{
    AppendEntries, AppendOutcome, BallotKind, Call, Command, Entry, Event, Position, Request,
    RequestVote, Response,
};

/// An event at a server, in few words.
pub(crate) fn told(event: &Event) -> String {
    match event {
        Event::Timeout(timer) => format!("{timer:?} runs out"),
        Event::Call(call, Call::Update(update)) => {
            let (call, name, version) = (call.0, &update.name, update.version);
            format!("call {call} updates {name} to version {version}")
        }
        Event::Call(call, Call::ReadFiles) => format!("call {} reads", call.0),
        Event::Call(_, Call::Crash) => "crashes".to_owned(),
        Event::Call(_, Call::Restore) => "is restored".to_owned(),
        Event::Call(_, Call::RequestVote(request)) => told_ballot(request),
        Event::Call(_, Call::AppendEntries(request)) => told_append(request),
        Event::HangUp(call) => format!("call {} hangs up", call.0),
        Event::Response { from, response } => format!("{} answers: {}", from.0, said(response)),
        Event::Unanswered { by, request } => match request {
            Request::RequestVote(request) => {
                format!("{} does not answer ballot {}", by.0, request.ballot)
            }
            Request::AppendEntries(request) => {
                let AppendEntries { term, round, .. } = request;
                format!("{} does not answer append {} of t{}", by.0, round.0, term.0)
            }
        },
    }
}

fn told_ballot(request: &RequestVote) -> String {
    let RequestVote { kind, ballot, term, candidate_id, last_log } = request;
    format!(
        "{} asks for a {} for t{}, ballot {ballot}, with a log up to {}",
        candidate_id.0,
        named(*kind),
        term.0,
        place(*last_log),
    )
}

fn named(kind: BallotKind) -> &'static str {
    match kind {
        BallotKind::PreVote => "pre-vote",
        BallotKind::Vote => "vote",
    }
}

fn told_append(request: &AppendEntries) -> String {
    let AppendEntries { term, leader_id, prev_log, entries, leader_commit, round, has_majority } =
        request;
    let mut line = format!("{} appends after {}:", leader_id.0, place(*prev_log));
    for entry in entries.iter().take(3) {
        // Writing to a string does not fail.
        let _ = write!(line, " {}", content(entry));
    }
    match entries.len() {
        0 => line.push_str(" nothing"),
        1..=3 => {}
        many => _ = write!(line, " and {} more", many - 3),
    }
    let _ = write!(line, "; t{}, append {}, commit {}", term.0, round.0, leader_commit.0);
    if !has_majority {
        line.push_str(", without a majority");
    }
    line
}

fn content(entry: &Entry) -> String {
    match &entry.command {
        Command::Noop => format!("no-op/t{}", entry.term.0),
        Command::Update(update) => format!("{}={}/t{}", update.name, update.version, entry.term.0),
    }
}

fn said(response: &Response) -> String {
    match response {
        Response::Vote(reply) => {
            let answer = if reply.vote_granted { "granted" } else { "refused" };
            let kind = named(reply.kind);
            format!("{kind} {answer}, ballot {}; t{}", reply.ballot, reply.term.0)
        }
        Response::Append(reply) => {
            let outcome = match reply.outcome {
                AppendOutcome::Accepted => "accepted".to_owned(),
                AppendOutcome::Mismatch(hint) => format!("mismatch after {}", place(hint)),
                AppendOutcome::Stale => "stale".to_owned(),
            };
            format!("append {} {outcome}; t{}", reply.round.0, reply.term.0)
        }
    }
}

fn place(position: Position) -> String {
    format!("{}/t{}", position.index.0, position.term.0)
}
