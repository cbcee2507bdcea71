//! SurfStore's fault-tolerant metadata store.

pub mod config;
pub mod value;
pub mod metadata;
pub mod blocks;
pub mod raft;
pub mod xmlrpc;
pub mod protocol;
pub mod runtime;
