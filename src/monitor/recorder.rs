//! The last events of a server, for people who watch it: an election lasts a tenth of a second, less than the time
//! between two polls.
//!
//! A record is a few numbers, and text is only made of it when someone asks. Of the appends, which may be thousands a
//! second, only some are recorded (see `traffic`), and of these only the last are kept.

use std::collections::VecDeque;
use std::time::Instant;

use crate::raft::{BallotKind, Failure, LogIndex, RoleName, ServerId, Term, Timer};

/// The number of events that are kept.
pub const RECORDED_MAX: usize = 256;

/// How many of them may be appends. Appends never stop, and would soon displace everything else.
const APPENDS_MAX: usize = 64;

/// A recorded event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Its number, from 1. Those of forgotten appends are missing.
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) term: Term,
    pub(super) what: Recorded,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// This timer ran out.
    Timeout(Timer),
    /// The server has asked these peers for their votes.
    Ballot(BallotKind, Servers),
    /// The server has answered a candidate.
    Voted {
        /// The candidate.
        peer: ServerId,
        /// What it asked for.
        kind: BallotKind,
        /// Whether it was granted.
        granted: bool,
    },
    /// A peer has answered the server's request for a vote.
    Answered {
        /// The peer.
        peer: ServerId,
        /// What the server asked for.
        kind: BallotKind,
        /// Whether it was granted.
        granted: bool,
    },
    /// The server has entered this role.
    Role(RoleName),
    /// It has won an election, and founds a new history.
    Founds,
    /// It was crashed, and is a follower again.
    Restored,
    /// An append was sent or received.
    Append {
        /// The other server.
        peer: ServerId,
        /// Who sent it.
        direction: Direction,
        /// The number of its entries, plus those of the appends left out since the last recorded one; 0 in a heartbeat.
        entries: usize,
    },
    /// The entries from this index on were replaced by those of a leader.
    Conflict(LogIndex),
    /// The first piece of a snapshot was sent to the peer or received from it.
    SnapshotBegun(ServerId, Direction),
    /// The snapshot of this leader was installed.
    SnapshotInstalled(ServerId),
    /// A request to the peer got no reply, for the first time since its last reply.
    Silent(ServerId, Failure),
    /// The peer has replied again.
    Back(ServerId),
    /// The connections of the peer have closed.
    Closed(ServerId),
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This server.
    Sent,
    /// The peer.
    Received,
}

/// A set of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Servers(u16);

impl Servers {
    /// Adds a server.
    pub fn insert(&mut self, server: ServerId) {
        self.0 |= 1_u16.checked_shl(server.0.into()).unwrap_or(0);
    }

    /// The servers, in order.
    pub fn iter(self) -> impl Iterator<Item = ServerId> {
        (0..16).filter(move |id| self.0 >> id & 1 == 1).map(ServerId)
    }
}

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// At most [`RECORDED_MAX`], oldest first.
    records: VecDeque<Record>,
    /// How many of them are appends.
    appends: usize,
    /// The number of the last record; 0 if there is none.
    last: u64,
    /// The number of the last forgotten record that was not an append; 0 if there is none.
    forgotten: u64,
}

impl Record {
    /// Whether it is an append, which may be missing without a word.
    pub(super) fn is_append(&self) -> bool {
        matches!(self.what, Recorded::Append { .. })
    }
}

impl Recorder {
    /// Records an event, and forgets the oldest append if there are too many appends, or else the oldest event if there
    /// are too many events.
    pub(super) fn record(&mut self, what: Recorded, term: Term, at: Instant) {
        self.last += 1;
        let record = Record { number: self.last, at, term, what };
        if record.is_append() {
            self.appends += 1;
        }
        let oldest = if APPENDS_MAX < self.appends {
            self.records.iter().position(Record::is_append)
        } else {
            (self.records.len() == RECORDED_MAX).then_some(0)
        };
        match oldest.and_then(|place| self.records.remove(place)) {
            Some(oldest) if oldest.is_append() => self.appends -= 1,
            Some(oldest) => self.forgotten = oldest.number,
            None => {}
        }
        self.records.push_back(record);
    }

    /// Records that a peer is asked for its vote: in the record of the other peers that are asked at the same time, if
    /// there is one.
    pub(super) fn ballot(&mut self, kind: BallotKind, peer: ServerId, term: Term, now: Instant) {
        if let Some(Record { at, what: Recorded::Ballot(of, peers), .. }) = self.records.back_mut()
            && (*of, *at) == (kind, now)
        {
            return peers.insert(peer);
        }
        let mut peers = Servers::default();
        peers.insert(peer);
        self.record(Recorded::Ballot(kind, peers), term, now);
    }

    /// The records after the one with that number, newest first.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Record> {
        self.records.iter().rev().take_while(move |record| number < record.number)
    }

    /// Whether a record after the one with that number was forgotten that was not an append.
    pub(super) fn has_forgotten(&self, number: u64) -> bool {
        number < self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_kept_and_their_numbers_go_on() {
        let (mut recorder, now) = (Recorder::default(), Instant::now());
        for index in 1..=300 {
            recorder.record(Recorded::Conflict(LogIndex(index)), Term(1), now);
        }
        let numbers: Vec<_> = recorder.after(0).map(|record| record.number).collect();
        assert_eq!(numbers, (300 - RECORDED_MAX as u64 + 1..=300).rev().collect::<Vec<_>>());
        assert!(recorder.after(0).all(|it| it.what == Recorded::Conflict(LogIndex(it.number))));
        assert_eq!((recorder.after(299).count(), recorder.after(300).count()), (1, 0));
    }

    #[test]
    fn appends_displace_one_another_and_nothing_else() {
        let (mut recorder, now) = (Recorder::default(), Instant::now());
        let append = |entries| {
            let (peer, direction) = (ServerId(1), Direction::Sent);
            Recorded::Append { peer, direction, entries }
        };
        recorder.record(append(0), Term(1), now);
        recorder.record(Recorded::Role(RoleName::Leader), Term(1), now);
        (0..1000).for_each(|entries| recorder.record(append(entries % 2), Term(1), now));
        let numbers: Vec<_> = recorder.after(0).map(|record| record.number).collect();
        let last = 1002;
        let kept = (last - APPENDS_MAX as u64 + 1..=last).rev().chain([2]);
        assert_eq!(numbers, kept.collect::<Vec<_>>());
        assert!(!recorder.has_forgotten(0), "only appends");

        (0..300).for_each(|_| recorder.record(Recorded::Founds, Term(1), now));
        assert_eq!(recorder.after(0).count(), RECORDED_MAX);
        assert!(recorder.after(0).all(|record| record.what == Recorded::Founds));
        // The last of the others gives way too, and then the first of these.
        let forgotten = last + 300 - RECORDED_MAX as u64;
        assert!(recorder.has_forgotten(forgotten - 1) && !recorder.has_forgotten(forgotten));
        // No append of before counts.
        (0..100).for_each(|_| recorder.record(append(0), Term(1), now));
        let appends = recorder.after(0).filter(|record| record.is_append()).count();
        assert_eq!((appends, recorder.after(0).count()), (APPENDS_MAX, RECORDED_MAX));
    }

    #[test]
    fn the_peers_of_a_ballot_are_one_record_and_those_of_the_next_ballot_another() {
        let (mut recorder, now) = (Recorder::default(), Instant::now());
        for (kind, peer, at) in [
            (BallotKind::PreVote, 1, now),
            (BallotKind::PreVote, 3, now),
            (BallotKind::Vote, 1, now),
            (BallotKind::Vote, 1, now + std::time::Duration::from_millis(1)),
        ] {
            recorder.ballot(kind, ServerId(peer), Term(1), at);
        }
        let ballots: Vec<Vec<_>> = recorder
            .after(0)
            .filter_map(|record| match record.what {
                Recorded::Ballot(_, peers) => Some(peers.iter().map(|peer| peer.0).collect()),
                _ => None,
            })
            .collect();
        assert_eq!(ballots, [vec![1], vec![1], vec![1, 3]], "newest first");
    }
}
