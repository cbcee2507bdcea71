//! The hurry: which closed connections begin it, how the lost leader is asked, and what ends it.

use support::raft::*;

use BallotKind::{PreVote, Vote};

/// Server `id` in its first incarnation.
fn member(id: u8) -> Member {
    Member { id: ServerId(id), incarnation: life(id) }
}

/// The connections of server `id` have closed.
fn disconnected(id: u8) -> Event {
    Event::Disconnected(member(id))
}

/// A follower that has lost server 1, its leader.
fn hurried(of: u8) -> Server {
    after(follower(of), [disconnected(1)])
}

/// The same server as a candidate in its first ballot, and its pre-vote request.
fn in_a_hurry(of: u8) -> (Server, RequestVote) {
    ask_again(hurried(of), timeout(Timer::Hurry))
}

/// It as a candidate in the vote, and its request: server 1 is crashed, and the others have granted the pre-vote.
fn voting_in_a_hurry(of: u8) -> (Server, RequestVote) {
    let (server, pre_vote) = in_a_hurry(of);
    let needed = of / 2 + 1;
    let grants = (2..needed).map(|from| granted(from, &pre_vote));
    let crash = is_crashed(pre_vote.sender.by(1), &pre_vote);
    let server = after(server, grants.chain([crash]));
    ask_again(server, granted(needed, &pre_vote))
}

/// A follower of three that has lost a vote without having lost a leader.
fn loser() -> Server {
    let (server, vote) = nearly_elected(follower(3));
    after(server, [1, 2].map(|from| refused(from, &vote, 2)))
}

/// The refusal of a server with this identity that says that it leads.
fn leads_on(from: u8, sender: Identity, request: &RequestVote) -> Event {
    let RequestVote { kind, ballot, .. } = *request;
    let reply = VoteReply { sender, kind, ballot, vote_granted: false, leads: true };
    responds(from, Response::Vote(reply))
}

/// An append of server 1 that says that it has no majority.
fn marked(term: u64, prev_log: Position) -> Event {
    appends(AppendEntries { has_majority: false, ..append(term, prev_log, vec![]) })
}

/// A request for a vote that only raises the term: the log is not good enough.
fn newer_term(term: u64) -> Event {
    asks(ask(Vote, term, at(0, 0)))
}

/// Whether a follower or candidate that hears nothing more begins its next ballot in a hurry.
fn is_in_a_hurry(server: &Server) -> bool {
    let (waiting, first) = server.clone().step(timeout(Timer::Patience));
    let (_, second) = waiting.step(timeout(Timer::Hurry));
    armed(&first).into_iter().chain(armed(&second)).last() == Some(Timer::Patience)
}

/// What a server says to a candidate about its own role.
fn says_that_it_leads(server: &Server, request: RequestVote) -> bool {
    let (_, effects) = server.clone().step(asks(request));
    let Reply::Vote(reply) = reply(&effects) else { panic!("no answer to a candidate") };
    reply.leads
}

#[test]
fn a_follower_that_loses_its_leader_forgets_it_and_waits_for_its_turn_in_a_hurry() {
    let (server, effects) = follower(3).step(disconnected(1));
    assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
    assert_eq!(server.status(), Status { leader: None, ..follower(3).status() });
    assert_eq!(server.log(), follower(3).log());
    let (_, effects) = server.clone().step(read(5));
    assert_eq!(replies(&effects), [(5, Reply::Failed(CallError::NotLeader(None)))]);
    let (_, effects) = server.step(asks(ask(PreVote, 2, at(1, 1))));
    assert!(is_granted(&effects), "it has lost its leader, so it helps others to depose it");
}

#[test]
fn a_server_in_a_hurry_stands_at_the_end_of_that_time_and_is_patient_for_a_while_only() {
    let (server, effects) = hurried(3).step(timeout(Timer::Hurry));
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
    assert_eq!(armed(&effects), [Timer::Patience]);
    let request = ask(PreVote, 2, at(1, 1)).by(0).founded();
    let request = RequestVote { ballot: 1, ..request };
    assert_eq!(vote_requests(&effects), [1, 2].map(|peer| (ServerId(peer), request.clone())));
}

/// The candidate that a server has voted for will lead, if it lives.
#[test]
fn a_voter_that_loses_its_candidate_before_it_has_heard_it_is_in_a_hurry() {
    let voter = after(leaderless(3), [asks(ask(Vote, 2, at(1, 1)))]);
    let (server, effects) = voter.clone().step(disconnected(2));
    assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
    assert_eq!(server.status(), voter.status());
    assert!(is_in_a_hurry(&server));
}

#[test]
fn a_hint_about_anybody_else_is_ignored_in_every_role() {
    let voter = after(leaderless(3), [asks(ask(Vote, 2, at(1, 1)))]);
    let next_term = after(voter.clone(), [newer_term(3)]);
    let follows_another = after(voter.clone(), [appends(append(2, at(1, 1), vec![]))]);
    // The winner of the vote, server 1, has no majority, so it is not followed; but it is known.
    let hears_another = after(voter.clone(), [marked(2, at(1, 1))]);
    let table = [
        ("follower", follower(3), vec![2]),
        ("leaderless follower", leaderless(3), vec![1, 2]),
        ("voter", voter, vec![1]),
        ("voter in a later term", next_term, vec![1, 2]),
        ("voter that follows another", follows_another, vec![2]),
        ("voter that has heard the winner", hears_another, vec![1, 2]),
        ("hurried follower", hurried(3), vec![1, 2]),
        ("pre-candidate", pre_candidate(3), vec![1, 2]),
        ("pre-candidate in a hurry", in_a_hurry(3).0, vec![1, 2]),
        ("candidate", candidate(3), vec![1, 2]),
        ("leader", leader(3), vec![1, 2]),
        ("crashed server", crashed(3), vec![1, 2]),
        ("server that has just started", server(0, 3), vec![1, 2]),
    ];
    for (role, server, lost) in table {
        let strangers = [
            Member { id: ServerId(1), incarnation: next_life(1) },
            Member { id: ServerId(2), incarnation: next_life(2) },
            Member { id: ServerId(9), incarnation: life(1) },
        ];
        for lost in lost.into_iter().map(member).chain(strangers) {
            let (same, effects) = server.clone().step(Event::Disconnected(lost));
            assert_eq!(effects, [], "{role}, {lost:?}");
            assert_eq!(same, server, "{role}, {lost:?}");
        }
    }
}

/// A server that was relaunched under its leader has its log from it. Its vote does not count before a roster names it.
#[test]
fn a_guest_hurries_like_a_member() {
    let roster = naming(1, &[(1, life(1)), (2, life(2)), (0, next_life(0))]);
    let append = append(1, at(0, 0), vec![roster]).committing(1);
    let (server, effects) = after(server(0, 3), [appends(append)]).step(disconnected(1));
    assert_eq!(armed(&effects), [Timer::Hurry]);
    let (server, request) = ask_again(server, timeout(Timer::Hurry));
    let server = after(server, [refused(1, &request, 1), granted(2, &request)]);
    assert_eq!(server.current_term(), Term(1), "its own vote and another's are no majority here");
}

#[test]
fn a_pre_vote_in_a_hurry_is_not_won_before_the_lost_leader_has_answered() {
    for of in [3, 5] {
        let (server, request) = in_a_hurry(of);
        let (server, effects) = (2..of).fold((server, vec![]), |(server, effects), from| {
            let (server, more) = server.step(granted(from, &request));
            (server, [effects, more].concat())
        });
        assert_eq!(effects, []);
        assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
        let table = [
            ("grants", granted(1, &request)),
            ("refuses", refused(1, &request, 1)),
            ("has ended", ended(1, &request)),
            ("is crashed", is_crashed(request.sender.by(1), &request)),
            ("has been relaunched", refuses(1, relaunched(1, &request.sender), &request)),
            ("leads as another", leads_on(1, relaunched(1, &request.sender), &request)),
            ("has not answered in time", timeout(Timer::Patience)),
        ];
        for (verdict, event) in table {
            let (server, effects) = server.clone().step(event);
            assert_eq!(server.current_term(), Term(2), "{verdict}");
            assert_eq!(armed(&effects), [Timer::Patience], "{verdict}");
            assert_eq!(vote_requests(&effects)[0].1.kind, Vote, "{verdict}");
        }
    }
}

/// Silence is no verdict: the leader may only be slow.
#[test]
fn a_judge_that_cannot_be_reached_is_waited_for() {
    let (server, request) = in_a_hurry(3);
    let silence = without_vote(1, &request, Failure::Silent);
    for events in [[granted(2, &request), silence.clone()], [silence, granted(2, &request)]] {
        let server = after(server.clone(), events);
        assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
        let (_, vote) = ask_again(server, timeout(Timer::Patience));
        assert_eq!(vote.kind, Vote);
    }
}

#[test]
fn a_candidate_follows_the_lost_leader_again_if_it_leads_on() {
    for of in [3, 5] {
        let (server, request) = in_a_hurry(of);
        let server = after(server, (2..of).map(|from| granted(from, &request)));
        let (server, effects) = server.step(leads_on(1, request.sender.by(1), &request));
        assert_eq!(effects, [Effect::ArmTimer(Timer::Silence)]);
        assert_eq!(server.status(), follower(of).status());
        assert!(!is_in_a_hurry(&server));
        let (_, effects) = server.step(disconnected(1));
        assert_eq!(armed(&effects), [Timer::Hurry], "its next loss is a hint as well");
    }
}

/// Only the lost leader is asked whether it leads; a candidate without a hint has lost none.
#[test]
fn a_server_that_was_not_lost_is_not_followed_for_saying_that_it_leads() {
    let (server, request) = in_a_hurry(5);
    let server = after(server, [leads_on(2, request.sender.by(2), &request)]);
    assert_eq!((server.role(), server.leader()), (RoleName::Candidate, None));
    let (server, request) = stand(leaderless(5));
    let server = after(server, [leads_on(1, request.sender.by(1), &request)]);
    assert_eq!((server.role(), server.leader()), (RoleName::Candidate, None));
}

#[test]
fn a_lost_leader_of_an_older_term_is_not_followed_again() {
    let (server, request) = ask_again(after(hurried(3), [newer_term(4)]), timeout(Timer::Hurry));
    let leader = Identity { term: Term(1), ..request.sender.by(1) };
    let server = after(server, [granted(2, &request)]);
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(4)));
    let (server, vote) = ask_again(server, leads_on(1, leader, &request));
    assert_eq!((server.leader(), vote.kind, vote.sender.term), (None, Vote, Term(5)));
}

#[test]
fn an_answer_to_another_ballot_is_no_verdict() {
    let (server, request) = in_a_hurry(3);
    let later = RequestVote { ballot: request.ballot + 1, ..request.clone() };
    let vote = RequestVote { kind: Vote, ..request.clone() };
    let server = after(server, [granted(2, &request)]);
    for other in [later, vote] {
        let leader = request.sender.by(1);
        let events = [refused(1, &other, 1), ended(1, &other), leads_on(1, leader, &other)];
        for event in events {
            assert_eq!(server.clone().step(event), (server.clone(), vec![]));
        }
    }
}

/// The pre-vote has asked it already.
#[test]
fn a_vote_in_a_hurry_does_not_wait_for_the_lost_leader() {
    for of in [3, 5] {
        let (server, vote) = voting_in_a_hurry(of);
        let server = after(server, (2..=of / 2 + 1).map(|from| granted(from, &vote)));
        assert_eq!(server.role(), RoleName::Leader);
    }
}

/// A leader that was crashed and restored has no role to keep, however soon that was.
#[test]
fn only_a_leader_with_a_majority_says_that_it_leads() {
    let beat = timeout(Timer::Heartbeat);
    let cut_off = after(leader(3), [beat.clone(), beat.clone(), beat]);
    let table = [
        ("leader", leader(3), true),
        ("leader that is cut off", cut_off, false),
        ("former leader", after(leader(3), [newer_term(3)]), false),
        ("restored leader", after(leader(3), [crash(1), restore(2)]), false),
        ("follower", follower(3), false),
        ("hurried follower", hurried(3), false),
        ("pre-candidate", pre_candidate(3), false),
        ("candidate", candidate(3), false),
    ];
    for (role, server, expected) in table {
        let term = server.current_term();
        let requests = [ask(PreVote, term.next().0, at(1, 1)), ask(Vote, term.0, at(0, 0))];
        for request in requests {
            let kind = request.kind;
            assert_eq!(says_that_it_leads(&server, request), expected, "{role}, {kind:?}");
        }
    }
    let newer = ask(Vote, 3, at(2, 2));
    assert!(!says_that_it_leads(&leader(3), newer), "it has given up its role for the newer term");
}

#[test]
fn a_ballot_that_is_lost_in_a_hurry_is_repeated_soon() {
    let (server, request) = in_a_hurry(3);
    let silence = |by| without_vote(by, &request, Failure::Silent);
    let patience = || timeout(Timer::Patience);
    let losses = [
        vec![ended(1, &request), refused(2, &request, 1)],
        vec![ended(1, &request), silence(2)],
        vec![refused(2, &request, 1), is_crashed(request.sender.by(1), &request)],
        // The lost leader may still say that it leads.
        vec![refused(2, &request, 1), silence(1), patience()],
        vec![silence(2), silence(1), patience()],
    ];
    for mut events in losses {
        let last = events.pop().unwrap();
        let server = after(server.clone(), events);
        assert_eq!(server.role(), RoleName::Candidate, "another answer may come");
        let (server, effects) = server.step(last);
        assert_eq!((server.role(), server.leader()), (RoleName::Follower, None));
        assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
        let (_, again) = ask_again(server, timeout(Timer::Hurry));
        assert_eq!((again.kind, again.ballot), (PreVote, 2));
    }
}

#[test]
fn a_ballot_that_is_not_decided_in_time_is_repeated_soon() {
    let (server, pre_vote) = in_a_hurry(5);
    let server = after(server, [granted(2, &pre_vote), ended(1, &pre_vote)]);
    for server in [server, voting_in_a_hurry(5).0] {
        let (server, effects) = server.step(timeout(Timer::Patience));
        assert_eq!(server.role(), RoleName::Follower);
        assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
        let (_, effects) = server.step(asks(ask(PreVote, 3, at(1, 1)).of(5)));
        assert!(is_granted(&effects), "it keeps nobody from standing meanwhile");
    }
}

/// A server that reaches no majority would ask for ever otherwise.
#[test]
fn a_hurry_has_three_ballots_and_the_next_one_takes_its_time() {
    for mut server in [hurried(3), loser()] {
        for ballot in 1..=4 {
            let (candidate, effects) = server.step(timeout(Timer::Hurry));
            let timer = if ballot <= 3 { Timer::Patience } else { Timer::Campaign };
            assert_eq!(armed(&effects), [timer], "ballot {ballot}");
            let (_, request) = vote_requests(&effects).remove(0);
            assert_eq!(request.kind, PreVote);
            let term = request.sender.term.0;
            server = after(candidate, [ended(1, &request), refused(2, &request, term)]);
        }
        let role = server.role();
        assert_eq!(role, RoleName::Candidate, "an ordinary pre-vote is not repeated soon");
        let (_, effects) = server.step(timeout(Timer::Campaign));
        assert_eq!(armed(&effects), [Timer::Campaign]);
    }
}

#[test]
fn a_vote_that_is_lost_is_repeated_soon_without_any_hint_and_without_a_judge() {
    let table: [fn(u8, &RequestVote) -> Event; 3] = [
        |by, vote| refused(by, vote, 2),
        |by, vote| without_vote(by, vote, Failure::Silent),
        ended,
    ];
    for fails in table {
        let (server, vote) = nearly_elected(follower(3));
        let server = after(server, [fails(1, &vote)]);
        assert_eq!(server.role(), RoleName::Candidate);
        let (server, effects) = server.step(fails(2, &vote));
        assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(2)));
        assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
        let (server, pre_vote) = ask_again(server, timeout(Timer::Hurry));
        let (_, vote) = ask_again(server, granted(2, &pre_vote));
        assert_eq!((vote.kind, vote.sender.term), (Vote, Term(3)), "no judge is waited for");
    }
}

/// Otherwise a hurry in which votes are split again and again would have no end.
#[test]
fn a_vote_that_is_lost_in_a_hurry_does_not_begin_another_one() {
    let lose_vote = |server, timer| {
        let (candidate, pre_vote) = ask_again(server, timeout(timer));
        let candidate = after(candidate, [ended(1, &pre_vote)]);
        let (candidate, vote) = ask_again(candidate, granted(2, &pre_vote));
        let term = vote.sender.term.0;
        after(candidate, [ended(1, &vote), refused(2, &vote, term)])
    };
    let mut server = hurried(3);
    for ballot in 1..=3 {
        server = lose_vote(server, Timer::Hurry);
        assert_eq!(server.role(), RoleName::Follower, "vote {ballot} is repeated soon");
    }
    let (_, effects) = server.clone().step(timeout(Timer::Hurry));
    assert_eq!(armed(&effects), [Timer::Campaign]);
    let server = lose_vote(server, Timer::Hurry);
    assert_eq!(server.role(), RoleName::Candidate, "the fourth is not");
    let server = lose_vote(server, Timer::Campaign);
    assert_eq!(server.role(), RoleName::Follower, "a ballot has lasted its usual time");
}

/// It waits for all servers that may know of a history, however its candidate came to stand.
#[test]
fn a_founding_is_never_shortened() {
    let voter = after(server(0, 3), [asks(ask(Vote, 1, at(0, 0))), disconnected(2)]);
    let (candidate, vote) = elected_but_for_the_last_vote();
    let loser = after(candidate, [1, 2].map(|from| refused(from, &vote, 1)));
    for server in [voter, loser] {
        let (server, effects) = server.step(timeout(Timer::Hurry));
        assert_eq!(armed(&effects), [Timer::Campaign]);
        let (_, pre_vote) = vote_requests(&effects).remove(0);
        let silence = without_vote(2, &pre_vote, Failure::Silent);
        let server = after(server, [granted(1, &pre_vote), silence]);
        assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
        let (_, vote) = ask_again(server, timeout(Timer::Campaign));
        assert_eq!(vote.kind, Vote);
    }
}

/// A founder of three in the vote, and its request.
fn elected_but_for_the_last_vote() -> (Server, RequestVote) {
    let (server, pre_vote) = stand_at_once(3);
    ask_again(after(server, [granted(1, &pre_vote)]), granted(2, &pre_vote))
}

/// A newer term is no sign of a leader.
#[test]
fn a_hurry_outlasts_a_newer_term() {
    let (same, effects) = hurried(3).step(newer_term(4));
    assert_eq!(armed(&effects), [], "a follower's timer keeps running");
    assert!(is_in_a_hurry(&same));
    for server in [in_a_hurry(3).0, voting_in_a_hurry(3).0] {
        let (server, effects) = server.step(newer_term(4));
        assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(4)));
        assert_eq!(armed(&effects), [Timer::Hurry], "it waits for its turn, not for silence");
        assert!(is_in_a_hurry(&server));
        let (_, effects) = server.step(asks(ask(PreVote, 5, at(1, 1))));
        assert!(is_granted(&effects));
    }
}

/// Its candidate is probably the next leader; if not, little time is lost.
#[test]
fn a_hurry_outlasts_a_granted_vote_and_the_voter_waits_for_the_winner_for_a_short_time() {
    let (pre_candidate, _) = ask_again(after(hurried(3), [newer_term(4)]), timeout(Timer::Hurry));
    for server in [hurried(3), in_a_hurry(3).0, voting_in_a_hurry(3).0, pre_candidate] {
        let (server, effects) = server.step(asks(ask(Vote, 4, at(1, 1))));
        assert!(is_granted(&effects));
        assert_eq!(server.role(), RoleName::Follower);
        assert_eq!(armed(&effects).last(), Some(&Timer::Patience));
        let (_, effects) = server.clone().step(asks(ask(PreVote, 5, at(1, 1))));
        assert!(!is_granted(&effects), "it gives the candidate time to win");
        let (server, effects) = server.step(timeout(Timer::Patience));
        assert_eq!(effects, [Effect::ArmTimer(Timer::Hurry)]);
        let (_, effects) = server.step(timeout(Timer::Hurry));
        assert_eq!(armed(&effects), [Timer::Patience]);
    }
}

#[test]
fn a_hurry_ends_with_the_append_of_a_leader_that_has_a_majority_and_not_of_another() {
    let voter = after(hurried(3), [asks(ask(Vote, 2, at(1, 1)))]);
    for server in [hurried(3), voter, in_a_hurry(3).0, voting_in_a_hurry(3).0] {
        let term = server.current_term().0;
        let (server, effects) = server.step(marked(term, at(1, 1)));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(armed(&effects), []);
        assert!(is_in_a_hurry(&server), "in term {term}");
        let (server, effects) = server.step(appends(append(term, at(1, 1), vec![])));
        assert_eq!(armed(&effects).last(), Some(&Timer::Silence));
        assert!(!is_in_a_hurry(&server), "in term {term}");
    }
}

#[test]
fn a_hurry_ends_with_a_crash() {
    let voter = after(hurried(3), [asks(ask(Vote, 2, at(1, 1)))]);
    for server in [hurried(3), voter, in_a_hurry(3).0, voting_in_a_hurry(3).0] {
        let (server, effects) = after(server, [crash(1)]).step(restore(2));
        assert_eq!(armed(&effects), [Timer::Silence]);
        assert!(!is_in_a_hurry(&server));
    }
}

#[test]
fn a_hurry_ends_when_its_server_leads() {
    let (server, vote) = voting_in_a_hurry(3);
    let (leader, effects) = server.step(granted(2, &vote));
    assert_eq!(armed(&effects), [Timer::Heartbeat]);
    let (server, effects) = leader.step(newer_term(5));
    assert_eq!(armed(&effects), [Timer::Silence]);
    assert!(!is_in_a_hurry(&server));
}
