//! What servers say to each other: RequestVote and AppendEntries as structs with Figure 2's names.
//!
//! They travel packed, in a single base64: much of what a server does is to read and write them, and as XML they would
//! take three to five times as long to read. A struct that is sent plainly is understood as well.
//!
//! Only the form is checked here. Whether a request can have come from a correct peer is for the core to say.

use std::sync::Arc;

use super::{NAME_BYTES_MAX, UPDATE_BYTES_MAX};
use crate::metadata::{HashList, Update};
use crate::raft::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, Command, Entry, LogIndex, NUMBER_MAX,
    Position, Request, RequestVote, Response, Round, ServerId, Term, VoteReply,
};
use crate::value::{Next, Packer, Unpacker, Value};
use crate::xmlrpc::{self, Writer};

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
    pack(&[
        ("term", Content::Number(request.term.0)),
        ("candidateId", Content::Number(request.candidate_id.0.into())),
        ("lastLogIndex", Content::Number(request.last_log.index.0)),
        ("lastLogTerm", Content::Number(request.last_log.term.0)),
        ("ballot", Content::Number(request.ballot)),
        ("preVote", Content::Boolean(request.kind == BallotKind::PreVote)),
    ])
}

fn append_entries(request: &AppendEntries) -> Vec<u8> {
    pack(&[
        ("term", Content::Number(request.term.0)),
        ("leaderId", Content::Number(request.leader_id.0.into())),
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
        ("term", Content::Number(reply.term.0)),
        ("voteGranted", Content::Boolean(reply.vote_granted)),
        ("ballot", Content::Number(reply.ballot)),
        ("preVote", Content::Boolean(reply.kind == BallotKind::PreVote)),
    ]));
}

/// The outcome is `success` as in Figure 2; a mismatch adds the hint, and a refusal without one is a stale term.
pub(super) fn write_append_reply(writer: &mut Writer, reply: &AppendReply) {
    let term = ("term", Content::Number(reply.term.0));
    let round = ("round", Content::Number(reply.round.0));
    let success = ("success", Content::Boolean(reply.outcome == AppendOutcome::Accepted));
    writer.base64(&match reply.outcome {
        AppendOutcome::Accepted | AppendOutcome::Stale => pack(&[term, round, success]),
        AppendOutcome::Mismatch(hint) => {
            let index = ("hintIndex", Content::Number(hint.index.0));
            pack(&[term, round, success, index, ("hintTerm", Content::Number(hint.term.0))])
        }
    });
}

/// What a member of a message holds.
enum Content<'a> {
    /// A term, an index or a counter.
    Number(u64),
    Boolean(bool),
    Entries(&'a [Entry]),
}

/// More than a member with a number takes.
const FIELD_BYTES: usize = 40;

/// The struct of these members.
fn pack(members: &[(&str, Content<'_>)]) -> Vec<u8> {
    let bytes = |(_, content): &(_, Content<'_>)| match content {
        Content::Number(_) | Content::Boolean(_) => FIELD_BYTES,
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
        }
    }
    packer.into_bytes()
}

/// An entry: `[term]` for a no-op, `[term, [name, version, hash list]]` for an update, its list as it is kept.
fn pack_entry(packer: &mut Packer, entry: &Entry) {
    match &entry.command {
        Command::Noop => {
            packer.array(1);
            packer.int(int(entry.term.0));
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
        term: Term(fields.number("term")?),
        candidate_id: fields.server("candidateId")?,
        last_log: fields.position("lastLogIndex", "lastLogTerm")?,
        ballot: fields.number("ballot")?,
        kind: fields.ballot_kind()?,
    })
}

/// Reads a leader's request.
pub(super) fn read_append_entries(value: Value) -> Result<AppendEntries, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    Ok(AppendEntries {
        term: Term(fields.number("term")?),
        leader_id: fields.server("leaderId")?,
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
        1 => Command::Noop,
        2 => Command::Update(Arc::new(read_update(unpacker)?)),
        _ => return None,
    };
    Some(Entry { term, command })
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

/// Reads a peer's answer to `request`.
///
/// # Errors
///
/// One sentence if it is a fault, or not what a peer answers to such a request.
pub fn read_response(request: &Request, document: &[u8]) -> Result<Response, String> {
    let value = match xmlrpc::parse_response(document) {
        Ok(Ok(value)) => value,
        Ok(Err(fault)) => {
            return Err(format!("it answered with fault {}: {}", fault.code, fault.message));
        }
        Err(error) => return Err(format!("it answered with garbled XML-RPC: {error}")),
    };
    let response = match request {
        Request::RequestVote(asked) => read_vote_reply(value)
            .and_then(|reply| {
                answers((asked.kind, asked.ballot), (reply.kind, reply.ballot)).map(|()| reply)
            })
            .map(Response::Vote),
        Request::AppendEntries(sent) => read_append_reply(value)
            .and_then(|reply| answers(sent.round, reply.round).map(|()| reply))
            .and_then(|reply| possible(sent.term, reply))
            .map(Response::Append),
    };
    response.map_err(|garbled| format!("its answer is none of a peer's: {garbled}"))
}

/// What a reply echoes tells that it is the reply to the request, and not to another one.
fn answers<T: PartialEq>(asked: T, echoed: T) -> Result<(), Garbled> {
    if asked == echoed { Ok(()) } else { Err("it answers another request") }
}

/// A follower takes on the leader's term before it answers (Figure 2), and refuses only the leader of an older one.
fn possible(leader_term: Term, reply: AppendReply) -> Result<AppendReply, Garbled> {
    let is_possible = match reply.outcome {
        AppendOutcome::Stale => leader_term < reply.term,
        AppendOutcome::Accepted | AppendOutcome::Mismatch(_) => leader_term == reply.term,
    };
    is_possible.then_some(reply).ok_or("its term contradicts its outcome")
}

fn read_vote_reply(value: Value) -> Result<VoteReply, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    Ok(VoteReply {
        term: Term(fields.number("term")?),
        vote_granted: fields.boolean("voteGranted")?,
        ballot: fields.number("ballot")?,
        kind: fields.ballot_kind()?,
    })
}

fn read_append_reply(value: Value) -> Result<AppendReply, Garbled> {
    let message = packed(value);
    let fields = Fields::of(&message)?;
    let term = Term(fields.number("term")?);
    let round = Round(fields.number("round")?);
    let outcome = if fields.boolean("success")? {
        AppendOutcome::Accepted
    } else if fields.has("hintIndex") {
        AppendOutcome::Mismatch(fields.position("hintIndex", "hintTerm")?)
    } else {
        AppendOutcome::Stale
    };
    Ok(AppendReply { term, round, outcome })
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
            _ => Err("preVote, voteGranted, success and hasMajority are booleans"),
        }
    }

    fn server(&self, name: &str) -> Result<ServerId, Garbled> {
        u8::try_from(self.number(name)?).map(ServerId).map_err(|_| "a server's id is below 10")
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
            .ok_or("an entry is [term] or [term, [name, version, hashlist]]")
    }
}

fn natural(unpacker: &mut Unpacker<'_>) -> Option<u64> {
    match unpacker.next()? {
        Next::Int(number) => u64::try_from(number).ok().filter(|number| *number <= NUMBER_MAX),
        _ => None,
    }
}
