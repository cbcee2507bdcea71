//! The chaos monkey: its check of histories, and the program against real and broken servers.
//!
//! - `broken` is a set that looks like a real one, and may have a flaw;
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

mod histories;
mod watch;

mod broken;
mod program;
