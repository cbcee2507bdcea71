//! The receiver of AppendEntries: Figure 2's steps 1 to 5, §5.3, and what no correct peer can have sent.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// A follower in term 3 whose log has the terms 1, 1, 2, 2, 3, of which the first three entries are committed.
fn committed_to_3() -> Server {
    let heartbeat = append(3, at(3, 5), vec![]).committing(3);
    after(follower_holding(3, &[1, 1, 2, 2, 3]), [appends(heartbeat)])
}

fn commit_index(server: &Server) -> u64 {
    server.status().commit_index.0
}

/// Figure 2, AppendEntries 2: "Reply false if log doesn't contain an entry at prevLogIndex whose term matches".
#[test]
fn an_append_is_refused_unless_the_log_has_the_entry_before_it() {
    let server = follower_holding(3, &[1, 1, 2]);
    let table = [
        (at(0, 0), AppendOutcome::Accepted),
        (at(1, 1), AppendOutcome::Accepted),
        (at(2, 3), AppendOutcome::Accepted),
        (at(2, 2), AppendOutcome::Mismatch(at(1, 2))),
        (at(1, 3), AppendOutcome::Mismatch(at(1, 2))),
        (at(3, 3), AppendOutcome::Mismatch(at(2, 3))),
        (at(2, 4), AppendOutcome::Mismatch(at(2, 3))),
        (at(3, 9), AppendOutcome::Mismatch(at(2, 3))),
    ];
    for (prev_log, expected) in table {
        let (refused, effects) = server.clone().step(appends(append(3, prev_log, rosters(&[3]))));
        assert_eq!(outcome(&effects), expected, "{prev_log:?}");
        if expected != AppendOutcome::Accepted {
            assert_eq!(terms(&refused), [1, 1, 2], "{prev_log:?}");
        }
    }
}

/// §5.3, end: a refusal names the last place that can still agree: beyond it the log has no term so low.
#[test]
fn a_refusal_skips_the_whole_conflicting_term() {
    let server = follower_holding(3, &[1, 3, 3, 3]);
    let (_, effects) = server.step(appends(append(4, at(2, 4), vec![])));
    assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(1, 1)));
}

/// An empty log agrees with every other at the place before the first entry.
#[test]
fn a_log_without_any_entry_in_common_names_the_place_before_the_first() {
    let (_, effects) = follower_holding(3, &[2, 2]).step(appends(append(3, at(1, 2), vec![])));
    assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(0, 0)));
}

/// Figure 2, AppendEntries 3 and 4: "delete the existing entry and all that follow it"; "Append any new entries".
#[test]
fn a_conflicting_entry_is_deleted_with_all_that_follow_it() {
    let server = follower_holding(3, &[1, 1, 2, 2, 2]);
    let (server, effects) = server.step(appends(append(3, at(1, 1), rosters(&[1, 3]))));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(terms(&server), [1, 1, 3]);
}

/// Figure 2, AppendEntries 3, only "if an existing entry conflicts": a late append must not undo what a later one
/// brought.
#[test]
fn an_append_that_is_contained_in_the_log_deletes_nothing() {
    let server = follower_holding(3, &[1, 1, 2, 2]);
    for request in [
        append(2, at(0, 0), vec![]),
        append(2, at(0, 0), rosters(&[1])),
        append(2, at(0, 0), rosters(&[1, 1, 2])),
        append(2, at(1, 2), rosters(&[2])),
        append(2, at(2, 3), rosters(&[2])),
    ] {
        let (same, effects) = server.clone().step(appends(request.clone()));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(same, server, "{request:?}");
    }
}

/// An append that overlaps the log's end adds only what is new.
#[test]
fn an_append_that_overlaps_the_log_adds_the_rest() {
    let server = follower_holding(3, &[1, 1]);
    let (server, _) = server.step(appends(append(2, at(1, 1), rosters(&[1, 2, 2]))));
    assert_eq!(terms(&server), [1, 1, 2, 2]);
}

/// Figure 2, AppendEntries 5: "min(leaderCommit, index of last new entry)". The entries after that may be a former
/// leader's.
#[test]
fn commit_moves_only_as_far_as_the_append_has_verified_the_log() {
    let server = follower_holding(3, &[1, 1, 2, 2]);
    let table = [
        (at(0, 0), vec![], 0),
        (at(1, 1), vec![], 1),
        (at(1, 1), rosters(&[1]), 2),
        (at(1, 2), rosters(&[2]), 3),
        (at(1, 2), rosters(&[3, 3]), 4),
        (at(2, 4), rosters(&[3, 3]), 5),
        (at(3, 4), rosters(&[3]), 0),
    ];
    for (prev_log, entries, expected) in table {
        let request = append(3, prev_log, entries).committing(5);
        let (server, _) = server.clone().step(appends(request));
        assert_eq!(commit_index(&server), expected, "{prev_log:?}");
    }
}

/// Figure 2, AppendEntries 5: "If leaderCommit > commitIndex"; a late append carries an older one.
#[test]
fn commit_never_falls() {
    let late = append(3, at(3, 5), vec![]).committing(1);
    let (server, _) = committed_to_3().step(appends(late));
    assert_eq!(commit_index(&server), 3);
}

/// Figure 2, All Servers: "increment lastApplied, apply log[lastApplied] to state machine", in the order of the log,
/// each entry once and none before it is committed.
#[test]
fn what_is_committed_is_applied_in_order_and_once() {
    let updates = vec![
        entry(1, "a", 1),
        entry(1, "a", 2),
        entry(1, "a", 2),
        entry(1, "b", 2),
        entry(1, "a", 3),
    ];
    let entries = [rosters(&[1]), updates].concat();
    let mut server = after(server(0, 3), [appends(append(1, at(0, 0), entries))]);
    assert!(server.files().is_empty());
    for (commit, version) in [(1, 0), (2, 1), (2, 1), (5, 2), (6, 3)] {
        let heartbeat = append(1, at(1, 6), vec![]).committing(commit);
        (server, _) = server.step(appends(heartbeat));
        assert_eq!(server.files().version("a"), version, "up to {commit}");
        assert_eq!(server.status().last_applied, LogIndex(commit));
        assert_eq!(server.files().version("b"), 0);
    }
}

/// The reply says which append it answers, in the term that both are in.
#[test]
fn a_reply_echoes_the_number_of_the_append() {
    let request = AppendEntries { round: Round(41), ..append(6, at(0, 0), vec![]) };
    let (server, effects) = follower(3).step(appends(request));
    let (sender, outcome) = (server.identity(), AppendOutcome::Accepted);
    assert_eq!(sender.term, Term(6));
    assert_eq!(reply(&effects), Reply::Append(AppendReply { sender, round: Round(41), outcome }));
}

/// §5.3 and §5.4.3: the reply to the late append of a deposed leader has the newer term, even if what the append brings
/// has been overwritten and committed since.
#[test]
fn a_former_leader_learns_of_the_newer_term_whatever_it_sends() {
    let late = append(2, at(1, 1), rosters(&[2, 2]));
    let (server, effects) = committed_to_3().step(appends(late));
    assert_eq!(outcome(&effects), AppendOutcome::Stale);
    assert_eq!(server, committed_to_3());
}

/// An append that a correct leader cannot have sent is answered with a fault; neither the term nor anything else
/// changes.
#[test]
fn a_forged_append_changes_nothing() {
    let max = NUMBER_MAX;
    let table = [
        ("unknown leader", append(9, at(0, 0), vec![]).by(3)),
        ("itself", append(9, at(0, 0), vec![]).by(0)),
        ("term 0", append(0, at(0, 0), vec![])),
        ("a term too great", append(max + 1, at(0, 0), vec![])),
        ("an index too great", append(9, at(1, max + 1), vec![])),
        ("the greatest number", append(u64::MAX, at(u64::MAX, u64::MAX), vec![])),
        ("a commit index too great", append(9, at(0, 0), vec![]).committing(max + 1)),
        ("an index without a term", append(9, at(0, 4), vec![])),
        ("a term without an index", append(9, at(4, 0), vec![])),
        ("an entry of term 0", append(9, at(0, 0), rosters(&[0, 9]))),
        ("falling terms", append(9, at(3, 5), rosters(&[9, 8]))),
        ("a term below the entry before", append(9, at(3, 5), rosters(&[2]))),
        ("an entry after its term", append(9, at(3, 5), rosters(&[9, 10]))),
        ("an entry before of a term after its own", append(9, at(10, 9), vec![])),
        ("another entry where one is committed", append(9, at(1, 1), rosters(&[2, 2]))),
        ("another term before its entries", append(9, at(2, 2), vec![])),
        ("another term at the commit index", append(9, at(3, 3), rosters(&[3]))),
        ("another entry than it sent before in its term", append(3, at(2, 3), rosters(&[3]))),
        ("another term at a place that it filled", append(3, at(3, 4), vec![])),
        ("a second leader of the term", append(3, at(3, 5), vec![]).by(2)),
        ("a second life of the leader", append(3, at(3, 5), vec![]).in_life(next_life(1))),
    ];
    for (what, request) in table {
        let (server, effects) = committed_to_3().step(appends(request));
        assert!(
            matches!(reply(&effects), Reply::Failed(CallError::Forged(_))),
            "{what}: {effects:?}"
        );
        assert_eq!(effects.len(), 1, "{what}");
        assert_eq!(server, committed_to_3(), "{what}");
    }
}

/// §5.2, Election Safety: a leader knows the leader of its term.
#[test]
fn a_leader_takes_an_append_of_its_own_term_for_forged() {
    let (server, effects) = leader(3).step(appends(append(2, at(2, 2), vec![])));
    assert!(matches!(reply(&effects), Reply::Failed(CallError::Forged(_))));
    assert_eq!(server, leader(3));
}

/// A request that a correct candidate cannot have sent is answered with a fault; neither the term nor anything else
/// changes.
#[test]
fn a_forged_request_for_a_vote_changes_nothing() {
    let max = NUMBER_MAX;
    for kind in [PreVote, Vote] {
        let table = [
            ("unknown candidate", ask(kind, 9, at(3, 5)).by(3)),
            ("itself", ask(kind, 9, at(3, 5)).by(0)),
            ("a term too great", ask(kind, max + 1, at(3, 5))),
            ("an index too great", ask(kind, 9, at(3, max + 1))),
            ("the greatest number", ask(kind, u64::MAX, at(u64::MAX, u64::MAX))),
            ("an index without a term", ask(kind, 9, at(0, 5))),
            ("a term without an index", ask(kind, 9, at(5, 0))),
            ("an entry of the term it stands for", ask(kind, 9, at(9, 5))),
            ("an entry of a later term", ask(kind, 9, at(10, 5))),
        ];
        // A pre-vote proposes the term after the candidate's own, which is at least 1.
        let term_0 = RequestVote { kind: Vote, ..ask(PreVote, 1, at(0, 0)) };
        for (what, request) in table.into_iter().chain([("term 0", term_0)]) {
            for server in [leaderless(3), pre_candidate(3), candidate(3), leader(3)] {
                let (same, effects) = server.clone().step(asks(request.clone()));
                assert!(matches!(reply(&effects), Reply::Failed(CallError::Forged(_))), "{what}");
                assert_eq!(effects.len(), 1, "{what}");
                assert_eq!(same, server, "{what}");
            }
        }
    }
}

/// The greatest numbers that are accepted are harmless.
#[test]
fn the_greatest_numbers_that_are_allowed_overflow_nothing() {
    let max = NUMBER_MAX;
    let request = append(max, at(max, max), rosters(&[max])).committing(max);
    let (server, effects) = committed_to_3().step(appends(request));
    assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(3, 5)));
    assert_eq!(server.current_term(), Term(NUMBER_MAX));
    let server = after(server, [timeout(Timer::Silence), timeout(Timer::Election)]);
    assert_eq!(server.role(), RoleName::Candidate);
}

/// A reply with a term that no server can have reached is ignored.
#[test]
fn a_reply_of_a_term_too_great_changes_nothing() {
    let (sender, outcome) = (identity(1, NUMBER_MAX + 1), AppendOutcome::Stale);
    for server in [follower(3), candidate(3), leader(3)] {
        let reply = AppendReply { sender, round: Round(1), outcome };
        let (same, effects) = server.clone().step(responds(1, Response::Append(reply)));
        assert_eq!(effects, []);
        assert_eq!(same, server);
    }
}
