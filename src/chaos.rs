//! The chaos monkey: crashes and restores the servers of a running set at random while its own workers update and read,
//! and checks what the servers answer.
//!
//! - [`options`] are what it is started with.
//! - [`draw`] draws what befalls the servers next, within the rules.
//! - [`watch`] checks what the servers say of themselves, as it goes: leaders, terms, versions.
//! - `worker` makes calls through the client library and keeps the [`history`] of them; [`check`] looks in the end
//!   whether it is linearizable.
//! - [`run`] puts these together, and [`report`] tells people and programs what came of it; `view` shows the run
//!   meanwhile.
//!
//! The monkey sees servers from outside alone, through [`client`](crate::client). The files of a run have names of their
//! own, so that it begins with none of them, whatever else the set holds.

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
