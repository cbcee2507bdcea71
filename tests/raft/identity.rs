//! Which servers count: the processes that the last roster of a server's own log names, in that incarnation.

use support::raft::*;

use BallotKind::{PreVote, Vote};

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

fn commit_index(server: &Server) -> u64 {
    server.status().commit_index.0
}

/// A leader of five just elected in term 2 by 1 and 2, of which its roster names 0, 1 and 2; 3 and 4 are guests.
fn leader_with_guests() -> (Server, Vec<Effect>) {
    elected_by(stand(leaderless_among(5, &first_lives(&[0, 1, 2]))), &[1, 2])
}

/// A leader of three just elected in term 2 by 1 and 2, which its roster names, and not itself.
fn guest_that_leads() -> (Server, Vec<Effect>) {
    elected_by(stand(leaderless_among(3, &first_lives(&[1, 2]))), &[1, 2])
}

/// A reply that accepts. Servers 3 and 4 do not know that the history is founded, so they stay guests.
fn accepted_at(from: u8, request: &AppendEntries) -> Event {
    let founded = request.sender.founded && from < 3;
    let sender = Identity { founded, ..request.sender.by(from) };
    answers(from, sender, request, AppendOutcome::Accepted)
}

/// A candidate counts votes only of incarnations that the roster of its own log names, in both of its ballots.
#[test]
fn a_candidate_counts_no_vote_of_a_guest_or_of_another_incarnation() {
    let (server, pre_vote) = stand(leaderless_among(5, &first_lives(&[0, 1, 2, 3])));
    let others = |request: &RequestVote| {
        [granted(4, request), grants(3, relaunched(3, &request.sender), request)]
    };
    let server = after(after(server, others(&pre_vote)), [granted(1, &pre_vote)]);
    assert_eq!(server.current_term(), Term(1), "four have granted, of which two count");
    let (server, vote) = ask_again(server, granted(2, &pre_vote));
    assert_eq!(vote.kind, Vote);
    let server = after(after(server, [granted(1, &vote)]), others(&vote));
    assert_eq!(server.role(), RoleName::Candidate);
    let (server, _) = server.step(granted(2, &vote));
    assert_eq!(server.role(), RoleName::Leader);
}

#[test]
fn a_candidate_that_its_roster_does_not_name_does_not_count_itself() {
    let earlier_life = [&[(0, next_life(0))][..], &first_lives(&[1, 2])].concat();
    for members in [first_lives(&[1, 2]), earlier_life] {
        let (server, pre_vote) = stand(leaderless_among(3, &members));
        let server = after(server, [granted(1, &pre_vote)]);
        assert_eq!(server.current_term(), Term(1));
        let (server, vote) = ask_again(server, granted(2, &pre_vote));
        let server = after(server, [granted(1, &vote)]);
        assert_eq!(server.role(), RoleName::Candidate);
        let (server, _) = server.step(granted(2, &vote));
        assert_eq!(server.role(), RoleName::Leader);
    }
}

/// A majority is one of all servers, however few the roster names.
#[test]
fn a_roster_of_few_servers_makes_no_smaller_majority() {
    let (server, pre_vote) = stand(leaderless_among(5, &first_lives(&[0, 1])));
    let server = after(server, [1, 2, 3].map(|from| granted(from, &pre_vote)));
    assert_eq!(server.current_term(), Term(1));
}

#[test]
fn a_leader_counts_no_acknowledgement_of_a_guest() {
    let (server, effects) = leader_with_guests();
    let all = [3, 4, 1].map(|from| accepted_at(from, &append_to(&effects, from)));
    let server = after(server, all);
    assert_eq!(commit_index(&server), 1, "of the four that hold it two count");
    let (server, _) = server.step(accepted_at(2, &append_to(&effects, 2)));
    assert_eq!(commit_index(&server), 2);
}

#[test]
fn a_leader_counts_no_guest_that_confirms_a_read() {
    let (server, effects) = leader_with_guests();
    let server = settled_by(server, &effects, accepted_at);
    let (server, effects) = server.step(read(5));
    let all = [3, 4, 1].map(|from| accepted_at(from, &append_to(&effects, from)));
    let mut server = server;
    for event in all {
        let answer;
        (server, answer) = server.step(event);
        assert_eq!(replies(&answer), []);
    }
    let (_, answer) = server.step(accepted_at(2, &append_to(&effects, 2)));
    assert_eq!(replies(&answer).len(), 1);
}

/// It would keep others from electing a leader that can commit.
#[test]
fn a_leader_that_hears_only_from_guests_is_without_a_majority() {
    let (server, effects) = leader_with_guests();
    let mut server = settled_by(server, &effects, accepted_at);
    for _ in 0..3 {
        let (next, effects) = server.step(BEAT);
        assert!(append_to(&effects, 3).has_majority);
        server = after(next, [3, 4].map(|from| accepted_at(from, &append_to(&effects, from))));
    }
    let (_, effects) = server.step(BEAT);
    assert!(!append_to(&effects, 3).has_majority);
}

#[test]
fn a_leader_that_its_roster_does_not_name_does_not_count_itself() {
    let (server, effects) = guest_that_leads();
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    assert_eq!(commit_index(&server), 1, "of the two that hold it one counts");
    let (server, effects) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(commit_index(&server), 2);
    assert_eq!(roster(&server), first_lives(&[0, 1, 2]), "now it brings itself in");
    assert_eq!(append_to(&effects, 2).entries.len(), 1);
}

/// Until its log has the roster that brings it in.
#[test]
fn a_leader_that_its_roster_does_not_name_confirms_no_read_itself() {
    let (server, first) = guest_that_leads();
    let (server, effects) = server.step(read(5));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    let (server, effects) = server.step(accepted(1, &append_to(&first, 1)));
    assert_eq!((replies(&effects), server.status().waiting), (vec![], 1));
    let (server, _) = server.step(BEAT);
    let silent = after(server, [BEAT, BEAT, accepted(1, &append_to(&first, 1))]);
    let (_, effects) = silent.step(asks(ask(PreVote, 3, at(2, 2))));
    assert!(is_granted(&effects), "with one other it is not a majority either");
}

/// Nothing that an earlier process of a server acknowledged is true of a later one.
#[test]
fn what_another_incarnation_acknowledged_is_no_longer_counted() {
    let (server, effects) = leader(5).step(update(1, "a", 1));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    let (server, beat) = server.step(BEAT);
    let beat = append_to(&beat, 1);
    let sender = relaunched(1, &beat.sender);
    let server = after(server, [answers(1, sender, &beat, AppendOutcome::Refused)]);
    let (server, _) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(commit_index(&server), 2, "two of five hold the update");
    let (server, _) = server.step(accepted(3, &append_to(&effects, 3)));
    assert_eq!(commit_index(&server), 3, "now three of five hold it");
}

/// If two incarnations of a server answer, the answer to the latest append shows which is current.
#[test]
fn the_youngest_append_decides_which_incarnation_is_current() {
    let current = |server: Server| {
        let (_, effects) = server.step(BEAT);
        append_to(&effects, 1).receiver
    };
    let (server, beat) = leader(3).step(BEAT);
    let (server, batch) = server.step(update(1, "a", 1));
    let (older, younger) = (append_to(&beat, 1), append_to(&batch, 1));
    assert!(older.round < younger.round);
    let anew = |request: &AppendEntries| {
        answers(1, relaunched(1, &request.sender), request, AppendOutcome::Refused)
    };
    let server_of = |events: [Event; 2]| after(server.clone(), events);
    assert_eq!(current(server_of([anew(&older), accepted(1, &younger)])), Some(life(1)));
    assert_eq!(current(server_of([accepted(1, &younger), anew(&older)])), Some(life(1)));
    assert_eq!(current(server_of([accepted(1, &older), anew(&younger)])), Some(next_life(1)));
    let late = server_of([anew(&younger), accepted(1, &older)]);
    assert_eq!(commit_index(&late), 2);
    assert_eq!(current(late), Some(next_life(1)));
}

/// An answer that refuses says nothing except which process answers.
#[test]
fn a_refusal_or_a_crashed_follower_confirms_nothing() {
    let refuses: fn(&AppendEntries) -> Event =
        |request| answered(1, request, AppendOutcome::Refused);
    let is_crashed: fn(&AppendEntries) -> Event = |request| Event::Unanswered {
        by: ServerId(1),
        request: Request::AppendEntries(request.clone()),
        failure: Failure::Crashed(request.sender.by(1)),
    };
    for tells in [refuses, is_crashed] {
        let (server, effects) = after(leader(3), [update(1, "a", 1)]).step(read(5));
        let (server, effects) = server.step(tells(&append_to(&effects, 1)));
        assert_eq!((replies(&effects), commit_index(&server)), (vec![], 2));
        let mut server = server;
        for _ in 0..3 {
            let (next, effects) = server.step(BEAT);
            server = after(next, appends_to(&effects, 1).iter().map(tells));
        }
        let (_, effects) = server.step(asks(ask(PreVote, 3, at(2, 3))));
        assert!(is_granted(&effects), "it has no majority");
    }
}

/// It may accept later what it refuses now: it may be restarted, or get to know this server.
#[test]
fn a_follower_that_refuses_is_sent_the_next_heartbeat_all_the_same() {
    let (server, effects) = leader(3).step(BEAT);
    let beat = append_to(&effects, 1);
    let founded = identity(1, 1).holding(at(1, 1)).of_history(OTHER).founded();
    let table = [
        ("one of this history", beat.sender.by(1)),
        ("one of another history", Identity { term: Term(2), ..founded }),
        ("one that does not know this server's names", Identity { names: 7, ..identity(1, 0) }),
        ("one of another set", Identity { names: 7, ..founded }),
    ];
    for (who, sender) in table {
        let refusal = answers(1, sender, &beat, AppendOutcome::Refused);
        let (_, effects) = after(server.clone(), [refusal]).step(BEAT);
        assert_eq!(appends_to(&effects, 1).len(), 1, "{who}");
    }
}

/// A guest stores, answers, votes and becomes a candidate like any other.
#[test]
fn a_server_that_the_roster_does_not_name_participates_uncounted() {
    let guest = leaderless_among(3, &first_lives(&[1, 2]));
    let entries = append(1, at(1, 1), vec![entry(1, "a", 1)]).committing(2);
    let (server, effects) = guest.clone().step(appends(entries));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(server.files().version("a"), 1);
    for kind in [PreVote, Vote] {
        let (_, effects) = guest.clone().step(asks(ask(kind, 2, at(1, 1))));
        assert!(is_granted(&effects));
    }
    assert_eq!(stand(guest).1.kind, PreVote);
}

/// A leader says which processes its appends are for, if it knows: those that answered in its election, and later all.
#[test]
fn an_append_names_the_incarnation_that_is_to_receive_it() {
    let (server, effects) = elected(3, &[1]);
    let receivers = |effects: &[Effect]| {
        let requests = append_requests(effects).into_iter();
        requests.map(|(to, request)| (to.0, request.receiver)).collect::<Vec<_>>()
    };
    assert_eq!(receivers(&effects), [(1, Some(life(1))), (2, None)]);
    let (_, effects) = settled(server, &effects).step(BEAT);
    assert_eq!(receivers(&effects), [(1, Some(life(1))), (2, Some(life(2)))]);
}
