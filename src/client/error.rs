//! Errors of calls.

use std::borrow::Cow;
use std::error;
use std::fmt;

use crate::config::Address;
use crate::protocol::fault::named_leader;
use crate::xmlrpc::Fault;

/// Why a call failed. If the error is about one server, its text names the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No leader with a majority confirmed the call in time. The text is the last failure. An update did not and will
    /// not take effect.
    NoLeader(String),
    /// All servers of the set refused the connection; this is their number. An update did not and will not take effect.
    NoServer(usize),
    /// The server's host refuses the connection, so no process listens there and the call had no effect.
    Refused(String),
    /// The server was not reached, so the call had no effect.
    Unreachable(String),
    /// The other end rejected the request, so the call had no effect. It may not be a server of the set.
    NotServed(String),
    /// The call was sent, but no answer arrived. Its outcome is unknown.
    NoAnswer(String),
    /// The server refused the call, or was busy until there was no more time.
    Fault(Fault),
    /// The answer does not have the type that the method returns.
    Unexpected(&'static str),
    /// The call contains a character that XML does not allow, so it was not sent.
    Unfit,
    /// The call is larger than servers accept, so it was not sent.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoLeader(last) => {
                write!(f, "no leader with a majority confirmed the call in time; {last}")
            }
            Error::NoServer(1) => f.write_str("connection refused at the only address"),
            Error::NoServer(count) => write!(f, "connection refused at all {count} addresses"),
            Error::Refused(text)
            | Error::Unreachable(text)
            | Error::NotServed(text)
            | Error::NoAnswer(text) => f.write_str(text),
            Error::Fault(fault) => write!(f, "fault {}: {}", fault.code, told(fault)),
            Error::Unexpected(expected) => write!(f, "the answer is not {expected}"),
            Error::Unfit => f.write_str("the call contains a character that XML does not allow"),
            Error::TooLarge => f.write_str("the call is larger than the servers accept"),
        }
    }
}

impl error::Error for Error {}

/// The message of a fault as a sentence. The message that names a leader is for programs, and looks cut off.
fn told(fault: &Fault) -> Cow<'_, str> {
    match named_leader(fault) {
        Some(leader) => format!("not the leader; the leader is {leader}").into(),
        None => fault.message.as_str().into(),
    }
}

/// Why one attempt at one server failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttemptError {
    /// No byte of the call was sent, because no process listens at the server's address.
    Refused(String),
    /// No byte of the call was sent for another reason.
    Unsent(String),
    /// At least part of the call was sent, and no answer could be read.
    Lost(String),
    /// The call was sent, and the other end rejected the request.
    NotServed(String),
    /// The server answered with a fault.
    Fault(Fault),
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptError::Refused(text)
            | AttemptError::Unsent(text)
            | AttemptError::Lost(text)
            | AttemptError::NotServed(text) => f.write_str(text),
            AttemptError::Fault(fault) => f.write_str(&told(fault)),
        }
    }
}

impl AttemptError {
    /// The error that callers get for a failed call to that server.
    pub(super) fn at(self, address: &Address) -> Error {
        match self {
            AttemptError::Refused(reason) => Error::Refused(format!("{address}: {reason}")),
            AttemptError::Unsent(reason) => Error::Unreachable(format!("{address}: {reason}")),
            AttemptError::NotServed(reason) => Error::NotServed(format!("{address}: {reason}")),
            AttemptError::Lost(reason) => Error::NoAnswer(format!("{address}: {reason}")),
            AttemptError::Fault(fault) => Error::Fault(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_names_the_leader_is_told_as_a_sentence() {
        let fault = |code, message: &str| Fault { code, message: message.to_owned() };
        for (fault, told) in [
            (
                fault(2, "not the leader: a.test:9001 is"),
                "not the leader; the leader is a.test:9001",
            ),
            (fault(2, "not the leader"), "not the leader"),
            (fault(1, "not the leader: a.test:9001 is"), "not the leader: a.test:9001 is"),
        ] {
            assert_eq!(AttemptError::Fault(fault.clone()).to_string(), told);
            let code = fault.code;
            assert_eq!(Error::Fault(fault).to_string(), format!("fault {code}: {told}"));
        }
    }

    #[test]
    fn refused_connections_are_counted_as_people_count() {
        assert_eq!(Error::NoServer(1).to_string(), "connection refused at the only address");
        assert_eq!(Error::NoServer(5).to_string(), "connection refused at all 5 addresses");
    }
}
