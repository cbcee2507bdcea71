//! The rules of §5.1, §5.2 and §5.4.1, and what Figure 2 says about terms, votes and elections: a test for each.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// Each running role, by name, in term 1 or 2.
fn running() -> [(&'static str, Server); 5] {
    [
        ("follower", follower(5)),
        ("leaderless follower", leaderless(5)),
        ("pre-candidate", pre_candidate(5)),
        ("candidate", candidate(5)),
        ("leader", leader(5)),
    ]
}

/// One message of each kind in `term`; none of them is granted or accepted.
fn messages(term: u64) -> [(&'static str, Event); 5] {
    let sender = identity(1, term).of(5);
    let vote = |kind| VoteReply { sender, kind, ballot: 1, vote_granted: false, leads: false };
    let append_reply = AppendReply { sender, round: Round(1), outcome: AppendOutcome::Stale };
    [
        ("RequestVote", asks(ask(Vote, term, at(0, 0)).of(5))),
        ("AppendEntries", appends(append(term, at(term, 9), vec![]).of(5))),
        ("a pre-vote's reply", responds(1, Response::Vote(vote(PreVote)))),
        ("a vote's reply", responds(1, Response::Vote(vote(Vote)))),
        ("an append's reply", responds(1, Response::Append(append_reply))),
    ]
}

/// Figure 2, Rules for Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
/// to follower" (§5.1).
#[test]
fn every_message_of_a_newer_term_makes_every_role_a_follower_of_that_term() {
    for (role, server) in running() {
        for (message, event) in messages(8) {
            let (server, _) = server.clone().step(event);
            assert_eq!(server.role(), RoleName::Follower, "{role}, {message}");
            assert_eq!(server.current_term(), Term(8), "{role}, {message}");
        }
    }
}

/// §5.1: the vote belongs to a term, so a newer term begins without one.
#[test]
fn a_newer_term_begins_without_a_vote() {
    for (message, event) in messages(8).into_iter().skip(1) {
        let (server, _) = candidate(5).step(event);
        assert_eq!(server.status().voted_for, None, "{message}");
    }
}

/// §5.1: "If a server receives a request with a stale term number, it rejects the request", and its reply carries the
/// newer term.
#[test]
fn a_request_of_an_earlier_term_is_refused_and_changes_nothing() {
    for (role, server) in running() {
        let server = match server.current_term() {
            Term(1) => after(server, [appends(append(2, at(0, 0), vec![]).of(5))]),
            _ => server,
        };
        let sender = server.identity();
        assert_eq!(sender.term, Term(2), "{role}");
        let (voted, effects) = server.clone().step(asks(ask(Vote, 1, at(0, 0)).of(5)));
        let leads = server.has_majority();
        let refusal = VoteReply { sender, kind: Vote, ballot: 9, vote_granted: false, leads };
        assert_eq!(effects, [Effect::Reply(PEER, Reply::Vote(refusal))], "{role}");
        assert_eq!(voted, server, "{role}");
        let late = append(1, at(0, 0), rosters_of(5, &[1])).of(5);
        let (stored, effects) = server.clone().step(appends(late));
        let refusal = AppendReply { sender, round: Round(7), outcome: AppendOutcome::Stale };
        assert_eq!(effects, [Effect::Reply(PEER, Reply::Append(refusal))], "{role}");
        assert_eq!(stored, server, "{role}");
    }
}

/// §5.1: a reply of an earlier term answers nothing that is still asked, unless it answers a pre-vote, which raises no
/// server's term.
#[test]
fn a_reply_of_an_earlier_term_changes_nothing() {
    for (role, server) in running() {
        for (message, event) in messages(0).into_iter().skip(2) {
            let (answered, effects) = server.clone().step(event);
            assert_eq!(effects, [], "{role}, {message}");
            assert_eq!(answered.status(), server.status(), "{role}, {message}");
            if (role, message) != ("pre-candidate", "a pre-vote's reply") {
                assert_eq!(answered, server, "{role}, {message}");
            }
        }
    }
}

/// Figure 2, State; §5.2: "When servers start up, they begin as followers."
#[test]
fn a_server_starts_as_a_follower_in_term_0_with_an_empty_log() {
    let (server, effects) =
        Server::start(Cluster::new(SELF, 3).unwrap(), life(0), Compaction::default());
    assert_eq!(effects, [Effect::ArmTimer(Timer::Start)]);
    let expected = Status {
        role: RoleName::Follower,
        current_term: Term(0),
        incarnation: life(0),
        history: None,
        voted_for: None,
        leader: None,
        leader_history: None,
        commit_index: LogIndex(0),
        last_applied: LogIndex(0),
        last_included: at(0, 0),
        last_log: at(0, 0),
        waiting: 0,
    };
    assert_eq!(server.status(), expected);
}

/// §5.2: "A server remains in follower state as long as it receives valid RPCs from a leader", here an empty one.
#[test]
fn an_append_of_the_current_leader_restarts_the_silence_phase() {
    for server in [follower(3), leaderless(3)] {
        let (server, effects) = server.step(appends(append(1, at(0, 0), vec![])));
        assert_eq!(armed(&effects), [Timer::Silence]);
        assert_eq!(server.leader(), Some(ServerId(1)));
    }
}

/// §5.2: a leader whose append is refused because of its log is the leader all the same.
#[test]
fn an_append_that_does_not_fit_the_log_restarts_the_silence_phase() {
    let (server, effects) = leaderless(3).step(appends(append(1, at(1, 4), vec![])));
    assert_eq!(armed(&effects), [Timer::Silence]);
    assert_eq!(server.leader(), Some(ServerId(1)));
}

/// Figure 2, Followers: the timer restarts on "AppendEntries RPC from current leader" only.
#[test]
fn an_append_of_a_former_leader_leaves_the_timer_alone() {
    let server = after(leaderless(3), [asks(ask(Vote, 3, at(0, 0)))]);
    let (_, effects) = server.step(appends(append(2, at(0, 0), vec![])));
    assert_eq!(armed(&effects), []);
}

/// Figure 2, Followers: the timer restarts on "granting vote to candidate".
#[test]
fn a_granted_vote_restarts_the_silence_phase() {
    let (server, effects) = leaderless(3).step(asks(ask(Vote, 2, at(1, 1))));
    assert!(is_granted(&effects));
    assert_eq!(armed(&effects), [Timer::Silence]);
    let (_, effects) = server.step(asks(ask(PreVote, 3, at(1, 1))));
    assert!(!is_granted(&effects), "it gives the candidate time to win");
}

/// Figure 2, Followers: after refusing a vote, it does not wait longer, not even in a newer term.
#[test]
fn a_refused_vote_leaves_the_timer_alone() {
    let (server, effects) = leaderless(3).step(asks(ask(Vote, 2, at(0, 0))));
    assert!(!is_granted(&effects));
    assert_eq!(armed(&effects), []);
    let (server, _) = server.step(timeout(Timer::Election));
    assert_eq!(server.role(), RoleName::Candidate, "it is still in its election phase");
}

/// Figure 2, Candidates: "Increment currentTerm; vote for self; reset election timer; send RequestVote RPCs to all
/// other servers", all of it once the pre-vote is won.
#[test]
fn a_candidate_raises_its_term_votes_for_itself_and_asks_every_peer() {
    let server = after(follower_holding(3, &[1, 4]), [timeout(Timer::Silence)]);
    let (server, effects) = server.step(timeout(Timer::Election));
    let (server, effects) = server.step(granted(2, &vote_requests(&effects)[0].1));
    assert_eq!(server.current_term(), Term(5));
    assert_eq!(server.status().voted_for, Some(Member { id: SELF, incarnation: life(0) }));
    assert_eq!(armed(&effects), [Timer::Campaign]);
    let request = RequestVote { ballot: 2, ..ask(Vote, 5, at(4, 2)).by(0) };
    assert_eq!(vote_requests(&effects), [1, 2].map(|peer| (ServerId(peer), request.clone())));
}

/// §5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis."
#[test]
fn a_follower_votes_for_at_most_one_candidate_in_a_term() {
    let server = after(follower(3), [asks(ask(Vote, 2, at(1, 1)))]);
    let (server, effects) = server.step(asks(ask(Vote, 2, at(1, 9)).by(1)));
    assert!(!is_granted(&effects));
    assert_eq!(armed(&effects), []);
    let voted_for = Member { id: ServerId(2), incarnation: life(2) };
    assert_eq!(server.status().voted_for, Some(voted_for));
}

/// Figure 2, RequestVote: "If votedFor is null or candidateId". The reply to the first request may have been lost.
#[test]
fn a_repeated_request_of_the_same_candidate_is_granted_again() {
    let server = after(follower(3), [asks(ask(Vote, 2, at(1, 1)))]);
    let (_, effects) = server.step(asks(ask(Vote, 2, at(1, 1))));
    assert!(is_granted(&effects));
}

/// §5.2: candidates and leaders have voted for themselves.
#[test]
fn a_candidate_or_leader_votes_for_nobody_else_in_its_term() {
    for server in [candidate(3), leader(3)] {
        let (answered, effects) = server.clone().step(asks(ask(Vote, 2, at(1, 9))));
        assert!(!is_granted(&effects));
        assert_eq!(answered, server);
    }
}

/// A late copy of the request that was granted says nothing about who leads.
#[test]
fn a_repeated_vote_does_not_make_a_follower_forget_its_leader() {
    let server =
        after(follower(3), [asks(ask(Vote, 2, at(1, 1))), appends(append(2, at(0, 0), vec![]))]);
    let (server, _) = server.step(asks(ask(Vote, 2, at(1, 1))));
    assert_eq!(server.leader(), Some(ServerId(1)));
}

/// §5.4.1: a voter "denies its vote if its own log is more up-to-date than that of the candidate": the later last term
/// wins; of equal last terms, the longer log.
#[test]
fn a_vote_is_granted_exactly_to_a_log_at_least_as_up_to_date() {
    let voter = after(founded_follower_holding(3, &[1, 3, 3]), [timeout(Timer::Silence)]);
    let table = [
        (at(0, 0), false),
        (at(2, 2), false),
        (at(2, 3), false),
        (at(2, 9), false),
        (at(3, 2), false),
        (at(3, 3), true),
        (at(3, 4), true),
        (at(4, 1), true),
        (at(4, 3), true),
        (at(4, 4), true),
    ];
    for kind in [PreVote, Vote] {
        for (last_log, expected) in table {
            let (_, effects) = voter.clone().step(asks(ask(kind, 5, last_log)));
            assert_eq!(is_granted(&effects), expected, "{kind:?} for {last_log:?}");
        }
    }
}

/// §5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full cluster."
#[test]
fn a_candidate_wins_with_a_majority_of_all_servers_and_not_before() {
    for of in 2..=10 {
        let (server, vote) = nearly_elected(follower(of));
        assert_eq!(server.role(), RoleName::Candidate, "{} votes of {of}", of / 2);
        let (server, _) = server.step(granted(of / 2, &vote));
        assert_eq!(server.role(), RoleName::Leader, "{} votes of {of}", of / 2 + 1);
    }
}

/// §5.2: a single server is a majority of one. It waits for no other server, so it leads from the start.
#[test]
fn a_single_server_elects_itself() {
    let (server, effects) =
        Server::start(Cluster::new(SELF, 1).unwrap(), life(0), Compaction::default());
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(server.current_term(), Term(1));
    assert_eq!(armed(&effects).last(), Some(&Timer::Heartbeat));
}

/// §5.2: a majority is counted in servers, not in messages, and only in votes for this ballot.
#[test]
fn a_vote_counts_once_from_a_peer_and_for_its_own_ballot_only() {
    let (server, vote) = nearly_elected(follower(5));
    let (server, effects) = server.step(refused(2, &vote, 2));
    assert_eq!((server.role(), effects), (RoleName::Candidate, vec![]), "a refusal");
    let earlier = RequestVote { ballot: vote.ballot - 1, ..vote.clone() };
    let table = [
        ("a repeated vote", granted(1, &vote)),
        ("a repeated refusal", refused(2, &vote, 2)),
        ("its own vote", granted(0, &vote)),
        ("a stranger's vote", granted(5, &vote)),
        ("an earlier ballot's vote", granted(3, &earlier)),
        ("a pre-vote's grant", granted(3, &RequestVote { kind: PreVote, ..vote.clone() })),
        ("no answer to an earlier ballot", without_vote(3, &earlier, Failure::Silent)),
    ];
    for (what, event) in table {
        let (counted, effects) = server.clone().step(event);
        assert_eq!(effects, [], "{what}");
        assert_eq!(counted, server, "{what}");
    }
    let silence = without_vote(3, &vote, Failure::Silent);
    let (server, effects) = server.step(silence.clone());
    assert_eq!((server.role(), effects), (RoleName::Candidate, vec![]), "no answer");
    assert_eq!(server.clone().step(silence), (server.clone(), vec![]), "no answer, repeated");
    let (server, _) = server.step(granted(4, &vote));
    assert_eq!(server.role(), RoleName::Leader, "the third vote");
}

/// §5.2: "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages to all of the other
/// servers"; here the entry of §8 is the first.
#[test]
fn a_new_leader_is_heard_by_every_peer_at_once() {
    let (server, effects) = elected(5, &[1]);
    let peers: Vec<_> = append_requests(&effects).into_iter().map(|(to, _)| to.0).collect();
    assert_eq!(peers, [1, 2, 3, 4]);
    assert_eq!(append_to(&effects, 4).entries, rosters_of(5, &[2]));
    assert_eq!(append_to(&effects, 4).sender.id, SELF);
    assert_eq!(server.leader(), Some(SELF));
}

/// §5.2: "If the leader's term is at least as large as the candidate's current term, then the candidate recognizes the
/// leader as legitimate and returns to follower state."
#[test]
fn a_candidate_follows_the_winner_of_its_term() {
    for server in [pre_candidate(3), candidate(3)] {
        let term = server.current_term().0;
        let (server, effects) = server.step(appends(append(term, at(1, 1), rosters(&[term]))));
        assert_eq!(server.role(), RoleName::Follower);
        assert_eq!(server.leader(), Some(ServerId(1)));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(terms(&server), [1, term]);
    }
}

/// §5.2: split votes: "each candidate will time out and start a new election".
#[test]
fn a_candidate_without_a_majority_starts_another_ballot_when_its_time_is_up() {
    let (server, effects) = candidate(5).step(timeout(Timer::Campaign));
    assert_eq!(server.role(), RoleName::Candidate);
    assert_eq!(armed(&effects), [Timer::Campaign]);
    let request = ask(PreVote, 3, at(1, 1)).by(0).of(5).founded();
    let request = RequestVote { ballot: 3, ..request };
    assert_eq!(vote_requests(&effects), [1, 2, 3, 4].map(|peer| (ServerId(peer), request.clone())));
}
