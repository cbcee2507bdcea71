//! SurfStore's fault-tolerant metadata store.

pub mod blocks;
pub mod config;
pub mod runtime;
pub mod value;
pub mod metadata;
pub mod raft;
