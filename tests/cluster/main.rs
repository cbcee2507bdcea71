//! Clusters of real processes, started through `run-server.sh`, must keep the promises to callers.
//!
//! The servers are black boxes here: the tests use only XML-RPC, stderr and exit codes.
//!
//! - `harness`, `client`, `turns` and `wait` start servers, call them and wait for what they do;
//! - the other modules are the tests, one module per promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod client;
mod harness;
mod turns;
mod wait;

mod addresses;
mod blocking;
mod chaos;
mod crashing;
mod election;
mod methods;
mod multicall;
mod pages;
mod process;
mod refusals;
mod relaunches;
mod replication;
mod sets;
mod values;
