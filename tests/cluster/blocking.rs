//! Calls that wait for a majority: as long as there is none, and with the correct answer at the end.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use support::client::{Client, Pending, TRUE, assert_fault, files, hash, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, holds_for, wait_until};

/// How long a test checks that calls are blocked, unless it says otherwise.
const BLOCKED: Duration = Duration::from_secs(3);

/// How long a call may take to end after its server is crashed: it ends at once.
const AT_ONCE: Duration = Duration::from_secs(1);

fn begin_update(server: &Client, name: &str, version: i64) -> Pending {
    server.begin("surfstore.updatefile", &update(name, version, &hash("blocked")))
}

fn begin_read(server: &Client) -> Pending {
    server.begin("surfstore.getfileinfomap", &[])
}

/// Checks for a while that the calls stay blocked while their server stays the leader.
#[track_caller]
fn stays_blocked(time: Duration, server: &Client, calls: &[&Pending]) {
    holds_for(time, "the calls are blocked", || calls.iter().all(|call| call.is_blocked()));
    assert!(server.is_leader(), "a leader without a majority stays the leader");
}

/// Checks that a read returned that version of a file, or the one before it: they ran at the same time.
#[track_caller]
fn saw_version_or_the_one_before(read: Pending, name: &str, version: i64) {
    let files = files(read.answer(PATIENCE).unwrap());
    let seen = files.get(name).map_or(0, |(version, _)| *version);
    assert!((version - 1..=version).contains(&seen), "{name} {version} read as {seen}");
}

#[test]
fn calls_block_while_the_others_are_crashed_and_are_answered_when_one_is_restored() {
    let (cluster, id) = Cluster::led(3);
    let (leader, others) = (cluster.at(id), cluster.others(id));
    cluster.agree(id, &cluster.running(), "a.txt", 1);
    cluster.crash(&others);
    let updated = begin_update(leader, "a.txt", 2);
    let refused = begin_update(leader, "a.txt", 4);
    let read = begin_read(leader);
    holds_for(BLOCKED, "no call is answered and nothing uncommitted is visible", || {
        let blocked = [&updated, &refused, &read].into_iter().all(Pending::is_blocked);
        let unseen = cluster.running().into_iter().all(|id| cluster.at(id).version("a.txt") == 1);
        blocked && unseen && cluster.leaders() == [id]
    });
    cluster.restore(&others[..1]);
    assert_eq!(updated.answer(PATIENCE), TRUE);
    assert_eq!(refused.answer(PATIENCE), Ok(false.into()));
    saw_version_or_the_one_before(read, "a.txt", 2);
    assert_eq!(cluster.leaders(), [id]);
}

/// The relaunched server does not count, so the leader alone cannot commit. Everybody's vote makes the other server the
/// leader, which has the update.
#[test]
fn calls_block_while_the_others_are_killed_and_the_update_is_kept_when_one_is_relaunched() {
    let (mut cluster, id) = Cluster::led(3);
    let others = cluster.others(id);
    others.iter().for_each(|id| cluster.kill(*id));
    let leader = cluster.at(id).another();
    let (updated, read) = (begin_update(&leader, "a.txt", 1), begin_read(&leader));
    stays_blocked(BLOCKED, &leader, &[&updated, &read]);
    cluster.start([others[0]]);
    assert_eq!(updated.answer(PATIENCE), TRUE);
    assert_fault(&read.answer(PATIENCE), 2, "not the leader");
    let leader = cluster.leader();
    assert_eq!(leader, others[0]);
    assert_eq!(cluster.at(leader).files().unwrap()["a.txt"], (1, hash("blocked")));
}

#[test]
fn calls_block_while_exactly_half_of_the_servers_are_up() {
    for size in [2, 4] {
        let (cluster, id) = Cluster::led(size);
        let (leader, lost) = (cluster.at(id), &cluster.others(id)[..size / 2]);
        cluster.crash(lost);
        let (updated, read) = (begin_update(leader, "a.txt", 1), begin_read(leader));
        stays_blocked(BLOCKED, leader, &[&updated, &read]);
        cluster.restore(&lost[..1]);
        assert_eq!(updated.answer(PATIENCE), TRUE);
        saw_version_or_the_one_before(read, "a.txt", 1);
        assert_eq!(cluster.leaders(), [id]);
    }
}

#[test]
fn a_blocked_call_ends_with_a_fault_when_its_server_is_crashed() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    cluster.crash(&cluster.others(id));
    let (updated, read) = (begin_update(leader, "a.txt", 1), begin_read(leader));
    stays_blocked(AT_ONCE, leader, &[&updated, &read]);
    leader.crash();
    assert_fault(&updated.answer(AT_ONCE), 3, "outcome unknown");
    assert_fault(&read.answer(AT_ONCE), 1, "isCrashed");
}

#[test]
fn an_update_that_only_a_crashed_leader_has_vanishes_when_the_others_go_on() {
    let (cluster, old) = Cluster::led(5);
    let others = cluster.others(old);
    cluster.agree(old, &cluster.running(), "a.txt", 1);
    cluster.crash(&others);
    let before = cluster.at(old).state();
    let lost = [("a.txt", 2), ("b.txt", 1), ("c.txt", 1)]
        .map(|(name, version)| begin_update(cluster.at(old), name, version));
    wait_until(PATIENCE, "the leader has the updates in its log", || {
        cluster.at(old).state().last_log.0 == before.last_log.0 + 3
    });
    cluster.at(old).crash();
    for update in lost {
        assert_fault(&update.answer(AT_ONCE), 3, "outcome unknown");
    }

    cluster.restore(&others);
    let new = cluster.leader();
    cluster.agree(new, &others, "a.txt", 2);
    cluster.agree(new, &others, "b.txt", 1);
    cluster.restore(&[old]);
    cluster.await_version(&[old], "b.txt", 1);
    for id in cluster.running() {
        assert_eq!(cluster.at(id).version("a.txt"), 2);
        assert_eq!(cluster.at(id).version("c.txt"), 0);
    }
    let files = cluster.at(new).files().unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(cluster.at(old).state().last_log, cluster.at(new).state().last_log);
}

#[test]
fn two_hundred_blocked_calls_are_all_answered_when_the_majority_returns() {
    let (cluster, id) = Cluster::led(3);
    let (leader, others) = (cluster.at(id), cluster.others(id));
    cluster.crash(&others);
    let updates: Vec<_> = (0..100).map(|n| begin_update(leader, &format!("{n}.txt"), 1)).collect();
    let reads: Vec<_> = (0..100).map(|_| begin_read(leader)).collect();
    wait_until(PATIENCE, "all calls wait", || leader.state().waiting_calls == 200);
    let all: Vec<_> = updates.iter().chain(&reads).collect();
    stays_blocked(BLOCKED, leader, &all);
    cluster.restore(&others[1..]);
    for update in updates {
        assert_eq!(update.answer(PATIENCE), TRUE);
    }
    for read in reads {
        files(read.answer(PATIENCE).unwrap());
    }
    assert_eq!(leader.files().unwrap().len(), 100);
    assert_eq!(cluster.leaders(), [id]);
}

/// Ten times in each of five clusters, which is fifty times in a fifth of the time.
#[test]
fn three_of_five_that_return_at_once_keep_the_leader_and_its_blocked_calls_fifty_times() {
    let clusters = Cluster::several(5, 5);
    thread::scope(|scope| {
        for cluster in &clusters {
            scope.spawn(|| {
                let leader = cluster.leader();
                (1..=10).for_each(|round| three_of_five_return(cluster, leader, round));
            });
        }
    });
}

/// The calls are a read and an update; `round` is the version that the update makes.
fn three_of_five_return(cluster: &Cluster, id: usize, round: i64) {
    let leader = cluster.at(id);
    let term = leader.state().term;
    let mut others = cluster.others(id);
    // Another follower stays up in each round.
    others.rotate_left(round as usize % 4);
    let lost = &others[1..];
    cluster.crash(lost);
    let (read, updated) = (begin_read(leader), begin_update(leader, "a.txt", round));
    stays_blocked(Duration::from_secs(5), leader, &[&read, &updated]);
    cluster.restore(lost);
    assert_eq!(updated.answer(PATIENCE), TRUE);
    saw_version_or_the_one_before(read, "a.txt", round);
    cluster.await_version(&cluster.running(), "a.txt", round);
    assert_eq!(cluster.leaders(), [id]);
    assert_eq!(leader.state().term, term, "no server stood for election");
}

/// The memory of a process, in bytes.
fn memory(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

#[test]
fn a_call_that_waits_does_not_hold_the_document_that_it_came_in() {
    const CALLS: usize = 32;
    const BLANKS: usize = 4 << 20;
    let (mut cluster, id) = Cluster::led(2);
    cluster.crash(&cluster.others(id));
    let process = cluster.process(id).id();
    let leader = cluster.at(id);
    let call = "<methodCall><methodName>getfileinfomap</methodName></methodCall>";
    let document: Arc<[u8]> = format!("{call}{}", " ".repeat(BLANKS)).into_bytes().into();
    let before = memory(process);
    // One after another, so that the memory of requests in flight does not count.
    let reads: Vec<_> = (1..=CALLS)
        .map(|count| {
            let (client, document) = (leader.another(), Arc::clone(&document));
            let read = thread::spawn(move || client.try_send(&document));
            wait_until(PATIENCE, "the call waits", || {
                leader.state().waiting_calls == i64::try_from(count).unwrap()
            });
            read
        })
        .collect();
    let held = memory(process).saturating_sub(before);
    assert!(held < CALLS * BLANKS / 2, "{CALLS} calls take {held} bytes");
    cluster.restore(&cluster.others(id));
    for read in reads {
        assert!(read.join().unwrap().unwrap().is_ok());
    }
}
