//! The methods that can be called and their messages: converts between XML-RPC documents and typed calls and replies.
//!
//! One table names every method with its aliases, its signature and its help. Dispatch and the `system.*` methods all
//! read that table. All leniency towards callers who leave out something or deviate from the table is in one place,
//! `calls`. Messages between servers are in `peers`, and the entries and leaves that they carry in [`entry`]. Answers
//! about blocks, which can be long, are in `long`.
//!
//! The module knows the core's calls and replies but not its state. It knows neither HTTP nor time.

pub mod entry;
pub mod fault;
mod asks;
mod calls;
mod long;
mod peers;
mod replies;
mod status;

use crate::blocks::{Block, BlockHash};
use crate::raft;
use crate::value::Value;
use crate::xmlrpc::{self, Fault, MethodCall};

pub use asks::Ask;
pub use calls::{CALLS_MAX, NAME_BYTES_MAX, UPDATE_BYTES_MAX, block_named};
pub use long::{BlockNames, LongAnswer};
pub use peers::{NoResponse, read_response, write_request};
pub use replies::{Answer, LeafWriter, write_answer, write_around_leaves};
pub use status::ServerStatus;

use calls::CallParams;

/// A call of a method in the table, with the parameters that the method takes.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedCall {
    /// Does this server answer?
    Ping,
    /// Is this server the leader?
    IsLeader,
    /// Is this server crashed?
    IsCrashed,
    /// What is the state of this server?
    Status,
    /// Which version of the file has this server applied?
    Version(Box<str>),
    /// A call for the core.
    Raft(raft::Call),
    /// Store a block here.
    PutBlock(Block),
    /// Get the block with that hash. A text that is not a hash names no block.
    GetBlock(Option<BlockHash>),
    /// Which of these blocks are stored here? Texts that name no block are left out.
    HasBlocks(BlockNames),
    /// `system.listMethods`
    ListMethods,
    /// `system.methodSignature`
    MethodSignature(&'static Method),
    /// `system.methodHelp`
    MethodHelp(&'static Method),
}

impl TypedCall {
    /// The memory that its parameters take, in bytes.
    pub fn size(&self) -> usize {
        match self {
            TypedCall::Raft(raft::Call::Update(update)) => update.size(),
            TypedCall::Raft(raft::Call::AppendEntries(request)) => request.size(),
            TypedCall::Raft(raft::Call::InstallSnapshot(request)) => request.size(),
            TypedCall::PutBlock(block) => block.size(),
            TypedCall::HasBlocks(names) => names.size(),
            TypedCall::Version(name) => name.len(),
            TypedCall::Raft(
                raft::Call::RequestVote(_)
                | raft::Call::ReadFiles
                | raft::Call::Crash
                | raft::Call::Restore,
            )
            | TypedCall::GetBlock(_)
            | TypedCall::Ping
            | TypedCall::IsLeader
            | TypedCall::IsCrashed
            | TypedCall::Status
            | TypedCall::ListMethods
            | TypedCall::MethodSignature(_)
            | TypedCall::MethodHelp(_) => 0,
        }
    }

    /// The peer that makes this call, if it is one that only peers make.
    pub fn peer(&self) -> Option<raft::Member> {
        match self {
            TypedCall::Raft(raft::Call::RequestVote(request)) => Some(request.sender.member()),
            TypedCall::Raft(raft::Call::AppendEntries(request)) => Some(request.sender.member()),
            TypedCall::Raft(raft::Call::InstallSnapshot(request)) => Some(request.sender.member()),
            _ => None,
        }
    }

    /// Whether this call may have to wait for a majority.
    pub fn may_wait(&self) -> bool {
        use raft::Call::{ReadFiles, Update};
        matches!(self, TypedCall::Raft(Update(_) | ReadFiles))
    }
}

/// A row of the table.
#[derive(Debug)]
pub struct Method {
    /// The canonical name, which `system.listMethods` lists.
    pub name: &'static str,
    /// Other accepted names.
    aliases: &'static [&'static str],
    /// The types of the answer and of each parameter, in this order.
    pub signature: &'static [&'static str],
    /// What it does, in a sentence or two.
    pub help: &'static str,
    /// Whether a crashed server serves it. If not, it answers `isCrashed` whatever the parameters.
    pub while_crashed: bool,
    read: Read,
}

/// How the parameters of a method are read.
#[derive(Clone, Copy, Debug)]
enum Read {
    /// They form one call.
    Call(fn(CallParams) -> Result<TypedCall, Fault>),
    /// They are themselves calls.
    Multicall,
}

impl PartialEq for Method {
    fn eq(&self, other: &Method) -> bool {
        self.name == other.name
    }
}

/// What a document asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// One call.
    One(MethodAndCall),
    /// `system.multicall`: these calls, one after another, none of which is a multicall itself. A call that names no
    /// method is replaced by the fault to answer.
    Several(&'static Method, Vec<Result<MethodAndCall, Fault>>),
}

/// A method, and either the call of it or the fault in its parameters.
pub type MethodAndCall = (&'static Method, Result<TypedCall, Fault>);

/// Parses a call.
///
/// # Errors
///
/// The fault to answer if the document is not a call (−32700 to −32600) or, whatever the parameters are, if it names no
/// method of the table (−32601).
pub fn read_call(document: &[u8]) -> Result<Asked, Fault> {
    let MethodCall { method, params } = xmlrpc::parse_call(document).map_err(fault::unreadable)?;
    let method = find(&method).ok_or_else(|| fault::no_such_method(&method))?;
    let params = params.map_err(fault::unreadable).map(|values| CallParams::new(method, values));
    Ok(match method.read {
        Read::Call(read) => Asked::One((method, params.and_then(read))),
        Read::Multicall => match params.and_then(CallParams::several) {
            Ok(calls) => Asked::Several(method, calls),
            Err(fault) => Asked::One((method, Err(fault))),
        },
    })
}

/// One call of a multicall: of the method with that name, with these parameters, or the fault in them.
fn multicall_element(
    name: &str,
    params: Result<Vec<Value>, Fault>,
) -> Result<MethodAndCall, Fault> {
    let method = find(name).ok_or_else(|| fault::no_such_method(name))?;
    let call = match method.read {
        Read::Call(read) => params.and_then(|values| read(CallParams::new(method, values))),
        Read::Multicall => Err(fault::wrong_parameters("system.multicall cannot call itself")),
    };
    Ok((method, call))
}

/// The prefix of every canonical name except those of `system.*`.
const PREFIX: &str = "surfstore.";

/// Finds the method with that name, ignoring case, with or without the prefix.
fn find(name: &str) -> Option<&'static Method> {
    let name = name.to_ascii_lowercase();
    let bare = name.strip_prefix(PREFIX).unwrap_or(&name);
    METHODS.iter().find(|method| {
        let canonical = method.name.strip_prefix(PREFIX).unwrap_or(method.name);
        canonical.eq_ignore_ascii_case(bare) || method.aliases.contains(&bare)
    })
}

/// The table of methods, in the order in which they are listed.
pub const METHODS: [Method; 19] = [
    Method {
        name: "surfstore.ping",
        aliases: &[],
        signature: &["boolean"],
        help: "Returns true.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::Ping)),
    },
    Method {
        name: "surfstore.isLeader",
        aliases: &[],
        signature: &["boolean"],
        help: "Returns whether this server is the leader and not crashed.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::IsLeader)),
    },
    Method {
        name: "surfstore.isCrashed",
        aliases: &[],
        signature: &["boolean"],
        help: "Returns whether this server is crashed.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::IsCrashed)),
    },
    Method {
        name: "surfstore.crash",
        aliases: &[],
        signature: &["boolean"],
        help: "Stops this server, as if it had failed. It keeps its state.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::Raft(raft::Call::Crash))),
    },
    Method {
        name: "surfstore.restore",
        aliases: &[],
        signature: &["boolean"],
        help: "Restores a crashed server, as a follower.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::Raft(raft::Call::Restore))),
    },
    Method {
        name: "surfstore.updatefile",
        aliases: &[],
        signature: &["boolean", "string", "int", "array"],
        help: "updatefile(name, version, hashlist): stores a new version of the file, at the leader. True: a \
               majority holds the update. False: the version was not exactly one higher than the stored one.",
        while_crashed: false,
        read: Read::Call(CallParams::update),
    },
    Method {
        name: "surfstore.getfileinfomap",
        aliases: &["getfileinfo", "getfileinfos"],
        signature: &["struct"],
        help: "Returns the whole map, at the leader: name -> [version, hashlist], deleted files included.",
        while_crashed: false,
        read: Read::Call(|params| params.none(TypedCall::Raft(raft::Call::ReadFiles))),
    },
    Method {
        name: "surfstore.tester_getversion",
        aliases: &["getversion"],
        signature: &["int", "string"],
        help: "tester_getversion(name): the version that this server has applied; 0 for an unknown file.",
        while_crashed: true,
        read: Read::Call(CallParams::version),
    },
    Method {
        name: "surfstore.requestVote",
        aliases: &[],
        signature: &["base64", "base64"],
        help: "Raft's RequestVote, between servers.",
        while_crashed: false,
        read: Read::Call(CallParams::request_vote),
    },
    Method {
        name: "surfstore.appendEntries",
        aliases: &[],
        signature: &["base64", "base64"],
        help: "Raft's AppendEntries, between servers.",
        while_crashed: false,
        read: Read::Call(CallParams::append_entries),
    },
    Method {
        name: "surfstore.installSnapshot",
        aliases: &[],
        signature: &["base64", "base64"],
        help: "Raft's InstallSnapshot, between servers.",
        while_crashed: false,
        read: Read::Call(CallParams::install_snapshot),
    },
    Method {
        name: "surfstore.getblock",
        aliases: &[],
        signature: &["base64", "string"],
        help: "getblock(hash): the block of that SHA-256, if it is stored at this server. The hash is hexadecimal, in \
               any case and also without leading zeros, or base64.",
        while_crashed: false,
        read: Read::Call(CallParams::get_block),
    },
    Method {
        name: "surfstore.putblock",
        aliases: &[],
        signature: &["boolean", "base64"],
        help: "putblock(bytes): stores a block at this server only, under its SHA-256.",
        while_crashed: false,
        read: Read::Call(CallParams::put_block),
    },
    Method {
        name: "surfstore.hasblocks",
        aliases: &[],
        signature: &["array", "array"],
        help: "hasblocks(hashes): those of the hashes whose blocks are stored at this server, as they were asked and \
               in that order.",
        while_crashed: false,
        read: Read::Call(CallParams::has_blocks),
    },
    Method {
        name: "surfstore.status",
        aliases: &[],
        signature: &["struct"],
        help: "The status of this server, for people: role, term, leader, indexes, counts.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::Status)),
    },
    Method {
        name: "system.listMethods",
        aliases: &[],
        signature: &["array"],
        help: "Returns the names of all methods.",
        while_crashed: true,
        read: Read::Call(|params| params.none(TypedCall::ListMethods)),
    },
    Method {
        name: "system.methodSignature",
        aliases: &[],
        signature: &["array", "string"],
        help: "methodSignature(name): a list of signatures, each the type of the answer and of the parameters.",
        while_crashed: true,
        read: Read::Call(|params| params.method(TypedCall::MethodSignature)),
    },
    Method {
        name: "system.methodHelp",
        aliases: &[],
        signature: &["string", "string"],
        help: "methodHelp(name): what the method does.",
        while_crashed: true,
        read: Read::Call(|params| params.method(TypedCall::MethodHelp)),
    },
    Method {
        name: "system.multicall",
        aliases: &[],
        signature: &["array", "array"],
        help: "multicall(calls): makes the calls one after another, at most 64, each a struct of methodName and params. \
               For each, an array that contains its answer, or the struct of its fault.",
        while_crashed: true,
        read: Read::Multicall,
    },
];
