//! What servers say to each other: RequestVote and AppendEntries as structs with Figure 2's names.
//!
//! They travel packed, in a single base64: much of what a server does is to read and write them, and as XML they would
//! take three to five times as long to read. A struct that is sent plainly is understood as well.
//!
//! Only the form is checked here. Whether a request can have come from a correct peer is for the core to say.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::{NAME_BYTES_MAX, UPDATE_BYTES_MAX, fault};
use crate::metadata::{HashList, Update};
use crate::raft::{
    Account, AppendEntries, AppendOutcome, AppendReply, BallotKind, Command, Entry, Failure,
    Identity, Incarnation, LogIndex, NUMBER_MAX, Position, Request, RequestVote, Response, Roster,
    Round, ServerId, Term, VoteReply,
};
use crate::value::{Next, Packer, Unpacker, Value};
use crate::xmlrpc::{self, Fault, Writer};

/// Why a message is not what it should be.
pub(super) type Garbled = &'static str;

/// The document that asks a peer.
pub fn write_request(request: &Request) -> Vec<u8> {
    let (method, message) = match request {
        Request::RequestVote(request) => ("surfstore.requestVote", request_vote(request)),
        Request::AppendEntries(request) => ("surfstore.appendEntries", append_entries(request)),
    };
    xmlrpc::write_call(method, |params| params.param(|writer| writer.base64(&message)))
}

fn request_vote(request: &RequestVote) -> Vec<u8> {
    let ballot = ("ballot", Content::Number(request.ballot));
    let pre_vote = ("preVote", Content::Boolean(request.kind == BallotKind::PreVote));
    let sender = ("sender", Content::Identity(&request.sender));
    match &request.account {
        None => pack(&[sender, ballot, pre_vote]),
        Some(account) => pack(&[sender, ballot, pre_vote, ("account", Content::Account(account))]),
    }
}

fn append_entries(request: &AppendEntries) -> Vec<u8> {
    pack(&[
        ("sender", Content::Identity(&request.sender)),
        ("receiver", Content::Number(number(request.receiver))),
        ("prevLogIndex", Content::Number(request.prev_log.index.0)),
        ("prevLogTerm", Content::Number(request.prev_log.term.0)),
        ("entries", Content::Entries(&request.entries)),
        ("leaderCommit", Content::Number(request.leader_commit.0)),
        ("round", Content::Number(request.round.0)),
        ("hasMajority", Content::Boolean(request.has_majority)),
    ])
}

pub(super) fn write_vote_reply(writer: &mut Writer, reply: &VoteReply) {
    writer.base64(&pack(&[
        ("sender", Content::Identity(&reply.sender)),
        ("voteGranted", Content::Boolean(reply.vote_granted)),
        ("ballot", Content::Number(reply.ballot)),
        ("preVote", Content::Boolean(reply.kind == BallotKind::PreVote)),
    ]));
}

/// The outcome is `success` as in Figure 2. Without success, a mismatch adds the hint; a refusal says whether it is for
/// a stale term.
pub(super) fn write_append_reply(writer: &mut Writer, reply: &AppendReply) {
    let sender = ("sender", Content::Identity(&reply.sender));
    let round = ("round", Content::Number(reply.round.0));
    let success = ("success", Content::Boolean(reply.outcome == AppendOutcome::Accepted));
    writer.base64(&match reply.outcome {
        AppendOutcome::Accepted => pack(&[sender, round, success]),
        AppendOutcome::Mismatch(hint) => {
            let index = ("hintIndex", Content::Number(hint.index.0));
            pack(&[sender, round, success, index, ("hintTerm", Content::Number(hint.term.0))])
        }
        AppendOutcome::Stale | AppendOutcome::Refused => {
            let is_stale = reply.outcome == AppendOutcome::Stale;
            pack(&[sender, round, success, ("stale", Content::Boolean(is_stale))])
        }
    });
}

/// What a crashed server answers its peers with: they have to know which process it is that is crashed.
pub(super) fn crashed(sender: &Identity) -> Fault {
    let Fault { code, message } = fault::crashed();
    let numbers = numbers(sender).map(|number| number.to_string()).join(" ");
    Fault { code, message: format!("{message} [{numbers}]") }
}

/// Which process the fault of a crashed peer is from.
fn read_crashed(fault: &Fault) -> Option<Identity> {
    let (_, numbers) = fault.message.strip_suffix(']')?.rsplit_once('[')?;
    let numbers: Option<Vec<u64>> =
        numbers.split(' ').map(|number| number.parse().ok().filter(is_number)).collect();
    (fault.code == fault::CRASHED).then(|| identity(numbers?.try_into().ok()?)).flatten()
}

/// How many numbers an identity is.
const IDENTITY_NUMBERS: usize = 9;

/// An identity as numbers: 0 stands for no history.
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

/// No incarnation is 0, which stands for none.
fn number(incarnation: Option<Incarnation>) -> u64 {
    incarnation.map_or(0, |incarnation| incarnation.0)
}

fn incarnation_of(number: u64) -> Option<Incarnation> {
    (number != 0).then_some(Incarnation(number))
}

/// What a member of a message holds.
enum Content<'a> {
    /// A term, an index or a counter.
    Number(u64),
    Boolean(bool),
    Entries(&'a [Entry]),
    Identity(&'a Identity),
    Account(&'a Account),
}

/// More than a member with a number takes.
const FIELD_BYTES: usize = 40;

/// As much as a number in a list takes.
const NUMBER_BYTES: usize = 9;

/// The struct of these members.
fn pack(members: &[(&str, Content<'_>)]) -> Vec<u8> {
    let bytes = |(_, content): &(_, Content<'_>)| match content {
        Content::Number(_) | Content::Boolean(_) => FIELD_BYTES,
        Content::Identity(_) => FIELD_BYTES + IDENTITY_NUMBERS * NUMBER_BYTES,
        Content::Account(account) => FIELD_BYTES + account.0.len() * NUMBER_BYTES,
        // About as much as in memory.
        Content::Entries(entries) => FIELD_BYTES + entries.iter().map(Entry::size).sum::<usize>(),
    };
    let mut packer = Packer::with_capacity(members.iter().map(bytes).sum());
    packer.structure(members.len());
    for (name, content) in members {
        packer.string(name);
        match content {
            Content::Number(number) => packer.int(int(*number)),
            Content::Boolean(truth) => packer.boolean(*truth),
            Content::Entries(entries) => {
                packer.array(entries.len());
                entries.iter().for_each(|entry| pack_entry(&mut packer, entry));
            }
            Content::Identity(identity) => pack_numbers(&mut packer, numbers(identity)),
            Content::Account(account) => {
                pack_numbers(&mut packer, account.0.values().map(|living| number(*living)));
            }
        }
    }
    packer.into_bytes()
}

fn pack_numbers(
    packer: &mut Packer,
    numbers: impl IntoIterator<Item = u64, IntoIter: ExactSizeIterator>,
) {
    let numbers = numbers.into_iter();
    packer.array(numbers.len());
    numbers.for_each(|number| packer.int(int(number)));
}

/// An entry: `[term, history, [id, incarnation, id, incarnation, …]]` for a roster, `[term, [name, version, hash list]]`
/// for an update, its list as it is kept.
fn pack_entry(packer: &mut Packer, entry: &Entry) {
    match &entry.command {
        Command::Roster(roster) => {
            packer.array(3);
            packer.int(int(entry.term.0));
            packer.int(int(roster.history.0));
            packer.array(2 * roster.members.len());
            for (id, incarnation) in &roster.members {
                packer.int(id.0.into());
                packer.int(int(incarnation.0));
            }
        }
        Command::Update(update) => {
            packer.array(2);
            packer.int(int(entry.term.0));
            packer.array(3);
            packer.string(&update.name);
            packer.int(update.version);
            packer.bytes(update.hashes.packed());
        }
    }
}

/// Terms, indexes and counters never leave the range of `i64`.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a candidate's request.
pub(super) fn read_request_vote(value: Value) -> Result<RequestVote, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    Ok(RequestVote {
        sender: fields.identity("sender")?,
        ballot: fields.number("ballot")?,
        kind: fields.ballot_kind()?,
        account: fields.has("account").then(|| fields.account("account")).transpose()?,
    })
}

/// Reads a leader's request.
pub(super) fn read_append_entries(value: Value) -> Result<AppendEntries, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    Ok(AppendEntries {
        sender: fields.identity("sender")?,
        receiver: incarnation_of(fields.number("receiver")?),
        prev_log: fields.position("prevLogIndex", "prevLogTerm")?,
        entries: fields.entries("entries")?,
        leader_commit: LogIndex(fields.number("leaderCommit")?),
        round: Round(fields.number("round")?),
        has_majority: fields.boolean("hasMajority")?,
    })
}

fn read_entry(unpacker: &mut Unpacker<'_>) -> Option<Entry> {
    let Next::Array(parts) = unpacker.next()? else { return None };
    let term = Term(natural(unpacker)?);
    let command = match parts {
        3 => Command::Roster(Arc::new(read_roster(unpacker)?)),
        2 => Command::Update(Arc::new(read_update(unpacker)?)),
        _ => return None,
    };
    Some(Entry { term, command })
}

fn read_roster(unpacker: &mut Unpacker<'_>) -> Option<Roster> {
    let history = Incarnation(natural(unpacker)?);
    let Next::Array(count) = unpacker.next()? else { return None };
    let mut members = BTreeMap::new();
    for _ in 0..count / 2 {
        let id = ServerId(u8::try_from(natural(unpacker)?).ok()?);
        members.insert(id, Incarnation(natural(unpacker)?));
    }
    // Neither half a member nor one twice.
    (members.len() as u64 * 2 == count).then_some(Roster { history, members })
}

/// An update that a client can have made: this server may have to send it to others and to answer with it.
fn read_update(unpacker: &mut Unpacker<'_>) -> Option<Update> {
    let Next::Array(3) = unpacker.next()? else { return None };
    let (Next::String(name), Next::Int(version)) = (unpacker.next()?, unpacker.next()?) else {
        return None;
    };
    let hashes = read_hashes(unpacker)?;
    // Nothing takes more packed than written.
    let is_possible = name.len() <= NAME_BYTES_MAX && hashes.packed().len() <= UPDATE_BYTES_MAX;
    is_possible.then(|| Update { name: name.into(), version, hashes })
}

fn read_hashes(unpacker: &mut Unpacker<'_>) -> Option<HashList> {
    let here = *unpacker;
    match unpacker.next()? {
        Next::Bytes(packed) => HashList::unpack(packed.into()),
        Next::Array(_) => {
            *unpacker = here;
            let Value::Array(plain) = unpacker.value()? else { return None };
            HashList::may_have(&plain).then(|| plain.into())
        }
        _ => None,
    }
}

/// Why there is no response in what a peer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoResponse {
    /// What that says of the peer.
    pub failure: Failure,
    /// One sentence, for people.
    pub reason: String,
}

impl fmt::Display for NoResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl Error for NoResponse {}

/// Reads a peer's answer to `request`.
///
/// # Errors
///
/// If it is a fault, or not what a peer answers to such a request.
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
        Request::AppendEntries(sent) => read_append_reply(value)
            .and_then(|reply| answers(sent.round, reply.round).map(|()| reply))
            .and_then(|reply| possible(sent.sender.term, reply))
            .map(Response::Append),
    };
    response.map_err(|garbled| silent(format!("its answer is none of a peer's: {garbled}")))
}

/// What a reply echoes tells that it is the reply to the request, and not to another one.
fn answers<T: PartialEq>(asked: T, echoed: T) -> Result<(), Garbled> {
    if asked == echoed { Ok(()) } else { Err("it answers another request") }
}

/// A follower takes on the leader's term before it answers (Figure 2); only strangers' terms it does not.
fn possible(leader_term: Term, reply: AppendReply) -> Result<AppendReply, Garbled> {
    let is_possible = match reply.outcome {
        AppendOutcome::Stale => leader_term < reply.sender.term,
        AppendOutcome::Accepted | AppendOutcome::Mismatch(_) => leader_term == reply.sender.term,
        AppendOutcome::Refused => true,
    };
    is_possible.then_some(reply).ok_or("its term contradicts its outcome")
}

fn read_vote_reply(value: Value) -> Result<VoteReply, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    Ok(VoteReply {
        sender: fields.identity("sender")?,
        vote_granted: fields.boolean("voteGranted")?,
        ballot: fields.number("ballot")?,
        kind: fields.ballot_kind()?,
    })
}

fn read_append_reply(value: Value) -> Result<AppendReply, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    let sender = fields.identity("sender")?;
    let round = Round(fields.number("round")?);
    let outcome = if fields.boolean("success")? {
        AppendOutcome::Accepted
    } else if fields.has("hintIndex") {
        AppendOutcome::Mismatch(fields.position("hintIndex", "hintTerm")?)
    } else if fields.boolean("stale")? {
        AppendOutcome::Stale
    } else {
        AppendOutcome::Refused
    };
    Ok(AppendReply { sender, round, outcome })
}

/// The message packed, as which it mostly comes.
fn packed(message: Value) -> Box<[u8]> {
    match message {
        Value::Base64(packed) => packed,
        plain => plain.pack().into(),
    }
}

/// More members than any message has; a bound, so that looking for one stays cheap.
const FIELDS_MAX: u64 = 16;

/// The members of a message.
struct Fields<'a>(Vec<(&'a str, Unpacker<'a>)>);

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Result<Fields<'a>, Garbled> {
        Fields::read(message).ok_or("a message between servers is a struct, packed or plain")
    }

    fn read(message: &'a [u8]) -> Option<Fields<'a>> {
        let mut unpacker = Unpacker::new(message);
        let Next::Struct(count @ ..=FIELDS_MAX) = unpacker.next()? else { return None };
        let mut fields = Fields(Vec::with_capacity(usize::try_from(count).ok()?));
        for _ in 0..count {
            let (name, value) = (unpacker.name()?, unpacker.skip()?);
            if fields.has(name) {
                return None;
            }
            fields.0.push((name, value));
        }
        unpacker.is_at_end().then_some(fields)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(member, _)| *member == name)
    }

    fn find(&self, name: &str) -> Result<Unpacker<'a>, Garbled> {
        let found = self.0.iter().find(|(member, _)| *member == name);
        found.map(|(_, value)| *value).ok_or("a member is missing")
    }

    /// Terms, indexes and counters: up to 2^53.
    fn number(&self, name: &str) -> Result<u64, Garbled> {
        natural(&mut self.find(name)?)
            .ok_or("terms, indexes and counters are whole numbers up to 2^53")
    }

    fn boolean(&self, name: &str) -> Result<bool, Garbled> {
        match self.find(name)?.next() {
            Some(Next::Boolean(truth)) => Ok(truth),
            _ => Err("preVote, voteGranted, success, stale and hasMajority are booleans"),
        }
    }

    fn identity(&self, name: &str) -> Result<Identity, Garbled> {
        let numbers = self.numbers(name)?.try_into().ok();
        numbers.and_then(identity).ok_or("sender is nine numbers: who sends the message")
    }

    /// One number for each server of the sender's set: its incarnation, or 0 if it has ended.
    fn account(&self, name: &str) -> Result<Account, Garbled> {
        let living = self.numbers(name)?.into_iter().map(incarnation_of);
        Ok(Account((0..).map(ServerId).zip(living).collect()))
    }

    /// A list of whole numbers, of no more than a message has a use for.
    fn numbers(&self, name: &str) -> Result<Vec<u64>, Garbled> {
        let mut unpacker = self.find(name)?;
        let Some(Next::Array(count @ ..=FIELDS_MAX)) = unpacker.next() else {
            return Err("sender and account are arrays");
        };
        (0..count)
            .map(|_| natural(&mut unpacker))
            .collect::<Option<_>>()
            .ok_or("sender and account are whole numbers up to 2^53")
    }

    fn position(&self, index: &str, term: &str) -> Result<Position, Garbled> {
        Ok(Position { index: LogIndex(self.number(index)?), term: Term(self.number(term)?) })
    }

    fn ballot_kind(&self) -> Result<BallotKind, Garbled> {
        Ok(if self.boolean("preVote")? { BallotKind::PreVote } else { BallotKind::Vote })
    }

    fn entries(&self, name: &str) -> Result<Vec<Entry>, Garbled> {
        let mut unpacker = self.find(name)?;
        let Some(Next::Array(count)) = unpacker.next() else { return Err("entries is an array") };
        (0..count)
            .map(|_| read_entry(&mut unpacker))
            .collect::<Option<_>>()
            .ok_or("an entry is [term, history, members] or [term, [name, version, hashlist]]")
    }
}

fn natural(unpacker: &mut Unpacker<'_>) -> Option<u64> {
    match unpacker.next()? {
        Next::Int(number) => u64::try_from(number).ok().filter(is_number),
        _ => None,
    }
}

fn is_number(number: &u64) -> bool {
    *number <= NUMBER_MAX
}
