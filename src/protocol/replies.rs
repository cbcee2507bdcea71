//! Answers: from the replies of the core and of the service to XML-RPC documents.

use std::sync::Arc;

use super::fault;
use super::{METHODS, Method, ServerStatus, peers};
use crate::config::Config;
use crate::metadata::{Files, Leaf, Update};
use crate::raft::{Identity, Reply};
use crate::value::{Unpacker, Value};
use crate::xmlrpc::{self, Fault, Members, Writer};

/// The answer to a call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to a question, or a confirmation that the call was carried out.
    Boolean(bool),
    /// A file's version.
    Version(i64),
    /// The core's reply.
    Raft(Reply),
    /// A block.
    Block(Arc<[u8]>),
    /// Hashes of blocks, as the caller wrote them.
    Hashes(Vec<Value>),
    /// The state of the server.
    Status(Box<ServerStatus>),
    /// `system.listMethods`
    Methods,
    /// `system.methodSignature`
    Signature(&'static Method),
    /// `system.methodHelp`
    Help(&'static Method),
    /// The server is crashed. A peer is also told which process that is.
    Crashed(Option<Identity>),
    /// The call failed outside the core.
    Fault(Fault),
}

/// Writes an answer as the document to send. `config` supplies the leader's address for redirects.
pub fn write_answer(answer: &Answer, config: &Config) -> Vec<u8> {
    match answer {
        Answer::Boolean(truth) => xmlrpc::write_response(|writer| writer.boolean(*truth)),
        Answer::Version(version) => xmlrpc::write_response(|writer| writer.int(*version)),
        Answer::Raft(reply) => write_reply(reply, config),
        Answer::Block(block) => xmlrpc::write_response(|writer| writer.base64(block)),
        Answer::Hashes(hashes) => xmlrpc::write_response(|writer| {
            writer.array(|array| hashes.iter().for_each(|hash| array.value(hash)));
        }),
        Answer::Status(status) => write_struct(&status.members()),
        Answer::Methods => write_strings(METHODS.iter().map(|method| method.name)),
        Answer::Signature(method) => xmlrpc::write_response(|writer| {
            writer.array(|signatures| {
                signatures
                    .array(|types| method.signature.iter().for_each(|name| types.string(name)));
            });
        }),
        Answer::Help(method) => xmlrpc::write_response(|writer| writer.string(method.help)),
        Answer::Crashed(None) => xmlrpc::write_fault(&fault::crashed()),
        Answer::Crashed(Some(sender)) => xmlrpc::write_fault(&peers::crashed(sender)),
        Answer::Fault(fault) => xmlrpc::write_fault(fault),
    }
}

fn write_reply(reply: &Reply, config: &Config) -> Vec<u8> {
    match reply {
        Reply::Updated(took_effect) => {
            xmlrpc::write_response(|writer| writer.boolean(*took_effect))
        }
        Reply::Files(files) => xmlrpc::write_response(|writer| write_files(writer, files)),
        Reply::Done => xmlrpc::write_response(|writer| writer.boolean(true)),
        Reply::Vote(reply) => {
            xmlrpc::write_response(|writer| peers::write_vote_reply(writer, reply))
        }
        Reply::Append(reply) => {
            xmlrpc::write_response(|writer| peers::write_append_reply(writer, reply))
        }
        Reply::Failed(reason) => xmlrpc::write_fault(&fault::of_core(*reason, config)),
    }
}

/// The map as callers see it: each name with `[version, hash list]`.
fn write_files(writer: &mut Writer, files: &Files) {
    writer.structure(|members| files.iter().for_each(|file| write_file(members, file)));
}

/// A leaf of the map as it appears in the document of the whole map. [`write_around_leaves`] gives the parts around the
/// leaves.
pub fn write_leaf(leaf: &Leaf) -> Vec<u8> {
    xmlrpc::write_members(|members| leaf.iter().for_each(|file| write_file(members, file)))
}

/// The parts before and after the leaves in the document of the map.
pub fn write_around_leaves() -> [Vec<u8>; 2] {
    xmlrpc::write_around_members()
}

fn write_file(members: &mut Members<'_>, file: &Update) {
    let hashes = |writer: &mut Writer| writer.packed(&mut Unpacker::new(file.hashes.packed()));
    write_info(members, &file.name, file.version, hashes);
}

fn write_info(
    members: &mut Members<'_>,
    name: &str,
    version: i64,
    hashes: impl FnOnce(&mut Writer),
) {
    members.member(name, |writer| {
        writer.array(|info| {
            info.int(version);
            hashes(info);
        });
    });
}

fn write_strings<'a>(strings: impl Iterator<Item = &'a str>) -> Vec<u8> {
    xmlrpc::write_response(|writer| {
        writer.array(|array| strings.for_each(|text| array.string(text)))
    })
}

fn write_struct(members: &[(&str, Value)]) -> Vec<u8> {
    xmlrpc::write_response(|writer| {
        writer.structure(|writer| {
            for (name, value) in members {
                writer.member(name, |writer| writer.value(value));
            }
        });
    })
}

/// The size of the update in an answer, in bytes.
pub(super) fn written_bytes(name: &str, version: i64, hashes: &Value) -> usize {
    xmlrpc::response_bytes(|writer| {
        writer.structure(|members| write_info(members, name, version, |out| out.value(hashes)));
    })
}
