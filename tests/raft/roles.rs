//! Figure 4 and the handout's crash and restore: every legal change of role, by real events; the timer of each role;
//! and what ends with a role.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// A newer term, from a candidate whose log is not good enough to get the vote.
fn newer_term() -> Event {
    asks(ask(Vote, 9, at(0, 0)))
}

/// A leader of three with a waiting read (1) and a waiting update (2).
fn leader_with_waiting_calls() -> Server {
    after(leader(3), [read(1), update(2, "a", 1)])
}

/// §5.2: silence makes a follower wait for a random time; after that it becomes a candidate.
#[test]
fn a_follower_that_hears_nothing_becomes_a_candidate_in_two_phases() {
    let (server, effects) = follower(3).step(timeout(Timer::Silence));
    assert_eq!(effects, [Effect::ArmTimer(Timer::Election)]);
    assert_eq!((server.role(), server.leader()), (RoleName::Follower, None));
    let (server, effects) = server.step(timeout(Timer::Election));
    assert_eq!(server.role(), RoleName::Candidate);
    assert_eq!(armed(&effects), [Timer::Campaign]);
}

/// From the pre-vote to the vote, and from a failed election to the next pre-vote.
#[test]
fn a_candidate_becomes_a_candidate_again_in_its_next_ballot() {
    let (server, effects) = leaderless(3).step(timeout(Timer::Election));
    let (server, effects) = server.step(granted(1, &vote_requests(&effects)[0].1));
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(2)));
    assert_eq!(armed(&effects), [Timer::Campaign]);
    let (server, effects) = server.step(timeout(Timer::Campaign));
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(2)));
    assert_eq!(armed(&effects), [Timer::Campaign]);
}

/// §5.2.
#[test]
fn a_candidate_with_a_majority_becomes_the_leader() {
    let (server, vote) = nearly_elected(follower(3));
    let (server, effects) = server.step(granted(2, &vote));
    assert_eq!((server.role(), server.leader()), (RoleName::Leader, Some(SELF)));
    assert_eq!(armed(&effects), [Timer::Heartbeat]);
}

/// §5.2: it finds the winner, or a newer term.
#[test]
fn a_candidate_becomes_a_follower_with_a_whole_silence_phase() {
    for event in [appends(append(2, at(0, 0), vec![])), asks(ask(Vote, 3, at(1, 1))), newer_term()]
    {
        let (server, effects) = candidate(3).step(event.clone());
        assert_eq!(server.role(), RoleName::Follower, "{event:?}");
        assert_eq!(armed(&effects).first(), Some(&Timer::Silence), "{event:?}");
        let (_, effects) = server.step(asks(ask(PreVote, 20, at(1, 1))));
        assert!(!is_granted(&effects), "it is in its silence phase after {event:?}");
    }
}

/// A pre-candidate has not yet voted in its term.
#[test]
fn a_pre_candidate_that_votes_for_another_becomes_a_follower() {
    let (server, effects) = after(
        leaderless(3),
        [appends(append(3, at(0, 0), vec![])), timeout(Timer::Silence), timeout(Timer::Election)],
    )
    .step(asks(ask(Vote, 3, at(1, 1))));
    assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(3)));
    let voted_for = Member { id: ServerId(2), incarnation: life(2) };
    assert_eq!(server.status().voted_for, Some(voted_for));
    assert!(is_granted(&effects));
    assert_eq!(armed(&effects), [Timer::Silence]);
}

/// §5.1.
#[test]
fn a_leader_that_meets_a_newer_term_becomes_a_follower_with_a_whole_silence_phase() {
    let (server, effects) = leader(3).step(newer_term());
    assert_eq!((server.role(), server.leader()), (RoleName::Follower, None));
    assert_eq!(armed(&effects), [Timer::Silence], "its heartbeat ends with that");
}

/// By the term rule, a follower stays a follower, with its running timer.
#[test]
fn a_follower_enters_a_newer_term_in_place() {
    let (server, effects) = follower(3).step(newer_term());
    assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(9)));
    assert_eq!(server.leader(), None, "the leader of the former term does not lead this one");
    assert_eq!(armed(&effects), []);
}

/// The handout's crash(): from every role, all timers stop.
#[test]
fn every_role_crashes_and_runs_no_timer_then() {
    for server in [follower(3), leaderless(3), pre_candidate(3), candidate(3), leader(3)] {
        let (server, effects) = server.step(crash(1));
        assert_eq!((server.role(), server.leader()), (RoleName::Crashed, None));
        assert_eq!(effects, [Effect::StopTimers, Effect::Reply(CallId(1), Reply::Done)]);
    }
}

/// The handout's restore(): a follower again, with a fresh timer.
#[test]
fn a_crashed_server_is_restored_as_a_follower_with_a_whole_silence_phase() {
    let (server, effects) = crashed(3).step(restore(2));
    assert_eq!((server.role(), server.leader()), (RoleName::Follower, None));
    let expected = [Effect::ArmTimer(Timer::Silence), Effect::Reply(CallId(2), Reply::Done)];
    assert_eq!(effects, expected);
}

/// crash() and restore() lose nothing but the role.
#[test]
fn crash_and_restore_keep_term_vote_log_commit_and_files() {
    let leader = leader(3);
    let (leader, effects) = leader.step(update(1, "a", 1));
    let leader = settled(leader, &effects);
    let voter = after(follower_holding(3, &[1, 2]), [asks(ask(Vote, 4, at(3, 1)))]);
    for server in [leader, voter, candidate(3), pre_candidate(3)] {
        let restored = after(server.clone(), [crash(2), restore(3)]);
        let kept = Status { role: RoleName::Follower, leader: None, ..server.status() };
        assert_eq!(restored.status(), kept);
        assert_eq!(restored.log(), server.log());
        assert_eq!(restored.files(), server.files());
    }
}

/// §5.2: a restored server remembers its vote and gives no second one.
#[test]
fn a_restored_server_does_not_vote_twice() {
    let voter = after(follower(3), [asks(ask(Vote, 2, at(1, 1))), crash(1), restore(2)]);
    let (_, effects) = voter.step(asks(ask(Vote, 2, at(1, 1)).by(1)));
    assert!(!is_granted(&effects));
}

/// A crashed server does not participate: no event changes it, makes it send anything or starts a timer. It ignores
/// late replies to what it sent before.
#[test]
fn a_crashed_server_ignores_everything() {
    let (leader, effects) = leader(3).step(update(1, "a", 1));
    let batch = append_to(&effects, 1);
    let crashed = after(leader, [crash(2)]);
    use Timer::{Campaign, Election, Fate, Heartbeat, Hurry, Patience, Silence, Start};
    let timers = [Start, Silence, Election, Campaign, Hurry, Patience, Heartbeat, Fate];
    let sender = identity(1, 9);
    let late = AppendReply { sender, round: Round(1), outcome: AppendOutcome::Stale };
    let ignored = [
        accepted(1, &batch),
        unanswered(1, &batch),
        responds(1, Response::Append(late)),
        Event::HangUp(CallId(1)),
        Event::Disconnected(Member { id: ServerId(1), incarnation: life(1) }),
    ];
    for event in timers.map(timeout).into_iter().chain(ignored) {
        let (same, effects) = crashed.clone().step(event.clone());
        assert_eq!(effects, [], "{event:?}");
        assert_eq!(same, crashed, "{event:?}");
    }
}

/// Calls at a crashed server end with that fault, forged ones included; only crash() and restore() are served.
#[test]
fn a_crashed_server_refuses_every_call_but_crash_and_restore() {
    let refused = [
        update(0, "a", 1),
        read(0),
        asks(ask(Vote, 9, at(0, 0))),
        asks(ask(PreVote, 1, at(0, 9))),
        appends(append(1, at(0, 0), rosters(&[1]))),
        appends(append(9, at(0, 0), rosters(&[9]))),
        appends(append(0, at(0, 9), rosters(&[9]))),
    ];
    for event in refused {
        let (same, effects) = crashed(3).step(event.clone());
        let fault = Effect::Reply(PEER, Reply::Failed(CallError::Crashed));
        assert_eq!(effects, [fault], "{event:?}");
        assert_eq!(same, crashed(3), "{event:?}");
    }
    let (same, effects) = crashed(3).step(crash(4));
    assert_eq!(effects, [Effect::Reply(CallId(4), Reply::Done)]);
    assert_eq!(same, crashed(3));
}

/// restore() on a server that is not crashed changes nothing.
#[test]
fn a_running_server_has_nothing_to_restore() {
    for server in [follower(3), leaderless(3), candidate(3), leader_with_waiting_calls()] {
        let (same, effects) = server.clone().step(restore(4));
        assert_eq!(effects, [Effect::Reply(CallId(4), Reply::Done)]);
        assert_eq!(same, server);
    }
}

/// A timer of an earlier role, or of a phase that is over, has no effect if it fires late.
#[test]
fn only_the_timer_of_the_role_counts() {
    use Timer::{Campaign, Election, Heartbeat, Hurry, Patience, Silence, Start};
    let table = [
        ("follower", follower(3), vec![Start, Election, Campaign, Hurry, Heartbeat]),
        ("leaderless follower", leaderless(3), vec![Silence, Campaign, Patience, Heartbeat]),
        ("candidate", candidate(3), vec![Start, Silence, Election, Hurry, Heartbeat]),
        ("leader", leader(3), vec![Start, Silence, Election, Campaign, Hurry, Patience]),
    ];
    for (role, server, timers) in table {
        for timer in timers {
            let (same, effects) = server.clone().step(timeout(timer));
            assert_eq!(effects, [], "{role}, {timer:?}");
            assert_eq!(same, server, "{role}, {timer:?}");
        }
    }
}

/// Reads end with the leadership; the updates in the log wait for their fate, but not for ever.
#[test]
fn a_leader_that_steps_down_ends_its_reads_and_bounds_the_wait_of_its_updates() {
    let (server, effects) = leader_with_waiting_calls().step(newer_term());
    let ended = Effect::Reply(CallId(1), Reply::Failed(CallError::NotLeader(None)));
    assert_eq!(
        effects[..3],
        [ended, Effect::ArmTimer(Timer::Fate), Effect::ArmTimer(Timer::Silence)]
    );
    assert_eq!(server.status().waiting, 1);
}

/// A leader without waiting updates leaves no timer running.
#[test]
fn a_leader_that_owes_no_update_steps_down_without_the_timer_of_fates() {
    let (_, effects) = after(leader(3), [read(1)]).step(newer_term());
    assert_eq!(armed(&effects), [Timer::Silence]);
}

/// A crash ends every wait at once: the read had no effect, the update may have one.
#[test]
fn a_leader_that_crashes_ends_its_reads_and_its_updates() {
    let (server, effects) = leader_with_waiting_calls().step(crash(3));
    let expected = [
        (1, Reply::Failed(CallError::Crashed)),
        (2, Reply::Failed(CallError::OutcomeLost)),
        (3, Reply::Done),
    ];
    assert_eq!(replies(&effects), expected);
    assert_eq!(server.status().waiting, 0);
    let last_of_timers = effects.iter().rfind(|effect| !matches!(effect, Effect::Reply(..)));
    assert_eq!(last_of_timers, Some(&Effect::StopTimers));
}

/// The same holds for the updates that a former leader still waits for.
#[test]
fn a_former_leader_that_crashes_ends_its_updates() {
    for events in [vec![], vec![timeout(Timer::Silence), timeout(Timer::Election)]] {
        let former = after(leader_with_waiting_calls(), [newer_term()].into_iter().chain(events));
        let (_, effects) = former.step(crash(3));
        assert_eq!(replies(&effects)[0], (2, Reply::Failed(CallError::OutcomeLost)));
    }
}
