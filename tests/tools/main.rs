//! What calls servers: the client library, the program `surfstore` and the chaos monkey.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod chaos;
mod cli;
mod client;
