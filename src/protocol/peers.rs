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
use crate::value::{Packer, Value};
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
    let mut fields = Fields::of(value)?;
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
    let mut fields = Fields::of(value)?;
    let Value::Array(entries) = fields.take("entries")? else { return Err("entries is an array") };
    Ok(AppendEntries {
        term: Term(fields.number("term")?),
        leader_id: fields.server("leaderId")?,
        prev_log: fields.position("prevLogIndex", "prevLogTerm")?,
        entries: entries.into_iter().map(read_entry).collect::<Result<_, _>>()?,
        leader_commit: LogIndex(fields.number("leaderCommit")?),
        round: Round(fields.number("round")?),
        has_majority: fields.boolean("hasMajority")?,
    })
}

fn read_entry(value: Value) -> Result<Entry, Garbled> {
    const EXPECTED: Garbled = "an entry is [term] or [term, [name, version, hashlist]]";
    let Value::Array(parts) = value else { return Err(EXPECTED) };
    let mut parts = parts.into_iter();
    let term = Term(parts.next().and_then(natural).ok_or(EXPECTED)?);
    let command = match (parts.next(), parts.next()) {
        (None, None) => Command::Noop,
        (Some(update), None) => Command::Update(Arc::new(read_update(update).ok_or(EXPECTED)?)),
        _ => return Err(EXPECTED),
    };
    Ok(Entry { term, command })
}

/// An update that a client can have made: this server may have to send it to others and to answer with it.
fn read_update(value: Value) -> Option<Update> {
    let Value::Array(parts) = value else { return None };
    match *<Box<[Value; 3]>>::try_from(parts).ok()? {
        [Value::String(name), Value::Int(version), hashes] if name.len() <= NAME_BYTES_MAX => {
            let hashes = read_hashes(hashes)?;
            // Nothing takes more packed than written.
            (hashes.packed().len() <= UPDATE_BYTES_MAX).then(|| Update {
                name: name.into(),
                version,
                hashes,
            })
        }
        _ => None,
    }
}

fn read_hashes(value: Value) -> Option<HashList> {
    match value {
        Value::Base64(packed) => HashList::unpack(packed),
        Value::Array(plain) => HashList::may_have(&plain).then(|| plain.into()),
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
    let mut fields = Fields::of(value)?;
    Ok(VoteReply {
        term: Term(fields.number("term")?),
        vote_granted: fields.boolean("voteGranted")?,
        ballot: fields.number("ballot")?,
        kind: fields.ballot_kind()?,
    })
}

fn read_append_reply(value: Value) -> Result<AppendReply, Garbled> {
    let mut fields = Fields::of(value)?;
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

/// The members of a struct that have not been read yet.
struct Fields(Vec<(Box<str>, Value)>);

impl Fields {
    fn of(message: Value) -> Result<Fields, Garbled> {
        let message = match message {
            Value::Base64(packed) => Value::unpack(&packed),
            plain => Some(plain),
        };
        match message {
            Some(Value::Struct(members)) => Ok(Fields(members.into_vec())),
            _ => Err("a message between servers is a struct, packed or plain"),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(member, _)| **member == *name)
    }

    fn take(&mut self, name: &str) -> Result<Value, Garbled> {
        let found = self.0.iter().position(|(member, _)| **member == *name);
        found.map(|index| self.0.swap_remove(index).1).ok_or("a member is missing")
    }

    /// Terms, indexes and counters: up to 2^53.
    fn number(&mut self, name: &str) -> Result<u64, Garbled> {
        natural(self.take(name)?).ok_or("terms, indexes and counters are whole numbers up to 2^53")
    }

    fn boolean(&mut self, name: &str) -> Result<bool, Garbled> {
        match self.take(name)? {
            Value::Boolean(truth) => Ok(truth),
            _ => Err("preVote, voteGranted, success and hasMajority are booleans"),
        }
    }

    fn server(&mut self, name: &str) -> Result<ServerId, Garbled> {
        u8::try_from(self.number(name)?).map(ServerId).map_err(|_| "a server's id is below 10")
    }

    fn position(&mut self, index: &str, term: &str) -> Result<Position, Garbled> {
        Ok(Position { index: LogIndex(self.number(index)?), term: Term(self.number(term)?) })
    }

    fn ballot_kind(&mut self) -> Result<BallotKind, Garbled> {
        Ok(if self.boolean("preVote")? { BallotKind::PreVote } else { BallotKind::Vote })
    }
}

fn natural(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok().filter(|number| *number <= NUMBER_MAX),
        _ => None,
    }
}
