//! The consensus core.
#![warn(clippy::wildcard_enum_match_arm)]

mod cluster;
mod log;
mod rpc;
mod event;
mod core;
mod role;
mod node;
mod follower;
mod candidate;
mod progress;
mod leader;
mod crashed;
mod server;

pub use candidate::Candidate;
pub use cluster::{Cluster, ServerId};
pub use crashed::Crashed;
pub use event::{
    Call, CallId, ELECTION_SPREAD_MS, Effect, Event, FATE_MS, Fault, HEARTBEAT_MS, Reply,
    SILENCE_MS, Timer,
};
pub use follower::Follower;
pub use leader::{BATCH_BYTES_MAX, Leader, UNCOMMITTED_BYTES_MAX, WAITING_MAX};
pub use log::{Command, Entry, Log, LogIndex, NUMBER_MAX, Position, Term};
pub use node::Node;
pub use role::{Becomes, Role, RoleName};
pub use rpc::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, Flaw, Request, RequestVote, Response,
    Round, VoteReply,
};
pub use server::{Server, Status};
