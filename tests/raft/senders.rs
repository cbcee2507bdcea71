//! What a message says about its sender, checked before anything else: whether it can be true, whether it comes from
//! another set that shares an address by mistake, and whether it was meant for another process.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// Identities that no server of this set of three has, in term 9.
fn impossible() -> Vec<(&'static str, Identity)> {
    let possible = identity(1, 9).holding(at(9, 5)).founded();
    let max = NUMBER_MAX;
    vec![
        ("a smaller set", possible.of(2)),
        ("a larger set", possible.of(4)),
        ("an incarnation of 0", possible.in_life(Incarnation(0))),
        ("an incarnation too great", possible.in_life(Incarnation(max + 1))),
        ("a history of 0", possible.of_history(Incarnation(0))),
        ("a history too great", possible.of_history(Incarnation(max + 1))),
        ("a log without a history", Identity { history: None, ..possible }),
        ("a history without a log", possible.holding(at(0, 0)).of_history(HISTORY)),
        ("a founded history without a log", possible.holding(at(0, 0))),
        ("an index without a term", possible.holding(at(0, 5))),
        ("a term without an index", possible.holding(at(5, 0))),
        ("an index too great", possible.holding(at(9, max + 1))),
        ("a last entry after its term", possible.holding(at(10, 5))),
        ("a term too great", Identity { term: Term(max + 1), ..possible }.holding(at(9, 5))),
    ]
}

/// In each role.
fn servers() -> [Server; 4] {
    [follower(3), pre_candidate(3), candidate(3), leader(3)]
}

#[test]
fn a_request_whose_sender_contradicts_itself_or_its_set_is_forged_and_changes_nothing() {
    for (what, sender) in impossible() {
        let append = AppendEntries { sender, ..append(9, at(1, 1), vec![]) };
        let vote = RequestVote { sender, ..ask(Vote, 9, at(1, 1)) };
        let pre_vote = RequestVote { kind: PreVote, ..vote.clone() };
        for server in servers() {
            for event in [appends(append.clone()), asks(vote.clone()), asks(pre_vote.clone())] {
                let (same, effects) = server.clone().step(event);
                assert!(is_forged(&effects), "{what}: {effects:?}");
                assert_eq!(same, server, "{what}");
            }
        }
    }
}

#[test]
fn a_reply_whose_sender_contradicts_itself_or_its_set_changes_nothing() {
    for (what, sender) in impossible() {
        let (candidate, request) = stand(leaderless(3));
        for event in [grants(1, sender, &request), is_crashed(sender, &request)] {
            let (same, effects) = candidate.clone().step(event);
            assert_eq!(effects, [], "{what}");
            assert_eq!(same, candidate, "{what}");
        }
        let (leader, effects) = leader(3).step(update(1, "a", 1));
        let request = append_to(&effects, 1);
        let crashed = Event::Unanswered {
            by: ServerId(1),
            request: Request::AppendEntries(request.clone()),
            failure: Failure::Crashed(sender),
        };
        for event in [answers(1, sender, &request, AppendOutcome::Accepted), crashed] {
            let (after, effects) = leader.clone().step(event);
            assert_eq!(effects, [], "{what}");
            assert_eq!(after.status(), leader.status(), "{what}");
        }
    }
}

/// §5.3: a leader's log has an entry of its term, and so a history.
#[test]
fn an_append_of_a_leader_without_an_entry_of_its_term_is_forged() {
    let request = append(9, at(1, 1), vec![]);
    for sender in [request.sender.holding(at(0, 0)), request.sender.holding(at(8, 5))] {
        let forged = AppendEntries { sender, ..request.clone() };
        let (same, effects) = follower(3).step(appends(forged));
        assert!(is_forged(&effects), "{sender:?}");
        assert_eq!(same, follower(3));
    }
}

/// Every term begins with a roster, of the leader's history, and of servers that exist.
#[test]
fn an_append_with_an_impossible_roster_is_forged_and_changes_nothing() {
    let of_other = Roster { history: OTHER, members: [(ServerId(1), life(1))].into() };
    let of_other = Entry { term: Term(9), command: Command::Roster(of_other.into()) };
    let table = [
        ("a term that opens with an update", vec![entry(9, "a", 1)]),
        ("a later term that does", [rosters(&[8]), vec![entry(9, "a", 1)]].concat()),
        ("another history", vec![of_other]),
        ("nobody", vec![naming(9, &[])]),
        ("a server that there is not", vec![naming(9, &[(3, life(3))])]),
        ("one process as two servers", vec![naming(9, &[(0, life(0)), (1, life(0))])]),
        ("an incarnation of 0", vec![naming(9, &[(0, Incarnation(0))])]),
        ("an incarnation too great", vec![naming(9, &[(0, Incarnation(NUMBER_MAX + 1))])]),
        ("after one that is good", [rosters(&[9]), vec![naming(9, &[(3, life(3))])]].concat()),
    ];
    for (what, entries) in table {
        let (same, effects) = follower(3).step(appends(append(9, at(1, 1), entries)));
        assert!(is_forged(&effects), "{what}");
        assert_eq!(same, follower(3), "{what}");
    }
}

/// Only the second round of everybody's vote has an account: of all servers, with a majority alive, and the candidate.
#[test]
fn a_request_with_an_impossible_account_is_forged_and_changes_nothing() {
    let account = |living: &[(u8, Option<Incarnation>)]| {
        Account(living.iter().map(|(id, incarnation)| (ServerId(*id), *incarnation)).collect())
    };
    let (zero, one, two) = (Some(life(0)), Some(life(1)), Some(life(2)));
    let possible = account(&[(0, zero), (1, None), (2, two)]);
    let vote = RequestVote { account: Some(possible.clone()), ..ask(Vote, 9, at(1, 1)) };
    let (_, effects) = follower(3).step(asks(vote.clone()));
    assert!(is_granted(&effects), "the possible counterpart");
    let table = [
        ("a pre-vote", RequestVote { account: Some(possible), ..ask(PreVote, 9, at(1, 1)) }),
        (
            "one server short",
            RequestVote { account: Some(account(&[(0, zero), (2, two)])), ..vote.clone() },
        ),
    ];
    let accounts = [
        ("one server too many", account(&[(0, zero), (1, one), (2, two), (3, None)])),
        ("another server in place of one", account(&[(0, zero), (2, two), (3, one)])),
        ("no majority that lives", account(&[(0, None), (1, None), (2, two)])),
        ("without the candidate", account(&[(0, zero), (1, one), (2, None)])),
        ("another life of the candidate", account(&[(0, zero), (1, one), (2, Some(next_life(2)))])),
        ("an incarnation of 0", account(&[(0, Some(Incarnation(0))), (1, one), (2, two)])),
        (
            "an incarnation too great",
            account(&[(0, Some(Incarnation(NUMBER_MAX + 1))), (1, one), (2, two)]),
        ),
    ];
    let of = |account| RequestVote { account: Some(account), ..vote.clone() };
    let forged = accounts.map(|(what, account)| (what, of(account)));
    for (what, request) in table.into_iter().chain(forged) {
        let (same, effects) = follower(3).step(asks(request));
        assert!(is_forged(&effects), "{what}");
        assert_eq!(same, follower(3), "{what}");
    }
}

/// The whole identity: requests and replies are parsed by this.
#[test]
fn a_server_says_of_itself_what_it_is() {
    let cluster = Cluster::new(SELF, 3).unwrap().named(7);
    let (server, _) = Server::start(cluster, life(0), Compaction::default());
    let fresh = Identity { names: 7, ..identity(0, 0) };
    let (_, request) = ask_again(server.clone(), timeout(Timer::Start));
    assert_eq!(request.sender, fresh);
    let log = append(2, at(0, 0), rosters(&[1, 2]));
    let log = AppendEntries { sender: Identity { names: 7, ..log.sender }, ..log };
    for founded in [false, true] {
        let log = if founded { log.clone().committing(1) } else { log.clone() };
        let (server, effects) = server.clone().step(appends(log));
        let Reply::Append(reply) = reply(&effects) else { panic!("no answer to a leader") };
        let expected = Identity { term: Term(2), founded, ..fresh.holding(at(2, 2)) };
        assert_eq!((reply.sender, server.identity()), (expected, expected));
    }
}

/// Meant for an earlier incarnation of this server, which held what the leader believes that this one holds.
#[test]
fn an_append_for_another_incarnation_is_refused_and_stores_nothing() {
    let to = |receiver| {
        let request = append(2, at(1, 1), rosters(&[2]));
        let (server, effects) = follower(3).step(appends(AppendEntries { receiver, ..request }));
        assert_eq!(server.current_term(), Term(2), "its term is in the reply all the same");
        (outcome(&effects), terms(&server), server.leader())
    };
    let stored = (AppendOutcome::Accepted, vec![1, 2], Some(ServerId(1)));
    assert_eq!(to(Some(life(0))), stored);
    assert_eq!(to(None), stored, "from a leader that knows none yet");
    assert_eq!(to(Some(next_life(0))), (AppendOutcome::Refused, vec![1], None));
}

/// A set of servers that shares an address with this one by mistake: other names and another history.
#[test]
fn nothing_is_taken_from_a_server_of_another_set_not_even_its_term() {
    let of_other_set = |sender: Identity| Identity { names: 7, ..sender.of_history(OTHER) };
    let append = append(9, at(1, 1), vec![]);
    let append = AppendEntries { sender: of_other_set(append.sender), ..append };
    let vote = ask(Vote, 9, at(8, 9));
    let vote = RequestVote { sender: of_other_set(vote.sender), ..vote };
    for server in servers() {
        let (same, effects) = server.clone().step(appends(append.clone()));
        assert_eq!((outcome(&effects), effects.len()), (AppendOutcome::Refused, 1));
        assert_eq!(same, server);
        let (same, effects) = server.clone().step(asks(vote.clone()));
        assert_eq!((is_granted(&effects), effects.len()), (false, 1));
        assert_eq!(same, server);
    }
}

#[test]
fn nothing_is_taken_from_an_answer_of_another_set_not_even_its_term() {
    let sender = Identity { names: 7, ..identity(1, 9).holding(at(8, 9)).of_history(OTHER) };
    let (server, request) = stand(leaderless(3));
    let (same, effects) = server.clone().step(refuses(1, sender.founded(), &request));
    assert_eq!(effects, []);
    assert_eq!(same, server);
    let (server, _) = server.step(refuses(1, sender, &request));
    assert_eq!(server.current_term(), Term(9), "before it is founded it may be a peer");
}

/// Machines may have different names for the same servers.
#[test]
fn a_server_of_the_same_history_is_heard_whatever_its_names_for_the_servers() {
    let request = append(2, at(1, 1), rosters(&[2]));
    let other_names = Identity { names: 7, ..request.sender };
    let (server, effects) =
        follower(3).step(appends(AppendEntries { sender: other_names, ..request }));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(terms(&server), [1, 2]);
    let vote = ask(Vote, 2, at(1, 1));
    let other_names = Identity { names: 7, ..vote.sender };
    let (_, effects) = follower(3).step(asks(RequestVote { sender: other_names, ..vote }));
    assert!(is_granted(&effects));
}

/// A process that has just been started has no history yet. It does not get the vote, but is answered like a peer.
#[test]
fn a_founded_server_answers_one_without_a_log_whatever_its_names() {
    let vote = ask(Vote, 9, at(0, 0));
    let other_names = Identity { names: 7, ..vote.sender };
    let (server, effects) = follower(3).step(asks(RequestVote { sender: other_names, ..vote }));
    assert!(!is_granted(&effects));
    assert_eq!(server.current_term(), Term(9));
}

/// If a server is not founded, only its own configuration shows which set it belongs to. A sender with other names must
/// be the process that answers at the address that the configuration has for it.
#[test]
fn a_server_that_is_not_founded_hears_those_that_it_has_met_at_their_addresses() {
    let request = append(1, at(0, 0), rosters(&[1]));
    let other_names = Identity { names: 7, ..request.sender };
    let request = appends(AppendEntries { sender: other_names, ..request });
    let (same, effects) = server(0, 3).step(request.clone());
    assert_eq!(outcome(&effects), AppendOutcome::Refused);
    assert_eq!(same, server(0, 3));
    let (server, pre_vote) = stand_at_once(3);
    let met = |at: u8, life| {
        let sender = Identity { names: 7, ..identity(1, 0).in_life(life) };
        let (server, _) = server.clone().step(refuses(at, sender, &pre_vote));
        server.step(request.clone())
    };
    let (_, effects) = met(1, next_life(1));
    assert_eq!(outcome(&effects), AppendOutcome::Refused, "another process answers there");
    let (_, effects) = met(2, life(1));
    assert_eq!(outcome(&effects), AppendOutcome::Refused, "it answers elsewhere");
    let (server, effects) = met(1, life(1));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(terms(&server), [1]);
}
