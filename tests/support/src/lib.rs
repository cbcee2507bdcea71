//! What the tests, the benchmarks and the fuzzer's targets share.
//!
//! For real processes:
//!
//! - [`harness`] starts a cluster of servers, and [`client`] calls them; [`wait`] waits for what they do;
//! - [`turns`] bounds how many clusters run at a time, and gives out ports;
//! - [`stage`] is a server that answers as a test tells it to, and [`crowd`] is a crowd of slow callers;
//! - [`programs`] finds the programs that cargo built with the test, and [`running`] starts them for benchmarks.
//!
//! In memory:
//!
//! - [`disk`] is a disk that can lose what was not synced;
//! - [`raft`] brings a server of the core into every role, and builds its messages;
//! - [`claims`] checks what must hold for any bytes, for the fuzzer and for the tests of its corpora;
//! - [`worst`] has the inputs that take longest to read, and [`plain`] writes requests in their shortest form.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(
    missing_docs,
    reason = "most names are enough, and nothing outside this repository uses them"
)]

pub mod claims;
pub mod client;
pub mod crowd;
pub mod disk;
pub mod harness;
pub mod plain;
pub mod programs;
pub mod raft;
pub mod running;
pub mod stage;
pub mod turns;
pub mod wait;
pub mod worst;
