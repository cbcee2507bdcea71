//! The command-line program, run as people run it: its output, its messages, and its exit codes.
//!
//! - `program` runs it;
//! - `relays` stand between it and the servers;
//! - `strangers` listen where servers are expected, and are none;
//! - the other modules are the tests.

mod program;
mod relays;
mod strangers;

mod bench;
mod completions;
mod doctor;
mod documented;
mod endings;
mod faults;
mod files;
mod foreground;
mod interrupts;
mod pages;
mod terminal;
mod usage;
