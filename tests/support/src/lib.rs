//! What the tests, the benchmarks and the fuzzer's targets share.
//!
//! For real processes:
//!
//! - [`harness`] starts a cluster of servers, and [`client`] calls them; [`wait`] waits for what they do;
//! - [`turns`] bounds how many clusters run at a time, and gives out ports;
//! - [`stage`] is a server that answers as a test tells it to, and [`crowd`] has callers that are as slow as can be;
//! - [`programs`] finds the programs that were built along with the test;
//! - [`running`] has processes of benchmarks.
//!
//! In memory:
//!
//! - [`raft`] brings a server of the core into every role, and builds its messages;
//! - [`claims`] says what holds for any bytes; the fuzzer and the tests of its corpora check it;
//! - [`worst`] has the inputs that take longest to read, and [`plain`] writes requests as plainly as can be.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(missing_docs, reason = "most names say it all, and nothing else depends on this")]

pub mod claims;
pub mod client;
pub mod crowd;
pub mod harness;
pub mod plain;
pub mod programs;
pub mod raft;
pub mod running;
pub mod stage;
pub mod turns;
pub mod wait;
pub mod worst;
