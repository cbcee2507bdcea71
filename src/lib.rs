//! SurfStore's fault-tolerant metadata store.

pub mod config;
pub mod value;
