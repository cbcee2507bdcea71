//! The chaos monkey: crashes and restores the servers of a running set at random while its own workers update and read,
//! and checks what the servers answer.
//!
//! - [`options`] are the command-line options.
//! - [`draw`] draws the next action on the servers, within the rules.
//! - [`watch`] checks during the run what the servers report: leaders, terms, versions.
//! - `worker` makes calls through the client library and records their [`history`]; [`check`] checks at the end that it
//!   is linearizable.
//! - [`run`] combines these. [`report`] presents the result to people and programs, and `view` shows progress during
//!   the run.
//!
//! The monkey sees servers only from outside, through [`client`](crate::client). The files of a run have unique names,
//! so none of them exists at the start, whatever else the set contains.

pub mod check;
pub mod draw;
pub mod history;
pub mod options;
pub mod report;
pub mod run;
pub mod watch;
mod heal;
mod view;
mod worker;
