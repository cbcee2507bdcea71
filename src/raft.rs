//! Consensus: the Raft algorithm as a pure state machine.
//!
//! "The paper" is Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm (Extended Version)*; §
//! refers to its sections, and "thesis" to Ongaro's *Consensus: Bridging Theory and Practice*. The names are the
//! paper's.
//!
//! # Raft in a minute
//!
//! Every server keeps a log of commands and applies it, in order, to its copy of the file map. If the logs agree, the
//! maps agree. One server at a time *leads*: it alone takes commands, appends them to its log and sends them to the
//! others. A command that a majority of all servers holds is *committed*: it will never be lost. This is because any
//! two majorities share a server, and a leader is only elected with the votes of a majority whose logs are no more up
//! to date than its own (§5.4.1).
//!
//! Applied entries are dropped from the log in time. A follower that still needs one of them gets a *snapshot* instead:
//! the leader's file map (§7).
//!
//! Time is divided into *terms*, each with at most one leader (§5.2). A server that hears from no leader stands for
//! election in a new term. A server votes once per term. A server that learns of a newer term enters it as a follower
//! (§5.1). So an old leader learns that its term is over from the first server of the new majority that it reaches.
//!
//! # Where to find what
//!
//! | The paper | Here |
//! |---|---|
//! | Figure 2, State | [`Server`]'s core, and each role's own part |
//! | Figure 2, RequestVote and AppendEntries | [`RequestVote`], [`AppendEntries`] |
//! | Figure 2, Rules for Servers | one file per role: `follower`, `candidate`, `leader` |
//! | Figure 4, roles and their changes | [`Becomes`] |
//! | §5.1, terms | [`Server::step`], once for all messages and roles |
//! | §5.3, the log | [`Log`], and a leader's view of its followers in `progress` |
//! | §5.4.2 and Figure 8, what may be committed | `leader` |
//! | §6, who counts; §8, the entry that opens a term | `identity` |
//! | §7, snapshots; Figures 12 and 13 | [`Snapshot`], [`InstallSnapshot`] |
//! | §8, reads | `leader` |
//!
//! # What goes beyond the paper
//!
//! - **Pre-vote** (thesis §9.6). A server asks whether it could win before it increments its term, and only a server
//!   that has itself lost its leader says yes. So a follower has two phases on its one timer: *silence*, in which it
//!   assumes that there is a leader, and *election*, in which it waits for its turn. A server that returns after an
//!   absence does not depose a working leader.
//! - **The hurry.** A follower whose leader's connections have closed does not wait for silence. It asks the others,
//!   and the lost leader itself, within tens of milliseconds. `hurry` has the full rule.
//! - **A leader without a majority** keeps its role, because callers are promised that they block until they are
//!   answered. Its appends say that it has none ([`AppendEntries::has_majority`]), and then no longer keep the
//!   followers from electing another leader.
//! - **Reads** ([`Call::ReadFiles`]) are answered from memory once a majority has confirmed the leader's term after the
//!   read arrived (ReadIndex, thesis §6.4). An update whose version cannot be the next one is refused in the same way,
//!   without an entry.
//! - **Identities.** A process that was relaunched without its memory does not count until the leader has removed its
//!   former incarnation from the [`Roster`] and added the new one. `identity` has the full rule, and the argument why
//!   it is safe.
//! - **Two lanes per follower.** Entries travel in batches, and snapshots in pieces, with one of these in flight at a
//!   time; empty appends travel beside them. So a large request delays neither heartbeats nor the news of a commit.
//!
//! # What is checked
//!
//! After each step the server checks itself in constant time, in release builds too. It checks what must hold of any
//! state (the log reaches the commit index, a leader voted for itself, …) and what no step may do (lower the term or
//! the commit index, vote twice, delete a leader's entries, …). No input can break these checks. If one fails, the
//! server has a bug, and stops.
#![warn(clippy::wildcard_enum_match_arm)]

mod cluster;
mod identity;
mod log;
mod rpc;
mod snapshot;
mod persistent;
mod event;
mod hurry;
mod core;
mod role;
mod node;
mod follower;
mod candidate;
mod progress;
mod leader;
mod crashed;
mod server;

pub use candidate::{Ballot, Candidate};
pub use cluster::{Cluster, ServerId};
pub use crashed::Crashed;
pub use event::{
    Call, CallError, CallId, ELECTION_SPREAD_MS, Effect, Event, FATE_MS, Failure, HEARTBEAT_MS,
    Reply, SILENCE_MS, START_MS, Timer,
};
pub use follower::Follower;
pub use hurry::{HURRY_SPREAD_MS, PATIENCE_MS};
pub use identity::{Account, Identity, Incarnation, Member, Roster};
pub use leader::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Leader, UNCOMMITTED_BYTES_MAX, WAITING_MAX};
pub use log::{Command, Entry, Log, LogIndex, NUMBER_MAX, Position, Term};
pub use node::Node;
pub use persistent::{HardState, Origin, Save, Saved};
pub use progress::ProgressStatus;
pub use role::{Becomes, Role, RoleName};
pub use rpc::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, Flaw, InstallSnapshot, Request,
    RequestVote, Response, Round, VoteReply,
};
pub use server::{Server, Status};
pub use snapshot::{Compaction, Discarded, Snapshot};
