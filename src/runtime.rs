//! What surrounds the core: everything that waits, listens or writes.

pub mod output;
