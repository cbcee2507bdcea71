//! Snapshots (§7): the file map in place of the entries that led to it.
//!
//! At any time the map is a snapshot up to the last applied entry, because it is copied on write. So a server takes no
//! snapshots in advance. It drops applied entries as soon as they outweigh the map, that is, take more bytes. If a
//! follower needs an entry that was dropped, the leader copies the map, which takes no time. The follower gets the copy
//! in pieces ([`InstallSnapshot`]). When it is complete, it replaces the follower's own state.

use std::sync::Arc;

use super::identity::{Member, Roster};
use super::log::{Log, Position, Term};
use super::rpc::InstallSnapshot;
use crate::metadata::{Files, Leaf};

/// How many times as many bytes as the map the log may take on disk.
const LOGS_PER_MAP: usize = 4;

/// When entries are dropped, and how snapshots are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compaction {
    /// Applied entries are dropped, oldest first, while they take more bytes than the map and more than this. The rest
    /// is kept for followers that are a little behind: while it takes fewer bytes than the map, sending it is
    /// cheaper than sending a snapshot. And entries that are appended while a snapshot is sent are still there when it
    /// has arrived, unless updates come faster than the follower can store them.
    pub log_bytes_min: usize,
    /// The maximum number of bytes of applied entries that are kept, even if the map is larger. A follower that lacks
    /// entries then needs another snapshot if more than this is appended while the first is sent.
    pub log_bytes_max: usize,
    /// The maximum number of bytes of files in one piece of a snapshot, unless it has only one leaf.
    pub piece_bytes_max: usize,
}

impl Default for Compaction {
    fn default() -> Compaction {
        Compaction { log_bytes_min: 8 << 20, log_bytes_max: usize::MAX, piece_bytes_max: 1 << 20 }
    }
}

impl Compaction {
    /// The settings of a server that may use this much memory, in bytes. The log must leave most of it to the map.
    pub fn within(memory_max: usize) -> Compaction {
        Compaction { log_bytes_max: memory_max / 8, ..Compaction::default() }
    }

    /// The maximum number of bytes of applied entries that a server with this map keeps.
    pub(super) fn applied_bytes_max(self, files: &Files) -> usize {
        files.bytes().max(self.log_bytes_min).min(self.log_bytes_max)
    }

    /// The maximum number of bytes that the log of a server with this map takes on disk. Writing the whole map costs as
    /// much as writing so many updates, so it is written after several times as many bytes of updates. But all of the log
    /// must find room in memory when the server starts.
    pub(super) fn disk_bytes_max(self, files: &Files) -> u64 {
        let bytes = files.bytes().max(self.log_bytes_min).saturating_mul(LOGS_PER_MAP);
        bytes.min(self.log_bytes_max) as u64
    }
}

/// The state after an entry (Figure 12): what the entries up to it have led to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The entry.
    pub last_included: Position,
    /// The roster in force there: the latest configuration, in the paper's words.
    pub roster: Arc<Roster>,
    /// The state machine.
    pub files: Files,
}

/// A snapshot on its way to a follower. It is sent leaf by leaf, so its division into leaves must not change meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfer {
    pub(super) snapshot: Snapshot,
    /// The number of leaves that the follower holds, as far as it has answered.
    held: usize,
}

impl Transfer {
    pub(super) fn new(snapshot: Snapshot) -> Transfer {
        Transfer { snapshot, held: 0 }
    }

    /// The last entry that it includes, and the roster in force there.
    pub(super) fn includes(&self) -> (Position, Arc<Roster>) {
        (self.snapshot.last_included, Arc::clone(&self.snapshot.roster))
    }

    /// The follower says how much it holds. After a relaunch, for example, that is nothing.
    pub(super) fn resume(&mut self, held: u64) {
        let count = self.snapshot.files.leaf_count();
        self.held = usize::try_from(held).map_or(count, |held| held.min(count));
    }

    /// The next piece: how many leaves come before it, its leaves, and whether it is the last.
    pub(super) fn piece(&self, bytes_max: usize) -> (u64, Vec<Arc<Leaf>>, bool) {
        let files = &self.snapshot.files;
        let mut bytes = 0;
        let mut leaves = Vec::new();
        while let Some(leaf) = files.leaf(self.held + leaves.len()) {
            bytes += leaf.bytes();
            if bytes_max < bytes && !leaves.is_empty() {
                break;
            }
            leaves.push(Arc::clone(leaf));
        }
        let done = self.held + leaves.len() == files.leaf_count();
        (self.held as u64, leaves, done)
    }
}

/// A snapshot of which a follower has received some pieces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Incoming {
    /// Who sends it, and in which term. Another server's map may be divided into other leaves.
    leader: (Member, Term),
    last_included: Position,
    /// The files received so far, in the leaves in which they came.
    pub(super) files: Files,
}

impl Incoming {
    pub(super) fn new(request: &InstallSnapshot) -> Incoming {
        let leader = (request.sender.member(), request.sender.term);
        Incoming { leader, last_included: request.last_included, files: Files::default() }
    }

    /// Whether the piece belongs to the same snapshot.
    pub(super) fn continues_with(&self, request: &InstallSnapshot) -> bool {
        self.is_from(request.sender.member(), request.sender.term)
            && self.last_included == request.last_included
    }

    /// Whether that leader sends it.
    pub(super) fn is_from(&self, leader: Member, term: Term) -> bool {
        self.leader == (leader, term)
    }

    /// The number of leaves received.
    pub(super) fn held(&self) -> u64 {
        self.files.leaf_count() as u64
    }

    /// Adds the piece if it is the next one. Returns whether the snapshot is complete.
    pub(super) fn add(&mut self, request: &InstallSnapshot) -> bool {
        request.offset == self.held()
            && request.leaves.iter().all(|leaf| self.files.push_leaf(leaf))
            && request.done
    }
}

/// State that a server has given up. It may take long to free.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Discarded {
    /// A map, or part of one.
    Files(Files),
    /// Entries.
    Log(Log),
}
