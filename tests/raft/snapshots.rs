//! Snapshots (§7): which entries are dropped (Figure 12), the receiver of InstallSnapshot (Figure 13), the leader's
//! side of it, and what no correct leader can have sent.

use std::iter;
use std::sync::Arc;

use support::raft::*;
use surfstore::metadata::{Files, Leaf};

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

/// Applied entries are dropped as soon as they outweigh the map, and each leaf is sent alone.
const SHORT: Compaction =
    Compaction { log_bytes_min: 0, log_bytes_max: usize::MAX, piece_bytes_max: 1 };

/// A server of three whose logs are short, as its process starts.
fn short() -> Server {
    Server::start(Cluster::new(SELF, 3).expect("a member"), life(0), SHORT).0
}

/// The update of a file that a map has as its newest.
fn newest(name: &str, version: i64) -> Arc<Update> {
    Arc::new(change(name, version))
}

pub(crate) fn leaf(files: &[(&str, i64)]) -> Arc<Leaf> {
    let files = files.iter().map(|(name, version)| newest(name, *version)).collect();
    Arc::new(Leaf::new(files).expect("a leaf that a map can have"))
}

/// The map of these leaves.
fn map(leaves: &[&Arc<Leaf>]) -> Files {
    let mut files = Files::default();
    leaves.iter().for_each(|leaf| assert!(files.push_leaf(leaf)));
    files
}

fn names(ids: &[u8]) -> Arc<Roster> {
    let members = ids.iter().map(|id| (ServerId(*id), life(*id))).collect();
    Arc::new(Roster { history: HISTORY, members })
}

/// All of a snapshot up to that entry in one piece, from server 1 as the leader of that term.
pub(crate) fn snapshot(
    term: u64,
    last_included: Position,
    leaves: &[&Arc<Leaf>],
) -> InstallSnapshot {
    let last_index = last_included.index.0.max(1) + u64::from(last_included.term != Term(term));
    InstallSnapshot {
        sender: identity(1, term).holding(at(term, last_index)).founded(),
        receiver: None,
        last_included,
        roster: names(&[0, 1, 2]),
        offset: 0,
        leaves: leaves.iter().map(|leaf| Arc::clone(leaf)).collect(),
        done: true,
        round: Round(7),
        has_majority: true,
    }
}

/// A piece of a snapshot.
fn piece(offset: u64, leaves: &[&Arc<Leaf>], whole: &InstallSnapshot) -> InstallSnapshot {
    let leaves = leaves.iter().map(|leaf| Arc::clone(leaf)).collect();
    InstallSnapshot { offset, leaves, done: false, ..whole.clone() }
}

fn installs(request: InstallSnapshot) -> Event {
    Event::Call(PEER, Call::InstallSnapshot(request))
}

fn commit_index(server: &Server) -> u64 {
    server.status().commit_index.0
}

/// The pieces that a step sent to one server.
fn pieces_to(effects: &[Effect], peer: u8) -> Vec<InstallSnapshot> {
    let piece = |effect: &Effect| match effect {
        Effect::Send { to: ServerId(to), request: Request::InstallSnapshot(piece) } => {
            (*to == peer).then(|| piece.clone())
        }
        _ => None,
    };
    effects.iter().filter_map(piece).collect()
}

/// The one piece that a step sent to a server.
fn piece_to(effects: &[Effect], peer: u8) -> InstallSnapshot {
    let [piece] = pieces_to(effects, peer).try_into().expect("one piece to this server");
    piece
}

/// A follower's answer to a piece, in the leader's term. Its log is empty before it has all of the snapshot.
fn told(from: u8, piece: &InstallSnapshot, outcome: AppendOutcome) -> Event {
    let sender = match outcome {
        AppendOutcome::Accepted => piece.sender.by(from).holding(piece.last_included),
        _ => identity(from, piece.sender.term.0),
    };
    responds(from, Response::Append(AppendReply { sender, round: piece.round, outcome }))
}

fn lost(by: u8, piece: &InstallSnapshot) -> Event {
    let request = Request::InstallSnapshot(piece.clone());
    Event::Unanswered { by: ServerId(by), request, failure: Failure::Silent }
}

/// A follower of server 1 in term 1 with short logs: a roster and versions 1 to `updates` of file a, and of these all
/// entries up to `commit` committed.
fn follower_with(updates: i64, commit: u64) -> Server {
    let versions = (1..=updates).map(|version| entry(1, "a", version));
    let entries = iter::once(rosters(&[1]).remove(0)).chain(versions).collect();
    after(short(), [appends(append(1, at(0, 0), entries).committing(commit))])
}

/// §7: "Once a server completes writing a snapshot, it may delete all log entries up through the last included
/// index"; here the map is the snapshot, and the last entry of all stays.
#[test]
fn applied_entries_that_outweigh_the_map_are_dropped_and_no_others() {
    let server = follower_with(4, 4);
    assert_eq!(server.files().version("a"), 3);
    let log = server.log();
    assert_eq!(log.last_included(), at(1, 4));
    assert_eq!((log.last(), commit_index(&server)), (at(1, 5), 4));
    assert_eq!(log.from(LogIndex(1)).collect::<Vec<_>>(), [&entry(1, "a", 4)]);
    assert_eq!(log.bytes(), entry(1, "a", 4).size());
    let server = follower_with(4, 5);
    assert_eq!((server.log().last_included(), server.log().len()), (at(1, 4), 1), "one is kept");
}

/// No entry is dropped while the applied ones take no more bytes than the minimum.
#[test]
fn the_log_of_a_small_map_is_kept_up_to_a_bound() {
    let compaction = Compaction { log_bytes_min: 4 * entry(1, "a", 1).size(), ..SHORT };
    let (server, _) = Server::start(Cluster::new(SELF, 3).expect("a member"), life(0), compaction);
    let entries = (1..=9).map(|version| entry(1, "a", version));
    let entries: Vec<_> = rosters(&[1]).into_iter().chain(entries).collect();
    for (commit, kept) in [(1, 10), (3, 10), (10, 4)] {
        let request = append(1, at(0, 0), entries.clone()).committing(commit);
        let server = after(server.clone(), [appends(request)]);
        assert_eq!(server.log().len(), kept, "{commit} committed");
    }
}

/// The larger the map is, the longer the log may be: as long as sending the log is cheaper than sending the map.
#[test]
fn the_log_of_a_large_map_may_weigh_as_much_as_the_map() {
    let files = (0..50).map(|number| entry(1, &format!("{number:02}"), 1));
    let entries: Vec<_> = rosters(&[1]).into_iter().chain(files).collect();
    let server = after(short(), [appends(append(1, at(0, 0), entries).committing(51))]);
    let kept = server.log().bytes();
    let map = server.files().bytes();
    assert!(kept <= map && map < kept + entry(1, "00", 1).size(), "{kept} of {map}");
}

/// The consistency check of AppendEntries needs the last dropped entry's term (§7), and what was dropped was committed.
#[test]
fn an_append_after_dropped_entries_is_accepted_and_one_that_contradicts_what_is_kept_is_not() {
    let server = follower_with(4, 4);
    let entries = |from: i64| (from..=5).map(|version| entry(1, "a", version)).collect::<Vec<_>>();
    for prev in 1..=5 {
        let request = append(1, at(1, prev), entries(i64::try_from(prev).unwrap()));
        let (after, effects) = server.clone().step(appends(request));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted, "after entry {prev}");
        assert_eq!(after.log().last(), at(1, 6));
        assert_eq!(after.log().last_included(), at(1, 4));
    }
    let (same, effects) = server.clone().step(appends(append(2, at(2, 4), vec![])));
    assert!(is_forged(&effects), "the last dropped entry is of term 1");
    assert_eq!(same, server);
    let (_, effects) = server.step(appends(append(1, at(1, 6), vec![])));
    assert_eq!(outcome(&effects), AppendOutcome::Mismatch(at(1, 5)));
}

/// Which servers count is known although the entry that says so was dropped.
#[test]
fn the_roster_outlives_its_entry() {
    let server = follower_with(4, 4);
    assert_eq!(roster(&server), first_lives(&[0, 1, 2]));
    assert_eq!(server.status().history, Some(HISTORY));
    let (server, _) = elect(server);
    assert_eq!(server.role(), RoleName::Leader);
    assert_eq!(roster(&server), first_lives(&[0, 1, 2]));
}

/// Figure 13, steps 7 and 8: "Discard the entire log"; "Reset state machine using snapshot contents (and load
/// snapshot's cluster configuration)".
#[test]
fn a_snapshot_replaces_the_log_and_the_map() {
    let leaves = [&leaf(&[("a", 3), ("b", 1)]), &leaf(&[("c", 7)])];
    let mut whole = snapshot(4, at(3, 20), &leaves);
    whole.roster = names(&[0, 2]);
    for server in [short(), follower(3), follower_with(4, 2)] {
        let (server, effects) = server.step(installs(whole.clone()));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(*server.files(), map(&leaves));
        assert_eq!((server.log().last(), server.log().len()), (at(3, 20), 0));
        assert_eq!(server.log().last_included(), at(3, 20));
        assert_eq!((commit_index(&server), server.status().last_applied.0), (20, 20));
        assert_eq!(roster(&server), first_lives(&[0, 2]));
        assert_eq!(server.status().leader, Some(ServerId(1)));
        let next = append(4, at(3, 20), rosters(&[4])).committing(21);
        let (server, effects) = server.step(appends(next));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(commit_index(&server), 21);
    }
}

/// What was replaced may be large, so it is handed out to be freed elsewhere.
#[test]
fn what_a_snapshot_replaces_is_discarded() {
    let server = follower_with(4, 4);
    let (log, files) = (server.log().clone(), server.files().clone());
    let (_, effects) = server.step(installs(snapshot(2, at(1, 20), &[])));
    let discarded = [Discarded::Log(log), Discarded::Files(files)].map(Effect::Discard);
    assert!(discarded.iter().all(|discarded| effects.contains(discarded)), "{effects:?}");
}

/// Figure 13, steps 2 to 4: pieces are kept until the last has come; nothing of them shows before.
#[test]
fn a_snapshot_in_pieces_is_put_in_place_whole_or_not_at_all() {
    let leaves = ["a", "b", "c"].map(|name| leaf(&[(name, 1)]));
    let whole = snapshot(2, at(2, 9), &[&leaves[0], &leaves[1], &leaves[2]]);
    let first = piece(0, &[&leaves[0]], &whole);
    let second = piece(1, &[&leaves[1]], &whole);
    let third = InstallSnapshot { done: true, ..piece(2, &[&leaves[2]], &whole) };
    let before = after(follower(3), [appends(append(2, at(1, 1), vec![]))]);
    let (server, effects) = before.clone().step(installs(first.clone()));
    assert_eq!(outcome(&effects), AppendOutcome::Incomplete(1));
    assert_eq!((server.status(), server.files()), (before.status(), before.files()));
    // A piece that was lost, and one that comes twice, change nothing.
    for repeated in [&first, &third] {
        let (same, effects) = server.clone().step(installs(repeated.clone()));
        assert_eq!(outcome(&effects), AppendOutcome::Incomplete(1));
        assert_eq!(same, server);
    }
    let (server, effects) = server.step(installs(second));
    assert_eq!(outcome(&effects), AppendOutcome::Incomplete(2));
    assert_eq!((server.status(), server.files()), (before.status(), before.files()));
    let (server, effects) = server.step(installs(third));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(*server.files(), map(&[&leaves[0], &leaves[1], &leaves[2]]));
    assert_eq!(commit_index(&server), 9);
}

/// A leader can ask how much a follower holds, without sending files.
#[test]
fn a_piece_without_files_tells_how_much_is_held() {
    let leaves = ["a", "b"].map(|name| leaf(&[(name, 1)]));
    let whole = snapshot(2, at(2, 9), &[&leaves[0], &leaves[1]]);
    let server = after(follower(3), [installs(piece(0, &[&leaves[0]], &whole))]);
    let (same, effects) =
        server.clone().step(installs(piece(1, &[&leaves[1]], &whole).without_files()));
    assert_eq!(outcome(&effects), AppendOutcome::Incomplete(1));
    assert_eq!(same, server);
}

/// Another leader's map, or a later state of the same one, may be divided into other leaves.
#[test]
fn pieces_of_different_snapshots_are_not_mixed() {
    let leaves = ["a", "b"].map(|name| leaf(&[(name, 1)]));
    let whole = snapshot(2, at(2, 9), &[&leaves[0], &leaves[1]]);
    let later = InstallSnapshot { last_included: at(2, 10), ..whole.clone() };
    let later = later.changed(|sender| sender.last_log = at(2, 10));
    let of_another_leader = snapshot(3, at(2, 9), &[&leaves[0], &leaves[1]]).by(2);
    let server = after(follower(3), [installs(piece(0, &[&leaves[0]], &whole))]);
    for other in [later, of_another_leader] {
        let last = InstallSnapshot { done: true, ..piece(1, &[&leaves[1]], &other) };
        let (server, effects) = server.clone().step(installs(last));
        assert_eq!(outcome(&effects), AppendOutcome::Incomplete(0));
        let (server, effects) = server.step(installs(other));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted);
        assert_eq!(*server.files(), map(&[&leaves[0], &leaves[1]]));
    }
}

/// What a former leader has sent of a snapshot is given up when the next leader shows itself.
#[test]
fn the_pieces_of_a_former_leader_are_discarded() {
    let first = leaf(&[("a", 1)]);
    let whole = snapshot(2, at(2, 9), &[&first, &leaf(&[("b", 1)])]);
    let server = after(follower(3), [installs(piece(0, &[&first], &whole))]);
    let discarded = Effect::Discard(Discarded::Files(map(&[&first])));
    let next_leader = append(3, at(1, 1), vec![]).by(2);
    for ends in [appends(next_leader), crash(1)] {
        let (_, effects) = server.clone().step(ends);
        assert!(effects.contains(&discarded), "{effects:?}");
    }
    let (_, effects) = elect(server);
    assert!(effects.contains(&discarded), "{effects:?}");
}

/// `crash()` in the middle of a snapshot: the old state is kept, and the pieces are gone.
#[test]
fn a_server_that_crashes_between_two_pieces_keeps_its_state() {
    let leaves = ["b", "c"].map(|name| leaf(&[(name, 1)]));
    let whole = snapshot(2, at(2, 9), &[&leaves[0], &leaves[1]]);
    let before = after(follower_with(2, 3), [appends(append(2, at(1, 3), vec![]))]);
    let first = installs(piece(0, &[&leaves[0]], &whole));
    let server = after(before.clone(), [first, crash(1), restore(2)]);
    assert_eq!((server.files(), server.log()), (before.files(), before.log()));
    let last = InstallSnapshot { done: true, ..piece(1, &[&leaves[1]], &whole) };
    let (_, effects) = server.step(installs(last));
    assert_eq!(outcome(&effects), AppendOutcome::Incomplete(0));
}

/// §7: "the follower receives a snapshot that describes a prefix of its log (due to retransmission or by mistake)": it
/// has that already.
#[test]
fn an_older_snapshot_changes_nothing() {
    let server = after(follower_with(4, 5), [appends(append(2, at(1, 5), rosters(&[2])))]);
    for included in [2, 4, 5] {
        let old = snapshot(2, at(1, included), &[&leaf(&[("z", 9)])]);
        let (same, effects) = server.clone().step(installs(old));
        assert_eq!(outcome(&effects), AppendOutcome::Accepted, "up to {included}");
        assert_eq!((same.log(), same.files()), (server.log(), server.files()));
        assert_eq!(same.status(), server.status(), "up to {included}");
    }
}

/// Figure 13, step 6: "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it and reply". The entries up to it are applied, as they are the snapshot's.
#[test]
fn entries_after_the_last_included_one_are_kept() {
    let server = after(follower_with(4, 2), [appends(append(2, at(1, 5), rosters(&[2])))]);
    let (server, effects) = server.step(installs(snapshot(2, at(1, 4), &[&leaf(&[("a", 3)])])));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!((server.log().last(), commit_index(&server)), (at(2, 6), 4));
    assert_eq!(server.files().version("a"), 3);
}

/// An entry of another term at that index contradicts the leader's log, and so does everything after it.
#[test]
fn a_log_that_conflicts_with_a_snapshot_is_discarded_to_its_end() {
    let server = after(follower_with(4, 2), [appends(append(2, at(1, 3), rosters(&[2, 2, 2])))]);
    assert_eq!(server.log().last(), at(2, 6));
    let (server, effects) = server.step(installs(snapshot(3, at(1, 4), &[&leaf(&[("a", 3)])])));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!((server.log().last(), server.log().len()), (at(1, 4), 0));
}

/// A snapshot does not say which entries led to it, so a former leader cannot tell what became of its own.
#[test]
fn the_outcome_of_an_update_that_a_snapshot_may_include_is_unknown() {
    let calls = [update(5, "a", 1), update(6, "b", 1)];
    let leader = after(leader(3), calls.into_iter().chain([appends(append(3, at(2, 2), vec![]))]));
    let (server, effects) = leader.step(installs(snapshot(3, at(3, 3), &[&leaf(&[("z", 1)])])));
    let unknown = Reply::Failed(CallError::OutcomeUnknown);
    assert_eq!(replies(&effects)[0], (5, unknown));
    assert_eq!(server.status().waiting, 1, "the other may still be committed after it");
}

/// Figure 13, step 1: "Reply immediately if term < currentTerm".
#[test]
fn a_snapshot_of_an_earlier_term_is_stale_in_every_role() {
    let old = snapshot(1, at(1, 9), &[]);
    for server in
        [candidate(3), leader(3), after(follower(3), [appends(append(2, at(1, 1), vec![]))])]
    {
        let (same, effects) = server.clone().step(installs(old.clone()));
        assert_eq!(outcome(&effects), AppendOutcome::Stale, "{:?}", server.role());
        assert_eq!(same, server);
    }
    let (_, effects) = crashed(3).step(installs(snapshot(2, at(1, 9), &[])));
    assert_eq!(reply(&effects), Reply::Failed(CallError::Crashed));
}

/// A snapshot shows the leader, as an append does: a candidate follows it.
#[test]
fn a_candidate_follows_the_leader_that_sends_a_snapshot() {
    let (server, effects) = candidate(3).step(installs(snapshot(2, at(1, 9), &[])));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!((server.role(), server.status().leader), (RoleName::Follower, Some(ServerId(1))));
    let marked = InstallSnapshot { has_majority: false, ..snapshot(2, at(1, 9), &[]) };
    let (server, effects) = candidate(3).step(installs(marked));
    assert_eq!(outcome(&effects), AppendOutcome::Accepted);
    assert_eq!(server.role(), RoleName::Candidate, "a leader without a majority holds nobody up");
}

/// Another founded history is refused as in an append, and so is one for an earlier incarnation of this server.
#[test]
fn a_snapshot_of_another_history_or_for_another_incarnation_is_refused() {
    let server = follower(3);
    let roster = Roster { history: OTHER, ..(*names(&[0, 1, 2])).clone() };
    let apart = snapshot(1, at(1, 9), &[]).of_history(OTHER);
    let apart = InstallSnapshot { roster: roster.into(), ..apart };
    let receiver = Some(next_life(0));
    let for_another = InstallSnapshot { receiver, ..snapshot(1, at(1, 9), &[]) };
    for request in [apart, for_another] {
        let (same, effects) = server.clone().step(installs(request));
        assert_eq!(outcome(&effects), AppendOutcome::Refused);
        assert_eq!(same, server);
    }
}

/// Leader Completeness and Leader Append-Only (§5.4, §5.3), and Figure 13's arguments.
#[test]
fn a_snapshot_that_no_leader_can_have_sent_changes_nothing() {
    let server = follower_with(4, 2);
    let good = snapshot(2, at(2, 9), &[&leaf(&[("a", 3)])]);
    let with = |change: fn(&mut InstallSnapshot)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let table = [
        with(|request| request.last_included = at(0, 0)),
        with(|request| request.last_included = at(0, 9)),
        with(|request| request.last_included = at(2, 0)),
        with(|request| request.last_included = at(3, 9)),
        with(|request| request.last_included = at(2, 10)),
        with(|request| request.offset = NUMBER_MAX + 1),
        with(|request| request.roster = names(&[])),
        with(|request| request.roster = names(&[0, 3])),
        with(|request| request.sender.history = None),
        with(|request| request.sender.id = SELF),
        with(|request| request.sender.last_log = at(1, 9)),
        // It contradicts the committed entry 2, and in the next case what the same leader has sent in its term.
        snapshot(2, at(2, 2), &[]),
    ];
    for request in table {
        let (same, effects) = server.clone().step(installs(request.clone()));
        assert!(is_forged(&effects), "{request:?}: {effects:?}");
        assert_eq!(same, server);
    }
    let server = after(server, [appends(append(2, at(1, 5), rosters(&[2])))]);
    let (same, effects) = server.clone().step(installs(snapshot(2, at(2, 4), &[])));
    assert!(is_forged(&effects));
    assert_eq!(same, server);
}

/// Leaves whose files are not in order, in a piece or from one piece to the next, never become a map.
#[test]
fn files_out_of_order_are_not_taken() {
    let (a, b) = (leaf(&[("a", 1)]), leaf(&[("b", 1)]));
    for leaves in [[&b, &a], [&a, &a]] {
        let (server, effects) = follower(3).step(installs(snapshot(2, at(2, 9), &leaves)));
        assert!(matches!(outcome(&effects), AppendOutcome::Incomplete(_)));
        assert_eq!(commit_index(&server), 1);
    }
}

/// A leader with short logs in term 2, elected by server 1, that has committed its roster and these updates with server
/// 1; and what it has sent to server 2, which has not answered yet.
fn leader_that_dropped(files: &[&str]) -> (Server, Vec<AppendEntries>) {
    let founding = append(1, at(0, 0), rosters(&[1])).committing(1);
    let (server, effects) = elect(after(short(), [appends(founding)]));
    let mut to_2 = appends_to(&effects, 2);
    let mut server = settled_with_1(server, effects, &mut to_2);
    for (id, name) in (10..).zip(files) {
        let (next, effects) = server.step(update(id, name, 1));
        to_2.extend(appends_to(&effects, 2));
        server = settled_with_1(next, effects, &mut to_2);
    }
    (server, to_2)
}

/// The leader after server 1 has accepted everything; and what it sends to server 2 meanwhile.
fn settled_with_1(
    mut server: Server,
    effects: Vec<Effect>,
    to_2: &mut Vec<AppendEntries>,
) -> Server {
    let mut under_way = appends_to(&effects, 1);
    while let Some(request) = under_way.pop() {
        let effects;
        (server, effects) = server.step(accepted(1, &request));
        under_way.extend(appends_to(&effects, 1));
        to_2.extend(appends_to(&effects, 2));
    }
    server
}

/// The leader after server 2 has refused its first append because its log is empty, and what it sends then.
fn asked_for_a_snapshot(files: &[&str]) -> (Server, Vec<Effect>) {
    let (server, to_2) = leader_that_dropped(files);
    assert!(1 < server.log().last_included().index.0, "entries are dropped");
    let (batches, beats): (Vec<_>, Vec<_>) =
        to_2.into_iter().partition(|request| !request.entries.is_empty());
    let server = settled_with_2(server, beats);
    let (server, effects) =
        server.step(answered_by_2(&batches[0], AppendOutcome::Mismatch(at(0, 0))));
    (settled_with_2(server, appends_to(&effects, 2)), effects)
}

/// The answer of server 2, whose log is empty.
fn answered_by_2(request: &AppendEntries, outcome: AppendOutcome) -> Event {
    answers(2, identity(2, request.sender.term.0), request, outcome)
}

fn accepted_by_2(request: &AppendEntries) -> Event {
    answered_by_2(request, AppendOutcome::Accepted)
}

/// The leader after server 2 has answered these heartbeats and those that follow.
fn settled_with_2(mut server: Server, mut beats: Vec<AppendEntries>) -> Server {
    while let Some(beat) = beats.pop() {
        let effects;
        (server, effects) = server.step(accepted_by_2(&beat));
        beats.extend(appends_to(&effects, 2));
    }
    server
}

/// §7: "the leader must occasionally send snapshots to followers that lag behind".
#[test]
fn a_follower_that_lacks_dropped_entries_is_sent_the_map() {
    let (server, effects) = asked_for_a_snapshot(&["a", "b", "c"]);
    let piece = piece_to(&effects, 2);
    assert_eq!(piece.last_included, at(2, 5));
    assert_eq!(*piece.roster, **server.log().roster().unwrap());
    assert_eq!((piece.offset, piece.done), (0, true));
    assert_eq!(map(&piece.leaves.iter().collect::<Vec<_>>()), *server.files());
    assert_eq!(piece.receiver, Some(life(2)));
    // Then the entries after it.
    let (server, effects) = server.step(update(20, "d", 1));
    assert_eq!(pieces_to(&effects, 2), []);
    let (_, effects) = server.step(told(2, &piece, AppendOutcome::Accepted));
    assert_eq!(batch_to(&effects, 2).prev_log, at(2, 5));
}

/// Enough files for three leaves.
fn many() -> Vec<String> {
    (0..100).map(|number| format!("{number:03}")).collect()
}

fn asked_for_many() -> (Server, Vec<Effect>) {
    let names = many();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // The files are fewer than the updates, so that entries are dropped.
    let (server, effects) = asked_for_a_snapshot(&names);
    assert_eq!(server.files().leaf_count(), 3);
    (server, effects)
}

#[test]
fn a_large_map_is_sent_in_pieces_one_after_another() {
    let (mut server, effects) = asked_for_many();
    let mut piece = piece_to(&effects, 2);
    let mut received = Files::default();
    for (offset, done) in [(0, false), (1, false), (2, true)] {
        assert_eq!((piece.offset, piece.done, piece.leaves.len()), (offset, done, 1));
        received.push_leaf(&piece.leaves[0]);
        if !done {
            let outcome = AppendOutcome::Incomplete(offset + 1);
            let (next, effects) = server.step(told(2, &piece, outcome));
            (server, piece) = (next, piece_to(&effects, 2));
        }
    }
    assert_eq!(received, *server.files());
}

/// The snapshot stays as it was at its beginning, so that its pieces fit together.
#[test]
fn updates_do_not_change_a_snapshot_that_is_being_sent() {
    let (server, effects) = asked_for_many();
    let first = piece_to(&effects, 2);
    let (server, effects) = server.step(update(500, "099", 2));
    let server = settled_with_1(server, effects, &mut Vec::new());
    assert_eq!(server.files().version("099"), 2);
    let (server, effects) = server.step(told(2, &first, AppendOutcome::Incomplete(1)));
    let second = piece_to(&effects, 2);
    assert_eq!(second.last_included, first.last_included);
    let (_, effects) = server.step(told(2, &second, AppendOutcome::Incomplete(2)));
    let third = piece_to(&effects, 2);
    assert_eq!(third.leaves[0].iter().last().unwrap().version, 1);
}

/// A piece that was lost is sent again once the follower has answered a heartbeat; one that has lost everything is sent
/// everything.
#[test]
fn a_transfer_goes_on_where_the_follower_says() {
    let (server, effects) = asked_for_many();
    let first = piece_to(&effects, 2);
    let (server, effects) = server.step(told(2, &first, AppendOutcome::Incomplete(1)));
    let second = piece_to(&effects, 2);
    let (server, effects) = server.step(lost(2, &second));
    assert_eq!(pieces_to(&effects, 2), [], "not before it shows itself");
    let (server, effects) = server.step(BEAT);
    let (server, effects) = server.step(accepted_by_2(&append_to(&effects, 2)));
    let again = piece_to(&effects, 2);
    assert_eq!((again.offset, &again.leaves), (1, &second.leaves));
    let (_, effects) = server.step(told(2, &again, AppendOutcome::Incomplete(0)));
    let from_the_beginning = piece_to(&effects, 2);
    assert_eq!((from_the_beginning.offset, &from_the_beginning.leaves), (0, &first.leaves));
}

/// The leader keeps the snapshot of a follower that is away no longer than a silence timeout: the next one is newer.
#[test]
fn a_follower_that_is_away_costs_the_leader_no_memory() {
    let (server, effects) = asked_for_many();
    let first = piece_to(&effects, 2);
    let snapshot = Effect::Discard(Discarded::Files(server.files().clone()));
    let (mut server, _) = server.step(lost(2, &first));
    let mut beats = 0;
    loop {
        let (next, effects) = server.step(BEAT);
        (server, beats) = (next, beats + 1);
        let server_1 = appends_to(&effects, 1);
        server = server_1.iter().fold(server, |server, beat| server.step(accepted(1, beat)).0);
        let unanswered = appends_to(&effects, 2);
        server =
            unanswered.iter().fold(server, |server, beat| server.step(unanswered_by_2(beat)).0);
        if effects.contains(&snapshot) {
            break;
        }
        assert!(beats < 5, "it is kept");
    }
    let (server, effects) = server.step(update(500, "099", 2));
    let (server, effects) = settled_with_1(server, effects, &mut Vec::new()).step(BEAT);
    let (_, effects) = server.step(accepted_by_2(&append_to(&effects, 2)));
    let begun_anew = piece_to(&effects, 2);
    assert_eq!(begun_anew.offset, 0);
    assert!(first.last_included < begun_anew.last_included);
}

fn unanswered_by_2(request: &AppendEntries) -> Event {
    unanswered(2, request)
}

/// A leader that steps down or crashes frees the snapshots that it was sending.
#[test]
fn the_end_of_a_leadership_ends_its_transfers() {
    let (server, _) = asked_for_many();
    let snapshot = Effect::Discard(Discarded::Files(server.files().clone()));
    for ends in [crash(1), appends(append(3, at(0, 0), vec![]))] {
        let (_, effects) = server.clone().step(ends);
        assert!(effects.contains(&snapshot));
    }
}

/// Heartbeats go on beside the pieces, and never mismatch: they follow an entry that every log has.
#[test]
fn a_transfer_holds_up_neither_heartbeats_nor_reads() {
    let (server, _) = asked_for_many();
    let (server, effects) = server.step(BEAT);
    let beat = append_to(&effects, 2);
    assert_eq!(beat.prev_log, at(0, 0));
    let server = after(server, [accepted_by_2(&beat)]);
    let (server, effects) = server.step(read(600));
    let (_, effects) = server.step(accepted_by_2(&append_to(&effects, 2)));
    assert!(matches!(replies(&effects)[..], [(600, Reply::Files(_))]));
}

/// Writing a snapshot to a disk may take longer than its leader waits for the answer.
#[test]
fn a_follower_that_shows_that_it_has_a_snapshot_is_sent_entries_and_not_another_snapshot() {
    let (server, effects) = asked_for_a_snapshot(&["a", "b", "c"]);
    let piece = piece_to(&effects, 2);
    let (server, _) = server.step(lost(2, &piece));
    let (server, effects) = server.step(update(20, "d", 1));
    let server = settled_with_1(server, effects, &mut Vec::new());
    let (server, effects) = server.step(BEAT);
    let beat = append_to(&effects, 2);
    let shows = |last| {
        let sender = identity(2, 2).holding(last);
        server.clone().step(answers(2, sender, &beat, AppendOutcome::Accepted)).1
    };
    let effects = shows(piece.last_included);
    assert_eq!(pieces_to(&effects, 2), []);
    assert_eq!(batch_to(&effects, 2).prev_log, piece.last_included);
    let effects = shows(server.log().last());
    assert_eq!(batch_to(&effects, 2).entries.len(), 1, "only an append proves a match");
    // An entry that this leader does not know, or has dropped, proves nothing.
    for last in [at(1, 5), at(1, 1)] {
        assert_eq!(pieces_to(&shows(last), 2).len(), 1, "its log ends at {last:?}");
    }
}

/// A relaunched follower is another process and holds nothing of what the one before was sent.
#[test]
fn a_follower_that_is_relaunched_is_sent_the_snapshot_again() {
    let (server, effects) = asked_for_many();
    let first = piece_to(&effects, 2);
    let (server, _) = server.step(told(2, &first, AppendOutcome::Incomplete(1)));
    let (server, effects) = server.step(BEAT);
    let beat = append_to(&effects, 2);
    let (server, effects) =
        server.step(answers(2, relaunched(2, &beat.sender), &beat, AppendOutcome::Refused));
    let piece = piece_to(&effects, 2);
    assert_eq!((piece.receiver, piece.offset), (Some(next_life(2)), 1));
    let sender = relaunched(2, &beat.sender);
    let reply = AppendReply { sender, round: piece.round, outcome: AppendOutcome::Incomplete(0) };
    let (_, effects) = server.step(responds(2, Response::Append(reply)));
    let again = piece_to(&effects, 2);
    assert_eq!((again.offset, again.leaves), (0, first.leaves));
}
