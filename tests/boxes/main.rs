//! The Raft tests of MIT's course 6.5840, and other network faults, on real processes: every server reaches its peers
//! through ports of a proxy, which cuts, delays, drops and refuses, separately for each direction of each pair.
//!
//! - `proxy` is that network, `network` a cluster in it, and `outcomes` are the clients' operations in it;
//! - `names` is a name server, for the servers in network namespaces;
//! - the other modules are the tests. Those that repeat themselves read `ROUNDS` from the environment, and a random run
//!   reads `SEED`; `CHURN_SECONDS` and `CLIENTS` make churn long, and `SOAK_SECONDS` the soak.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod names;
mod network;
mod outcomes;
mod proxy;
mod settings;
mod way;

mod agreement;
mod churn;
mod deposed;
mod elections;
mod links;
mod lost_peers;
mod namespaces;
mod persistence;
mod relaunches;
mod resets;
mod topologies;
