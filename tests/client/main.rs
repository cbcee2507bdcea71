//! The client library: against scripted servers, and against clusters of real processes.
//!
//! - `stage` is a server that answers as it is told, or does not;
//! - the harness is that of the cluster tests;
//! - the other modules are the tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../cluster/client.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod client;
#[path = "../cluster/harness.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod harness;
#[path = "../cluster/turns.rs"]
mod turns;
#[path = "../cluster/wait.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod wait;

mod stage;

mod cluster;
mod leaders;
mod updates;
