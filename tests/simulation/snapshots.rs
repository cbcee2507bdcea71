//! Snapshots on their way (§7): what each server holds of one, inferred from the pieces and the answers to them.

use surfstore::raft::{
    AppendOutcome, AppendReply, Entry, Incarnation, InstallSnapshot, LogIndex, Member, Position,
    Request, ServerId, Status, Term,
};

use crate::marks::Mark;
use crate::queue::Letter;
use crate::wire::Stored;
use crate::world::World;

/// What is known of the snapshots that are being sent.
pub(crate) struct Snapshots {
    size: usize,
    /// What each server holds of a snapshot that it has not put in place.
    incoming: Vec<Option<Incoming>>,
    /// The last piece on each lane.
    sent: Vec<Option<Sent>>,
}

/// A part of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Incoming {
    leader: (Member, Term),
    last_included: Position,
    /// The number of its leaves.
    held: u64,
}

/// A piece that was sent.
#[derive(Clone, Copy)]
struct Sent {
    leader: (Member, Term),
    receiver: Option<Incarnation>,
    last_included: Position,
    offset: u64,
    done: bool,
}

/// What matters of a receiver before a piece of a snapshot arrives.
pub(crate) struct Receiver {
    pub(crate) status: Status,
    /// Whether its log has the last entry that the snapshot includes.
    has_last_included: bool,
    /// Whether it holds no entry.
    is_bare: bool,
}

impl Snapshots {
    pub(crate) fn new(size: u8) -> Snapshots {
        let size = usize::from(size);
        Snapshots { size, incoming: vec![None; size], sent: vec![None; size * size] }
    }

    /// Forgets what a server holds, because it has crashed, leads, or has lost its memory. Returns whether it held
    /// anything.
    pub(crate) fn forget(&mut self, id: ServerId) -> bool {
        self.incoming[usize::from(id.0)].take().is_some()
    }
}

impl World {
    /// A leader sends a piece.
    pub(crate) fn note_piece(&mut self, by: ServerId, to: ServerId, piece: &InstallSnapshot) {
        let sent = Sent {
            leader: leader_of(piece),
            receiver: piece.receiver,
            last_included: piece.last_included,
            offset: piece.offset,
            done: piece.done,
        };
        let bytes_max = self.compactions[usize::from(by.0)].piece_bytes_max;
        assert!(piece.size() <= bytes_max || piece.leaves.len() == 1, "a piece is too large");
        let lane = usize::from(by.0) * self.snapshots.size + usize::from(to.0);
        let Some(last) = self.snapshots.sent[lane].replace(sent) else { return };
        if last.leader != sent.leader {
            return;
        }
        if last.last_included != sent.last_included {
            if !last.done {
                self.marks.hit(Mark::NewerSnapshot);
            }
        } else if sent.offset < last.offset {
            self.marks.hit(Mark::SnapshotAnew);
        } else if sent.offset == last.offset && 0 < sent.offset {
            self.marks.hit(Mark::PieceAgain);
        }
        if last.receiver != sent.receiver && 0 < last.offset {
            self.marks.hit(Mark::ReceiverReplaced);
        }
    }

    /// What matters of a request's receiver before it arrives.
    pub(crate) fn receiver(&self, letter: &Letter) -> Receiver {
        let status = *self.status(letter.to);
        let has_last_included = match &letter.request {
            Request::InstallSnapshot(piece) => {
                status.history == piece.sender.history
                    && self.server(letter.to).log().contains(piece.last_included)
            }
            Request::AppendEntries(_) | Request::RequestVote(_) => false,
        };
        let is_bare = self.server(letter.to).log().len() == 0;
        Receiver { status, has_last_included, is_bare }
    }

    /// A server has answered a leader's request. If it has stored what another leader sends, it gives up its part of a
    /// snapshot.
    pub(crate) fn note_leader(&mut self, to: ServerId, leader: (Member, Term)) {
        let incoming = &mut self.snapshots.incoming[usize::from(to.0)];
        if incoming.take_if(|incoming| incoming.leader != leader).is_some() {
            self.marks.hit(Mark::SnapshotGivenUp);
        }
    }

    /// Checks the answer to a piece: that a snapshot is put in place whole or not at all, never over a later state, and
    /// that a server that accepts it has everything that it includes.
    pub(crate) fn check_piece(
        &mut self,
        letter: &Letter,
        reply: &AppendReply,
        (before, after): (&Receiver, &Stored),
    ) {
        let Request::InstallSnapshot(piece) = &letter.request else { return };
        let to = letter.to;
        match reply.outcome {
            AppendOutcome::Stale => return,
            AppendOutcome::Refused => return self.marks.hit(Mark::Refused),
            AppendOutcome::Mismatch(_) => panic!("a snapshot follows no entry"),
            AppendOutcome::Accepted | AppendOutcome::Incomplete(_) => {}
        }
        self.note_leader(to, leader_of(piece));
        self.check_files(to);
        if before.has_last_included {
            return self.check_ignored(piece, reply.outcome, (before, after));
        }
        let (held, is_complete) = self.held_with(to, piece);
        if !is_complete {
            assert!(
                reply.outcome == AppendOutcome::Incomplete(held),
                "{to:?} holds {held} leaves, and says {:?}",
                reply.outcome
            );
            let incoming =
                Incoming { leader: leader_of(piece), last_included: piece.last_included, held };
            self.snapshots.incoming[usize::from(to.0)] = Some(incoming);
            assert!(
                before.status.last_applied == after.status.last_applied,
                "a part is no snapshot"
            );
            return;
        }
        assert!(reply.outcome == AppendOutcome::Accepted, "{to:?} has the whole snapshot");
        assert!(before.status.last_applied < piece.last_included.index, "an old snapshot");
        let applied = after.status.last_applied;
        assert!(applied == piece.last_included.index, "{to:?} has not applied it all");
        let is_bare = after.last_included == piece.last_included && after.entries == 0;
        assert!(is_bare, "a log is left");
        assert!(after.agrees, "the roster is not that of the snapshot");
        self.snapshots.forget(to);
        self.mark_installed(piece, &before.status, &after.status);
    }

    /// Checks that a server that has what a snapshot includes keeps its log, and commits what it includes.
    fn check_ignored(
        &mut self,
        piece: &InstallSnapshot,
        outcome: AppendOutcome,
        (before, Stored { status: after, entries, .. }): (&Receiver, &Stored),
    ) {
        let index = piece.last_included.index;
        assert!(outcome == AppendOutcome::Accepted, "no snapshot is needed");
        let is_kept = before.status.last_log == after.last_log && before.is_bare == (*entries == 0);
        assert!(is_kept, "no snapshot was needed");
        assert!(index <= after.commit_index, "a receiver does not commit what a snapshot includes");
        self.marks.hit(Mark::SnapshotIgnored);
    }

    /// How many leaves the receiver of a piece must hold, and whether these are the whole snapshot.
    fn held_with(&self, to: ServerId, piece: &InstallSnapshot) -> (u64, bool) {
        let (leader, last_included) = (leader_of(piece), piece.last_included);
        let begun = self.snapshots.incoming[usize::from(to.0)].filter(|incoming| {
            incoming.leader == leader && incoming.last_included == last_included
        });
        let held = begun.map_or(0, |incoming| incoming.held);
        if piece.offset == held {
            (held + piece.leaves.len() as u64, piece.done)
        } else {
            (held, false)
        }
    }

    fn mark_installed(&mut self, piece: &InstallSnapshot, before: &Status, after: &Status) {
        self.marks.hit(Mark::Installed);
        if 0 < piece.offset {
            self.marks.hit(Mark::SeveralPieces);
        }
        if after.waiting < before.waiting {
            self.marks.hit(Mark::UnknownByInstall);
        }
        if before.last_log.index == LogIndex(0) {
            self.marks.hit(Mark::InstalledOnNothing);
        }
    }

    /// Checks that a server that has applied entries keeps as many as it may: those that do not outweigh its map, and
    /// the last entry of its log in any case.
    pub(crate) fn check_compaction(&self, id: ServerId, last_included: Position) {
        let (log, files) = (self.server(id).log(), self.server(id).files());
        let status = self.status(id);
        let compaction = self.compactions[usize::from(id.0)];
        let bytes_max = files.bytes().max(compaction.log_bytes_min).min(compaction.log_bytes_max);
        let unapplied = log.from(status.last_applied.next()).map(Entry::size).sum::<usize>();
        let applied = log.bytes() - unapplied;
        // What has just been appended goes to the disk first.
        let has_disk = self.disks.disk(id).is_some();
        let is_bounded = applied <= bytes_max || log.len() == 1 || has_disk;
        assert!(is_bounded, "{id:?} keeps too much of its log");
        let dropped = log.last_included().index;
        let is_compacted = last_included.index < dropped && 0 < log.len();
        if is_compacted && !self.history.promise_is_void {
            let last = self.history.entry(id, status.history, dropped).expect("it had been there");
            assert!(bytes_max < applied + last.size(), "{id:?} keeps too little of its log");
        }
    }

    /// Checks that a server's map is what the committed entries up to the last applied one lead to.
    fn check_files(&self, id: ServerId) {
        if !self.history.promise_is_void {
            let map = self.history.ledger.map(self.status(id).last_applied.0 as usize);
            assert!(self.server(id).files() == map, "the map of {id:?} is another one");
        }
    }
}

fn leader_of(piece: &InstallSnapshot) -> (Member, Term) {
    (piece.sender.member(), piece.sender.term)
}
