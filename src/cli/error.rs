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
/// Ctrl-C ended the program; the convention of shells.
pub(super) const INTERRUPTED: u8 = 130;

/// The exit code, and the message for stderr.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) code: u8,
    pub(super) message: String,
    /// Whether no server runs, so that the message should say how to start them.
    pub(super) nothing_runs: bool,
}

impl CommandError {
    fn new(code: u8, message: impl Into<String>) -> CommandError {
        CommandError { code, message: message.into(), nothing_runs: false }
    }

    pub(super) fn error(message: impl Into<String>) -> CommandError {
        CommandError::new(ERROR, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> CommandError {
        CommandError::new(USAGE, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> CommandError {
        CommandError::new(REFUSED, message)
    }

    pub(super) fn no_leader(message: impl Into<String>) -> CommandError {
        CommandError::new(NO_LEADER, message)
    }

    pub(super) fn interrupted() -> CommandError {
        CommandError::new(INTERRUPTED, "interrupted")
    }

    /// The error of a command that needs an answer of each server, if none runs.
    pub(super) fn none_runs(servers: usize) -> CommandError {
        CommandError::error(Error::NoServer(servers).to_string()).because_nothing_runs()
    }

    /// The same error, because no server runs.
    pub(super) fn because_nothing_runs(self) -> CommandError {
        CommandError { nothing_runs: true, ..self }
    }

    /// The same error, with a prefix that says what it is about.
    pub(super) fn at(self, what: &str) -> CommandError {
        CommandError { message: format!("{what}: {}", self.message), ..self }
    }

    /// The same error, with the reason at the end.
    pub(super) fn because(self, reason: &str) -> CommandError {
        CommandError { message: format!("{}; {reason}", self.message), ..self }
    }

    /// The same error, with a prefix that says what was done nevertheless.
    pub(super) fn after(self, done: &str) -> CommandError {
        CommandError { message: format!("{done}; {}", self.message), ..self }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> CommandError {
        let message = error.to_string();
        match error {
            Error::NoLeader(_) => {
                CommandError::no_leader(format!("{message}; see `surfstore status`"))
            }
            Error::NoServer(_) => CommandError::no_leader(message).because_nothing_runs(),
            // It may have taken effect, or may do so later, so this is not a refusal.
            Error::Fault(fault) if fault.code == OUTCOME_UNKNOWN => {
                CommandError::no_leader(message)
            }
            Error::Fault(_) => CommandError::refused(message),
            Error::Unfit | Error::TooLarge => CommandError::usage(message),
            Error::Refused(_)
            | Error::Unreachable(_)
            | Error::NotServed(_)
            | Error::NoAnswer(_)
            | Error::Unexpected(_) => CommandError::error(message),
        }
    }
}
