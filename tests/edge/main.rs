//! The edge of a running server: raw bytes over sockets, as unusual clients, broken ones and attackers send them, and
//! the responses.
//!
//! - `raw` and `servers` send the bytes and start the servers, with the harness of the crate `support`; `memory`
//!   measures their memory;
//! - the other modules are the tests: the framing of requests, the documents within, and what connections may cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod memory;
mod raw;
mod servers;

mod apache;
mod bodies;
mod crowds;
mod dashboard;
mod deadlines;
mod descriptors;
mod documents;
mod hangups;
mod fairness;
mod floods;
mod forged;
mod heads;
mod readers;
mod requests;
mod values;
