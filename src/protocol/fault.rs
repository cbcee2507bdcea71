//! Faults: their codes and messages.
//!
//! Codes 1 to 4 are this project's own; the others are those of the XML-RPC fault code interoperability list. The
//! beginning of a message is part of the contract with callers.

use crate::config::Config;
use crate::raft;
use crate::xmlrpc::{Fault, ParseError};

/// This server is crashed. Definite: the call had no effect.
pub const CRASHED: i32 = 1;
/// This server is not the leader. Definite: the call had no effect and will have none.
pub const NOT_LEADER: i32 = 2;
/// The update may or may not take effect: the file's version shows which.
pub const OUTCOME_UNKNOWN: i32 = 3;
/// A limit is reached. Definite: the call had no effect.
pub const BUSY: i32 = 4;
/// No method has that name.
pub const NO_SUCH_METHOD: i32 = -32601;
/// The method takes different parameters.
pub const WRONG_PARAMETERS: i32 = -32602;

/// An internal error of the server.
pub const INTERNAL: i32 = -32603;

/// The fault for a call that a crashed server does not serve.
pub fn crashed() -> Fault {
    fault(CRASHED, "isCrashed: this server is crashed and the call had no effect")
}

/// The fault for a document, or parameters, that cannot be read.
pub(super) fn unreadable(error: ParseError) -> Fault {
    fault(error.code(), &error.to_string())
}

/// The fault for parameters other than those that the method takes. Definite.
pub fn wrong_parameters(expected: &str) -> Fault {
    fault(WRONG_PARAMETERS, &format!("wrong parameters: {expected}"))
}

/// The fault for an error in this project's own code.
pub fn internal(what: &str) -> Fault {
    fault(INTERNAL, &format!("internal error: {what}"))
}

/// The fault for a limit that is reached.
pub fn busy(bound: &str) -> Fault {
    fault(BUSY, &format!("busy: {bound}; the call had no effect"))
}

/// The fault for a name that no method has.
pub fn no_such_method(name: &str) -> Fault {
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    fault(
        NO_SUCH_METHOD,
        &format!("no method is called \"{shown}\"; system.listMethods lists the names"),
    )
}

/// The text before the leader's address in the fault for a call that only the leader serves.
const LEADER_NAMED: &str = "not the leader: ";

/// The `host:port` of the leader, if the fault names it.
pub fn named_leader(fault: &Fault) -> Option<&str> {
    let named = fault.message.strip_prefix(LEADER_NAMED).filter(|_| fault.code == NOT_LEADER)?;
    named.split_whitespace().next()
}

/// The fault for a refusal by the core.
pub(super) fn of_core(reason: raft::CallError, config: &Config) -> Fault {
    match reason {
        raft::CallError::Crashed => crashed(),
        raft::CallError::NotLeader(leader) => {
            match leader.and_then(|id| config.servers.get(usize::from(id.0))) {
                Some(address) => fault(NOT_LEADER, &format!("{LEADER_NAMED}{address} is")),
                None => fault(NOT_LEADER, "not the leader"),
            }
        }
        raft::CallError::OutcomeUnknown => fault(
            OUTCOME_UNKNOWN,
            "outcome unknown: this server stopped leading; read the file's version to find out",
        ),
        raft::CallError::OutcomeLost => {
            fault(OUTCOME_UNKNOWN, "outcome unknown: this server is crashed")
        }
        raft::CallError::Busy => busy("too many calls are waiting for a majority"),
        raft::CallError::Forged(flaw) => wrong_parameters(flaw),
    }
}

fn fault(code: i32, message: &str) -> Fault {
    Fault { code, message: message.to_owned() }
}
