//! Calls from the client's side: the inverse of `calls`.

use crate::value::Value;
use crate::xmlrpc::{self, Writer};

/// What a client asks a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ask<'a> {
    /// Does the server answer?
    Ping,
    /// Is the server the leader?
    IsLeader,
    /// Is the server crashed?
    IsCrashed,
    /// Stop participating.
    Crash,
    /// Participate again.
    Restore,
    /// What is the state of the server?
    Status,
    /// The whole map, from the leader.
    Files,
    /// Which version of this file has the server applied?
    Version(&'a str),
    /// Which versions of these files has the server applied? At most as many as one `system.multicall` may make calls.
    Versions(&'a [&'a str]),
    /// Give a file this version and this hash list, or a scalar in its place, at the leader.
    Update(&'a str, i64, &'a Value),
    /// A method by its name.
    Method(&'a str, &'a [Value]),
}

impl Ask<'_> {
    /// The document to send.
    pub fn document(&self) -> Vec<u8> {
        match *self {
            Ask::Ping => bare("surfstore.ping"),
            Ask::IsLeader => bare("surfstore.isLeader"),
            Ask::IsCrashed => bare("surfstore.isCrashed"),
            Ask::Crash => bare("surfstore.crash"),
            Ask::Restore => bare("surfstore.restore"),
            Ask::Status => bare("surfstore.status"),
            Ask::Files => bare("surfstore.getfileinfomap"),
            Ask::Version(name) => xmlrpc::write_call(VERSION, |params| {
                params.param(|writer| writer.string(name));
            }),
            Ask::Versions(names) => xmlrpc::write_call("system.multicall", |params| {
                params.param(|writer| writer.array(|calls| write_versions(calls, names)));
            }),
            Ask::Update(name, version, hashes) => {
                xmlrpc::write_call("surfstore.updatefile", |params| {
                    params.param(|writer| writer.string(name));
                    params.param(|writer| writer.int(version));
                    params.param(|writer| writer.value(hashes));
                })
            }
            Ask::Method(name, values) => xmlrpc::write_call(name, |params| {
                values.iter().for_each(|value| params.param(|writer| writer.value(value)));
            }),
        }
    }
}

/// The method that returns a version.
const VERSION: &str = "surfstore.tester_getversion";

fn bare(method: &str) -> Vec<u8> {
    xmlrpc::write_call(method, |_| {})
}

fn write_versions(calls: &mut Writer, names: &[&str]) {
    for name in names {
        calls.structure(|call| {
            call.member("methodName", |member| member.string(VERSION));
            call.member("params", |member| member.array(|params| params.string(name)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Update;
    use crate::protocol::{Asked, TypedCall, read_call};
    use crate::raft;

    #[test]
    fn what_a_client_asks_is_what_a_server_reads() {
        let list = [1.into(), "h".into()];
        let (name, version) = ("a & b".into(), 3);
        let update = Update { name, version, hashes: list.clone().into() };
        let hashes = list.into();
        for (ask, call) in [
            (Ask::Ping, TypedCall::Ping),
            (Ask::IsLeader, TypedCall::IsLeader),
            (Ask::IsCrashed, TypedCall::IsCrashed),
            (Ask::Crash, TypedCall::Raft(raft::Call::Crash)),
            (Ask::Restore, TypedCall::Raft(raft::Call::Restore)),
            (Ask::Status, TypedCall::Status),
            (Ask::Files, TypedCall::Raft(raft::Call::ReadFiles)),
            (Ask::Version("\r\n"), TypedCall::Version("\r\n".into())),
            (Ask::Update("a & b", 3, &hashes), TypedCall::Raft(raft::Call::Update(update))),
            (Ask::Method("getversion", &["a".into()]), TypedCall::Version("a".into())),
        ] {
            let Ok(Asked::One((_, read))) = read_call(&ask.document()) else {
                panic!("{ask:?} is not a call")
            };
            assert_eq!(read, Ok(call), "{ask:?}");
        }
        let versions = |asked| match asked {
            Ok(Asked::Several(_, calls)) => calls,
            Ok(Asked::One(call)) => vec![Ok(call)],
            Err(fault) => vec![Err(fault)],
        };
        let version = |name: &str| versions(read_call(&Ask::Version(name).document()));
        let asked = versions(read_call(&Ask::Versions(&["a", "b"]).document()));
        assert_eq!(asked, [version("a"), version("b")].concat());
    }
}
