//! Updates (§5.3, §8): when a caller is answered, with what, and the bounds on the wait and on the memory that it
//! takes.

use support::raft::*;

const UPDATED: Reply = Reply::Updated(true);
const REFUSED: Reply = Reply::Updated(false);
const UNKNOWN: Reply = Reply::Failed(CallError::OutcomeUnknown);
const BUSY: Reply = Reply::Failed(CallError::Busy);

fn not_leader(known: u8) -> Reply {
    Reply::Failed(CallError::NotLeader(Some(ServerId(known))))
}

/// A former leader of three, now in term 3, whose call 5 waits for its entry 3/t2.
fn former_leader() -> Server {
    after(leader(3), [update(5, "a", 1), appends(append(3, at(2, 2), vec![]))])
}

/// An append of server 1, leader of term 3, with everything in it committed.
fn committed(prev_log: Position, entries: Vec<Entry>) -> Event {
    let request = append(3, prev_log, entries);
    let commit = request.last_index().0;
    appends(request.committing(commit))
}

/// §5.3: "When the entry has been safely replicated, the leader applies the entry to its state machine and returns the
/// result of that execution to the client."
#[test]
fn an_update_is_answered_once_a_majority_holds_it() {
    let (server, effects) = leader(5).step(update(5, "a", 1));
    assert_eq!(replies(&effects), []);
    let (server, answer) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&answer), []);
    assert!(server.files().is_empty());
    let (server, answer) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(replies(&answer), [(5, UPDATED)]);
    assert_eq!(server.files().version("a"), 1);
    let (_, answer) = server.step(accepted(3, &append_to(&effects, 3)));
    assert_eq!(replies(&answer), [], "each is answered once");
}

/// An update whose version cannot be the next one is not appended. It is refused as a read is answered: once leadership
/// has been confirmed after its arrival.
#[test]
fn an_update_of_an_impossible_version_is_refused_without_an_entry_once_a_majority_confirms_it() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let leader = settled(server, &effects);
    for version in [i64::MIN, -1, 0, 1, 3, i64::MAX] {
        let (server, effects) = leader.clone().step(update(5, "a", version));
        assert_eq!(replies(&effects), []);
        assert_eq!(server.log(), leader.log());
        let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
        assert_eq!(replies(&effects), [(5, REFUSED)], "version {version}");
        assert_eq!(server.files(), leader.files());
    }
}

/// Entries that wait in the log may make a version the next one, each by one at most.
#[test]
fn an_update_that_entries_in_the_log_may_let_through_is_appended() {
    let server = after(leader(3), [update(1, "a", 1), update(2, "b", 1)]);
    for (version, is_appended) in [(0, false), (1, true), (2, true), (3, true), (4, false)] {
        let (server, _) = server.clone().step(update(5, "a", version));
        assert_eq!(terms(&server).len(), 4 + usize::from(is_appended), "version {version}");
    }
}

/// A leader that has been deposed does not know it: its refusal is no answer without a majority.
#[test]
fn a_refusal_that_nobody_confirms_waits_and_ends_with_the_leadership() {
    let server = after(leader(3), [update(5, "a", 7)]);
    for (ends, error) in [
        (appends(append(3, at(2, 2), vec![])), CallError::NotLeader(None)),
        (crash(1), CallError::Crashed),
    ] {
        let (_, effects) = server.clone().step(ends);
        assert!(replies(&effects).contains(&(5, Reply::Failed(error))), "{effects:?}");
    }
    let (server, _) = server.step(Event::HangUp(CallId(5)));
    assert_eq!(server.status().waiting, 0);
}

/// Of several updates to the same version, the first in the log takes effect.
#[test]
fn of_concurrent_updates_to_one_version_exactly_one_takes_effect() {
    let (server, effects) = leader(3).step(update(5, "a", 1));
    let server = after(server, [update(6, "a", 1), update(7, "a", 2)]);
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects), [(5, UPDATED)]);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects), [(6, REFUSED), (7, UPDATED)]);
}

/// Every server that can be reached has been sent the commit index before the caller reads the answer: a read at a
/// follower then shows it.
#[test]
fn the_news_of_a_commit_is_sent_before_the_caller_is_answered() {
    let (server, effects) = leader(5).step(update(5, "a", 1));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    let (_, effects) = server.step(accepted(2, &append_to(&effects, 2)));
    let news = |effect: &Effect| match effect {
        Effect::Send { to, request: Request::AppendEntries(request) } => {
            Some((to.0, request.leader_commit.0))
        }
        _ => None,
    };
    let told = [1, 2, 3, 4].map(|peer| Some((peer, 3)));
    assert_eq!(effects.iter().map(news).collect::<Vec<_>>(), [&told[..], &[None]].concat());
    assert_eq!(replies(&effects), [(5, UPDATED)]);
}

/// If an append is in flight, the commit index follows its reply.
#[test]
fn the_news_of_a_commit_follows_an_append_in_flight() {
    let (server, beat) = leader(3).step(timeout(Timer::Heartbeat));
    let (server, effects) = server.step(update(5, "a", 1));
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!((replies(&effects).len(), append_requests(&effects)), (1, vec![]));
    let (_, effects) = server.step(accepted(1, &append_to(&beat, 1)));
    assert_eq!(append_to(&effects, 1).leader_commit, LogIndex(3));
}

/// A deposed leader's update is answered when its fate is known: here its own entry is committed after all.
#[test]
fn an_update_that_outlived_its_leadership_is_answered_when_its_entry_is_committed() {
    let (server, effects) = former_leader().step(committed(at(2, 3), vec![]));
    assert_eq!(replies(&effects)[0], (5, UPDATED));
    assert_eq!(server.files().version("a"), 1);
    let (_, effects) = server.step(timeout(Timer::Fate));
    assert_eq!(replies(&effects), []);
}

/// If another entry is committed in its place, the answer is definite: it will never take effect.
#[test]
fn an_update_whose_place_another_entry_took_was_definitely_not_done() {
    let entries = [rosters(&[3]), vec![entry(3, "a", 1)]].concat();
    let (server, effects) = former_leader().step(committed(at(2, 2), entries));
    assert_eq!(replies(&effects)[0], (5, not_leader(1)));
    assert_eq!(server.status().waiting, 0);
}

/// Being overwritten alone decides nothing: the overwriting entry is not committed yet.
#[test]
fn an_update_that_is_merely_overwritten_goes_on_waiting() {
    let overwrite = append(3, at(2, 2), rosters(&[3]));
    let (server, effects) = former_leader().step(appends(overwrite));
    assert_eq!(replies(&effects).len(), 1, "the leader's answer only");
    assert_eq!(server.status().waiting, 1);
    let (server, effects) = server.step(timeout(Timer::Fate));
    assert_eq!(replies(&effects), [(5, UNKNOWN)]);
    assert_eq!(server.status().waiting, 0);
}

/// A call never hangs on a server that cannot decide it, whatever its role.
#[test]
fn an_update_without_a_known_fate_ends_when_its_time_is_up() {
    let follower = former_leader();
    let candidate = after(follower.clone(), [timeout(Timer::Silence), timeout(Timer::Election)]);
    for server in [follower.clone(), candidate, elect(follower).0] {
        let role = server.role();
        let (server, effects) = server.step(timeout(Timer::Fate));
        assert_eq!(replies(&effects), [(5, UNKNOWN)], "{role:?}");
        assert_eq!(server.status().waiting, 0, "{role:?}");
    }
}

/// The end of an earlier leadership's updates does not touch those of the present one.
#[test]
fn a_leader_gives_up_only_what_an_earlier_leadership_left_behind() {
    let (server, _) = elect(former_leader());
    let (server, effects) = after(server, [update(6, "b", 1)]).step(timeout(Timer::Fate));
    assert_eq!(replies(&effects), [(5, UNKNOWN)]);
    assert_eq!(server.status().waiting, 1);
}

/// The new leadership may commit what the earlier one has left, and then answers it.
#[test]
fn a_leader_elected_again_answers_what_it_left_behind() {
    let (server, effects) = elect(former_leader());
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects), [(5, UPDATED)]);
}

/// The fate timer runs from the first leadership that ended with waiting updates: no call waits longer.
#[test]
fn a_second_step_down_does_not_prolong_the_wait() {
    let (server, _) = elect(former_leader());
    let (server, effects) =
        after(server, [update(6, "b", 1)]).step(appends(append(9, at(0, 0), vec![])));
    assert!(!armed(&effects).contains(&Timer::Fate));
    let (_, effects) = server.step(timeout(Timer::Fate));
    assert_eq!(replies(&effects), [(5, UNKNOWN), (6, UNKNOWN)]);
}

/// A caller that disconnected gets no answer; the entry stays and may be committed.
#[test]
fn an_update_whose_caller_hung_up_stays_in_the_log() {
    let (server, effects) = leader(3).step(update(5, "a", 1));
    let server = after(server, [Event::HangUp(CallId(5))]);
    assert_eq!(server.status().waiting, 0);
    let (server, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(replies(&effects), []);
    assert_eq!(server.files().version("a"), 1);
}

/// A former leader forgets such a caller as well, in each of its roles.
#[test]
fn a_former_leader_forgets_callers_that_disconnected() {
    let follower = former_leader();
    let candidate = after(follower.clone(), [timeout(Timer::Silence), timeout(Timer::Election)]);
    for server in [follower, candidate] {
        let (server, effects) = server.step(Event::HangUp(CallId(5)));
        assert_eq!((server.status().waiting, effects), (0, vec![]));
    }
}

/// A bound on waiting calls, updates and reads together; beyond it the answer is definite.
#[test]
fn calls_beyond_the_bound_are_refused_and_change_nothing() {
    let waiting = u64::try_from(WAITING_MAX).expect("a small number");
    let reads = (1..=10).map(read);
    let updates = (11..=waiting).map(|id| update(id, "a", 1));
    let server = after(leader(3), reads.chain(updates));
    assert_eq!(server.status().waiting, WAITING_MAX);
    for event in [update(9999, "a", 1), read(9999)] {
        let (same, effects) = server.clone().step(event);
        assert_eq!(effects, [Effect::Reply(CallId(9999), BUSY)]);
        assert_eq!(same, server);
    }
    let (_, effects) = after(server, [Event::HangUp(CallId(7))]).step(read(9999));
    assert_eq!(replies(&effects), [], "there is room again");
}

/// Uncommitted entries are bounded in bytes, whether their callers still wait or not, and over re-elections.
#[test]
fn uncommitted_bytes_are_bounded() {
    let large = "x".repeat(UNCOMMITTED_BYTES_MAX / 4);
    let updates = (1..=3).map(|id| update(id, &large, 1));
    let (server, first) = elected(3, &[1]);
    let server = after(server, updates.chain((1..=3).map(|id| Event::HangUp(CallId(id)))));
    let (full, effects) = server.clone().step(update(4, &large, 1));
    assert_eq!(replies(&effects), [(4, BUSY)]);
    assert_eq!(full, server);
    let (again, _) = elect(after(full, [appends(append(3, at(0, 0), vec![]))]));
    let (_, effects) = again.step(update(4, &large, 1));
    assert_eq!(replies(&effects), [(4, BUSY)], "in the next term of the same leader as well");
    let (server, sent) = server.step(accepted(1, &append_to(&first, 1)));
    let (server, _) = server.step(accepted(1, &append_to(&sent, 1)));
    let (_, effects) = server.step(update(4, &large, 1));
    assert_eq!(replies(&effects), [], "committed entries make room");
}

/// An update that fits exactly is accepted.
#[test]
fn the_bound_on_uncommitted_bytes_is_inclusive() {
    let held = entry(2, "", 1).size();
    let fits = "x".repeat(UNCOMMITTED_BYTES_MAX - held);
    let (_, effects) = leader(3).step(update(5, &fits, 1));
    assert_eq!(replies(&effects), []);
    let (_, effects) = leader(3).step(update(5, &format!("{fits}x"), 1));
    assert_eq!(replies(&effects), [(5, BUSY)]);
}

/// Only the leader accepts updates; the others name it, if they know it, and accept nothing.
#[test]
fn a_server_that_does_not_lead_redirects_an_update() {
    let table = [
        (follower(3), Some(ServerId(1))),
        (leaderless(3), None),
        (pre_candidate(3), None),
        (candidate(3), None),
    ];
    for (server, known) in table {
        let (same, effects) = server.clone().step(update(5, "a", 1));
        assert_eq!(replies(&effects), [(5, Reply::Failed(CallError::NotLeader(known)))]);
        assert_eq!(same, server);
    }
}
