//! Parameters: from XML-RPC values to typed calls.
//!
//! This is the one place for leniency. Clients differ in how they send a string, a list or a number: base64 instead of
//! a string, a struct "1", "2", … instead of an array, a single value instead of a list. Everything that is accepted
//! beyond the signature is accepted here.

use super::fault::{no_such_method, wrong_parameters};
use super::{Method, MethodAndCall, TypedCall, find, multicall_element, peers, replies};
use crate::blocks::{Block, BlockHash};
use crate::metadata::{HashList, Update};
use crate::raft;
use crate::value::{Value, is_xml};
use crate::xmlrpc::Fault;

/// The maximum length of a file name in bytes.
pub const NAME_BYTES_MAX: usize = 4 << 10;

/// The maximum size of an update, in bytes of its XML-RPC values. An answer and an append must be able to carry it.
pub const UPDATE_BYTES_MAX: usize = 4 << 20;

/// The maximum number of calls in one `system.multicall`.
pub const CALLS_MAX: usize = 64;

/// The parameters of a call of a method.
#[derive(Debug)]
pub(super) struct CallParams {
    method: &'static Method,
    values: Vec<Value>,
}

type ReadCall = Result<TypedCall, Fault>;

impl CallParams {
    pub(super) fn new(method: &'static Method, values: Vec<Value>) -> CallParams {
        CallParams { method, values }
    }

    pub(super) fn none(self, call: TypedCall) -> ReadCall {
        self.take::<0>().map(|[]| call)
    }

    pub(super) fn update(self) -> ReadCall {
        let [name, version, hashes] = self.take()?;
        let name = text(name).filter(|name| name.len() <= NAME_BYTES_MAX);
        let name = name.ok_or_else(|| {
            wrong_parameters("the file name must be a string of at most 4096 bytes")
        })?;
        let version =
            whole(version).ok_or_else(|| wrong_parameters("the version must be an int"))?;
        let hashes = list_or_scalar(hashes);
        if UPDATE_BYTES_MAX < replies::written_bytes(&name, version, &hashes) {
            return Err(wrong_parameters("an update may be at most 4 MiB"));
        }
        let hashes = HashList::new(&hashes).ok_or_else(|| {
            wrong_parameters(
                "an int in a hash list must fit in 32 bits, and elements may nest at most 16 deep",
            )
        })?;
        let update = Update { name: (*name).into(), version, hashes };
        Ok(TypedCall::Raft(raft::Call::Update(update)))
    }

    pub(super) fn version(self) -> ReadCall {
        let [name] = self.take()?;
        let name = text(name).ok_or_else(|| wrong_parameters("the file name must be a string"))?;
        Ok(TypedCall::Version(name))
    }

    pub(super) fn request_vote(self) -> ReadCall {
        let [request] = self.take()?;
        let request = peers::read_request_vote(request).map_err(wrong_parameters)?;
        Ok(TypedCall::Raft(raft::Call::RequestVote(request)))
    }

    pub(super) fn append_entries(self) -> ReadCall {
        let [request] = self.take()?;
        let request = peers::read_append_entries(request).map_err(wrong_parameters)?;
        Ok(TypedCall::Raft(raft::Call::AppendEntries(request)))
    }

    pub(super) fn install_snapshot(self) -> ReadCall {
        let [request] = self.take()?;
        let request = peers::read_install_snapshot(request).map_err(wrong_parameters)?;
        Ok(TypedCall::Raft(raft::Call::InstallSnapshot(request)))
    }

    pub(super) fn get_block(self) -> ReadCall {
        let [hash] = self.take()?;
        let hash = block_hash(&hash).map_err(|()| wrong_parameters("the hash must be a string"))?;
        Ok(TypedCall::GetBlock(hash))
    }

    pub(super) fn put_block(self) -> ReadCall {
        match self.take()? {
            [Value::Base64(block)] => Ok(TypedCall::PutBlock(Block::new(block))),
            [Value::String(block)] => Ok(TypedCall::PutBlock(Block::new(block.into_boxed_bytes()))),
            _ => Err(wrong_parameters("the block must be base64")),
        }
    }

    pub(super) fn has_blocks(self) -> ReadCall {
        let [hashes] = self.take()?;
        let named = |name: Value| match block_hash(&name) {
            Ok(hash) => hash.map(|hash| Ok((name, hash))),
            Err(()) => Some(Err(wrong_parameters("the hashes must be an array of strings"))),
        };
        let names: Result<_, _> = list(hashes).into_iter().filter_map(named).collect();
        names.map(TypedCall::HasBlocks)
    }

    pub(super) fn method(self, call: fn(&'static Method) -> TypedCall) -> ReadCall {
        let [name] = self.take()?;
        let name =
            text(name).ok_or_else(|| wrong_parameters("the method name must be a string"))?;
        find(&name).map(call).ok_or_else(|| no_such_method(&name))
    }

    pub(super) fn several(self) -> Result<Vec<Result<MethodAndCall, Fault>>, Fault> {
        let [calls] = self.take()?;
        let calls = list(calls);
        if CALLS_MAX < calls.len() {
            return Err(wrong_parameters("system.multicall makes at most 64 calls"));
        }
        Ok(calls.into_iter().map(read_multicall_element).collect())
    }

    fn take<const N: usize>(self) -> Result<[Value; N], Fault> {
        let given = self.values.len();
        self.values.try_into().map_err(|_| {
            let types = self.method.signature.get(1..).unwrap_or_default().join(", ");
            wrong_parameters(&format!("{} takes {N} ({types}), not {given}", self.method.name))
        })
    }
}

/// One call of `system.multicall`.
fn read_multicall_element(call: Value) -> Result<MethodAndCall, Fault> {
    const EXPECTED: &str = "each call must be a struct of methodName and params";
    let Value::Struct(members) = call else { return Err(wrong_parameters(EXPECTED)) };
    let (mut name, mut params) = (None, None);
    for (member, value) in members {
        match &*member {
            "methodName" => name = text(value),
            "params" => params = Some(list(value).into_vec()),
            _ => {}
        }
    }
    let name = name.ok_or_else(|| wrong_parameters(EXPECTED))?;
    multicall_element(&name, params.ok_or_else(|| wrong_parameters(EXPECTED)))
}

/// A string, or base64 of one.
fn text(value: Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text),
        Value::Base64(bytes) => {
            let text = String::from_utf8(bytes.into_vec()).ok()?;
            text.chars().all(is_xml).then(|| text.into_boxed_str())
        }
        Value::Int(_)
        | Value::Boolean(_)
        | Value::Double(_)
        | Value::DateTime(_)
        | Value::Array(_)
        | Value::Struct(_) => None,
    }
}

/// The hash of the block that an element of a hash list names; `None` if it names none.
pub fn block_named(element: &Value) -> Option<BlockHash> {
    block_hash(element).ok().flatten()
}

/// The hash of a block: a string, or base64 of the hash's bytes or of a string. `None` if it is one of these, or an
/// int, but names no block.
fn block_hash(name: &Value) -> Result<Option<BlockHash>, ()> {
    match name {
        Value::String(text) => Ok(BlockHash::named(text)),
        // Some languages send text that consists of digits as a number. No SHA-256 is that short.
        Value::Int(_) => Ok(None),
        Value::Base64(bytes) => Ok(match <[u8; 32]>::try_from(&**bytes) {
            Ok(bytes) => Some(BlockHash::new(bytes)),
            Err(_) => str::from_utf8(bytes).ok().and_then(BlockHash::named),
        }),
        Value::Boolean(_)
        | Value::Double(_)
        | Value::DateTime(_)
        | Value::Array(_)
        | Value::Struct(_) => Err(()),
    }
}

/// An int, or a double that is a whole number: some languages have no other numbers.
fn whole(value: Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        // A whole number is written without a decimal point.
        Value::Double(number) => number.get().to_string().parse().ok(),
        Value::Boolean(_)
        | Value::String(_)
        | Value::Base64(_)
        | Value::DateTime(_)
        | Value::Array(_)
        | Value::Struct(_) => None,
    }
}

/// A list: an array, a struct whose members are numbered from 1, as Lua sends it, or one element.
fn list(value: Value) -> Box<[Value]> {
    match list_or_scalar(value) {
        Value::Array(elements) => elements,
        scalar => [scalar].into(),
    }
}

/// A list as an array, or a scalar in its place. A struct that is not numbered is a list of one.
fn list_or_scalar(value: Value) -> Value {
    match value {
        Value::Struct(members) if is_numbered(&members) => {
            let mut members = members.into_vec();
            members.sort_by_key(|(name, _)| name.parse().unwrap_or(usize::MAX));
            Value::Array(members.into_iter().map(|(_, element)| element).collect())
        }
        element @ Value::Struct(_) => Value::Array([element].into()),
        array_or_scalar => array_or_scalar,
    }
}

/// Whether the members' names are the numbers from 1 to the number of members, in any order.
fn is_numbered(members: &[(Box<str>, Value)]) -> bool {
    // A number is written in one way only: "01" and "+1" are not numbers.
    let number = |name: &str| name.parse().ok().filter(|number: &usize| number.to_string() == name);
    let mut numbers: Vec<usize> = members.iter().filter_map(|(name, _)| number(name)).collect();
    numbers.sort_unstable();
    !members.is_empty() && numbers.into_iter().eq(1..=members.len())
}
