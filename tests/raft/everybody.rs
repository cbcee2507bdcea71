//! Everybody's vote: how the best remaining log wins if so many processes have ended that the roster cannot give a
//! majority. Only then does a candidate count guests, and only if all servers are accounted for, twice and with the
//! same result.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// The grant of a server that has been relaunched.
fn granted_anew(from: u8, request: &RequestVote) -> Event {
    grants(from, relaunched(from, &request.sender), request)
}

/// A crashed server whose log ends there, in the term of the candidate.
fn crashed_holding(id: u8, last_log: Position, request: &RequestVote) -> Event {
    is_crashed(request.sender.by(id).holding(last_log), request)
}

/// A pre-candidate of that size whose log is one committed roster of all, and what it asks for.
fn standing(of: u8) -> (Server, RequestVote) {
    stand(leaderless(of))
}

fn account(living: &[Option<Incarnation>]) -> Account {
    Account((0..).map(ServerId).zip(living.iter().copied()).collect())
}

/// A candidate of three in the second round: 1 and 2 have granted the first, both relaunched.
fn second_round() -> (Server, RequestVote) {
    let (server, pre_vote) = standing(3);
    let server = after(server, [granted_anew(1, &pre_vote)]);
    ask_again(server, granted_anew(2, &pre_vote))
}

/// A voter of three that holds the committed roster of all, in term 1.
fn voter() -> Server {
    leaderless(3)
}

/// The request of server 2, relaunched with a log as good as the voter's, in the second round.
fn asks_everybody(living: &[Option<Incarnation>]) -> RequestVote {
    let request = ask(Vote, 2, at(1, 1)).in_life(next_life(2));
    RequestVote { account: Some(account(living)), ..request }
}

/// Both of the others have been relaunched: their grants do not count in any other way.
#[test]
fn a_candidate_wins_with_guests_once_all_servers_are_accounted_for_twice() {
    let (server, pre_vote) = standing(3);
    assert_eq!(pre_vote.account, None);
    let server = after(server, [granted_anew(1, &pre_vote)]);
    assert_eq!((server.current_term(), server.waits_for()), (Term(1), vec![ServerId(2)]));
    let (server, vote) = ask_again(server, granted_anew(2, &pre_vote));
    assert_eq!((vote.kind, server.current_term()), (Vote, Term(2)));
    let living = [Some(life(0)), Some(next_life(1)), Some(next_life(2))];
    assert_eq!(vote.account, Some(account(&living)));
    let server = after(server, [granted_anew(1, &vote)]);
    assert_eq!(server.role(), RoleName::Candidate);
    let (server, effects) = server.step(granted_anew(2, &vote));
    assert_eq!(server.role(), RoleName::Leader);
    let exchanged = [(0, life(0)), (1, next_life(1)), (2, next_life(2))];
    assert_eq!(roster(&server), exchanged, "only here is an incarnation exchanged");
    assert_eq!(append_to(&effects, 1).entries, [naming(2, &exchanged)]);
    assert_eq!((terms(&server), server.status().history), (vec![1, 2], Some(HISTORY)));
    let (server, _) = server.step(accepted_anew(1, &append_to(&effects, 1)));
    assert_eq!(server.status().commit_index, LogIndex(2), "and they count from here on");
}

/// Not even if no other server that answers is founded: the candidate is, and updates may depend on its roster.
#[test]
fn a_founded_candidate_counts_no_guests_while_a_majority_of_the_roster_lives() {
    let (server, request) = standing(3);
    let server = after(server, [granted_anew(2, &request)]);
    let crashed = Identity { founded: false, ..request.sender.by(1).holding(at(1, 1)) };
    let (server, effects) = server.step(is_crashed(crashed, &request));
    assert_eq!(effects, [], "all are accounted for, and 0 and 1 could be the majority");
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
}

fn accepted_anew(from: u8, request: &AppendEntries) -> Event {
    let sender = request.sender.by(from).in_life(next_life(from));
    answers(from, sender, request, AppendOutcome::Accepted)
}

/// If its roster can still give a majority, a candidate must wait for that.
#[test]
fn everybody_s_vote_does_not_apply_while_a_majority_of_the_roster_lives() {
    let (server, request) = standing(5);
    let guests = [3, 4].map(|from| granted_anew(from, &request));
    let server = after(after(server, [granted(1, &request)]), guests);
    let (waits, effects) = server.clone().step(crashed_holding(2, at(1, 1), &request));
    assert_eq!(effects, [], "all are accounted for, and 0, 1 and 2 could be the majority");
    assert_eq!(waits.current_term(), Term(1));
    let (_, vote) = ask_again(server, ended(2, &request));
    assert_eq!(vote.kind, Vote);
}

/// What each server may answer, besides a grant, when the other one has granted as a guest.
#[test]
fn a_silent_server_one_that_refuses_and_a_crashed_one_with_a_better_log_hold_everybody_s_vote_up() {
    let (_, request) = standing(3);
    let other = request.sender.by(2).in_life(next_life(2)).of_history(OTHER).founded();
    let not_better = request.sender.by(2).in_life(next_life(2));
    let table = [
        ("silent", without_vote(2, &request, Failure::Silent), false),
        ("refuses", refuses(2, relaunched(2, &request.sender), &request), false),
        ("ended", ended(2, &request), true),
        ("crashed without a log", is_crashed(relaunched(2, &request.sender), &request), true),
        ("crashed with a log as good", is_crashed(not_better, &request), true),
        ("crashed with a better log", is_crashed(not_better.holding(at(1, 2)), &request), false),
    ];
    for (what, event, expected) in table {
        let (server, request) = standing(3);
        let server = after(server, [granted_anew(1, &request), event]);
        assert_eq!(server.current_term(), Term(if expected { 2 } else { 1 }), "{what}");
        if !expected {
            assert_eq!(server.waits_for(), [ServerId(2)], "{what}");
            let (server, again) = ask_again(server, timeout(Timer::Campaign));
            assert_eq!((again.kind, server.current_term()), (PreVote, Term(1)), "{what}");
        }
    }
    let updates = append(1, at(1, 1), vec![entry(1, "a", 1)]);
    let with_updates = after(follower(3), [appends(updates), timeout(Timer::Silence)]);
    let (server, request) = stand(with_updates);
    let server = after(server, [granted_anew(1, &request), is_crashed(other, &request)]);
    assert_eq!(server.current_term(), Term(1), "crashed with another founded history");
}

/// A server is only named if neither a majority of the roster nor everybody's vote is possible without it.
#[test]
fn a_candidate_waits_for_the_servers_without_which_it_cannot_win() {
    type Answer = fn(u8, &RequestVote) -> Event;
    let silent: Answer = |id, request| without_vote(id, request, Failure::Silent);
    let crashed: Answer = |id, request| crashed_holding(id, at(1, 2), request);
    let equal: Answer = |id, request| crashed_holding(id, at(1, 1), request);
    let refusing: Answer =
        |id, request| refuses(id, request.sender.by(id).holding(at(1, 2)), request);
    let table: [(&str, [Answer; 4], &[u8]); 9] = [
        ("any of three would do", [granted, silent, silent, silent], &[]),
        ("so would a crashed one", [granted, crashed, crashed, silent], &[]),
        (
            "a majority is up, but a relaunched one does not count",
            [granted, silent, silent, granted_anew],
            &[2, 3],
        ),
        ("a member can give the majority", [granted, silent, granted_anew, granted_anew], &[2]),
        ("an ended process cannot", [granted, silent, ended, ended], &[2]),
        ("two are needed for it", [silent, crashed, ended, granted_anew], &[1, 2]),
        ("a server refuses", [granted, refusing, ended, ended], &[2]),
        ("a crashed member makes the majority", [granted, equal, granted_anew, ended], &[2]),
        ("any crashed member would", [granted, equal, equal, granted_anew], &[2, 3]),
    ];
    for (what, answers, expected) in table {
        let (server, request) = standing(5);
        let events = (1..).zip(answers).map(|(id, answer)| answer(id, &request));
        let server = after(server, events);
        let expected: Vec<_> = expected.iter().copied().map(ServerId).collect();
        assert_eq!((server.role(), server.waits_for()), (RoleName::Candidate, expected), "{what}");
    }
}

/// A majority is one of all servers here as well.
#[test]
fn everybody_s_vote_needs_the_grants_of_a_majority_of_all_servers() {
    for of in 3..=6 {
        let (mut server, request) = standing(of);
        let majority = of / 2 + 1;
        for peer in majority..of {
            server = after(server, [ended(peer, &request)]);
        }
        for peer in 1..majority {
            assert_eq!(server.current_term(), Term(1), "{peer} of {of}");
            server = after(server, [granted_anew(peer, &request)]);
        }
        assert_eq!(server.current_term(), Term(2), "{majority} of {of}");
        let (mut server, request) = standing(of);
        for peer in majority - 1..of {
            server = after(server, [ended(peer, &request)]);
        }
        for peer in 1..majority - 1 {
            server = after(server, [granted_anew(peer, &request)]);
        }
        assert_eq!(server.current_term(), Term(1), "{} of {of}", majority - 1);
    }
}

/// A server that ended did so before the second round, and a server that lives kept what it knew from one round to the
/// other.
#[test]
fn a_second_round_that_gives_another_account_is_not_won() {
    let (_, vote) = second_round();
    let again = identity(2, 2).in_life(Incarnation(302));
    let crashed = relaunched(2, &vote.sender);
    let table = [
        ("the same", granted_anew(2, &vote), true),
        ("crashed meanwhile", is_crashed(crashed, &vote), true),
        ("relaunched once more", grants(2, again, &vote), false),
        ("relaunched once more, crashed", is_crashed(again, &vote), false),
        ("ended meanwhile", ended(2, &vote), false),
        ("refuses", refuses(2, relaunched(2, &vote.sender), &vote), false),
        ("silent", without_vote(2, &vote, Failure::Silent), false),
        ("crashed with a better log now", is_crashed(crashed.holding(at(2, 2)), &vote), false),
    ];
    for (what, event, expected) in table {
        let (server, vote) = second_round();
        let server = after(server, [granted_anew(1, &vote), event]);
        assert_eq!(server.role() == RoleName::Leader, expected, "{what}");
        if !expected {
            // Once it cannot be won any more, it is repeated soon.
            let (_, again) = ask_again(server, timeout(Timer::Hurry));
            assert_eq!((again.kind, again.account), (PreVote, None), "{what}");
        }
    }
}

/// Nor one in which a server answers that had ended in the first.
#[test]
fn a_process_that_began_after_the_first_round_makes_another_one_necessary() {
    let (server, pre_vote) = standing(3);
    let server = after(server, [granted_anew(1, &pre_vote)]);
    let (server, vote) = ask_again(server, ended(2, &pre_vote));
    assert_eq!(vote.account, Some(account(&[Some(life(0)), Some(next_life(1)), None])));
    let (server, _) = server.step(granted_anew(1, &vote));
    let (began, _) = server.clone().step(granted_anew(2, &vote));
    assert_eq!(began.role(), RoleName::Follower, "the vote is lost");
    let (server, _) = server.step(ended(2, &vote));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), [(0, life(0)), (1, next_life(1))]);
}

/// They are brought in once they are restored, like guests.
#[test]
fn the_roster_of_everybody_s_vote_names_those_that_granted_and_no_crashed_ones() {
    let (server, pre_vote) = standing(3);
    let crashed = |request: &RequestVote| is_crashed(relaunched(2, &request.sender), request);
    let server = after(server, [granted_anew(1, &pre_vote)]);
    let (server, vote) = ask_again(server, crashed(&pre_vote));
    let server = after(server, [granted_anew(1, &vote)]);
    let (server, _) = server.step(crashed(&vote));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), [(0, life(0)), (1, next_life(1))]);
}

/// Whole, guest or leaderless: even a candidate that its own log does not name can win by it.
#[test]
fn a_guest_wins_by_everybody_s_vote_and_is_named() {
    let (server, pre_vote) = stand(leaderless_among(3, &first_lives(&[1, 2])));
    let server = after(server, [granted_anew(1, &pre_vote)]);
    let (server, vote) = ask_again(server, granted_anew(2, &pre_vote));
    let server = after(server, [granted_anew(1, &vote), granted_anew(2, &vote)]);
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), [(0, life(0)), (1, next_life(1)), (2, next_life(2))]);
}

/// A roster that no majority has ever confirmed does not hold anything up either; it does once any server shows a
/// founded history.
#[test]
fn a_founding_that_was_not_committed_is_decided_by_everybody() {
    let uncommitted = |of: u8, ids: &[u8]| {
        let founding = append(1, at(0, 0), vec![naming(1, &first_lives(ids))]).of(of);
        stand(after(server(0, of), [appends(founding), timeout(Timer::Silence)]))
    };
    let answers = |request: &RequestVote, founded| {
        let crashed = request.sender.by(1).changed(|sender| sender.founded = founded);
        let others = [2, 3, 4].map(|from| granted(from, request));
        [&others[..], &[is_crashed(crashed, request)]].concat()
    };
    let (server, request) = uncommitted(5, &[0, 1, 2]);
    let server_after = |founded| after(server.clone(), answers(&request, founded));
    assert_eq!(server_after(true).current_term(), Term(1), "1 could vote as well, once restored");
    assert_eq!(server_after(false).current_term(), Term(2));
}

/// §5.4.1 holds for everybody's vote as for any other.
#[test]
fn a_voter_refuses_a_candidate_whose_log_is_worse_whatever_the_account() {
    let living = [Some(life(0)), None, Some(next_life(2))];
    let voter = founded_follower_holding(3, &[1, 1]);
    let (_, effects) = voter.step(asks(asks_everybody(&living)));
    assert!(!is_granted(&effects));
}

/// It may have been relaunched between the two rounds.
#[test]
fn a_voter_grants_the_second_round_only_if_the_account_has_it_alive() {
    let table = [
        ([Some(life(0)), Some(life(1)), Some(next_life(2))], true),
        ([Some(next_life(0)), Some(life(1)), Some(next_life(2))], false),
        ([None, Some(life(1)), Some(next_life(2))], false),
    ];
    for (living, expected) in table {
        let (server, effects) = voter().step(asks(asks_everybody(&living)));
        assert_eq!(is_granted(&effects), expected, "{living:?}");
        assert_eq!(server.status().voted_for.is_some(), expected, "{living:?}");
    }
}

/// A request of an ended process may still arrive: it must not cause anything in a later term.
#[test]
fn a_voter_takes_nothing_more_from_members_that_the_account_shows_to_be_gone() {
    for of_1 in [None, Some(next_life(1))] {
        let living = [Some(life(0)), of_1, Some(next_life(2))];
        let (server, effects) = voter().step(asks(asks_everybody(&living)));
        assert!(is_granted(&effects));
        let (refusing, effects) = server.clone().step(appends(append(9, at(1, 1), rosters(&[9]))));
        assert_eq!((outcome(&effects), terms(&refusing)), (AppendOutcome::Refused, vec![1]));
        for kind in [PreVote, Vote] {
            let request = ask(kind, 9, at(8, 9)).by(1);
            let lost = after(server.clone(), [timeout(Timer::Silence)]);
            let (_, effects) = lost.clone().step(asks(request.clone()));
            assert!(!is_granted(&effects), "{kind:?}");
            let (_, effects) = lost.step(asks(request.in_life(next_life(1))));
            assert!(is_granted(&effects), "{kind:?}, of its next life");
        }
        let (_, effects) = server.step(asks(ask(Vote, 9, at(8, 9))));
        assert!(!is_granted(&effects), "the former life of the candidate itself is gone as well");
    }
}

/// A living server may be heard again: only processes that counted can have acknowledged anything.
#[test]
fn a_voter_goes_on_taking_from_members_that_live_and_from_guests() {
    let lives = [Some(life(0)), Some(life(1)), Some(next_life(2))];
    let server = after(voter(), [asks(asks_everybody(&lives))]);
    let (_, effects) = server.step(appends(append(9, at(1, 1), rosters(&[9]))));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    let guest = leaderless_among(3, &first_lives(&[0, 2]));
    let ended = [Some(life(0)), None, Some(next_life(2))];
    let server = after(guest, [asks(asks_everybody(&ended))]);
    let (_, effects) = server.step(appends(append(9, at(1, 1), rosters(&[9]))));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
}

/// Only a vote that was given ensures that they are gone for this server's term.
#[test]
fn a_refused_vote_does_not_declare_members_gone() {
    let living = [Some(life(0)), None, Some(next_life(2))];
    let voter = after(voter(), [asks(ask(Vote, 2, at(1, 1)).by(1))]);
    let (server, effects) = voter.step(asks(asks_everybody(&living)));
    assert!(!is_granted(&effects), "it has voted for another");
    let (_, effects) = server.step(appends(append(2, at(1, 1), rosters(&[2]))));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
}

/// The candidate has seen it as well.
#[test]
fn a_candidate_takes_nothing_more_from_members_that_its_first_round_showed_to_be_gone() {
    let (server, _) = second_round();
    for id in [1, 2] {
        let (refusing, effects) =
            server.clone().step(appends(append(9, at(1, 1), rosters(&[9])).by(id)));
        assert_eq!((outcome(&effects), terms(&refusing)), (AppendOutcome::Refused, vec![1]));
        let next = append(9, at(1, 1), rosters(&[9])).by(id).in_life(next_life(id));
        let (_, effects) = server.clone().step(appends(next));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    }
}

/// The first answer in a ballot stands; but a process that refused may grant later, when it assumes that its leader is
/// gone.
#[test]
fn an_answer_of_another_incarnation_does_not_replace_the_first_one_of_a_ballot() {
    let (server, request) = standing(3);
    let refusal = refuses(1, relaunched(1, &request.sender), &request);
    let server = after(server, [refusal, granted_anew(2, &request)]);
    let once_more = grants(1, identity(1, 1).in_life(Incarnation(301)), &request);
    let (same, _) = server.clone().step(once_more);
    assert_eq!(same.current_term(), Term(1));
    let (server, _) = server.step(granted_anew(1, &request));
    assert_eq!(server.current_term(), Term(2));
}
