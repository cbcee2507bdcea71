//! What is in flight between the servers.
//!
//! The messages in flight are a multiset from which any may be delivered next, so they overtake each other freely. The
//! loss of a message needs no action of its own: it is never delivered. What a process has sent stays in flight when
//! that process ends; replies to it are then lost, together with its connections.

use std::fmt;

use surfstore::raft::{
    AppendEntries, AppendReply, Call, CallError, CallId, Command, Entry, Event, Failure, Identity,
    Incarnation, InstallSnapshot, LogIndex, Position, Reply, Request, RequestVote, Response,
    Roster, ServerId, Term, VoteReply,
};

use crate::state::Process;

/// A message in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    /// The request of `by` to `to`.
    Request { by: Process, to: ServerId, request: Request },
    /// The reply of `to` to `by`, which asked in that term.
    Response { by: Process, to: ServerId, asked: Term, response: Response },
    /// Why `by` gets no reply from `to`.
    Failure { by: Process, to: ServerId, request: Request, failure: Failure },
}

impl Message {
    /// The response of server `to`, which shows this identity, to this request.
    pub(crate) fn answer(&self, to: &Identity, reply: Reply) -> Message {
        let Message::Request { by, request, .. } = self.clone() else {
            panic!("{self} is not a request");
        };
        let asked = request.sender().term;
        let response = match reply {
            Reply::Vote(reply) => Response::Vote(reply),
            Reply::Append(reply) => Response::Append(reply),
            Reply::Failed(CallError::Crashed) => {
                return Message::Failure { by, to: to.id, request, failure: Failure::Crashed(*to) };
            }
            other => panic!("{other:?} is not a reply to a correct peer, which asked {request:?}"),
        };
        Message::Response { by, to: to.id, asked, response }
    }

    /// A reply without the position of its sender's last entry.
    pub(crate) fn without_position(&self) -> Option<Message> {
        let Message::Response { by, to, asked, mut response } = *self else { return None };
        let sender = match &mut response {
            Response::Vote(reply) => &mut reply.sender,
            Response::Append(reply) => &mut reply.sender,
        };
        let first = Position { term: Term(1), index: LogIndex(1) };
        if sender.history.is_some() {
            sender.last_log = first;
        }
        Some(Message::Response { by, to, asked, response })
    }

    /// The response of a host to a request to a server whose process has ended.
    pub(crate) fn refusal(&self) -> Option<Message> {
        let Message::Request { by, to, request } = self else { return None };
        let (by, to, request) = (*by, *to, request.clone());
        Some(Message::Failure { by, to, request, failure: Failure::Ended })
    }

    /// The sender of the request.
    pub(crate) fn asker(&self) -> Process {
        match self {
            Message::Request { by, .. }
            | Message::Response { by, .. }
            | Message::Failure { by, .. } => *by,
        }
    }

    /// Whether it is a request, not an answer.
    pub(crate) fn is_request(&self) -> bool {
        matches!(self, Message::Request { .. })
    }

    /// The receiver, and the event there. If it is a request, the call has this id.
    pub(crate) fn delivery(&self, call: CallId) -> (ServerId, Event) {
        match self {
            Message::Request { to, request: Request::RequestVote(request), .. } => {
                (*to, Event::Call(call, Call::RequestVote(request.clone())))
            }
            Message::Request { to, request: Request::AppendEntries(request), .. } => {
                (*to, Event::Call(call, Call::AppendEntries(request.clone())))
            }
            Message::Request { to, request: Request::InstallSnapshot(request), .. } => {
                (*to, Event::Call(call, Call::InstallSnapshot(request.clone())))
            }
            Message::Response { by, to, response, .. } => {
                (by.id, Event::Response { from: *to, response: *response })
            }
            Message::Failure { by, to, request, failure } => {
                let (request, failure) = (request.clone(), *failure);
                (by.id, Event::Unanswered { by: *to, request, failure })
            }
        }
    }

    /// What the sender of a request learns if there is no reply, for an unknown reason.
    pub(crate) fn silence(&self) -> Option<Event> {
        let Message::Request { to, request, .. } = self else { return None };
        let (request, failure) = (request.clone(), Failure::Silent);
        Some(Event::Unanswered { by: *to, request, failure })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.asker().incarnation().0;
        match self {
            Message::Request { to, request, .. } => {
                write!(f, "{by} -> {}: {}", to.0, told_request(request))
            }
            Message::Response { response, .. } => {
                let replier = response.sender().incarnation.0;
                write!(f, "{replier} -> {by}: {}", told_response(response))
            }
            Message::Failure { to, request, failure, .. } => {
                let failure = match failure {
                    Failure::Ended => "has ended",
                    Failure::Crashed(_) => "is crashed",
                    Failure::Silent => "is silent",
                };
                write!(f, "{} -> {by}: {failure}, which {}", to.0, told_request(request))
            }
        }
    }
}

fn told_request(request: &Request) -> String {
    match request {
        Request::RequestVote(request @ RequestVote { sender, kind, ballot, account }) => {
            let account = account.as_ref().map_or(String::new(), |account| {
                let told = account.0.values().map(|living| living.map(|living| living.0));
                format!(", account {:?}", told.collect::<Vec<_>>())
            });
            format!(
                "asks for a {kind:?} in t{}, ballot {ballot}, last {}{account}",
                request.term().0,
                place(sender.last_log)
            )
        }
        Request::AppendEntries(AppendEntries {
            sender,
            receiver,
            prev_log,
            entries,
            leader_commit,
            round,
            has_majority,
        }) => {
            let entries: Vec<_> = entries.iter().map(told_entry).collect();
            let (receiver, mark) = (told_receiver(*receiver), told_majority(*has_majority));
            format!(
                "appends {entries:?} after {} in t{}, round {}, for {receiver}, commit {}{mark}",
                place(*prev_log),
                sender.term.0,
                round.0,
                leader_commit.0
            )
        }
        Request::InstallSnapshot(InstallSnapshot {
            sender,
            receiver,
            last_included,
            roster,
            offset,
            leaves,
            done,
            round,
            has_majority,
        }) => {
            let files = leaves.iter().flat_map(|leaf| leaf.iter());
            let files: Vec<_> =
                files.map(|file| format!("{} v{}", file.name, file.version)).collect();
            let (receiver, mark) = (told_receiver(*receiver), told_majority(*has_majority));
            let last = if *done { ", the last" } else { "" };
            format!(
                "installs {files:?} from leaf {offset}{last}, of {} with {}, in t{}, round {}, for {receiver}{mark}",
                place(*last_included),
                told_roster(roster),
                sender.term.0,
                round.0,
            )
        }
    }
}

fn told_receiver(receiver: Option<Incarnation>) -> String {
    receiver.map_or("anybody".to_owned(), |receiver| receiver.0.to_string())
}

fn told_majority(has_majority: bool) -> &'static str {
    if has_majority { "" } else { ", without a majority" }
}

fn told_response(response: &Response) -> String {
    match response {
        Response::Vote(VoteReply { sender, kind, ballot, vote_granted, leads }) => {
            let granted = match (vote_granted, leads) {
                (true, _) => "grants",
                (false, true) => "leads and refuses",
                (false, false) => "refuses",
            };
            format!("{granted} the {kind:?} of ballot {ballot} in t{}", sender.term.0)
        }
        Response::Append(AppendReply { sender, round, outcome }) => {
            format!("{outcome:?} to round {} in t{}", round.0, sender.term.0)
        }
    }
}

/// A position in a few characters.
pub(crate) fn place(position: Position) -> String {
    format!("{}/t{}", position.index.0, position.term.0)
}

/// An entry in a few characters.
pub(crate) fn told_entry(entry: &Entry) -> String {
    match &entry.command {
        Command::Roster(roster) => format!("{} t{}", told_roster(roster), entry.term.0),
        Command::Update(update) => format!("{} v{} t{}", update.name, update.version, entry.term.0),
    }
}

fn told_roster(roster: &Roster) -> String {
    let members: Vec<_> = roster.members.values().map(|named| named.0).collect();
    format!("{members:?} of {}", roster.history.0)
}
