//! Answers: from the replies of the core and of the service to XML-RPC documents.

use std::sync::Arc;

use super::fault;
use super::{METHODS, Method, ServerStatus, peers};
use crate::config::Config;
use crate::metadata::{Files, Leaf};
use crate::raft::{Identity, Reply};
use crate::value::Value;
use crate::xmlrpc::{self, Fault, Members, PackedWriter};

/// The answer to a call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The answer to a question, or a confirmation that the call was carried out.
    Boolean(bool),
    /// A file's version.
    Version(i64),
    /// The core's reply.
    Raft(Reply),
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
        Reply::Files(files) => write_files(files),
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
fn write_files(files: &Files) -> Vec<u8> {
    let [before, after] = write_around_leaves();
    let leaf = |leaf: &Arc<Leaf>| LeafWriter::new(Arc::clone(leaf)).write(usize::MAX).0;
    let leaves: Vec<_> = files.leaves().map(leaf).collect();
    [before, leaves.concat(), after].concat()
}

/// The bytes before and after the leaves in the document of the map.
pub fn write_around_leaves() -> [Vec<u8>; 2] {
    xmlrpc::write_around_members()
}

/// Writes a leaf of the map in parts, as it appears in the document of the whole map. [`write_around_leaves`] gives the
/// bytes around the leaves.
#[derive(Debug)]
pub struct LeafWriter {
    leaf: Arc<Leaf>,
    /// The number of files that are complete.
    complete: usize,
    /// The hash list of the next file, if that file has begun.
    hashes: Option<PackedWriter>,
}

impl LeafWriter {
    /// A writer for a leaf of which nothing has been written.
    pub fn new(leaf: Arc<Leaf>) -> LeafWriter {
        LeafWriter { leaf, complete: 0, hashes: None }
    }

    /// Writes the next part, of about this many bytes. Returns it, and whether the leaf is complete.
    pub fn write(&mut self, bytes: usize) -> (Vec<u8>, bool) {
        let LeafWriter { leaf, complete, hashes } = self;
        let mut is_whole = true;
        let part = xmlrpc::write_members(|members| {
            for file in leaf.iter().skip(*complete) {
                let hashes_of_file = hashes.get_or_insert_with(|| {
                    begin_file(members, &file.name, file.version);
                    PackedWriter::new()
                });
                is_whole = hashes_of_file.write(file.hashes.packed(), bytes, members.value());
                if !is_whole {
                    return;
                }
                end_file(members);
                *hashes = None;
                *complete += 1;
            }
        });
        (part, is_whole)
    }
}

/// Begins a file of the map. Its hash list is written next.
fn begin_file(members: &mut Members<'_>, name: &str, version: i64) {
    members.begin(name);
    members.value().begin_array();
    members.value().int(version);
}

fn end_file(members: &mut Members<'_>) {
    members.value().end_array();
    members.end();
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
        writer.structure(|members| {
            begin_file(members, name, version);
            members.value().value(hashes);
            end_file(members);
        });
    })
}
