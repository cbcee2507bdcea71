//! The command-line program, run as people run it: its output, its messages, and its exit codes.
//!
//! - `program` runs it;
//! - `stage` is a server that answers as it is told, and `strangers` listen where servers are expected, and are none;
//! - the harness is that of the cluster tests;
//! - the other modules are the tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../cluster/client.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod client;
#[path = "../cluster/harness.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod harness;
#[path = "../client/stage.rs"]
#[allow(dead_code, reason = "the tests of the client use the rest")]
mod stage;
#[path = "../cluster/turns.rs"]
mod turns;
#[path = "../cluster/wait.rs"]
#[allow(dead_code, reason = "the cluster tests use the rest")]
mod wait;

mod program;

mod strangers;

mod doctor;
mod documented;
mod endings;
mod faults;
mod files;
mod foreground;
mod interrupts;
mod usage;
