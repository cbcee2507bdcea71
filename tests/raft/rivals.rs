//! Candidates that stand at the same moment: to which other one a pre-candidate grants its pre-vote.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// Server `id` of a set of that size as a pre-candidate in term 1 whose log is the roster 1/t1, and its request.
fn rival(id: u8, of: u8) -> (Server, RequestVote) {
    let leader = if id == 1 { 0 } else { 1 };
    let log = append(1, at(0, 0), rosters_of(of, &[1])).by(leader).of(of);
    stand(after(server(id, of), [appends(log), timeout(Timer::Silence)]))
}

/// Whether it grants a pre-vote to another server with such a log.
fn grants_to(server: &Server, other: u8, of: u8, last_log: Position) -> bool {
    let term = server.current_term().next().0;
    let (same, effects) = server.clone().step(asks(ask(PreVote, term, last_log).by(other).of(of)));
    assert_eq!(&same, server, "a pre-vote changes nothing");
    is_granted(&effects)
}

/// If equals granted each other's pre-votes, they would go on to the vote and split it.
#[test]
fn of_two_equals_only_the_one_with_the_greater_number_is_granted_the_pre_vote() {
    for of in [3, 5] {
        for id in 0..of {
            for other in (0..of).filter(|other| *other != id) {
                let granted = grants_to(&rival(id, of).0, other, of, at(1, 1));
                assert_eq!(granted, id < other, "{id} to {other}, of {of}");
            }
        }
    }
}

/// §5.4.1: a log that the voters prefer is preferred by rivals as well, whatever the numbers.
#[test]
fn a_better_log_counts_more_than_a_greater_number() {
    for of in [3, 5] {
        let (server, _) = rival(of - 1, of);
        assert!(grants_to(&server, 0, of, at(1, 2)), "a longer log");
        assert!(!grants_to(&server, 0, of, at(1, 1)));
        let newer = appends(append(2, at(1, 1), rosters_of(of, &[2])).of(of));
        let (server, _) = stand(after(server, [newer, timeout(Timer::Silence)]));
        assert!(!grants_to(&server, 0, of, at(1, 9)), "a longer log of an earlier term");
        assert!(grants_to(&server, 0, of, at(2, 3)));
        let newer = appends(append(2, at(1, 1), rosters_of(of, &[2])).of(of));
        let (server, _) = stand(after(rival(0, of).0, [newer, timeout(Timer::Silence)]));
        assert!(!grants_to(&server, of - 1, of, at(1, 9)), "§5.4.1 holds for a greater number too");
    }
}

/// The first to stand would otherwise hold back those that it needs.
#[test]
fn a_rival_that_has_refused_is_granted_the_pre_vote() {
    let (server, request) = rival(4, 5);
    assert!(!grants_to(&server, 0, 5, at(1, 1)));
    let server = after(server, [refused(0, &request, 1)]);
    assert!(grants_to(&server, 0, 5, at(1, 1)));
    assert!(!grants_to(&server, 1, 5, at(1, 1)), "another one may still grant its request");
    let (server, request) = rival(2, 3);
    let server = after(server, [refused(1, &request, 1)]);
    assert!(grants_to(&server, 1, 3, at(1, 1)));
    assert!(!grants_to(&server, 0, 3, at(1, 1)));
}

#[test]
fn a_pre_candidate_that_cannot_win_any_more_holds_nobody_back() {
    let table: [fn(u8, &RequestVote) -> Event; 4] = [
        |by, request| refused(by, request, 1),
        |by, request| without_vote(by, request, Failure::Silent),
        ended,
        |by, request| is_crashed(request.sender.by(by), request),
    ];
    for fails in table {
        let (server, request) = rival(4, 5);
        let server = after(server, [1, 2].map(|by| fails(by, &request)));
        assert!(!grants_to(&server, 0, 5, at(1, 1)), "it may still win");
        let server = after(server, [fails(3, &request)]);
        assert_eq!(server.role(), RoleName::Candidate);
        assert!(grants_to(&server, 0, 5, at(1, 1)));
        let (server, _) = ask_again(server, timeout(Timer::Campaign));
        assert!(!grants_to(&server, 0, 5, at(1, 1)), "its next ballot is not lost yet");
    }
}

/// More than a majority may have granted it the pre-vote, but of servers that do not count. Another candidate may reach
/// those that do.
#[test]
fn a_guest_that_everybody_has_answered_in_vain_holds_nobody_back() {
    let roster = naming(1, &first_lives(&[0, 1, 2]));
    let log = append(1, at(0, 0), vec![roster]).of(5).committing(1);
    let (server, request) = stand(after(server(4, 5), [appends(log), timeout(Timer::Silence)]));
    let server = after(server, [0, 1, 3].map(|from| granted(from, &request)));
    assert_eq!(server.current_term(), Term(1), "a majority, but only two that the roster names");
    assert!(!grants_to(&server, 0, 5, at(1, 1)), "the third may still answer");
    let server = after(server, [without_vote(2, &request, Failure::Silent)]);
    assert!(grants_to(&server, 0, 5, at(1, 1)));
}

/// It has reached the term of its vote, so the pre-vote is about the next one.
#[test]
fn a_candidate_in_the_vote_grants_the_pre_vote_to_any_log_as_good_as_its_own() {
    let (server, request) = rival(2, 3);
    let (server, vote) = ask_again(server, granted(1, &request));
    assert_eq!(vote.kind, Vote);
    assert!(grants_to(&server, 0, 3, at(1, 1)));
    assert!(!grants_to(&server, 0, 3, at(0, 0)));
}
