//! Reads (ReadIndex, thesis §6.4; §8): none is answered from the memory of a server that may have been deposed.

use support::raft::*;

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

fn versions(effects: &[Effect]) -> Vec<(u64, i64)> {
    let version = |(call, reply)| match reply {
        Reply::Files(files) => (call, files.version("a")),
        _ => panic!("not the answer to a read: {reply:?}"),
    };
    replies(effects).into_iter().map(version).collect()
}

/// A leader of three that has committed version 1 of file a and has nothing to send.
fn leader_with_a_file() -> Server {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    settled(server, &effects)
}

/// §8: "a leader must check whether it has been deposed before processing a read-only request", at once.
#[test]
fn a_read_waits_for_a_majority_to_answer_an_append_sent_after_it() {
    let (server, effects) = leader_with_a_file().step(read(5));
    assert_eq!(replies(&effects), []);
    let request = append_to(&effects, 2);
    assert_eq!(request.entries, []);
    assert_eq!(appends_to(&effects, 1).len(), 1, "every follower is asked");
    let (server, effects) = server.step(accepted(2, &request));
    assert_eq!(versions(&effects), [(5, 1)]);
    assert_eq!(server.status().waiting, 0);
}

/// "having the leader exchange heartbeat messages with a majority of the cluster" (§8): two of five are not one.
#[test]
fn a_read_waits_for_more_than_half_of_all_servers() {
    for of in 2..=10 {
        let (mut server, effects) = leader(of).step(read(5));
        for peer in 1..of / 2 {
            let (next, answer) = server.step(accepted(peer, &append_to(&effects, peer)));
            assert_eq!(replies(&answer), [], "{} of {of}", peer + 1);
            server = next;
        }
        let (_, answer) = server.step(accepted(of / 2, &append_to(&effects, of / 2)));
        assert_eq!(versions(&answer), [(5, 0)], "{} of {of}", of / 2 + 1);
    }
}

/// A batch may be large and take long, so a read does not wait for it if an empty append can be answered sooner.
#[test]
fn a_read_does_not_wait_for_a_batch_that_left_after_it() {
    let (server, beat) = leader_with_a_file().step(BEAT);
    let server = after(server, [read(5), update(6, "b", 1)]);
    let (server, effects) = server.step(accepted(1, &append_to(&beat, 1)));
    assert_eq!(append_to(&effects, 1).entries, []);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(versions(&effects), [(5, 1)]);
}

/// An answer to something sent before the read shows only that this server led before the read.
#[test]
fn a_reply_to_an_earlier_append_confirms_nothing() {
    let (server, beat) = leader_with_a_file().step(BEAT);
    let (server, effects) = server.step(read(5));
    assert_eq!(append_requests(&effects), [], "a heartbeat to each is still in flight");
    let (server, effects) = server.step(accepted(1, &append_to(&beat, 1)));
    assert_eq!(replies(&effects), []);
    let next = append_to(&effects, 1);
    let (server, effects) = server.step(accepted(1, &append_to(&beat, 1)));
    assert_eq!(effects, [], "nor does its copy");
    let (_, effects) = server.step(accepted(1, &next));
    assert_eq!(versions(&effects), [(5, 1)], "the next append followed that reply at once");
}

/// A follower that refuses an append because of its log has still not followed another leader; if there is no answer,
/// or a fault, this is not known.
#[test]
fn a_mismatch_confirms_and_a_fault_does_not() {
    let (server, effects) = elected(3, &[1, 2, 3]);
    let (server, news) = server.step(accepted(2, &append_to(&effects, 2)));
    let mismatch = |sent, hint| answered(1, &append_to(sent, 1), AppendOutcome::Mismatch(hint));
    let (server, probe) = after(server, [read(5)]).step(mismatch(&effects, at(2, 2)));
    let (server, effects) = server.step(unanswered(2, &append_to(&news, 2)));
    assert_eq!(replies(&effects), []);
    let (_, effects) = server.step(mismatch(&probe, at(1, 1)));
    assert_eq!(replies(&effects).len(), 1);
}

/// A refused term is no confirmation, even if it is the leader's own.
#[test]
fn a_stale_reply_confirms_nothing() {
    let (server, effects) = leader_with_a_file().step(read(5));
    let stale = answered(1, &append_to(&effects, 1), AppendOutcome::Stale);
    let (_, effects) = server.step(stale);
    assert_eq!(replies(&effects), []);
}

/// §8: at the start of its term, a leader "may not know which" entries are committed, here those of an earlier leader.
#[test]
fn a_read_waits_for_the_roster_of_the_term() {
    let log = vec![entry(1, "a", 1), entry(1, "a", 2)];
    let follower = after(follower(3), [appends(append(1, at(1, 1), log))]);
    let (server, first) = elect(follower);
    let (server, effects) = server.step(read(5));
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects), [], "it leads, but does not know yet");
    let (_, effects) = server.step(accepted(1, &append_to(&first, 1)));
    assert_eq!(versions(&effects), [(5, 2)]);
}

/// Reads that arrive while an append is in flight share the next.
#[test]
fn reads_share_a_round() {
    let (server, effects) = leader_with_a_file().step(read(5));
    let first = append_to(&effects, 1);
    let (server, effects) = after(server, [read(6)]).step(read(7));
    assert_eq!(effects, []);
    let (server, effects) = server.step(accepted(1, &first));
    assert_eq!(versions(&effects), [(5, 1)]);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(versions(&effects), [(6, 1), (7, 1)]);
}

/// An append with entries confirms as well as an empty one.
#[test]
fn a_batch_sent_after_the_read_confirms_it() {
    let (server, beat) = leader_with_a_file().step(BEAT);
    let (server, effects) = after(server, [read(5)]).step(update(6, "a", 2));
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects).len(), 2);
    let (_, effects) = server.step(accepted(2, &append_to(&beat, 2)));
    assert_eq!(replies(&effects), [], "each is answered once");
}

/// An update that is not committed is visible nowhere.
#[test]
fn a_read_does_not_see_what_is_not_committed() {
    let (server, effects) = after(leader_with_a_file(), [update(5, "a", 2)]).step(read(6));
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(versions(&effects), [(6, 1)]);
    assert_eq!(server.files().version("a"), 1);
}

/// A single server is its own majority.
#[test]
fn a_single_server_confirms_itself() {
    let (_, effects) = after(server(0, 1), [update(1, "a", 1)]).step(read(2));
    assert_eq!(versions(&effects), [(2, 1)]);
}

/// Without a majority a read blocks; it continues with the first heartbeats that a majority answers.
#[test]
fn a_read_without_a_majority_waits_until_it_is_back() {
    let (mut server, mut effects) = leader_with_a_file().step(read(5));
    for _ in 0..10 {
        for (to, request) in append_requests(&effects) {
            server = after(server, [unanswered(to.0, &request)]);
        }
        (server, effects) = server.step(BEAT);
        assert_eq!(replies(&effects), []);
    }
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(versions(&effects), [(5, 1)]);
}

/// A caller that has disconnected gets no answer.
#[test]
fn a_read_whose_caller_hung_up_is_forgotten() {
    let (server, effects) = leader_with_a_file().step(read(5));
    let server = after(server, [Event::HangUp(CallId(5))]);
    assert_eq!(server.status().waiting, 0);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(effects, []);
}

/// Only the leader reads; the others name it, if they know it.
#[test]
fn a_server_that_does_not_lead_redirects_a_read() {
    let table = [
        (follower(3), Some(ServerId(1))),
        (leaderless(3), None),
        (pre_candidate(3), None),
        (candidate(3), None),
    ];
    for (server, known) in table {
        let (same, effects) = server.clone().step(read(5));
        assert_eq!(replies(&effects), [(5, Reply::Failed(CallError::NotLeader(known)))]);
        assert_eq!(same, server);
    }
}
