//! What can go wrong with a call.

use std::error;
use std::fmt;

use crate::config::Address;
use crate::xmlrpc::Fault;

/// Why a call was not done. Each text names the server where it is about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No leader confirmed the call in time; the text is what was heard last. An update had and will have no effect.
    NoLeader(String),
    /// The server was not reached, so the call had no effect.
    Unreachable(String),
    /// Who was reached did not take the request for a call, so it had no effect; that may be no server of the set.
    NotServed(String),
    /// The server was sent the call, and its answer did not come: what came of the call is not known.
    NoAnswer(String),
    /// The server refused the call.
    Fault(Fault),
    /// The answer is not what the method answers.
    Unexpected(&'static str),
    /// The call holds a character that XML cannot carry, so it was not sent.
    Unfit,
    /// The call is larger than any that servers take, so it was not sent.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoLeader(last) => write!(f, "no leader confirmed the call in time; {last}"),
            Error::Unreachable(text) | Error::NotServed(text) | Error::NoAnswer(text) => {
                f.write_str(text)
            }
            Error::Fault(fault) => write!(f, "fault {}: {}", fault.code, fault.message),
            Error::Unexpected(expected) => write!(f, "the answer is not {expected}"),
            Error::Unfit => f.write_str("the call holds a character that XML cannot carry"),
            Error::TooLarge => f.write_str("the call is larger than any that servers take"),
        }
    }
}

impl error::Error for Error {}

/// Why one attempt at one server came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of the call was sent.
    Unsent(String),
    /// The call was sent, at least in part, and no answer could be read.
    Lost(String),
    /// The call was sent, and who listens there did not take the request for one to be served.
    NotServed(String),
    /// The server answered with a fault.
    Fault(Fault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unsent(text) | Failure::Lost(text) | Failure::NotServed(text) => {
                f.write_str(text)
            }
            Failure::Fault(fault) => f.write_str(&fault.message),
        }
    }
}

impl Failure {
    /// The failure of a call to that server, for callers.
    pub(super) fn at(self, address: &Address) -> Error {
        match self {
            Failure::Unsent(reason) => Error::Unreachable(format!("{address}: {reason}")),
            Failure::NotServed(reason) => Error::NotServed(format!("{address}: {reason}")),
            Failure::Lost(reason) => Error::NoAnswer(format!("{address}: {reason}")),
            Failure::Fault(fault) => Error::Fault(fault),
        }
    }
}
