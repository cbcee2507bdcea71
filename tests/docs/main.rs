//! The documents: whether what they tell a reader to run works, and whether what they name is there.
//!
//! A binary of its own, since `readme` has cargo build the programs, which other tests run.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod handout;
mod readme;
