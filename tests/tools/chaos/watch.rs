//! The checks of what servers report during the run.

use std::time::Duration;

use surfstore::chaos::watch::Watch;
use surfstore::client::ServerStatus;
use surfstore::raft::RoleName;
use surfstore::raft::RoleName::{Candidate, Crashed, Follower, Leader};

fn status(role: RoleName, term: i64, applied: i64) -> Option<ServerStatus> {
    Some(ServerStatus {
        id: 0,
        servers: 3,
        address: String::new(),
        role,
        term,
        lacks_majority: false,
        leader: None,
        commit_index: applied,
        last_applied: applied,
        last_log_index: applied,
        last_log_term: term,
        files: 0,
        waiting_calls: 0,
        peer_requests: 0,
        leader_changes: 0,
        elections_started: 0,
        last_heard: None,
        uptime: Duration::from_secs(9),
        incarnation: String::new(),
        history: None,
        roster: Vec::new(),
        guests: Vec::new(),
        waits_for: Vec::new(),
        other_histories: Vec::new(),
        doubled: Vec::new(),
        disk_bytes: None,
        last_sync: None,
        configuration: String::new(),
        release: String::new(),
    })
}

/// The violations that a watch reports if it sees these roles, terms and applied indices at these times, in
/// milliseconds.
fn seen(looks: &[(u64, [Option<ServerStatus>; 3])]) -> Watch {
    let mut watch = Watch::new(3);
    for (time, statuses) in looks {
        watch.look(Duration::from_millis(*time), statuses);
    }
    watch
}

fn wrong(watch: &Watch) -> Vec<&str> {
    watch.violations.iter().map(|violation| violation.what.as_str()).collect()
}

#[test]
fn a_term_has_one_leader_for_ever() {
    let two = [status(Leader, 2, 0), status(Leader, 2, 0), None];
    assert_eq!(wrong(&seen(&[(0, two)])), ["term 2 has two leaders, server 0 and server 1"]);
    let first = [status(Leader, 2, 0), status(Follower, 2, 0), status(Follower, 2, 0)];
    let later = [status(Follower, 2, 0), status(Leader, 2, 0), status(Follower, 2, 0)];
    assert_eq!(
        wrong(&seen(&[(0, first.clone()), (50, later)])),
        ["term 2 has two leaders, server 0 and server 1"]
    );
    let next = [status(Leader, 2, 0), status(Leader, 3, 0), status(Follower, 3, 0)];
    let watch = seen(&[(0, first), (50, next)]);
    assert_eq!((wrong(&watch), watch.leader, watch.leader_changes), (vec![], Some((1, 3)), 1));
}

#[test]
fn terms_and_applied_entries_never_fall_in_the_life_of_a_process() {
    let led = |other| [status(Leader, 5, 9), status(Follower, 5, 9), other];
    for (later, said) in [
        (status(Follower, 4, 9), "the term of server 2 decreased from 5 to 4"),
        (status(Follower, 5, 8), "server 2 had applied 9 entries and now has applied 8"),
    ] {
        let looks = [(0, led(status(Follower, 5, 9))), (50, led(later))];
        assert_eq!(wrong(&seen(&looks)), [said]);
    }
    let mut fresh = status(Follower, 0, 0);
    fresh.as_mut().unwrap().uptime = Duration::ZERO;
    let looks = [(0, led(status(Follower, 5, 9))), (50, led(fresh))];
    assert_eq!(wrong(&seen(&looks)), <[&str; 0]>::default());
}

#[test]
fn a_crashed_server_stands_still_until_it_is_restored() {
    let led = |other| [status(Leader, 5, 9), status(Follower, 5, 9), other];
    let crashed = led(status(Crashed, 5, 8));
    let moved = [(0, crashed.clone()), (50, led(status(Crashed, 5, 9)))];
    assert_eq!(wrong(&seen(&moved)), ["server 2 changed while it was crashed"]);
    let mut watch = seen(&[(0, crashed)]);
    watch.restored_now(Duration::from_millis(20), 2);
    watch.look(Duration::from_millis(50), &led(status(Crashed, 5, 9)));
    assert_eq!(wrong(&watch), <[&str; 0]>::default());
    watch.stood_still(Duration::from_millis(60), 2, &[1, 2], &[1, 3]);
    assert_eq!(watch.violations.len(), 1);
}

#[test]
fn a_majority_has_a_leader_within_5_s_of_the_last_fault() {
    let without = [status(Candidate, 2, 0), status(Follower, 2, 0), status(Crashed, 1, 0)];
    let led = [status(Leader, 3, 0), status(Follower, 3, 0), status(Crashed, 1, 0)];
    let said = "a majority is up and has no leader after 5 s";
    let late = seen(&[(0, without.clone()), (4900, without.clone()), (5100, without.clone())]);
    assert_eq!(wrong(&late), [said]);
    let longer = seen(&[(0, without.clone()), (5100, without.clone()), (9000, without.clone())]);
    assert_eq!(wrong(&longer), [said], "it is reported once");
    let watch = seen(&[(0, without.clone()), (4900, without.clone()), (4950, led)]);
    assert_eq!((wrong(&watch), &watch.elections[..]), (vec![], &[Duration::from_millis(4950)][..]));
    let mut watch = seen(&[(0, without.clone()), (4900, without.clone())]);
    watch.crashed_now(Duration::from_millis(4910), 2);
    watch.look(Duration::from_millis(9800), &without);
    assert_eq!(wrong(&watch), <[&str; 0]>::default());
    watch.look(Duration::from_millis(9920), &without);
    assert_eq!(wrong(&watch), [said]);
}

#[test]
fn without_a_majority_there_need_be_no_leader() {
    let lost = [status(Candidate, 2, 0), status(Crashed, 2, 0), None];
    let watch = seen(&[(0, lost.clone()), (60_000, lost)]);
    assert_eq!(wrong(&watch), <[&str; 0]>::default());
}

#[test]
fn the_versions_of_a_server_never_fall_nor_exceed_what_was_asked_for() {
    let mut watch = Watch::new(3);
    let now = Duration::ZERO;
    watch.version(now, 0, "a", 2, 2);
    watch.version(now, 1, "a", 1, 2);
    assert_eq!(wrong(&watch), <[&str; 0]>::default());
    watch.version(now, 0, "a", 1, 2);
    watch.version(now, 0, "a", 3, 2);
    assert_eq!(
        wrong(&watch),
        [
            "server 0 had version 2 of a and now has 1",
            "server 0 has version 3 of a, which no call requested"
        ]
    );
}
