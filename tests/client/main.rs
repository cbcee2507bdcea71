//! The client library: against scripted servers, and against clusters of real processes.
//!
//! The crate `support` has both.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod cluster;
mod leaders;
mod updates;
