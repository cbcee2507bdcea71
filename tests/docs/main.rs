//! The documents: whether their commands work, and whether the tests and files that they name exist.
//!
//! They are a separate binary because `readme` makes cargo build the programs, which other tests run.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod containerfile;
mod handout;
mod place;
mod readme;
mod terminal;
