//! SurfStore's fault-tolerant metadata store.

pub mod value;
pub mod metadata;
pub mod raft;
