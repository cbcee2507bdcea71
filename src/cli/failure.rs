//! How the program ends when it has not done what it was asked for.

use crate::client::Error;
use crate::protocol::fault::OUTCOME_UNKNOWN;

/// Something went wrong.
const ERROR: u8 = 1;
/// The command line or the configuration is wrong. Nothing was done.
pub(super) const USAGE: u8 = 2;
/// A server refused.
const REFUSED: u8 = 3;
/// No leader, or no majority, was there in time.
const NO_LEADER: u8 = 4;

/// The exit code, and the sentence that goes to stderr.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn error(message: impl Into<String>) -> Failure {
        Failure { code: ERROR, message: message.into() }
    }

    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure { code: USAGE, message: message.into() }
    }

    pub(super) fn refused(message: impl Into<String>) -> Failure {
        Failure { code: REFUSED, message: message.into() }
    }

    pub(super) fn no_leader(message: impl Into<String>) -> Failure {
        Failure { code: NO_LEADER, message: message.into() }
    }

    /// The same failure, of which it is told first what was done nevertheless.
    pub(super) fn after(self, done: &str) -> Failure {
        Failure { message: format!("{done}; {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.to_string();
        match error {
            Error::NoLeader(_) => Failure::no_leader(message),
            // It may have taken effect, or may yet: that is no refusal.
            Error::Fault(fault) if fault.code == OUTCOME_UNKNOWN => Failure::no_leader(message),
            Error::Fault(_) => Failure::refused(message),
            Error::Unfit | Error::TooLarge => Failure::usage(message),
            Error::Unreachable(_)
            | Error::NotServed(_)
            | Error::NoAnswer(_)
            | Error::Unexpected(_) => Failure::error(message),
        }
    }
}
