//! The chaos monkey: its check of histories, and the program against real and broken servers.
//!
//! - `broken` is a set that looks like a real one, and may have a flaw;
//! - the other modules are the tests.

mod histories;
mod watch;

mod broken;
mod program;
