//! The programs and the library that call servers: the client library, `surfstore` and the chaos monkey.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod chaos;
mod cli;
mod client;
mod pty;
