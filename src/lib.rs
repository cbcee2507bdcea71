//! SurfStore's fault-tolerant metadata store.

pub mod value;
