//! How a history begins: an empty candidate that wins a ballot founds one, and answers callers once that is committed.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// The answer of a leader that is founding a history to a caller.
const NOT_LEADER: Reply = Reply::Failed(CallError::NotLeader(None));

/// A leader of three, elected by all, whose first roster is not committed, and its first appends.
fn founder() -> (Server, Vec<Effect>) {
    elected_by(stand_at_once(3), &[1, 2])
}

/// §5.4.1: only empty servers vote for an empty one.
#[test]
fn a_server_with_a_log_votes_for_no_empty_candidate() {
    for server in [leaderless(3), after(follower_holding(3, &[1]), [timeout(Timer::Silence)])] {
        for kind in [PreVote, Vote] {
            let (_, effects) = server.clone().step(asks(ask(kind, 9, at(0, 0))));
            assert!(!is_granted(&effects), "{kind:?}");
        }
    }
}

/// It needs no more than a majority, but waits for all servers that may know of a history: a refusal is an answer, too.
#[test]
fn an_empty_candidate_wins_once_everybody_has_answered() {
    let (server, pre_vote) = stand_at_once(5);
    let server = after(server, [1, 2, 3].map(|from| granted(from, &pre_vote)));
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(0)));
    let (server, vote) = ask_again(server, refused(4, &pre_vote, 0));
    assert_eq!((vote.kind, server.current_term()), (Vote, Term(1)));
    let server = after(server, [1, 2, 4].map(|from| granted(from, &vote)));
    assert_eq!(server.role(), RoleName::Candidate);
    let (server, _) = server.step(refused(3, &vote, 1));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(
        roster(&server),
        first_lives(&[0, 1, 2, 3, 4]),
        "every server that has answered is named"
    );
    assert_eq!(server.status().history, Some(life(0)), "the history is named after its founder");
}

#[test]
fn an_empty_candidate_does_not_win_without_a_majority_whoever_has_answered() {
    let (server, request) = stand_at_once(5);
    let server = after(server, [granted(1, &request), ended(4, &request)]);
    let server = after(server, [2, 3].map(|from| refused(from, &request, 0)));
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(0)));
    let (server, again) = ask_again(server, timeout(Timer::Campaign));
    assert_eq!((again.kind, server.current_term()), (PreVote, Term(0)));
}

/// There is no process that could know of a history.
#[test]
fn a_refused_connection_ends_the_wait_for_a_server() {
    let (server, pre_vote) = stand_at_once(3);
    let (server, vote) = ask_again(after(server, [granted(1, &pre_vote)]), ended(2, &pre_vote));
    assert_eq!(vote.kind, Vote);
    let (server, _) = server.step(granted(1, &vote));
    assert_eq!(server.role(), RoleName::Leader, "and it is not awaited in the vote either");
    assert_eq!(roster(&server), first_lives(&[0, 1]));
}

#[test]
fn a_silent_server_is_awaited_until_the_time_of_the_ballot_is_over() {
    let (server, pre_vote) = stand_at_once(3);
    let silence = without_vote(2, &pre_vote, Failure::Silent);
    let server = after(server, [granted(1, &pre_vote), silence]);
    assert_eq!(server.current_term(), Term(0));
    let (server, vote) = ask_again(server, timeout(Timer::Campaign));
    assert_eq!(vote.kind, Vote);
    let (server, _) = server.step(granted(1, &vote));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), first_lives(&[0, 1]));
}

/// Without a majority, any server that is started helps.
#[test]
fn an_empty_candidate_waits_for_no_server_in_particular_unless_it_needs_all() {
    for (of, expected) in [(2, vec![ServerId(1)]), (3, vec![])] {
        let (server, pre_vote) = stand_at_once(of);
        let silent = (1..of).map(|id| without_vote(id, &pre_vote, Failure::Silent));
        let server = after(server, silent);
        assert_eq!(server.waits_for(), expected, "{of} servers");
    }
    // This one has what the others have lost.
    let (server, pre_vote) = stand_at_once(3);
    let crashed =
        is_crashed(identity(2, 5).holding(at(1, 1)).of_history(HISTORY).founded(), &pre_vote);
    let server = after(server, [granted(1, &pre_vote), crashed]);
    assert_eq!((server.role(), server.waits_for()), (RoleName::Candidate, vec![ServerId(2)]));
}

#[test]
fn the_vote_waits_for_those_that_answered_the_pre_vote_until_its_time_is_over() {
    let (server, pre_vote) = stand_at_once(3);
    let server = after(server, [granted(1, &pre_vote)]);
    let (server, vote) = ask_again(server, granted(2, &pre_vote));
    let (server, effects) = server.step(granted(1, &vote));
    assert_eq!((server.role(), effects), (RoleName::Candidate, vec![]));
    let (server, _) = server.step(timeout(Timer::Campaign));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), first_lives(&[0, 1]));
}

/// It is up, and has no other history: it counts as soon as it is restored.
#[test]
fn a_crashed_server_is_named_as_well() {
    let (server, pre_vote) = stand_at_once(3);
    let crashed = identity(2, 0);
    let server = after(server, [granted(1, &pre_vote)]);
    let (server, vote) = ask_again(server, is_crashed(crashed, &pre_vote));
    let server = after(server, [granted(1, &vote)]);
    assert_eq!(server.role(), RoleName::Candidate, "it is awaited in the vote");
    let (server, _) = server.step(is_crashed(crashed, &vote));
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), first_lives(&[0, 1, 2]));
}

/// A server that shows a founded history, in any answer, shows that nothing must be founded now. The next ballot is a
/// new attempt.
#[test]
fn an_answer_that_shows_a_founded_history_voids_the_ballot_and_not_the_next() {
    let founded = identity(2, 5).holding(at(1, 1)).founded();
    let answers: [fn(Identity, &RequestVote) -> Event; 2] =
        [|sender, request| refuses(2, sender, request), is_crashed];
    for answer in answers {
        let events = [asks(ask(Vote, 5, at(0, 0))), timeout(Timer::Silence)];
        let (server, pre_vote) = stand(after(server(0, 3), events));
        let server = after(server, [granted(1, &pre_vote), answer(founded, &pre_vote)]);
        assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(5)));
        let (server, pre_vote) = ask_again(server, timeout(Timer::Campaign));
        assert_eq!((pre_vote.kind, server.current_term()), (PreVote, Term(5)));
        let server = after(server, [granted(1, &pre_vote)]);
        let empty = Identity { history: None, founded: false, last_log: at(0, 0), ..founded };
        let (server, vote) = ask_again(server, answer(empty, &pre_vote));
        assert_eq!((vote.kind, server.current_term()), (Vote, Term(6)));
        let founded = Identity { term: Term(6), ..founded };
        let server = after(server, [granted(1, &vote), answer(founded, &vote)]);
        assert_eq!(server.role(), RoleName::Candidate, "the vote is voided as well");
        let (server, pre_vote) = ask_again(server, timeout(Timer::Campaign));
        assert_eq!((pre_vote.kind, server.current_term()), (PreVote, Term(6)));
    }
}

/// Configurations that number the servers differently may show one process at two addresses: it is one server.
#[test]
fn a_process_that_answers_for_two_servers_is_counted_and_named_once() {
    let (server, pre_vote) = stand_at_once(5);
    let twice = |from, request: &RequestVote| grants(from, request.sender.by(1), request);
    let server = after(server, [twice(1, &pre_vote), twice(2, &pre_vote)]);
    let server = after(server, [ended(3, &pre_vote), ended(4, &pre_vote)]);
    assert_eq!(server.current_term(), Term(0), "two processes of five are not a majority");
}

/// A server that holds an update knows that its history is founded.
#[test]
fn a_leader_answers_callers_once_its_first_roster_is_committed() {
    let (server, effects) = founder();
    assert_eq!((server.role(), server.leads()), (RoleName::Leader, false));
    assert!(!append_to(&effects, 1).sender.founded);
    for event in [update(5, "a", 1), read(5)] {
        let (same, effects) = server.clone().step(event);
        assert_eq!(effects, [Effect::Reply(CallId(5), NOT_LEADER)]);
        assert_eq!(same, server);
    }
    let (server, news) = server.step(accepted(1, &append_to(&effects, 1)));
    assert!(server.leads());
    assert!(append_to(&news, 1).sender.founded);
    let (_, effects) = server.step(update(5, "a", 1));
    assert_eq!(replies(&effects), []);
    assert_eq!(append_to(&effects, 1).entries, [entry(1, "a", 1)]);
}

/// Its own vote is everybody's.
#[test]
fn a_single_server_founds_its_history_as_it_starts() {
    let server = server(0, 1);
    assert!(server.leads());
    assert_eq!((roster(&server), server.status().history), (first_lives(&[0]), Some(life(0))));
}
