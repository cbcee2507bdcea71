//! The second part of a run: the faults have stopped, and progress is demanded.

use std::collections::BTreeSet;

use surfstore::metadata::{Files, Update};
use surfstore::raft::{Log, LogIndex, Member, RoleName, Server, ServerId, Status};

use crate::marks::Mark;
use crate::network::{MILLISECOND, Network, SECOND};
use crate::queue::Happening;
use crate::world::World;

/// The longest way of a message in a network in which round trips stay below 30 ms.
const DELAY_MAX: u64 = 15 * MILLISECOND;

/// The longest time until a leader is elected.
pub(crate) const ELECTION_MAX: u64 = 5 * SECOND;

/// How often it is looked whether there is a leader.
const LOOK_EVERY: u64 = 50 * MILLISECOND;

/// Stops the faults, all but the crash of a minority, and demands what a cluster with a majority owes. Returns how
/// long the election took.
pub(crate) fn check(world: &mut World) -> u64 {
    heal(world);
    let ended: Vec<ServerId> = world.ids().filter(|id| !world.has_process(*id)).collect();
    ended.into_iter().for_each(|id| world.launch(id));
    let mut down: Vec<ServerId> = world.ids().filter(|id| !world.is_up(*id)).collect();
    let mut rng = world.draws.rest(world.now);
    rng.shuffle(&mut down);
    while !world.owes_a_leader() || (!down.is_empty() && rng.bool()) {
        world.restore(down.pop().expect("a crashed server"));
    }
    let survivors = Survivors::of(world);
    if survivors.are_apart() {
        world.run_for(2 * ELECTION_MAX);
        survivors.check_they_refuse_each_other(world);
        return 0;
    }
    let (leader, time) = elect(world);
    world.run_for(settling_time(world));
    if survivors.were_left_out(world) {
        survivors.check_they_refuse_each_other(world);
        return time;
    }
    survivors.check_nothing_is_lost(world);
    check_all_is_settled(world);
    check_service(world, leader);
    check_return(world, leader, &down);
    if world.has_relaunched() {
        world.marks.hit(Mark::Readmitted);
    }
    check_false_hints(world);
    time
}

impl World {
    /// Whether enough servers are up for a leader. Where the promise is void, or nobody counts yet, that may be all.
    fn owes_a_leader(&self) -> bool {
        let up = self.ids().filter(|id| self.is_up(*id));
        let up = up.map(|id| Member { id, incarnation: self.process(id) });
        let members = self.history.members_among(up).filter(|_| !self.history.promise_is_void);
        self.up() == self.services.len()
            || members.is_some_and(|members| self.majority() <= members)
    }
}

/// What was known when the faults stopped.
struct Survivors {
    /// The processes that knew of something committed.
    known: Vec<Survivor>,
    /// Whether anybody was about to lead another history than theirs.
    has_rival: bool,
}

/// A process that knew of something committed.
struct Survivor {
    id: ServerId,
    log: Log,
    /// How far the log was committed, and the map there.
    committed: LogIndex,
    files: Files,
}

impl Survivor {
    /// Whether it knew of updates. It may have dropped their entries.
    fn has_updates(&self) -> bool {
        self.log.has_updates() || !self.files.is_empty()
    }

    /// Checks that what it knew to be committed is known to a server: the entries, as far as both hold them, and the
    /// files.
    fn check_is_kept(&self, world: &World, at: ServerId) {
        let (kept, files) = (world.server(at).log(), world.server(at).files());
        assert!(self.committed <= kept.last_index(), "{at:?} lacks what was known");
        let first = self.log.last_included().index.max(kept.last_included().index);
        let count = self.committed.since(first);
        let same = self.log.from(first.next()).take(count).eq(kept.from(first.next()).take(count));
        assert!(same, "{at:?} lacks what a server knew to be committed");
        let has = |known: &Update| {
            let version = files.version(&known.name);
            known.version < version || files.iter().any(|file| file == known)
        };
        assert!(self.files.iter().all(has), "{at:?} lacks a file that a server knew");
    }
}

impl Survivors {
    fn of(world: &World) -> Survivors {
        let is_founded = |id: &ServerId| LogIndex(0) < world.status(*id).commit_index;
        let known = |id| {
            let server = world.server(id);
            let (log, files) = (server.log().clone(), server.files().clone());
            Survivor { id, log, committed: world.status(id).commit_index, files }
        };
        let stands = |id: &ServerId| {
            matches!(world.status(*id).role, RoleName::Candidate | RoleName::Leader)
        };
        Survivors {
            known: world.ids().filter(is_founded).map(known).collect(),
            has_rival: world.ids().any(|id| stands(&id) && !is_founded(&id)),
        }
    }

    /// Whether there are several histories, of which one that has updates does not give way.
    fn are_apart(&self) -> bool {
        let histories: BTreeSet<_> = self.known.iter().map(|known| known.log.history()).collect();
        1 < histories.len() && self.known.iter().any(Survivor::has_updates)
    }

    /// Whether another history was founded while these servers could not be asked.
    fn were_left_out(&self, world: &World) -> bool {
        let history = world.server(only_leader(world)).log().history();
        let is_out = |known: &Survivor| known.log.history() != history && known.has_updates();
        let left_out = self.known.iter().any(is_out);
        assert!(!left_out || self.has_rival, "the history of a server that could be asked is lost");
        left_out
    }

    /// Whoever knew of updates keeps them, and takes nothing of another history.
    fn check_they_refuse_each_other(&self, world: &mut World) {
        world.marks.hit(Mark::Loud);
        assert!(world.history.promise_is_void, "two histories were founded");
        for known in self.known.iter().filter(|known| known.has_updates()) {
            known.check_is_kept(world, known.id);
        }
    }

    /// What a server knew that can be reached is known to its leader.
    fn check_nothing_is_lost(&self, world: &World) {
        let leader = only_leader(world);
        for known in self.known.iter().filter(|known| known.has_updates()) {
            known.check_is_kept(world, leader);
        }
    }
}

/// Ends every fault. What was under way for longer than a healthy network takes is lost.
fn heal(world: &mut World) {
    world.note(|| "the faults stop".to_owned());
    let held = world.paused.iter().chain(&world.clogged).chain(&world.disks.stalled);
    let held_until = held.max().copied().unwrap_or(0);
    if world.now < held_until {
        world.run_until(held_until);
    }
    world.doom = None;
    world.disks.trap = None;
    world.network = Network::healthy(world.size(), DELAY_MAX);
    let (now, clocks) = (world.now, &world.clocks);
    world.queue.reschedule(|time, happening| match happening {
        Happening::Crash(_) | Happening::PowerLoss(_) | Happening::Tick { .. } => None,
        Happening::More(_) | Happening::Written { .. } => Some(time),
        // From now on every clock is right, so what is left on the sender's clock is left in true time.
        Happening::Deadline(letter) => {
            Some(now + clocks[usize::from(letter.by.0)].own_duration(time - now))
        }
        Happening::Arrival(_)
        | Happening::Return(..)
        | Happening::Echo { .. }
        | Happening::Closing { .. } => (time <= now + DELAY_MAX).then_some(time),
    });
    world.ids().for_each(|id| world.set_clock(id, 100));
}

/// Waits until there is one leader and five seconds are over, and longer if there is none: how often that happens is
/// for the caller to judge.
fn elect(world: &mut World) -> (ServerId, u64) {
    let start = world.now;
    let mut changed = (start, world.leader());
    while world.now < start + ELECTION_MAX || world.leaders().count() != 1 {
        assert!(world.now < start + 2 * ELECTION_MAX, "no leader within ten seconds");
        world.run_for(LOOK_EVERY);
        if changed.1 != world.leader() {
            changed = (world.now, world.leader());
        }
    }
    (only_leader(world), changed.0 - start)
}

/// Whoever comes back finds a leader and does not unseat it, unless it stood in a newer term before it crashed.
fn check_return(world: &mut World, leader: ServerId, down: &[ServerId]) {
    let term = world.status(leader).current_term;
    let newest = down.iter().map(|id| world.status(*id).current_term).max();
    down.iter().for_each(|id| world.restore(*id));
    world.run_for(ELECTION_MAX + settling_time(world));
    check_all_is_settled(world);
    if newest.is_none_or(|newest| newest <= term) {
        assert!(only_leader(world) == leader, "the leader did not stay");
        assert!(world.status(leader).current_term == term, "the leader was elected anew");
    }
}

fn only_leader(world: &World) -> ServerId {
    let leaders: Vec<_> = world.leaders().collect();
    let [leader] = leaders[..] else { panic!("the leaders are {leaders:?}") };
    leader
}

/// How long a leader may take to bring everyone level: one append of entries after another, where they are large.
fn settling_time(world: &World) -> u64 {
    if world.heavy { 60 * SECOND } else { 2 * SECOND }
}

/// All running servers agree and have committed everything, and nobody waits.
fn check_all_is_settled(world: &World) {
    let leader = world.server(only_leader(world));
    for id in world.ids().filter(|id| world.is_up(*id)) {
        let server = world.server(id);
        let Status { commit_index, last_log, role, .. } = *world.status(id);
        check_agreement(server, leader);
        assert!(commit_index == last_log.index, "{id:?} has not committed everything");
        assert!(role != RoleName::Candidate, "{id:?} still stands for election");
        assert!(world.hurry(id).is_none(), "{id:?} is still in a hurry");
    }
    let roster = leader.log().roster().expect("a leader has a roster");
    for id in world.ids().filter(|id| world.is_up(*id)) {
        let member = Member { id, incarnation: world.process(id) };
        assert!(roster.names(member), "{id:?} is up and does not count");
    }
    let waiting: Vec<_> = world.clients.waiting().map(|(call, _)| call).collect();
    assert!(waiting.is_empty(), "{waiting:?} were never answered");
    assert!(world.delivered.is_empty(), "requests of peers were never answered");
}

/// Two servers have equal logs, as far as both hold them, and equal maps and rosters.
fn check_agreement(server: &Server, leader: &Server) {
    let id = server.identity().id;
    let (log, leaders) = (server.log(), leader.log());
    let held = log.last_included().index.max(leaders.last_included().index).next();
    let agrees = log.last() == leaders.last() && log.from(held).eq(leaders.from(held));
    assert!(agrees, "{id:?} has another log than its leader");
    assert!(server.files() == leader.files(), "{id:?} has another map than its leader");
    assert!(log.roster() == leaders.roster(), "{id:?} has another roster than its leader");
}

/// A fresh update and a fresh read succeed.
fn check_service(world: &mut World, leader: ServerId) {
    let version = world.server(leader).files().version("a") + 1;
    let update = world.update(leader, "a", version, 0);
    world.run_for(SECOND);
    world.read(leader);
    world.run_for(SECOND);
    for id in world.ids().filter(|id| world.is_up(*id)) {
        let applied = world.server(id).files().version("a");
        assert!(applied == version, "an update with the right version did not take effect");
    }
    if !world.history.promise_is_void {
        let took_effect = world.history.ledger.outcome(update).is_some_and(|(_, effect)| effect);
        assert!(took_effect, "an update with the right version was not answered");
        let newest: &Files = world.history.ledger.map(world.history.ledger.len());
        assert!(newest.version("a") == version, "the update is not in the map");
    }
    check_all_is_settled(world);
}

/// All followers lose their leader's connections at once: it keeps its role and its followers, and no server receives
/// more than ten requests a second.
fn check_false_hints(world: &mut World) {
    let leader = only_leader(world);
    let term = world.status(leader).current_term;
    world.reset_connections(leader, u16::MAX);
    world.received.iter_mut().for_each(Vec::clear);
    world.run_for(5 * SECOND);
    for received in &world.received {
        assert!(received.len() <= 50, "{} requests in five seconds at rest", received.len());
    }
    assert!(only_leader(world) == leader, "a false hint unseated a leader");
    assert!(world.status(leader).current_term == term, "a false hint ended a term");
    check_all_is_settled(world);
}
