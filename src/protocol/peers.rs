//! The messages between servers: RequestVote, AppendEntries and InstallSnapshot, with the arguments and results of
//! Figures 2 and 13.
//!
//! Each message is a list of parts in this order:
//!
//! | Message | Parts |
//! |---|---|
//! | RequestVote | sender, ballot, preVote; in everybody's vote also account |
//! | its reply | sender, ballot, preVote, voteGranted, leads |
//! | AppendEntries | sender, receiver, prevLogIndex, prevLogTerm, entries, leaderCommit, round, hasMajority |
//! | InstallSnapshot | sender, receiver, lastIncludedIndex, lastIncludedTerm, roster, offset, leaves, done, round, hasMajority |
//! | the reply to either, success | sender, round, true |
//! | the reply to InstallSnapshot, incomplete | sender, round, false, leaves: the number of leaves held |
//! | the reply to AppendEntries, a mismatch | sender, round, false, hintIndex, hintTerm |
//! | the reply to either, a refusal | sender, round, false, stale: whether it is for a stale term |
//!
//! They are sent packed, in a single base64 and without names, because a server spends much of its time on reading and
//! writing them. As XML they would take three to five times as long to parse. Entries, rosters and leaves are in the
//! form of [`entry`].
//!
//! Only the form is checked here. The core decides whether a request can have come from a correct peer.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::entry::{self, int, is_number, natural};
use super::fault;
use crate::metadata::Leaf;
use crate::raft::{
    Account, AppendEntries, AppendOutcome, AppendReply, BallotKind, Entry, Failure, Identity,
    Incarnation, InstallSnapshot, LogIndex, Position, Request, RequestVote, Response, Roster,
    Round, ServerId, Term, VoteReply,
};
use crate::value::{Next, Packer, Unpacker, Value};
use crate::xmlrpc::{self, Fault, Writer};

/// Why a message is malformed.
pub(super) type Garbled = &'static str;

/// The document with a request to a peer.
pub fn write_request(request: &Request) -> Vec<u8> {
    let (method, message) = match request {
        Request::RequestVote(request) => ("surfstore.requestVote", request_vote(request)),
        Request::AppendEntries(request) => ("surfstore.appendEntries", append_entries(request)),
        Request::InstallSnapshot(request) => {
            ("surfstore.installSnapshot", install_snapshot(request))
        }
    };
    xmlrpc::write_call(method, |params| params.param(|writer| writer.base64(&message)))
}

fn request_vote(request: &RequestVote) -> Vec<u8> {
    let account = request.account.as_ref().map(|account| &account.0);
    let numbers = 8 + account.map_or(0, BTreeMap::len);
    let mut message = message(&request.sender, numbers, 3 + usize::from(account.is_some()));
    message.int(int(request.ballot));
    message.boolean(request.kind == BallotKind::PreVote);
    if let Some(account) = account {
        pack_numbers(&mut message, account.values().map(|living| number(*living)));
    }
    message.into_bytes()
}

fn append_entries(request: &AppendEntries) -> Vec<u8> {
    // An entry takes about as many bytes as in memory.
    let mut message = message(&request.sender, 8 + request.size() / NUMBER_BYTES, 8);
    message.int(int(number(request.receiver)));
    message.int(int(request.prev_log.index.0));
    message.int(int(request.prev_log.term.0));
    message.array(request.entries.len());
    request.entries.iter().for_each(|entry| entry::pack(&mut message, entry));
    message.int(int(request.leader_commit.0));
    message.int(int(request.round.0));
    message.boolean(request.has_majority);
    message.into_bytes()
}

fn install_snapshot(request: &InstallSnapshot) -> Vec<u8> {
    let numbers = 12 + 2 * request.roster.members.len() + request.size() / NUMBER_BYTES;
    let mut message = message(&request.sender, numbers, 10);
    message.int(int(number(request.receiver)));
    message.int(int(request.last_included.index.0));
    message.int(int(request.last_included.term.0));
    message.array(2);
    entry::pack_roster(&mut message, &request.roster);
    message.int(int(request.offset));
    message.array(request.leaves.len());
    request.leaves.iter().for_each(|leaf| entry::pack_leaf(&mut message, leaf));
    message.boolean(request.done);
    message.int(int(request.round.0));
    message.boolean(request.has_majority);
    message.into_bytes()
}

pub(super) fn write_vote_reply(writer: &mut Writer, reply: &VoteReply) {
    let mut message = message(&reply.sender, 4, 5);
    message.int(int(reply.ballot));
    message.boolean(reply.kind == BallotKind::PreVote);
    message.boolean(reply.vote_granted);
    message.boolean(reply.leads);
    writer.base64(&message.into_bytes());
}

pub(super) fn write_append_reply(writer: &mut Writer, reply: &AppendReply) {
    let parts = match reply.outcome {
        AppendOutcome::Accepted => 3,
        AppendOutcome::Incomplete(_) | AppendOutcome::Stale | AppendOutcome::Refused => 4,
        AppendOutcome::Mismatch(_) => 5,
    };
    let mut message = message(&reply.sender, 4, parts);
    message.int(int(reply.round.0));
    message.boolean(reply.outcome == AppendOutcome::Accepted);
    match reply.outcome {
        AppendOutcome::Accepted => {}
        AppendOutcome::Incomplete(leaves) => message.int(int(leaves)),
        AppendOutcome::Mismatch(hint) => {
            message.int(int(hint.index.0));
            message.int(int(hint.term.0));
        }
        AppendOutcome::Stale => message.boolean(true),
        AppendOutcome::Refused => message.boolean(false),
    }
    writer.base64(&message.into_bytes());
}

/// The fault with which a crashed server answers its peers: they need to know which process is crashed.
pub(super) fn crashed(sender: &Identity) -> Fault {
    let Fault { code, message } = fault::crashed();
    let numbers = numbers(sender).map(|number| number.to_string()).join(" ");
    Fault { code, message: format!("{message} [{numbers}]") }
}

/// The process that sent a crashed peer's fault.
fn read_crashed(fault: &Fault) -> Option<Identity> {
    let (_, numbers) = fault.message.strip_suffix(']')?.rsplit_once('[')?;
    let numbers: Option<Vec<u64>> =
        numbers.split(' ').map(|number| number.parse().ok().filter(is_number)).collect();
    (fault.code == fault::CRASHED).then(|| identity(numbers?.try_into().ok()?)).flatten()
}

/// The number of numbers in an identity.
const IDENTITY_NUMBERS: usize = 9;
const IDENTITY_COUNT: u64 = IDENTITY_NUMBERS as u64;

/// An identity as numbers; 0 stands for no history.
fn numbers(identity: &Identity) -> [u64; IDENTITY_NUMBERS] {
    [
        identity.id.0.into(),
        identity.size.into(),
        identity.names,
        identity.incarnation.0,
        identity.term.0,
        number(identity.history),
        identity.founded.into(),
        identity.last_log.index.0,
        identity.last_log.term.0,
    ]
}

fn identity(numbers: [u64; IDENTITY_NUMBERS]) -> Option<Identity> {
    let [id, size, names, incarnation, term, history, founded, last_index, last_term] = numbers;
    Some(Identity {
        id: ServerId(u8::try_from(id).ok()?),
        size: u8::try_from(size).ok()?,
        names,
        incarnation: Incarnation(incarnation),
        term: Term(term),
        history: incarnation_of(history),
        founded: founded != 0,
        last_log: Position { index: LogIndex(last_index), term: Term(last_term) },
    })
}

/// No incarnation is 0, so 0 stands for none.
fn number(incarnation: Option<Incarnation>) -> u64 {
    incarnation.map_or(0, |incarnation| incarnation.0)
}

fn incarnation_of(number: u64) -> Option<Incarnation> {
    (number != 0).then_some(Incarnation(number))
}

/// The size of a number in a message, in bytes.
const NUMBER_BYTES: usize = 9;

/// A message of this many parts, of which the first is packed already. `numbers_to_come` is an estimate.
fn message(sender: &Identity, numbers_to_come: usize, parts: usize) -> Packer {
    let numbers_of_all = 2 + IDENTITY_NUMBERS + numbers_to_come;
    let mut packer = Packer::with_capacity(numbers_of_all * NUMBER_BYTES);
    packer.array(parts);
    pack_numbers(&mut packer, numbers(sender));
    packer
}

fn pack_numbers(
    packer: &mut Packer,
    numbers: impl IntoIterator<Item = u64, IntoIter: ExactSizeIterator>,
) {
    let numbers = numbers.into_iter();
    packer.array(numbers.len());
    numbers.for_each(|number| packer.int(int(number)));
}

/// Parses a candidate's request.
pub(super) fn read_request_vote(value: Value) -> Result<RequestVote, Garbled> {
    let message = packed(value)?;
    let (count, mut parts) = Parts::of(&message)?;
    let request = RequestVote {
        sender: parts.sender()?,
        ballot: parts.number()?,
        kind: parts.ballot_kind()?,
        account: (count == 4).then(|| parts.account()).transpose()?,
    };
    parts.end(request)
}

/// Parses a leader's request.
pub(super) fn read_append_entries(value: Value) -> Result<AppendEntries, Garbled> {
    let message = packed(value)?;
    let (_, mut parts) = Parts::of(&message)?;
    let request = AppendEntries {
        sender: parts.sender()?,
        receiver: incarnation_of(parts.number()?),
        prev_log: parts.position()?,
        entries: parts.entries()?,
        leader_commit: LogIndex(parts.number()?),
        round: Round(parts.number()?),
        has_majority: parts.boolean()?,
    };
    parts.end(request)
}

/// Parses a piece of a leader's snapshot.
pub(super) fn read_install_snapshot(value: Value) -> Result<InstallSnapshot, Garbled> {
    let message = packed(value)?;
    let (_, mut parts) = Parts::of(&message)?;
    let request = InstallSnapshot {
        sender: parts.sender()?,
        receiver: incarnation_of(parts.number()?),
        last_included: parts.position()?,
        roster: parts.roster()?,
        offset: parts.number()?,
        leaves: parts.leaves()?,
        done: parts.boolean()?,
        round: Round(parts.number()?),
        has_majority: parts.boolean()?,
    };
    parts.end(request)
}

/// Why a peer's answer is not a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoResponse {
    /// What that says about the peer.
    pub failure: Failure,
    /// One sentence for people.
    pub reason: String,
}

impl fmt::Display for NoResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl Error for NoResponse {}

/// Parses a peer's answer to `request`.
///
/// # Errors
///
/// If it is a fault, or not a peer's answer to such a request.
pub fn read_response(request: &Request, document: &[u8]) -> Result<Response, NoResponse> {
    let silent = |reason| NoResponse { failure: Failure::Silent, reason };
    let value = match xmlrpc::parse_response(document) {
        Ok(Ok(value)) => value,
        Ok(Err(fault)) => {
            return Err(NoResponse {
                failure: read_crashed(&fault).map_or(Failure::Silent, Failure::Crashed),
                reason: format!("it answered with fault {}: {}", fault.code, fault.message),
            });
        }
        Err(error) => return Err(silent(format!("it answered with garbled XML-RPC: {error}"))),
    };
    let response = match request {
        Request::RequestVote(asked) => read_vote_reply(value)
            .and_then(|reply| {
                answers((asked.kind, asked.ballot), (reply.kind, reply.ballot)).map(|()| reply)
            })
            .map(Response::Vote),
        Request::AppendEntries(AppendEntries { sender, round, .. })
        | Request::InstallSnapshot(InstallSnapshot { sender, round, .. }) => {
            read_append_reply(value)
                .and_then(|reply| answers(*round, reply.round).map(|()| reply))
                .and_then(|reply| possible(request, sender.term, reply))
                .map(Response::Append)
        }
    };
    response.map_err(|garbled| silent(format!("its answer is not a peer's: {garbled}")))
}

/// Checks, by what the reply echoes, that it answers this request and not another one.
fn answers<T: PartialEq>(asked: T, echoed: T) -> Result<(), Garbled> {
    if asked == echoed { Ok(()) } else { Err("it answers a different request") }
}

/// A follower adopts the leader's term before it answers (Figure 2). It does not if it refuses the leader as one of
/// another set.
fn possible(
    request: &Request,
    leader_term: Term,
    reply: AppendReply,
) -> Result<AppendReply, Garbled> {
    let is_of_term = leader_term == reply.sender.term;
    let is_possible = match (reply.outcome, request) {
        (AppendOutcome::Stale, _) => leader_term < reply.sender.term,
        (AppendOutcome::Accepted, _)
        | (AppendOutcome::Mismatch(_), Request::AppendEntries(_))
        | (AppendOutcome::Incomplete(_), Request::InstallSnapshot(_)) => is_of_term,
        (AppendOutcome::Refused, _) => true,
        (AppendOutcome::Mismatch(_) | AppendOutcome::Incomplete(_), _) => false,
    };
    is_possible.then_some(reply).ok_or("its outcome contradicts its term or the request")
}

fn read_vote_reply(value: Value) -> Result<VoteReply, Garbled> {
    let message = packed(value)?;
    let (_, mut parts) = Parts::of(&message)?;
    let reply = VoteReply {
        sender: parts.sender()?,
        ballot: parts.number()?,
        kind: parts.ballot_kind()?,
        vote_granted: parts.boolean()?,
        leads: parts.boolean()?,
    };
    parts.end(reply)
}

fn read_append_reply(value: Value) -> Result<AppendReply, Garbled> {
    let message = packed(value)?;
    let (count, mut parts) = Parts::of(&message)?;
    let (sender, round) = (parts.sender()?, Round(parts.number()?));
    let outcome = match (parts.boolean()?, count) {
        (true, _) => AppendOutcome::Accepted,
        (false, 5) => AppendOutcome::Mismatch(parts.position()?),
        (false, _) => parts.refusal()?,
    };
    parts.end(AppendReply { sender, round, outcome })
}

/// The bytes of a message.
fn packed(message: Value) -> Result<Box<[u8]>, Garbled> {
    match message {
        Value::Base64(packed) => Ok(packed),
        _ => Err("a message between servers must be base64"),
    }
}

/// More than the parts of any message, and more than the servers of any set.
const PARTS_MAX: u64 = 16;

/// The part of a message that is still to be read.
struct Parts<'a> {
    unpacker: Unpacker<'a>,
    /// The number of parts.
    left: u64,
}

impl<'a> Parts<'a> {
    /// The number of parts of the message, and a reader for them.
    fn of(message: &'a [u8]) -> Result<(u64, Parts<'a>), Garbled> {
        let mut unpacker = Unpacker::new(message);
        match unpacker.next() {
            Some(Next::Array(count)) => Ok((count, Parts { unpacker, left: count })),
            _ => Err("a message between servers must be a packed list"),
        }
    }

    /// The reader at the next part.
    fn next(&mut self) -> Result<&mut Unpacker<'a>, Garbled> {
        self.left =
            self.left.checked_sub(1).ok_or("a message between servers is missing a part")?;
        Ok(&mut self.unpacker)
    }

    /// Returns what was read, if nothing is left.
    fn end<T>(self, read: T) -> Result<T, Garbled> {
        let is_all = self.left == 0 && self.unpacker.is_at_end();
        is_all.then_some(read).ok_or("a message between servers has too many parts")
    }

    /// Terms, indexes and counters: up to 2^53.
    fn number(&mut self) -> Result<u64, Garbled> {
        natural(self.next()?).ok_or("terms, indexes and counters must be whole numbers up to 2^53")
    }

    fn boolean(&mut self) -> Result<bool, Garbled> {
        match self.next()?.next() {
            Some(Next::Boolean(truth)) => Ok(truth),
            _ => Err("preVote, voteGranted, leads, success, done and hasMajority must be booleans"),
        }
    }

    /// Why there is no success: a boolean, or how much is held of a snapshot.
    fn refusal(&mut self) -> Result<AppendOutcome, Garbled> {
        match self.next()?.next() {
            Some(Next::Boolean(true)) => Ok(AppendOutcome::Stale),
            Some(Next::Boolean(false)) => Ok(AppendOutcome::Refused),
            Some(Next::Int(leaves @ 0..)) => Ok(AppendOutcome::Incomplete(leaves.unsigned_abs())),
            _ => Err("stale must be a boolean, and leaves a natural number"),
        }
    }

    fn sender(&mut self) -> Result<Identity, Garbled> {
        const EXPECTED: Garbled = "sender must be nine numbers that identify the sender";
        let unpacker = self.next()?;
        let Some(Next::Array(IDENTITY_COUNT)) = unpacker.next() else { return Err(EXPECTED) };
        let mut numbers = [0; IDENTITY_NUMBERS];
        for number in &mut numbers {
            *number = natural(unpacker).ok_or(EXPECTED)?;
        }
        identity(numbers).ok_or(EXPECTED)
    }

    /// One number for each server of the sender's set: its incarnation, or 0 if it has ended.
    fn account(&mut self) -> Result<Account, Garbled> {
        const EXPECTED: Garbled =
            "account must be a list of incarnations, each a number up to 2^53";
        let unpacker = self.next()?;
        let Some(Next::Array(count @ ..=PARTS_MAX)) = unpacker.next() else {
            return Err(EXPECTED);
        };
        let mut living = BTreeMap::new();
        for (id, _) in (0..).map(ServerId).zip(0..count) {
            living.insert(id, incarnation_of(natural(unpacker).ok_or(EXPECTED)?));
        }
        Ok(Account(living))
    }

    fn position(&mut self) -> Result<Position, Garbled> {
        Ok(Position { index: LogIndex(self.number()?), term: Term(self.number()?) })
    }

    fn ballot_kind(&mut self) -> Result<BallotKind, Garbled> {
        Ok(if self.boolean()? { BallotKind::PreVote } else { BallotKind::Vote })
    }

    fn roster(&mut self) -> Result<Arc<Roster>, Garbled> {
        const EXPECTED: Garbled = "roster must be [history, members]";
        let unpacker = self.next()?;
        let Some(Next::Array(2)) = unpacker.next() else { return Err(EXPECTED) };
        entry::unpack_roster(unpacker).map(Arc::new).ok_or(EXPECTED)
    }

    fn leaves(&mut self) -> Result<Vec<Arc<Leaf>>, Garbled> {
        let unpacker = self.next()?;
        let Some(Next::Array(count)) = unpacker.next() else {
            return Err("leaves must be a list");
        };
        let leaf = |_| entry::unpack_leaf(unpacker).map(Arc::new);
        (0..count).map(leaf).collect::<Option<_>>().ok_or(
            "a leaf must be a list of [name, version, packed hashlist], in the order of the names",
        )
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Garbled> {
        let unpacker = self.next()?;
        let Some(Next::Array(count)) = unpacker.next() else {
            return Err("entries must be a list");
        };
        (0..count).map(|_| entry::unpack(unpacker)).collect::<Option<_>>().ok_or(
            "an entry must be [term, history, members] or [term, [name, version, packed hashlist]]",
        )
    }
}
