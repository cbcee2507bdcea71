//! The client library: against scripted servers, and against clusters of real processes.
//!
//! The crate `support` has both.

mod cluster;
mod leaders;
mod updates;
