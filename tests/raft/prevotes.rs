//! Elections beyond the paper: the pre-vote (thesis §9.6), a leader without a majority, and a process that has just
//! been started.

use support::raft::*;

use BallotKind::{PreVote, Vote};

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

/// A leader that has not heard from its followers for as long as a silence phase takes.
fn cut_off(of: u8) -> Server {
    after(leader(of), [BEAT, BEAT, BEAT])
}

/// An append of server 1 that says it has no majority.
fn marked(term: u64, prev_log: Position, entries: Vec<Entry>) -> AppendEntries {
    AppendEntries { has_majority: false, ..append(term, prev_log, entries) }
}

/// Nothing that a step sent is answered.
fn lost(effects: &[Effect]) -> Vec<Event> {
    append_requests(effects).iter().map(|(to, request)| unanswered(to.0, request)).collect()
}

#[test]
fn a_candidate_asks_for_pre_votes_first_and_neither_votes_nor_raises_its_term() {
    let server = after(follower_holding(3, &[1, 4]), [timeout(Timer::Silence)]);
    let (server, effects) = server.step(timeout(Timer::Election));
    assert_eq!((server.current_term(), server.status().voted_for), (Term(4), None));
    let request = RequestVote { ballot: 1, ..ask(PreVote, 5, at(4, 2)).by(0) };
    assert_eq!(vote_requests(&effects), [1, 2].map(|peer| (ServerId(peer), request.clone())));
}

#[test]
fn only_a_majority_of_pre_votes_starts_the_election() {
    let (server, effects) = leaderless(5).step(timeout(Timer::Election));
    let request = vote_requests(&effects)[0].1.clone();
    let answers = [granted(1, &request), granted(1, &request), refused(2, &request, 1)];
    let server = after(server, answers);
    let once = after(pre_candidate(5), [granted(1, &request), refused(2, &request, 1)]);
    assert_eq!(server, once);
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
    let (server, effects) = server.step(granted(4, &request));
    assert_eq!(server.current_term(), Term(2));
    assert_eq!(vote_requests(&effects)[0].1.kind, Vote);
}

#[test]
fn a_pre_vote_is_granted_only_by_a_follower_that_takes_its_leader_for_lost() {
    let restored = after(leaderless(3), [crash(1), restore(2)]);
    let stepped_down = after(leader(3), [appends(append(3, at(0, 0), vec![]))]);
    let table = [
        ("follower", follower(3), false),
        ("leaderless follower", leaderless(3), true),
        ("restored follower", restored, false),
        ("former leader", stepped_down, false),
        ("voter", after(leaderless(3), [asks(ask(Vote, 2, at(1, 1)))]), false),
    ];
    for (who, server, expected) in table {
        let term = server.current_term().next().0;
        let last_log = server.status().last_log;
        let (_, effects) = server.step(asks(ask(PreVote, term, last_log)));
        assert_eq!(is_granted(&effects), expected, "{who}");
    }
}

#[test]
fn a_pre_vote_is_granted_only_for_a_term_above_the_own() {
    let leaderless =
        after(follower(3), [appends(append(2, at(0, 0), vec![])), timeout(Timer::Silence)]);
    let pre_candidate = after(leaderless.clone(), [timeout(Timer::Election)]);
    for server in [leaderless, pre_candidate] {
        for (term, expected) in [(2, false), (3, true), (4, true)] {
            let (_, effects) = server.clone().step(asks(ask(PreVote, term, at(1, 1))));
            assert_eq!(is_granted(&effects), expected, "for term {term}");
        }
    }
    let (_, effects) = candidate(3).step(asks(ask(PreVote, 2, at(1, 1))));
    assert!(!is_granted(&effects), "a candidate has reached term 2 itself");
}

/// No server is in the term that a pre-vote proposes yet, and granting a pre-vote is not voting.
#[test]
fn a_pre_vote_changes_nothing_at_the_server_that_answers() {
    for server in
        [follower(3), leaderless(3), pre_candidate(3), candidate(3), leader(3), cut_off(3)]
    {
        for (term, last_log) in [(1, at(0, 0)), (2, at(1, 1)), (3, at(1, 1)), (9, at(2, 2))] {
            let (same, effects) = server.clone().step(asks(ask(PreVote, term, last_log)));
            let Reply::Vote(reply) = reply(&effects) else { panic!("no answer") };
            assert_eq!((reply.kind, reply.ballot), (PreVote, 9));
            assert_eq!(reply.sender, server.identity(), "the replier's own term is in the reply");
            assert_eq!(effects.len(), 1, "no timer changes");
            assert_eq!(same, server);
        }
    }
}

/// Otherwise two servers, one with the higher term and one with the longer log, could refuse each other for ever.
#[test]
fn a_pre_candidate_adopts_the_higher_term_of_a_refusal() {
    let (server, effects) = leaderless(3).step(timeout(Timer::Election));
    let (server, effects) = server.step(refused(1, &vote_requests(&effects)[0].1, 6));
    assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(6)));
    assert_eq!(armed(&effects), [Timer::Silence]);
}

#[test]
fn the_term_of_a_server_that_reaches_nobody_does_not_climb() {
    let mut server = leaderless(3);
    let mut timer = Timer::Election;
    for _ in 0..20 {
        let effects;
        (server, effects) = server.step(timeout(timer));
        timer = armed(&effects)[0];
        assert_eq!(vote_requests(&effects).len(), 2, "one request per peer and ballot");
        for (by, request) in vote_requests(&effects) {
            server = after(server, [without_vote(by.0, &request, Failure::Silent)]);
        }
    }
    assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
}

#[test]
fn a_leader_refuses_pre_votes_while_it_has_a_majority() {
    let request = asks(ask(PreVote, 3, at(2, 2)));
    let (_, effects) = after(leader(3), [BEAT, BEAT]).step(request.clone());
    assert!(!is_granted(&effects));
    let (server, effects) = cut_off(3).step(request);
    assert!(is_granted(&effects));
    let (_, effects) = server.step(asks(ask(PreVote, 3, at(1, 2))));
    assert!(!is_granted(&effects), "§5.4.1 holds for it as for all");
}

/// A server that votes has been heard from; so has one that answers an append, but not one that a message was merely
/// sent to.
#[test]
fn a_leader_has_a_majority_until_it_misses_replies_for_a_silence_phase() {
    let is_marked = |effects: &[Effect]| !append_requests(effects)[0].1.has_majority;
    let (server, first) = elected(3, &[1]);
    assert!(!is_marked(&first), "its voters count as heard from");
    let (server, second) = server.step(BEAT);
    let server = after(server, lost(&second));
    let (server, third) = server.step(BEAT);
    let server = after(server, lost(&third));
    assert!(server.has_majority());
    let (server, fourth) = server.step(BEAT);
    let server = after(server, lost(&fourth));
    assert!(![second, third, fourth].iter().any(|effects| is_marked(effects)));
    assert!(!server.has_majority(), "what it tells people is what its next append tells");
    let (server, fifth) = server.step(BEAT);
    assert!(is_marked(&fifth), "three heartbeats without a reply make one silence phase");
    let (server, effects) = server.step(accepted(2, &append_to(&fifth, 2)));
    assert!(!is_marked(&effects), "and the next append after a reply has a majority again");
    assert!(server.has_majority());
    assert_eq!(server.role(), RoleName::Leader);
}

/// A leader of three with an update in flight to both followers, who answer every heartbeat.
fn with_batches_in_flight() -> (Server, [AppendEntries; 2]) {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let batches = [1, 2].map(|peer| append_to(&effects, peer));
    (beaten(server, 3), batches)
}

/// A leader after so many heartbeats, all of which were answered.
fn beaten(mut server: Server, beats: usize) -> Server {
    for _ in 0..beats {
        let (next, effects) = server.step(BEAT);
        let heartbeats = append_requests(&effects);
        let heartbeats = heartbeats.iter().filter(|(_, request)| request.entries.is_empty());
        server = after(next, heartbeats.map(|(peer, request)| accepted(peer.0, request)));
    }
    server
}

/// What the next appends of a leader say about its majority.
fn claims_majority(server: &Server) -> bool {
    let (_, effects) = server.clone().step(BEAT);
    append_requests(&effects)[0].1.has_majority
}

/// A network may lose everything but small packets. The others must be able to elect a leader that reaches them.
#[test]
fn a_leader_whose_entries_do_not_arrive_loses_its_majority_although_its_heartbeats_do() {
    let (server, [one, two]) = with_batches_in_flight();
    assert!(claims_majority(&server), "a batch may take long");
    let server = after(server, [unanswered(1, &one)]);
    assert!(claims_majority(&server), "the other follower still takes entries");
    let server = after(server, [unanswered(2, &two)]);
    assert!(!claims_majority(&server));
    let (_, effects) = server.clone().step(asks(ask(PreVote, 3, at(2, 3))));
    assert!(is_granted(&effects), "its own pre-vote is open again");
    let (server, effects) = server.step(BEAT);
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert!(!claims_majority(&server), "a heartbeat shows nothing about entries");
    let (_, effects) = server.step(accepted(1, &batch_to(&effects, 1)));
    assert!(append_to(&effects, 1).has_majority, "but the reply to entries does");
}

/// A large batch on a slow link is no failure, even if it is sent for the second time.
#[test]
fn entries_that_take_long_when_they_are_sent_again_cost_no_majority() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let failed = [1, 2].map(|peer| unanswered(peer, &append_to(&effects, peer)));
    let server = beaten(after(server, failed), 10);
    assert!(claims_majority(&server));
}

/// A connection that breaks is replaced at the next heartbeat. That is no reason for an election.
#[test]
fn entries_that_fail_and_arrive_soon_after_cost_no_majority() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let mut server = server;
    let mut batches = [1, 2].map(|peer| append_to(&effects, peer));
    for beat in 0..3 {
        server = after(server, [unanswered(1, &batches[0]), unanswered(2, &batches[1])]);
        assert!(claims_majority(&server), "after {beat} heartbeats");
        let (next, effects) = server.step(BEAT);
        let (next, first) = next.step(accepted(1, &append_to(&effects, 1)));
        let (next, second) = next.step(accepted(2, &append_to(&effects, 2)));
        batches = [batch_to(&first, 1), batch_to(&second, 2)];
        server = next;
    }
    server = after(server, [unanswered(1, &batches[0]), unanswered(2, &batches[1])]);
    assert!(!claims_majority(&server), "after a silence timeout");
}

/// A server without a majority keeps its role and its callers: the handout requires them to wait until the majority is
/// back.
#[test]
fn a_leader_without_a_majority_keeps_its_role_and_its_waiting_calls() {
    let mut server = after(leader(3), [read(1), update(2, "a", 1)]);
    for _ in 0..50 {
        let effects;
        (server, effects) = server.step(BEAT);
        assert_eq!(replies(&effects), []);
    }
    assert_eq!((server.role(), server.status().waiting), (RoleName::Leader, 2));
}

/// Faults are not replies, nor are replies of the wrong kind or term.
#[test]
fn only_a_reply_of_the_current_term_shows_a_leader_that_it_is_heard() {
    let (server, effects) = leader(5).step(BEAT);
    let server = after(server, [BEAT, BEAT]);
    let heard = append_to(&effects, 1);
    let late = heard.clone().changed(|sender| sender.term = Term(1));
    let events = [
        unanswered(2, &append_to(&effects, 2)),
        accepted(2, &late),
        answered(2, &append_to(&effects, 2), AppendOutcome::Stale),
    ];
    let server = after(after(server, events), [accepted(1, &heard)]);
    let (_, effects) = server.step(BEAT);
    assert!(append_requests(&effects).iter().all(|(_, request)| !request.has_majority));
}

#[test]
fn a_single_server_always_has_its_majority() {
    let (_, effects) = after(server(0, 1), [BEAT, BEAT, BEAT, BEAT]).step(read(1));
    assert_eq!(replies(&effects).len(), 1);
}

/// A marked append is checked, stored, committed and acknowledged like any other.
#[test]
fn a_marked_append_is_stored_like_any_other() {
    for server in [follower(3), leaderless(3), pre_candidate(3)] {
        let request = marked(1, at(1, 1), vec![entry(1, "a", 1)]).committing(2);
        let (server, effects) = server.step(appends(request));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(server.files().version("a"), 1);
        let (_, effects) = server.step(appends(marked(1, at(1, 3), vec![])));
        assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(1, 2)));
    }
}

/// It changes neither timer nor phase, known leader nor role, so that a leader that is cut off from the majority delays
/// no election.
#[test]
fn a_marked_append_delays_no_election() {
    for server in [leaderless(3), pre_candidate(3), candidate(3)] {
        let term = server.current_term().0;
        let (same, effects) = server.clone().step(appends(marked(term, at(0, 0), vec![])));
        assert_eq!(armed(&effects), []);
        let heard = Status { leader_history: Some(HISTORY), ..server.status() };
        assert_eq!(same.status(), heard);
    }
    let voter = after(leaderless(3), [asks(ask(Vote, 2, at(1, 1)))]);
    let (server, effects) = voter.step(appends(marked(2, at(0, 0), vec![])));
    assert_eq!(armed(&effects), []);
    assert_eq!(server.leader(), None);
}

/// The winner of its vote is known, and may have another roster: a server that grants now must not be counted by that.
#[test]
fn a_candidate_that_stores_a_marked_append_has_lost_its_vote() {
    let (server, vote) = nearly_elected(follower(3));
    let winner = marked(2, at(1, 1), vec![naming(2, &first_lives(&[0, 1]))]);
    let (server, effects) = server.step(appends(winner));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    let (same, effects) = server.clone().step(granted(2, &vote));
    assert_eq!(effects, []);
    assert_eq!(same, server);
    let (_, again) = ask_again(server, timeout(Timer::Campaign));
    assert_eq!((again.kind, again.sender.last_log), (PreVote, at(2, 2)));
}

/// A newer term counts, whichever message brings it (§5.1).
#[test]
fn a_marked_append_of_a_newer_term_ends_a_candidacy() {
    let (server, _) = candidate(3).step(appends(marked(3, at(0, 0), vec![])));
    assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(3)));
    assert_eq!(server.leader(), None);
}

/// What it may have voted for before it was killed does not matter: the vote of the ended process no longer counts, and
/// that of the living one does not count yet (see `identity`).
#[test]
fn a_process_that_has_just_been_started_votes_at_once() {
    for kind in [PreVote, Vote] {
        let (_, effects) = server(0, 3).step(asks(ask(kind, 1, at(0, 0))));
        assert!(is_granted(&effects), "{kind:?}");
    }
}

/// A leader that is up is heard before: its heartbeats come more often.
#[test]
fn a_process_that_has_just_been_started_stands_after_one_wait_unless_it_hears_a_leader() {
    const { assert!(HEARTBEAT_MS < START_MS) };
    let (stands, effects) = server(0, 3).step(timeout(Timer::Start));
    assert_eq!(stands.role(), RoleName::Candidate);
    assert_eq!(vote_requests(&effects)[0].1.kind, PreVote);
    let (heard, effects) = server(0, 3).step(appends(append(1, at(0, 0), vec![])));
    assert_eq!(armed(&effects), [Timer::Silence], "a role's timer replaces the others");
    let (heard, _) = heard.step(timeout(Timer::Start));
    assert_eq!(heard.role(), RoleName::Follower);
}

/// restore() is not a restart: nothing was forgotten.
#[test]
fn a_restored_server_votes_at_once() {
    let (_, effects) = after(crashed(3), [restore(2)]).step(asks(ask(Vote, 2, at(1, 1))));
    assert!(is_granted(&effects));
}
