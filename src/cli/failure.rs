//! How the program ends if a command failed.

use crate::client::Error;
use crate::protocol::fault::OUTCOME_UNKNOWN;

/// A general error.
const ERROR: u8 = 1;
/// The command line or the configuration is invalid. Nothing was done.
pub(super) const USAGE: u8 = 2;
/// A server refused.
const REFUSED: u8 = 3;
/// There was no leader or no majority in time.
const NO_LEADER: u8 = 4;

/// The exit code, and the message for stderr.
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

    /// The same failure, with a prefix that says what was done nevertheless.
    pub(super) fn after(self, done: &str) -> Failure {
        Failure { message: format!("{done}; {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.to_string();
        match error {
            Error::NoLeader(_) => Failure::no_leader(message),
            // It may have taken effect, or may do so later, so this is not a refusal.
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
