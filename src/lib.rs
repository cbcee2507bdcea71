//! SurfStore's fault-tolerant metadata store: which files exist, at which version and made of which blocks. It is
//! replicated on N servers, of which a minority may fail.
//!
//! # Three ideas
//!
//! **Roles are types.** A [`Follower`](raft::Follower), a [`Candidate`](raft::Candidate), a [`Leader`](raft::Leader)
//! and a [`Crashed`](raft::Crashed) server are four types. A single function changes roles. It consumes the old role
//! and is bounded by [`Becomes`](raft::Becomes), whose nine implementations are Figure 4 of the Raft paper plus
//! `crash()` and `restore()`. A role change that Raft does not have does not compile.
//!
//! **The core is pure.** [`Server::step`](raft::Server::step) takes the server and one [`Event`](raft::Event), and
//! returns the server and the [`Effect`](raft::Effect)s to carry out. It has no clock, socket, thread, random number or
//! error. So a test can put a server into any situation, and the code that ships is the code that is tested.
//!
//! **The layer around the core is pure as well, and the I/O layer is thin.**
//! [`Service::handle`](service::Service::handle) takes calls, peers' replies and the time, and returns answers and
//! requests. [`runtime`] has the sockets, the clock and the thread.
//!
//! # The path of a call
//!
//! ```text
//!        bytes                   request       values            typed call            event
//!  caller ──▶ runtime::http_server ──▶ gate ──▶ xmlrpc::parse ──▶ protocol::calls ──▶ service ──▶ raft::Server::step
//!  caller ◀── runtime::http_server ◀─────────── xmlrpc::write ◀── protocol::replies ◀── service ◀──┤ Effect::Reply
//!  peer   ◀── runtime::peer        ◀─────────── xmlrpc::write ◀── protocol::peers   ◀── service ◀──┘ Effect::Send
//! ```
//!
//! A peer's reply comes back along the same path and becomes an event. A request that gets no reply also becomes an
//! event.
//!
//! # The modules
//!
//! A module imports only from modules above it in this file. [`raft`] and [`metadata`] know nothing of XML, HTTP or the
//! runtime. [`storage`] keeps the core's persistent state in a folder; nothing calls it from within the core.
//! [`xmlrpc`] knows nothing of Raft. [`gate`] finds where an HTTP request begins and ends, and knows nothing of its
//! content. [`protocol`] defines the methods, and converts between documents and typed calls and replies. [`monitor`]
//! collects what operators want to know about a server: its status, metrics, health and last events, and the web page
//! that shows them. [`service`] surrounds the core with calls, deadlines and answers, without sockets or a clock; only
//! [`runtime`] has those.
//!
//! [`config`] reads the configuration file, [`value`] has the values of XML-RPC, and [`blocks`] stores the blocks of
//! files.
//!
//! [`client`] is the other side: it calls servers, and shares no code with their runtime except [`dial`], which looks
//! up hosts and connects to them. [`chaos`] uses [`client`] to crash and restore servers, and checks their answers.
//! [`cli`] uses it for the commands of a command-line program. Both write for people through [`terminal`]. The three
//! need the feature `cli`, which is on by default; without it the library does not depend on `clap`.
//!
//! # What is deliberately absent
//!
//! - *Persistence, by default.* A server keeps its state on disk only if it is given a folder. Otherwise the end of its
//!   process loses it, and [`raft`] ensures that a new process without memory undoes nothing that is committed, as long
//!   as a majority keeps its memory. Blocks are in memory only. `crash()` is a simulated failure, which a server
//!   survives with its memory intact.
//! - *Membership changes.* The set of servers is the one in the configuration file.
//! - *Locks and threads.* One thread owns the server and does all its work. Other threads only do what may block or
//!   take long: one writes to stderr, one to the data folder, if there is one, one looks up the server's own name at
//!   its start, one waits for signals in process 1 of a container, and smol's threads look up host names, watch sockets
//!   and clocks while the first is busy, parse and write long documents, and free discarded state.
//! - *Stepping down without a majority.* Callers are promised that their calls block until the majority returns.
//! - *Clock-based leases.* A majority confirms every read instead.

pub mod config;
pub mod value;
pub mod metadata;
pub mod blocks;
pub mod raft;
pub mod storage;
pub mod xmlrpc;
pub mod gate;
pub mod protocol;
pub mod monitor;
pub mod dial;
pub mod client;
#[cfg(feature = "cli")]
pub mod terminal;
#[cfg(feature = "cli")]
pub mod chaos;
pub mod service;
pub mod runtime;
#[cfg(feature = "cli")]
pub mod cli;
