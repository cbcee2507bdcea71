//! SurfStore's fault-tolerant metadata store.

pub mod blocks;
pub mod config;
pub mod runtime;
pub mod value;
