//! Histories that meet: which server gives its own up, which one refuses the other's, and which one reports it.

use support::raft::*;

use BallotKind::{PreVote, Vote};

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

/// Entries that begin terms in the other history, of rosters of all three.
fn other_rosters(terms: &[u64]) -> Vec<Entry> {
    let members = |id| (ServerId(id), life(id));
    let roster = Roster { history: OTHER, members: [0, 1, 2].map(members).into() };
    let command = Command::Roster(roster.into());
    terms.iter().map(|term| Entry { term: Term(*term), command: command.clone() }).collect()
}

/// An append of server 1, which leads in the other history.
fn other_append(term: u64, prev_log: Position, entries: Vec<Entry>) -> AppendEntries {
    append(term, prev_log, entries).of_history(OTHER)
}

/// A leader of three in term 2, founded, whose followers have long been silent.
fn cut_off() -> Server {
    after(leader(3), [BEAT, BEAT, BEAT])
}

/// It has nothing that it knows to be committed.
#[test]
fn a_server_that_is_not_founded_takes_any_leader_s_log_in_place_of_its_own() {
    for term in [3, 4] {
        let server = follower_holding(3, &[1, 3]);
        let request = other_append(term, at(0, 0), other_rosters(&[2]));
        let (server, effects) = server.step(appends(request));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted, "in term {term}");
        assert_eq!((terms(&server), server.status().history), (vec![2], Some(OTHER)));
        assert_eq!(server.leader(), Some(ServerId(1)));
    }
    let server = follower_holding(3, &[1, 3]);
    let (same, effects) =
        server.clone().step(appends(other_append(2, at(0, 0), other_rosters(&[2]))));
    assert_eq!(outcome(&effects), AppendOutcome::Stale, "of a past term");
    assert_eq!(same, server);
}

/// Places in the logs of two histories are unrelated, whatever their terms.
#[test]
fn nothing_of_a_log_of_another_history_is_taken_for_the_leader_s() {
    let server = follower_holding(3, &[1, 1]);
    let request = other_append(1, at(1, 2), vec![]).committing(2);
    let (server, effects) = server.step(appends(request));
    assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(0, 0)));
    assert_eq!((terms(&server), server.status().commit_index), (vec![], LogIndex(0)));
}

/// Relaunched processes may lead the same term in two histories: what one of them has sent, or committed, the other has
/// not.
#[test]
fn what_was_heard_in_one_history_is_not_committed_by_the_leader_of_another() {
    let news = append(1, at(0, 0), vec![]).committing(1);
    let entries = other_append(1, at(0, 0), other_rosters(&[1])).by(2);
    let server = after(server(0, 3), [appends(news.clone()), appends(entries)]);
    assert_eq!((terms(&server), server.status().commit_index), (vec![1], LogIndex(0)));
    let server = after(follower_holding(3, &[1]), [appends(other_append(1, at(0, 0), vec![]))]);
    let server = after(server, [appends(news)]);
    assert_eq!((terms(&server), server.status().commit_index), (vec![], LogIndex(0)));
}

/// The other leader has no majority yet, so its append is marked. What it sends next is not a forgery.
#[test]
fn a_server_that_takes_the_log_of_a_second_leader_of_its_term_no_longer_follows_the_first() {
    let server = after(server(0, 3), [appends(append(1, at(0, 0), vec![]).by(2))]);
    assert_eq!(server.leader(), Some(ServerId(2)));
    let marked =
        AppendEntries { has_majority: false, ..other_append(1, at(0, 0), other_rosters(&[1])) };
    let (server, effects) = server.step(appends(marked));
    assert_eq!((outcome(&effects), server.leader()), (AppendOutcome::Accepted, None));
    let (server, effects) = server.step(appends(other_append(1, at(1, 1), vec![])));
    assert_eq!((outcome(&effects), server.leader()), (AppendOutcome::Accepted, Some(ServerId(1))));
}

/// Whatever its log: a server that is not founded has nothing to defend against a founded history.
#[test]
fn a_server_that_is_not_founded_votes_for_a_founded_candidate_of_another_history() {
    let voter = after(follower_holding(3, &[1, 3]), [timeout(Timer::Silence)]);
    for kind in [PreVote, Vote] {
        let shorter = ask(kind, 4, at(1, 1)).of_history(OTHER);
        let (_, effects) = voter.clone().step(asks(shorter.clone().founded()));
        assert!(is_granted(&effects), "{kind:?}");
        let (_, effects) = voter.clone().step(asks(shorter));
        assert!(!is_granted(&effects), "{kind:?}, not founded: by §5.4.1");
        let (_, effects) = voter.clone().step(asks(ask(kind, 4, at(1, 1)).founded()));
        assert!(!is_granted(&effects), "{kind:?}, of the same history: by §5.4.1");
        let longer = ask(kind, 4, at(3, 2)).of_history(OTHER);
        let (_, effects) = voter.clone().step(asks(longer));
        assert!(is_granted(&effects), "{kind:?}, not founded: by §5.4.1");
    }
}

/// It stores nothing, and does not count as contact with a leader; only the term is the same for all.
#[test]
fn a_founded_server_refuses_the_appends_of_another_history() {
    let request = other_append(9, at(0, 0), other_rosters(&[1])).committing(1);
    for server in [follower(3), leaderless(3)] {
        let (refusing, effects) = server.clone().step(appends(request.clone()));
        assert_eq!(outcome(&effects), AppendOutcome::Refused);
        assert_eq!(armed(&effects), []);
        assert_eq!((refusing.current_term(), refusing.leader()), (Term(9), None));
        assert_eq!(refusing.log(), server.log());
    }
}

#[test]
fn a_founded_server_refuses_its_vote_to_another_history() {
    for server in [leaderless(3), candidate(3), cut_off()] {
        for founded in [false, true] {
            let request = ask(Vote, 9, at(8, 9)).of_history(OTHER);
            let request = request.changed(|sender| sender.founded = founded);
            let (refusing, effects) = server.clone().step(asks(request.clone()));
            assert!(!is_granted(&effects));
            assert_eq!(refusing.current_term(), Term(9), "the term is one for all");
            assert_eq!(refusing.status().voted_for, None);
            let pre_vote = ask(PreVote, 9, at(8, 9)).of_history(OTHER);
            let pre_vote = pre_vote.changed(|sender| sender.founded = founded);
            let (same, effects) = server.clone().step(asks(pre_vote));
            assert!(!is_granted(&effects));
            assert_eq!(same, server);
        }
    }
}

/// Relaunched processes can have led again in a term that they did not know.
#[test]
fn a_leader_without_a_majority_enters_the_next_term_for_a_founded_leader_of_another_history() {
    let request = other_append(2, at(0, 0), vec![]);
    let (server, effects) = cut_off().step(appends(request.clone().founded()));
    assert_eq!((server.role(), server.current_term()), (RoleName::Follower, Term(3)));
    assert_eq!(outcome(&effects), AppendOutcome::Refused, "it is founded itself");
    assert_eq!(server.leader(), None);
    let (same, effects) = cut_off().step(appends(request.clone()));
    assert_eq!(outcome(&effects), AppendOutcome::Refused, "the other is not founded");
    assert_eq!(same, cut_off());
    let (same, effects) = leader(3).step(appends(request.founded()));
    assert_eq!(outcome(&effects), AppendOutcome::Refused, "it has a majority");
    assert_eq!(same, leader(3));
}

/// Its calls end as after any other leadership.
#[test]
fn a_leader_that_gives_way_ends_its_reads_and_bounds_the_wait_of_its_updates() {
    let server = after(cut_off(), [read(5), update(6, "a", 1)]);
    let (server, effects) = server.step(appends(other_append(2, at(0, 0), vec![]).founded()));
    assert_eq!(replies(&effects)[0], (5, Reply::Failed(CallError::NotLeader(None))));
    assert_eq!(armed(&effects), [Timer::Fate, Timer::Silence]);
    assert_eq!(server.status().waiting, 1);
}

/// Without updates its history may be given up. It is the same process, but nothing that it granted or stored may
/// count.
#[test]
fn a_candidate_without_updates_starts_over_when_it_is_shown_another_founded_history() {
    let shown = identity(1, 1).holding(at(1, 9)).of_history(OTHER).founded();
    let answers: [fn(Identity, &RequestVote) -> Event; 2] =
        [|sender, request| refuses(1, sender, request), is_crashed];
    for answer in answers {
        for follower in [follower(3), follower_holding(3, &[1])] {
            let (server, request) = stand(after(follower, [timeout(Timer::Silence)]));
            let (server, effects) = server.step(answer(shown, &request));
            let status = server.status();
            assert_ne!(status.incarnation, life(0));
            assert_eq!((status.role, status.history), (RoleName::Follower, None));
            assert_eq!((status.commit_index, terms(&server)), (LogIndex(0), vec![]));
            assert_eq!(status.current_term, Term(1), "it has not left its term");
            assert_eq!(armed(&effects), [Timer::Start]);
            let request = other_append(1, at(0, 0), other_rosters(&[1]));
            let (_, effects) = server.step(appends(request));
            assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        }
    }
}

/// Its entry is gone from this log, but may be in others.
#[test]
fn a_candidate_that_starts_over_tells_its_callers_that_the_outcome_is_unknown() {
    let server = after(leader(3), [update(5, "a", 1)]);
    let server = after(server, [appends(append(3, at(2, 2), rosters(&[3])))]);
    let (server, request) = stand(after(server, [timeout(Timer::Silence)]));
    let shown = identity(1, 3).holding(at(3, 9)).of_history(OTHER).founded();
    let (server, effects) = server.step(refuses(1, shown, &request));
    assert_eq!(server.status().history, None);
    assert_eq!(replies(&effects), [(5, Reply::Failed(CallError::OutcomeUnknown))]);
}

/// It votes once in a term, whatever happens to its log (§5.2).
#[test]
fn a_candidate_that_starts_over_keeps_its_vote() {
    let (server, vote) = nearly_elected(follower(3));
    let shown = identity(1, 2).holding(at(1, 9)).of_history(OTHER).founded();
    let (server, _) = server.step(refuses(1, shown, &vote));
    assert_eq!(server.status().history, None);
    let (_, effects) =
        server.clone().step(asks(ask(Vote, 2, at(1, 9)).of_history(OTHER).founded()));
    assert!(!is_granted(&effects));
    let (server, effects) = server.step(granted(2, &vote));
    assert_eq!((server.role(), effects), (RoleName::Follower, vec![]), "that ballot is over");
}

/// It may begin another ballot later. No late answer of this one counts in it.
#[test]
fn a_server_that_started_over_does_not_reuse_ballot_numbers() {
    let (server, request) = stand(leaderless(3));
    let shown = identity(1, 1).holding(at(1, 9)).of_history(OTHER).founded();
    let server = after(server, [refuses(1, shown, &request), timeout(Timer::Silence)]);
    let (server, again) = stand(server);
    assert_eq!((request.ballot, again.ballot), (1, 2));
    let (same, effects) = server.clone().step(granted(2, &request));
    assert_eq!(effects, []);
    assert_eq!(same, server);
}

/// They have updates: an operator has to choose. What was deleted before them does not matter.
#[test]
fn a_candidate_with_updates_keeps_them_whatever_it_is_shown() {
    let shown = identity(1, 2).holding(at(1, 9)).of_history(OTHER).founded();
    let uncommitted = append(1, at(1, 1), rosters(&[1]));
    let entries = [rosters(&[2]), vec![entry(2, "a", 1)]].concat();
    let overwritten = after(follower(3), [appends(uncommitted)]);
    for follower in [follower(3), overwritten] {
        let entries = append(2, at(1, 1), entries.clone());
        let with_update = after(follower, [appends(entries), timeout(Timer::Silence)]);
        let (server, request) = stand(with_update);
        let (server, effects) = server.step(refuses(1, shown, &request));
        assert_eq!((server.role(), effects), (RoleName::Candidate, vec![]));
        assert_eq!((server.status().incarnation, terms(&server)), (life(0), vec![1, 2, 2]));
    }
}

/// Nor does it give anything up for a history that may never be committed, or for its own.
#[test]
fn a_candidate_does_not_start_over_for_a_history_that_is_its_own_or_not_founded() {
    let longer = identity(1, 1).holding(at(1, 9));
    for shown in [longer.of_history(OTHER), longer.founded(), identity(1, 1)] {
        let (server, request) = stand(leaderless(3));
        let (server, _) = server.step(refuses(1, shown, &request));
        let status = server.status();
        assert_eq!((status.role, status.incarnation), (RoleName::Candidate, life(0)), "{shown:?}");
    }
}
