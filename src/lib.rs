//! SurfStore's fault-tolerant metadata store: which files there are, at which version, made of which blocks, kept by
//! N servers of which a minority may fail.
//!
//! # Three ideas
//!
//! **Roles are types.** A [`Follower`](raft::Follower), a [`Candidate`](raft::Candidate), a [`Leader`](raft::Leader)
//! and a [`Crashed`](raft::Crashed) server are four types. The one function that changes roles consumes the old one and
//! is bounded by [`Becomes`](raft::Becomes), whose nine implementations are Figure 4 of the Raft paper plus `crash()`
//! and `restore()`. A change of role that Raft does not know does not compile.
//!
//! **The core is pure.** [`Server::step`](raft::Server::step) takes the server and one [`Event`](raft::Event), and
//! gives back the server and the [`Effect`](raft::Effect)s that it wants. No clock, socket, thread, random number or
//! error is in there, so a test can put a server into any situation, and the code that ships is the code that is tested.
//!
//! **What surrounds the core is pure as well, and what does I/O is thin.** [`Service::handle`](service::Service::handle)
//! takes the calls, the peers' replies and the time, and gives back answers and requests. [`runtime`] has sockets, a clock
//! and a thread.
//!
//! # The way of a call
//!
//! ```text
//!        bytes                   request       values            typed call            event
//!  caller ──▶ runtime::http_server ──▶ gate ──▶ xmlrpc::parse ──▶ protocol::calls ──▶ service ──▶ raft::Server::step
//!  caller ◀── runtime::http_server ◀─────────── xmlrpc::write ◀── protocol::replies ◀── service ◀──┤ Effect::Reply
//!  peer   ◀── runtime::peer        ◀─────────── xmlrpc::write ◀── protocol::peers   ◀── service ◀──┘ Effect::Send
//! ```
//!
//! A peer's reply comes back the same way and becomes an event; a request that gets none becomes one as well.
//!
//! # The modules
//!
//! A module imports only from those above it in this file. [`raft`] and [`metadata`] know nothing of XML, HTTP or the
//! runtime; [`xmlrpc`] knows nothing of Raft; [`gate`] tells where an HTTP request begins and ends, and nothing of what
//! is in it; [`monitor`] keeps what people ask of a server beside the calls; [`service`] surrounds the core with calls,
//! deadlines and answers, without sockets or a clock, which only [`runtime`] has.
//! [`client`] is the other side: it calls servers, and shares nothing with the runtime of one. [`chaos`] crashes and
//! restores servers through it, and checks what they answer; [`cli`] is a program for people on top of it. Both need the
//! feature `cli`, which is on by default: without it the library does not depend on `clap`.
//!
//! # What is deliberately absent
//!
//! - *Persistence.* `crash()` is a simulated failure, which a server survives with its memory. The end of its process
//!   is a loss of its memory, and [`raft`] sees to it that a process without memory undoes nothing.
//! - *Log compaction* and *changes of membership.* The log is kept whole; the set of servers is what the file says.
//! - *Locks and threads.* One thread owns the server and does all its work. (Others do what may block or takes long: one
//!   writes to stderr, those of smol look up host names, watch sockets and clocks while the first is busy, and turn long
//!   documents into values and back.)
//! - *A leader's step-down for want of a majority.* Callers are promised that they block until it returns.
//! - *Clock-based leases.* A read is confirmed by a majority every time.

pub mod config;
pub mod value;
pub mod metadata;
pub mod blocks;
pub mod raft;
pub mod xmlrpc;
pub mod gate;
pub mod monitor;
pub mod protocol;
pub mod client;
#[cfg(feature = "cli")]
pub mod chaos;
pub mod service;
pub mod runtime;
#[cfg(feature = "cli")]
pub mod cli;
