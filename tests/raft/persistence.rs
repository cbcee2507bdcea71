//! Persistent state (Figure 2: "updated on stable storage before responding to RPCs"): what a server hands over to its
//! disk, what waits for the disk, and what a server that comes back still knows.

use support::raft::*;

use crate::snapshots::{leaf, snapshot};

/// A server that keeps its state on disk, at its first start.
fn durable(of: u8) -> Server {
    recovered(of, Saved::new(life(0)))
}

/// A server that comes back with this on its disk.
fn recovered(of: u8, saved: Saved) -> Server {
    Server::recover(Cluster::new(SELF, of).expect("a member"), saved, Compaction::default()).0
}

/// The changes that are handed over to the disk.
fn saves(effects: &[Effect]) -> Vec<Save> {
    let save = |effect: &Effect| match effect {
        Effect::Save(save) => Some(save.clone()),
        _ => None,
    };
    effects.iter().filter_map(save).collect()
}

/// The server once everything that it has handed over is on disk, and what it does then.
fn synced(server: Server) -> (Server, Vec<Effect>) {
    let (mut server, mut effects) = (server, Vec::new());
    for number in 1..100 {
        let further;
        (server, further) = server.step(Event::Saved(number));
        effects.extend(further);
    }
    (server, effects)
}

/// A follower of server 1 in term 1 whose log, the committed roster of the founding, is on its disk.
fn follower_on_disk(of: u8) -> Server {
    let founding = append(1, at(0, 0), rosters_of(of, &[1])).of(of).committing(1);
    synced(after(durable(of), [appends(founding)])).0
}

/// That follower as a leader of term 2 with all of its log on disk, and its first appends.
fn leader_on_disk(of: u8) -> (Server, Vec<Effect>) {
    let ballot = after(follower_on_disk(of), [timeout(Timer::Silence)]);
    let (mut server, pre_vote) = ask_again(ballot, timeout(Timer::Election));
    let others = 1..=(of / 2);
    server = after(server, others.clone().map(|from| granted(from, &pre_vote)));
    let (mut server, effects) = synced(server);
    let (_, vote) = vote_requests(&effects).remove(0);
    let mut effects = Vec::new();
    for from in others {
        let further;
        (server, further) = server.step(granted(from, &vote));
        effects.extend(further);
    }
    assert_eq!(server.role(), RoleName::Leader);
    (server, effects)
}

/// What is on a disk after these changes.
fn on_disk(changes: impl IntoIterator<Item = Save>) -> Saved {
    let mut saved = Saved::new(life(0));
    for save in changes {
        assert!(saved.apply(save), "no change leaves a gap");
    }
    saved
}

#[test]
fn a_server_without_a_disk_saves_nothing() {
    let (server, effects) = elected(3, &[1]);
    assert_eq!(saves(&effects), []);
    let (_, effects) = server.step(update(1, "a", 1));
    assert_eq!(saves(&effects), []);
}

#[test]
fn an_acknowledgement_waits_until_the_entries_are_on_disk() {
    let request = append(1, at(0, 0), rosters(&[1])).committing(1);
    let (server, effects) = durable(3).step(appends(request));
    let [save] = &saves(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((save.number, save.first, &save.entries), (1, LogIndex(1), &rosters(&[1])));
    assert_eq!(save.hard_state.current_term, Term(1));
    assert_eq!(replies(&effects), []);
    assert_eq!(outcome(&server.step(Event::Saved(1)).1), AppendOutcome::Accepted);
}

#[test]
fn a_heartbeat_is_answered_at_once_unless_something_is_under_way() {
    let server = follower_on_disk(3);
    let heartbeat = append(1, at(1, 1), vec![]);
    let (server, effects) = server.step(appends(heartbeat.clone()));
    assert_eq!((saves(&effects), outcome(&effects)), (vec![], AppendOutcome::Accepted));
    let server = after(server, [appends(append(1, at(1, 1), vec![entry(1, "a", 1)]))]);
    let (_, effects) = server.step(appends(heartbeat));
    assert_eq!((saves(&effects), replies(&effects)), (vec![], vec![]));
}

#[test]
fn a_vote_waits_until_it_is_on_disk() {
    let server = after(follower_on_disk(3), [timeout(Timer::Silence)]);
    let (server, effects) = server.step(asks(ask(BallotKind::PreVote, 2, at(1, 1))));
    assert!(is_granted(&effects), "a pre-vote changes nothing");
    let request = ask(BallotKind::Vote, 2, at(1, 1));
    let (server, effects) = server.step(asks(request.clone()));
    let [save] = &saves(&effects)[..] else { panic!("{effects:?}") };
    let vote = (save.hard_state.current_term, save.hard_state.voted_for);
    assert_eq!(vote, (Term(2), Some(request.sender.member())));
    assert!(save.entries.is_empty() && save.first == LogIndex(2), "the log does not change");
    assert_eq!(replies(&effects), []);
    assert!(is_granted(&server.step(Event::Saved(save.number)).1));
}

/// A refusal shows the term of the server, which must not fall afterwards.
#[test]
fn a_refusal_waits_until_the_term_is_on_disk() {
    let (server, effects) = follower_on_disk(3).step(asks(ask(BallotKind::Vote, 2, at(0, 0))));
    assert_eq!((saves(&effects).len(), replies(&effects)), (1, vec![]));
    assert!(!is_granted(&server.step(Event::Saved(2)).1));
}

#[test]
fn a_candidate_asks_for_votes_once_its_own_is_on_disk() {
    let server = after(follower_on_disk(3), [timeout(Timer::Silence)]);
    let (server, pre_vote) = ask_again(server, timeout(Timer::Election));
    let (server, effects) = server.step(granted(1, &pre_vote));
    let [save] = &saves(&effects)[..] else { panic!("{effects:?}") };
    let own = Member { id: SELF, incarnation: life(0) };
    assert_eq!(save.hard_state.voted_for, Some(own));
    assert_eq!(vote_requests(&effects), []);
    let (_, effects) = server.step(Event::Saved(save.number));
    assert_eq!(vote_requests(&effects).len(), 2);
}

#[test]
fn what_waits_is_released_in_order_and_each_no_earlier_than_its_own_change() {
    let server = follower_on_disk(3);
    let one = append(1, at(1, 1), vec![entry(1, "a", 1)]);
    let next = append(1, at(1, 2), vec![entry(1, "b", 1)]);
    let call = |id, request| Event::Call(CallId(id), Call::AppendEntries(request));
    let server = after(server, [call(7, one), call(8, next)]);
    let ids = |effects: &[Effect]| replies(effects).iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let (first, effects) = server.clone().step(Event::Saved(2));
    assert_eq!(ids(&effects), [7]);
    assert_eq!(ids(&first.step(Event::Saved(3)).1), [8]);
    assert_eq!(ids(&server.step(Event::Saved(3)).1), [7, 8]);
}

#[test]
fn a_leader_replicates_while_it_writes_and_counts_itself_only_for_what_is_on_disk() {
    let (server, effects) = leader_on_disk(3);
    assert_eq!((saves(&effects).len(), append_requests(&effects).len()), (1, 2));
    let founded = server.status().commit_index;
    let (held, _) = server.clone().step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(held.status().commit_index, founded, "one of three disks has it");
    assert_eq!(synced(held).0.status().commit_index, LogIndex(2));
    let (alone, _) = synced(server.clone());
    assert_eq!(alone.status().commit_index, founded, "its own disk is one of three");
    let both = [1, 2].map(|from| accepted(from, &append_to(&effects, from)));
    assert_eq!(after(server, both).status().commit_index, LogIndex(2), "a majority without it");
}

/// etcd acknowledged before the disk had it, in a set of one (its issue 14370).
#[test]
fn a_single_server_commits_and_leads_only_once_its_disk_has_it() {
    let server = durable(1);
    assert!(!server.leads());
    let (server, _) = synced(server);
    assert!(server.leads());
    let (server, effects) = server.step(update(1, "a", 1));
    assert_eq!((saves(&effects).len(), replies(&effects)), (1, vec![]));
    assert_eq!(replies(&synced(server).1), [(1, Reply::Updated(true))]);
}

#[test]
fn a_crash_answers_what_waits_with_a_fault_and_drops_the_requests() {
    let request = append(1, at(1, 1), vec![entry(1, "a", 1)]);
    let server = after(follower_on_disk(3), [appends(request)]);
    let (server, effects) = server.step(crash(1));
    let crashed = Reply::Failed(CallError::Crashed);
    assert_eq!(replies(&effects), [(PEER.0, crashed), (1, Reply::Done)]);
    let (server, effects) = synced(server);
    assert_eq!(effects, []);
    assert_eq!(server.log().last_index(), LogIndex(2), "a crash keeps memory and disk");

    let server = after(follower_on_disk(3), [timeout(Timer::Silence)]);
    let (server, pre_vote) = ask_again(server, timeout(Timer::Election));
    let server = after(server, [granted(1, &pre_vote), crash(1), restore(2)]);
    assert_eq!(vote_requests(&synced(server).1), []);
}

#[test]
fn a_caller_that_has_disconnected_is_not_answered_once_the_disk_is_ready() {
    let request = append(1, at(1, 1), vec![entry(1, "a", 1)]);
    let server = after(follower_on_disk(3), [appends(request), Event::HangUp(PEER)]);
    assert_eq!(replies(&synced(server).1), []);
}

#[test]
fn a_conflicting_entry_is_replaced_on_disk_too() {
    let old = append(1, at(1, 1), vec![entry(1, "a", 1), entry(1, "b", 1)]);
    let (server, effects) = follower_on_disk(3).step(appends(old));
    let first = saves(&effects);
    let new = append(2, at(1, 1), rosters(&[2]));
    let (server, effects) = server.step(appends(new));
    let second = saves(&effects);
    assert_eq!(second[0].first, LogIndex(2));
    let founding = append(1, at(0, 0), rosters(&[1])).committing(1);
    let begun = saves(&durable(3).step(appends(founding)).1);
    let changes: Vec<_> = [begun, first, second].concat();
    let saved = on_disk(changes.clone());
    let held: Vec<_> = server.log().from(LogIndex(1)).cloned().collect();
    assert_eq!(saved.entries, held);
    let merged = changes.into_iter().reduce(Save::then);
    assert_eq!(on_disk(merged), saved, "several changes are one change");
}

#[test]
fn a_server_that_comes_back_knows_its_term_vote_log_and_map() {
    let log = [rosters(&[1]), vec![entry(1, "a", 1), entry(1, "b", 1)]].concat();
    let (server, effects) = durable(3).step(appends(append(1, at(0, 0), log).committing(2)));
    let (server, voted) = server.step(asks(ask(BallotKind::Vote, 3, at(1, 3))));
    let saved = on_disk([saves(&effects), saves(&voted)].concat());
    let back = recovered(3, saved);
    let (was, is) = (server.status(), back.status());
    assert_eq!((is.current_term, is.voted_for), (was.current_term, was.voted_for));
    assert_eq!((is.last_log, is.commit_index, is.history), (at(1, 3), LogIndex(2), was.history));
    assert_eq!((back.files(), is.incarnation), (server.files(), life(0)));
    let rival = RequestVote { sender: identity(2, 3), ..ask(BallotKind::Vote, 3, at(1, 3)) };
    assert!(!is_granted(&back.step(asks(rival)).1), "it has voted in this term");
}

/// If the whole set starts again, nobody leads. A server that starts with nothing must give the others time to come.
#[test]
fn a_server_that_comes_back_stands_soon_if_it_is_founded() {
    let cluster = Cluster::new(SELF, 3).expect("a member");
    for (commit, timer) in [(1, Timer::Hurry), (0, Timer::Start)] {
        let log = append(1, at(0, 0), rosters(&[1])).committing(commit);
        let saved = on_disk(saves(&durable(3).step(appends(log)).1));
        let (server, effects) = Server::recover(cluster, saved, Compaction::default());
        assert_eq!(armed(&effects), [timer], "committed up to {commit}");
        let (_, effects) = server.step(timeout(timer));
        let waits = if timer == Timer::Hurry { Timer::Patience } else { Timer::Campaign };
        assert_eq!(armed(&effects), [waits]);
    }
}

/// Otherwise it would take another history for its own.
#[test]
fn a_server_that_learns_that_it_is_founded_saves_that_before_it_says_so() {
    let server = after(durable(3), [appends(append(1, at(0, 0), rosters(&[1])))]);
    let (server, _) = synced(server);
    let (server, effects) = server.step(appends(append(1, at(1, 1), vec![]).committing(1)));
    let [save] = &saves(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((save.hard_state.commit_index, replies(&effects)), (LogIndex(1), vec![]));
    let (server, _) = synced(server);
    let more = append(1, at(1, 1), vec![entry(1, "a", 1)]);
    let (server, _) = synced(after(server, [appends(more)]));
    let (_, effects) = server.step(appends(append(1, at(1, 2), vec![]).committing(2)));
    assert_eq!(saves(&effects), [], "a later commit index alone is not worth a sync");
}

/// A leader that kept its role because the others answer it could commit nothing for ever in a set of two.
#[test]
fn a_leader_whose_disk_is_stalled_is_out_of_touch_with_itself() {
    for (of, keeps) in [(2, false), (3, true)] {
        let (server, effects) = leader_on_disk(of);
        let mut server = settled(server, &effects);
        for _ in 0..3 {
            let (next, effects) = server.step(timeout(Timer::Heartbeat));
            server = settled(next, &effects);
        }
        assert_eq!(server.has_majority(), keeps && server.leads(), "{of} servers");
        let (_, effects) = server.clone().step(timeout(Timer::Heartbeat));
        assert_eq!(append_to(&effects, 1).has_majority, keeps, "{of} servers");
        let (server, effects) = synced(server);
        let (_, effects) = settled(server, &effects).step(timeout(Timer::Heartbeat));
        assert!(append_to(&effects, 1).has_majority, "the disk works again");
    }
}

#[test]
fn updates_that_a_stalled_disk_holds_up_are_bounded() {
    let (server, effects) = leader_on_disk(3);
    let mut server = settled(server, &effects);
    let large = "x".repeat(UNCOMMITTED_BYTES_MAX / 4);
    let mut answered = Vec::new();
    for id in 1..=5 {
        let (next, effects) = server.step(update(id, &format!("{large}{id}"), 1));
        answered.extend(replies(&effects));
        server = settled(next, &effects);
    }
    let busy: Vec<_> = answered
        .iter()
        .filter(|(_, reply)| *reply == Reply::Failed(CallError::Busy))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(busy, [4, 5], "the followers have them, this server's disk does not");
    // It must not keep others from leading that can take more.
    for (beats, leads) in [(2, true), (1, false)] {
        for _ in 0..beats {
            let (next, effects) = server.step(timeout(Timer::Heartbeat));
            server = settled(next, &effects);
        }
        assert_eq!(server.has_majority(), leads);
    }
    let (server, effects) = synced(server);
    let server = settled(server, &effects);
    assert!(server.has_majority());
    assert_eq!(replies(&server.step(update(6, "a", 1)).1), [], "there is room again");
}

#[test]
fn a_new_ballot_takes_the_place_of_the_requests_that_wait() {
    let (server, _) = follower_on_disk(3).step(asks(ask(BallotKind::Vote, 2, at(0, 0))));
    let mut server = after(server, [timeout(Timer::Silence), timeout(Timer::Election)]);
    for _ in 0..10 {
        server = after(server, [timeout(Timer::Campaign)]);
    }
    assert_eq!(vote_requests(&synced(server).1).len(), 2, "one to each peer");
}

/// Otherwise a server whose disk lacks what was acknowledged could win with everybody else's vote.
#[test]
fn everybodys_vote_waits_for_an_ended_server_that_may_have_a_disk() {
    let disk = |id: u64| Incarnation::on_disk(id);
    // Server 2 was relaunched without its memory, so the roster gives no majority.
    let stands = |own: Incarnation, other: Incarnation| {
        let members = [(0, own), (1, other), (2, life(2))];
        let founding = append(1, at(0, 0), vec![naming(1, &members)]).committing(1);
        let mut sender = founding.clone();
        sender.sender.incarnation = other;
        let begun = match own.is_on_disk() {
            true => recovered(3, Saved::new(own)),
            false => server(0, 3),
        };
        let (server, _) = synced(after(begun, [appends(sender), timeout(Timer::Silence)]));
        let (server, pre_vote) = ask_again(server, timeout(Timer::Election));
        let guest = relaunched(2, &identity(1, 1));
        after(server, [ended(1, &pre_vote), grants(2, guest, &pre_vote)])
    };
    let server = stands(life(0), life(1));
    assert_eq!(server.current_term(), Term(2), "in memory, it has gone for good");
    for (own, other) in [(life(0), disk(1)), (disk(0), life(1)), (disk(0), disk(1))] {
        let server = stands(own, other);
        assert_eq!((server.role(), server.current_term()), (RoleName::Candidate, Term(1)));
        assert_eq!(server.waits_for(), [ServerId(1)]);
    }
}

/// Any of them would give it a majority, because it comes back as the roster names it.
#[test]
fn a_candidate_waits_for_no_ended_server_in_particular_if_any_of_several_would_do() {
    let disk = |id| Incarnation::on_disk(u64::from(id));
    let members = [0, 1, 2, 3, 4].map(|id| (id, disk(id)));
    let mut founding = append(1, at(0, 0), vec![naming(1, &members)]).committing(1);
    founding.sender.incarnation = disk(1);
    let begun = recovered(5, Saved::new(disk(0)));
    let (server, _) = synced(after(begun, [appends(founding), timeout(Timer::Silence)]));
    let (server, request) = ask_again(server, timeout(Timer::Election));
    let grants = grants(1, request.sender.by(1).in_life(disk(1)), &request);
    let server =
        after(server, [grants, ended(2, &request), ended(3, &request), ended(4, &request)]);
    assert_eq!((server.role(), server.waits_for()), (RoleName::Candidate, vec![]));
}

#[test]
fn a_snapshot_of_a_leader_is_on_disk_before_it_is_acknowledged() {
    let request = snapshot(2, at(2, 9), &[&leaf(&[("a", 3)])]);
    let event = Event::Call(PEER, Call::InstallSnapshot(request));
    let (server, effects) = follower_on_disk(3).step(event);
    let [save] = &saves(&effects)[..] else { panic!("{effects:?}") };
    let snapshot = save.snapshot.as_ref().expect("the snapshot is handed over");
    assert_eq!((snapshot.last_included, &snapshot.files), (at(2, 9), server.files()));
    assert_eq!((save.first, save.entries.len()), (LogIndex(10), 0));
    assert_eq!(replies(&effects), []);
    assert_eq!(outcome(&synced(server).1), AppendOutcome::Accepted);
}
