//! How a leader revises the roster: a server that shows another incarnation is removed first, and added later.

use support::raft::*;

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

/// The refusal of a relaunched server that was not the receiver of an append.
fn refused_anew(from: u8, request: &AppendEntries) -> Event {
    answers(from, relaunched(from, &request.sender), request, AppendOutcome::Refused)
}

/// The reply of a relaunched server that has stored everything.
fn accepted_anew(from: u8, request: &AppendEntries) -> Event {
    let sender = request.sender.by(from).in_life(next_life(from));
    answers(from, sender, request, AppendOutcome::Accepted)
}

/// The reply of each of these to the last message sent to it.
fn all_accept(effects: &[Effect], peers: &[u8]) -> Vec<Event> {
    peers.iter().map(|from| accepted(*from, &append_to(effects, *from))).collect()
}

/// A leader of five, its rosters 1/t1 and 2/t2 committed, that has just been shown another incarnation of server 1; and
/// what it then sends.
fn leader_shown_another() -> (Server, Vec<Effect>) {
    let (server, effects) = leader(5).step(BEAT);
    server.step(refused_anew(1, &append_to(&effects, 1)))
}

/// All five except server 1, and it in its next incarnation.
fn with_the_next_life_of_1() -> Vec<(u8, Incarnation)> {
    [&first_lives(&[0])[..], &[(1, next_life(1))], &first_lives(&[2, 3, 4])].concat()
}

fn last_index(server: &Server) -> u64 {
    server.status().last_log.index.0
}

fn commit_index(server: &Server) -> u64 {
    server.status().commit_index.0
}

#[test]
fn a_leader_whose_followers_show_nothing_new_appends_no_roster() {
    let mut server = leader(5);
    for _ in 0..10 {
        let (next, effects) = server.step(BEAT);
        server = settled(next, &effects);
    }
    assert_eq!(last_index(&server), 2);
}

#[test]
fn a_server_that_shows_another_incarnation_is_taken_out() {
    let (server, effects) = leader_shown_another();
    assert_eq!((last_index(&server), roster(&server)), (3, first_lives(&[0, 2, 3, 4])));
    assert_eq!(append_to(&effects, 2).entries, [naming(2, &first_lives(&[0, 2, 3, 4]))]);
    let sent = append_to(&effects, 1);
    assert_eq!((sent.prev_log, sent.entries.len()), (at(0, 0), 3), "it is sent everything again");
    assert_eq!(sent.receiver, Some(next_life(1)));
}

/// The roster that begins a term cannot be revised before it is committed, and applies until then.
#[test]
fn an_incarnation_that_the_opening_roster_does_not_name_does_not_commit_it() {
    let (server, effects) = elected(3, &[1]);
    let to_2 = append_to(&effects, 2);
    let (server, effects) = server.step(accepted_anew(1, &append_to(&effects, 1)));
    let sent = append_to(&effects, 1);
    assert_eq!(sent.receiver, Some(next_life(1)));
    let (server, _) = server.step(accepted_anew(1, &sent));
    assert_eq!((commit_index(&server), roster(&server)), (1, first_lives(&[0, 1, 2])));
    let (server, _) = server.step(accepted(2, &to_2));
    assert_eq!(commit_index(&server), 2, "the counterpart that counts");
}

/// Even if it could be added at once: a former leader has brought it up to date.
#[test]
fn an_incarnation_is_never_exchanged_in_one_roster() {
    let (server, effects) = leader(5).step(BEAT);
    let request = append_to(&effects, 1);
    let level = request.sender.by(1).in_life(next_life(1));
    let (server, effects) = server.step(answers(1, level, &request, AppendOutcome::Refused));
    assert_eq!((last_index(&server), roster(&server)), (3, first_lives(&[0, 2, 3, 4])));
    let server = after(server, all_accept(&effects, &[2, 3]));
    assert_eq!((last_index(&server), roster(&server)), (4, with_the_next_life_of_1()));
}

/// A crashed server can be recognised as well: it is up, and is another process.
#[test]
fn a_crashed_server_that_shows_another_incarnation_is_taken_out() {
    let (server, effects) = leader(5).step(BEAT);
    let request = append_to(&effects, 1);
    let failure = Failure::Crashed(relaunched(1, &request.sender));
    let request = Request::AppendEntries(request);
    let (server, _) = server.step(Event::Unanswered { by: ServerId(1), request, failure });
    assert_eq!(roster(&server), first_lives(&[0, 2, 3, 4]));
}

/// A roster never exchanges an incarnation, so two consecutive rosters name no server differently.
#[test]
fn a_server_that_was_taken_out_comes_in_once_that_is_committed() {
    let (server, effects) = leader_shown_another();
    let (server, _) = server.step(accepted_anew(1, &append_to(&effects, 1)));
    let server = after(server, all_accept(&effects, &[2]));
    assert_eq!((last_index(&server), commit_index(&server)), (3, 2), "two of five count");
    let server = after(server, all_accept(&effects, &[3]));
    assert_eq!((last_index(&server), commit_index(&server)), (4, 3));
    assert_eq!(roster(&server), with_the_next_life_of_1());
}

/// Otherwise it could still follow another history, and forget what it acknowledged of this one.
#[test]
fn a_server_comes_in_once_it_has_shown_that_it_knows_the_history_to_be_founded() {
    let (server, effects) = leader_shown_another();
    let server = settled_by(after(server, all_accept(&effects, &[2, 3])), &[], accepted);
    assert_eq!((last_index(&server), commit_index(&server)), (3, 3));
    let batch = append_to(&effects, 1);
    let of_1 = batch.sender.by(1).in_life(next_life(1));
    let not_founded = Identity { founded: false, ..of_1 };
    for sender in [not_founded, not_founded.of_history(OTHER), of_1.of_history(OTHER)] {
        let event = answers(1, sender, &batch, AppendOutcome::Accepted);
        let (server, _) = server.clone().step(event);
        assert_eq!(last_index(&server), 3, "{sender:?}");
    }
    let (server, _) = server.step(accepted_anew(1, &batch));
    assert_eq!(roster(&server), with_the_next_life_of_1());
}

/// The last roster of a log is in force, committed or not.
#[test]
fn a_server_counts_again_from_the_roster_on_that_names_it() {
    let (server, effects) = leader_shown_another();
    let (server, more) = server.step(accepted_anew(1, &append_to(&effects, 1)));
    assert_eq!(append_requests(&more), []);
    let server = after(server, all_accept(&effects, &[2]));
    let (server, effects) = server.step(accepted(3, &append_to(&effects, 3)));
    let server = after(server, [accepted_anew(1, &batch_to(&effects, 1))]);
    assert_eq!(commit_index(&server), 3);
    let (server, _) = server.step(accepted(2, &batch_to(&effects, 2)));
    assert_eq!(commit_index(&server), 4, "0, 1 in its next life, and 2");
}

/// While one revision is not committed, there is no other.
#[test]
fn a_leader_appends_the_next_roster_once_the_last_one_is_committed() {
    let (server, beat) = leader(5).step(BEAT);
    let (server, effects) = server.step(refused_anew(1, &append_to(&beat, 1)));
    let server = after(server, [refused_anew(2, &append_to(&beat, 2))]);
    let server = after(server, [accepted_anew(1, &append_to(&effects, 1))]);
    let server = after(server, all_accept(&effects, &[3]));
    assert_eq!((last_index(&server), commit_index(&server)), (3, 2));
    let server = after(server, all_accept(&effects, &[4]));
    assert_eq!((last_index(&server), commit_index(&server)), (4, 3));
    let next = [&first_lives(&[0])[..], &[(1, next_life(1))], &first_lives(&[3, 4])].concat();
    assert_eq!(roster(&server), next, "one is removed as another is added");
}

/// Before an entry of its own term is committed, a leader does not know which roster is (§5.4.2).
#[test]
fn a_new_leader_revises_its_roster_once_that_of_its_term_is_committed() {
    let (server, effects) = elected(5, &[1]);
    let server = after(server, [refused_anew(1, &append_to(&effects, 1))]);
    let server = after(server, all_accept(&effects, &[2]));
    assert_eq!((last_index(&server), commit_index(&server)), (2, 1));
    let server = after(server, all_accept(&effects, &[3]));
    assert_eq!((last_index(&server), commit_index(&server)), (3, 2));
    assert_eq!(roster(&server), first_lives(&[0, 2, 3, 4]));
}

#[test]
fn a_server_that_the_founding_missed_is_brought_in() {
    let (server, effects) = elect(leaderless_among(3, &first_lives(&[0, 1])));
    let late = append_to(&effects, 2);
    assert_eq!(late.receiver, None);
    let server = after(server, [accepted(2, &late)]);
    assert_eq!((last_index(&server), commit_index(&server)), (2, 1));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    assert_eq!(roster(&server), first_lives(&[0, 1, 2]));
}

/// Configurations that number the servers differently may show one process at two addresses: it is one server.
#[test]
fn a_process_is_not_brought_in_as_another_server() {
    for twice in [0, 1] {
        let (server, effects) = elect(leaderless_among(3, &first_lives(&[0, 1])));
        let request = append_to(&effects, 2);
        let shown = request.sender.by(twice);
        let server = after(server, [answers(2, shown, &request, AppendOutcome::Accepted)]);
        let server = after(server, [accepted(1, &append_to(&effects, 1))]);
        assert_eq!((last_index(&server), commit_index(&server)), (2, 2), "server {twice}");
    }
}

/// It may have been elected as a guest, by those that its roster names.
#[test]
fn a_leader_takes_its_own_former_life_out_and_brings_itself_in() {
    let former = [&[(0, next_life(0))][..], &first_lives(&[1, 2])].concat();
    let (server, effects) = elected_by(stand(leaderless_among(3, &former)), &[1, 2]);
    assert_eq!(roster(&server), former, "its term begins with an unchanged last roster");
    let (server, effects) =
        after(server, all_accept(&effects, &[1])).step(accepted(2, &append_to(&effects, 2)));
    assert_eq!((last_index(&server), roster(&server)), (3, first_lives(&[1, 2])));
    let server = after(server, [accepted(1, &batch_to(&effects, 1))]);
    assert_eq!(commit_index(&server), 2, "of the two that hold it one counts");
    let (server, _) = server.step(accepted(2, &batch_to(&effects, 2)));
    assert_eq!((commit_index(&server), roster(&server)), (3, first_lives(&[0, 1, 2])));
}

/// §5.3: a follower's entries that conflict with its leader's are deleted, including their rosters.
#[test]
fn a_roster_that_is_deleted_holds_no_longer() {
    let uncommitted = append(1, at(1, 1), vec![naming(1, &first_lives(&[0, 1]))]);
    let server = after(follower(3), [appends(uncommitted)]);
    assert_eq!(roster(&server), first_lives(&[0, 1]));
    let overwrite = append(2, at(1, 1), vec![naming(2, &first_lives(&[1, 2]))]);
    let server = after(server, [appends(overwrite)]);
    assert_eq!((last_index(&server), roster(&server)), (2, first_lives(&[1, 2])));
}
