//! Clusters of real processes, started through `run-server.sh`, must keep the promises to callers.
//!
//! The servers are black boxes here: the tests use only XML-RPC, stderr and exit codes.
//!
//! One module per promise. The crate `support` starts servers, calls them and waits for what they do.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod addresses;
mod blocking;
mod chaos;
mod contract;
mod crashing;
mod durable;
mod election;
mod methods;
mod multicall;
mod output;
mod pages;
mod process;
mod refusals;
mod relaunches;
mod replication;
mod script;
mod sets;
mod snapshots;
mod start;
mod values;
