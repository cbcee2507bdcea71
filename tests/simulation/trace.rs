//! Inputs as lines for people. They are made only where a trace is wanted.

use std::fmt::Write;

use surfstore::protocol::{Asked, TypedCall};
use surfstore::raft::{
    self, AppendEntries, AppendOutcome, BallotKind, Command, Entry, Failure, Identity, Incarnation,
    InstallSnapshot, Position, Request, RequestVote, Response, Roster, ServerId,
};
use surfstore::service::Input;

/// An input at a server, in few words.
pub(crate) fn told(input: &Input) -> String {
    match input {
        Input::Tick => "ticks".to_owned(),
        Input::Call { id, asked, .. } => match asked {
            Ok(Asked::One((_, Ok(TypedCall::Raft(call))))) => told_call(id.0, call),
            Ok(Asked::One((method, _))) => format!("call {} of {}", id.0, method.name),
            Ok(Asked::Several(_, calls)) => format!("call {} makes {} calls", id.0, calls.len()),
            Err(fault) => format!("call {} is none: {}", id.0, fault.message),
        },
        Input::Saved { number, .. } => format!("has saved change {number}"),
        Input::HangUp(call) => format!("call {} hangs up", call.0),
        Input::Disconnected(peer) => {
            format!("the connections of {}#{} have closed", peer.id.0, peer.incarnation.0)
        }
        Input::Response { from, response } => format!("{} answers: {}", from.0, said(response)),
        Input::Unanswered { by, request, failure } => {
            let failed = match failure {
                Failure::Ended => "has ended and does not answer".to_owned(),
                Failure::Crashed(sender) => format!("is crashed ({}) and refuses", who(sender)),
                Failure::Silent => "does not answer".to_owned(),
            };
            match request {
                Request::RequestVote(request) => {
                    format!("{} {failed} ballot {}", by.0, request.ballot)
                }
                Request::AppendEntries(AppendEntries { sender, round, .. }) => {
                    format!("{} {failed} append {} of t{}", by.0, round.0, sender.term.0)
                }
                Request::InstallSnapshot(InstallSnapshot { sender, round, .. }) => {
                    format!("{} {failed} piece {} of t{}", by.0, round.0, sender.term.0)
                }
            }
        }
    }
}

fn told_call(number: u64, call: &raft::Call) -> String {
    match call {
        raft::Call::Update(update) => {
            format!("call {number} updates {} to version {}", update.name, update.version)
        }
        raft::Call::ReadFiles => format!("call {number} reads"),
        raft::Call::Crash => "crashes".to_owned(),
        raft::Call::Restore => "is restored".to_owned(),
        raft::Call::RequestVote(request) => told_ballot(request),
        raft::Call::AppendEntries(request) => told_append(request),
        raft::Call::InstallSnapshot(request) => told_piece(request),
    }
}

/// A process, its history, and its last entry.
fn who(Identity { id, incarnation, history, founded, last_log, .. }: &Identity) -> String {
    let history = match history {
        None => "no history".to_owned(),
        Some(history) if *founded => format!("history {}", history.0),
        Some(history) => format!("history {}, not founded", history.0),
    };
    format!("{}#{}, {history}, up to {}", id.0, incarnation.0, place(*last_log))
}

fn told_ballot(request: &RequestVote) -> String {
    let RequestVote { sender, kind, ballot, account } = request;
    let mut line = format!(
        "({}) asks for a {} for t{}, ballot {ballot}",
        who(sender),
        named(*kind),
        request.term().0,
    );
    for (id, living) in account.iter().flat_map(|account| &account.0) {
        let _ = match living {
            Some(incarnation) => write!(line, ", {}#{} lives", id.0, incarnation.0),
            None => write!(line, ", {} has ended", id.0),
        };
    }
    line
}

fn named(kind: BallotKind) -> &'static str {
    match kind {
        BallotKind::PreVote => "pre-vote",
        BallotKind::Vote => "vote",
    }
}

fn told_append(request: &AppendEntries) -> String {
    let AppendEntries { sender, receiver, prev_log, entries, leader_commit, round, has_majority } =
        request;
    let mut line = format!("({}) appends after {}:", who(sender), place(*prev_log));
    for entry in entries.iter().take(3) {
        // Writing to a string does not fail.
        let _ = write!(line, " {}", content(entry));
    }
    match entries.len() {
        0 => line.push_str(" nothing"),
        1..=3 => {}
        many => _ = write!(line, " and {} more", many - 3),
    }
    let _ = write!(line, "; t{}, append {}, commit {}", sender.term.0, round.0, leader_commit.0);
    line + &told_receiver(*receiver, *has_majority)
}

fn told_piece(request: &InstallSnapshot) -> String {
    let InstallSnapshot { sender, receiver, last_included, roster, offset, leaves, .. } = request;
    let InstallSnapshot { done, round, has_majority, .. } = request;
    let (who, place, roster) = (who(sender), place(*last_included), members(roster));
    let next = offset + leaves.len() as u64;
    let more = if *done { "the last" } else { "more follow" };
    let (term, round) = (sender.term.0, round.0);
    format!(
        "({who}) brings leaves {offset} to {next} of the map after {place}, {more}, roster {roster}; t{term}, \
         piece {round}"
    ) + &told_receiver(*receiver, *has_majority)
}

fn told_receiver(receiver: Option<Incarnation>, has_majority: bool) -> String {
    let receiver = receiver.map_or_else(String::new, |it| format!(", for #{}", it.0));
    receiver + if has_majority { "" } else { ", without a majority" }
}

fn content(entry: &Entry) -> String {
    match &entry.command {
        Command::Roster(roster) => format!("roster {}/t{}", members(roster), entry.term.0),
        Command::Update(update) => format!("{}={}/t{}", update.name, update.version, entry.term.0),
    }
}

fn members(roster: &Roster) -> String {
    let member =
        |(id, incarnation): (&ServerId, &Incarnation)| format!("{}#{}", id.0, incarnation.0);
    roster.members.iter().map(member).collect::<Vec<String>>().join("+")
}

fn said(response: &Response) -> String {
    match response {
        Response::Vote(reply) => {
            let answer = if reply.vote_granted { "granted" } else { "refused" };
            let kind = named(reply.kind);
            let Identity { incarnation, term, .. } = reply.sender;
            let leads = if reply.leads { ", leads" } else { "" };
            let ballot = reply.ballot;
            format!("#{}: {kind} {answer}, ballot {ballot}{leads}; t{}", incarnation.0, term.0)
        }
        Response::Append(reply) => {
            let outcome = match reply.outcome {
                AppendOutcome::Accepted => "accepted".to_owned(),
                AppendOutcome::Mismatch(hint) => format!("mismatch after {}", place(hint)),
                AppendOutcome::Incomplete(held) => format!("incomplete: {held} leaves"),
                AppendOutcome::Stale => "stale".to_owned(),
                AppendOutcome::Refused => "refused".to_owned(),
            };
            let Identity { incarnation, term, .. } = reply.sender;
            format!("#{}: append {} {outcome}; t{}", incarnation.0, reply.round.0, term.0)
        }
    }
}

fn place(position: Position) -> String {
    format!("{}/t{}", position.index.0, position.term.0)
}
