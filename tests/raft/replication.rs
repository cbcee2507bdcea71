//! The leader's side of AppendEntries: what it sends to whom and when (§5.3), and what a reply, or a missing one,
//! changes.

use support::raft::*;

const BEAT: Event = Event::Timeout(Timer::Heartbeat);

/// A leader of five whose log has the terms 1, 1, 2 before its roster 4/t3, and its first append to server 1.
fn newly_elected() -> (Server, AppendEntries) {
    let (server, effects) = elected(5, &[1, 1, 2]);
    let request = append_to(&effects, 1);
    (server, request)
}

/// Figure 2, Volatile state on leaders: next index begins at the log's end, here at the roster; §8: "each leader commit
/// a blank no-op entry into the log at the start of its term"; here it repeats the last roster instead.
#[test]
fn a_new_leader_sends_a_roster_of_its_term_after_its_last_entry() {
    let (server, request) = newly_elected();
    assert_eq!(terms(&server), [1, 1, 2, 3]);
    assert_eq!(server.log().get(LogIndex(4)), rosters_of(5, &[3]).first());
    let expected = append(3, at(2, 3), rosters_of(5, &[3])).of(5).by(0).committing(1);
    let receiver = Some(life(1));
    assert_eq!(request, AppendEntries { receiver, round: Round(1), ..expected });
}

/// A roster is not an update: it creates no file.
#[test]
fn a_committed_roster_is_invisible() {
    assert_eq!(leader(3).status().commit_index, LogIndex(2));
    assert!(leader(3).files().is_empty());
}

/// §5.2: "Leaders send periodic heartbeats (AppendEntries RPCs that carry no log entries) to all followers".
#[test]
fn every_heartbeat_timeout_sends_an_empty_append_to_every_follower() {
    let (server, effects) = leader(3).step(BEAT);
    assert_eq!(armed(&effects), [Timer::Heartbeat]);
    for peer in [1, 2] {
        let request = append_to(&effects, peer);
        assert_eq!(request.entries, []);
        assert_eq!((request.prev_log, request.leader_commit), (at(2, 2), LogIndex(2)));
    }
    assert_eq!(server.role(), RoleName::Leader);
}

/// An empty append follows the last entry that the follower is known to hold, so that it is never refused.
#[test]
fn a_heartbeat_names_the_last_entry_that_the_follower_is_known_to_hold() {
    let (server, _) = newly_elected();
    let (_, effects) = server.step(BEAT);
    assert_eq!(append_to(&effects, 1).prev_log, at(0, 0));
}

/// §5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to each
/// of the other servers", without waiting for a heartbeat.
#[test]
fn an_update_is_sent_to_every_follower_at_once() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    assert_eq!(terms(&server), [1, 2, 2]);
    for peer in [1, 2] {
        let request = append_to(&effects, peer);
        assert_eq!((request.prev_log, request.entries), (at(2, 2), vec![entry(2, "a", 1)]));
    }
}

/// Entries that arrive while an append is in flight are sent together, as soon as it is answered.
#[test]
fn updates_gather_behind_an_append_and_leave_together_on_its_reply() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let first = append_to(&effects, 1);
    let (server, effects) = server.step(update(2, "b", 1));
    assert_eq!(append_requests(&effects), []);
    let server = after(server, [update(3, "c", 1)]);
    let (_, effects) = server.step(accepted(1, &first));
    let second = appends_to(&effects, 1).remove(0);
    assert_eq!(second.prev_log, at(2, 3));
    assert_eq!(second.entries, [entry(2, "b", 1), entry(2, "c", 1)]);
    assert_eq!(appends_to(&effects, 2), [], "server 2 still owes its reply");
}

/// A batch is bounded in bytes; an entry above the bound is sent alone.
#[test]
fn a_batch_carries_as_many_entries_as_fit_but_one_at_least() {
    let half = "x".repeat(BATCH_BYTES_MAX / 2 - 1000);
    let whole = "x".repeat(BATCH_BYTES_MAX);
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let mut request = append_to(&effects, 1);
    let names = [&half, &half, &half, &whole, "b"];
    let updates = (2..).zip(names).map(|(id, name)| update(id, name, 1));
    let mut server = after(server, updates);
    for expected in [2, 1, 1, 1] {
        let effects;
        (server, effects) = server.step(accepted(1, &request));
        request = appends_to(&effects, 1).remove(0);
        assert_eq!(request.entries.len(), expected, "entries of one batch");
    }
}

/// Two entries that fill a batch to the byte are sent together.
#[test]
fn the_bound_on_a_batch_is_inclusive() {
    let size = |name| entry(2, name, 1).size();
    let rest = "x".repeat(BATCH_BYTES_MAX - size("b") - size(""));
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let server = after(server, [update(2, "b", 1), update(3, &rest, 1)]);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&effects, 1).entries.len(), 2);
}

/// However small they are, so that a follower applies them in a short time.
#[test]
fn a_batch_carries_a_bounded_number_of_entries() {
    let (server, effects) = elected(3, &[1; BATCH_ENTRIES_MAX + 1]);
    let lacks_all = AppendOutcome::Mismatch(at(0, 0));
    let (server, effects) = server.step(answered(1, &append_to(&effects, 1), lacks_all));
    let first = append_to(&effects, 1);
    assert_eq!(first.entries.len(), BATCH_ENTRIES_MAX);
    let (_, effects) = server.step(accepted(1, &first));
    assert_eq!(append_to(&effects, 1).entries.len(), 2, "the last one and the roster");
}

/// A large batch in flight delays no heartbeat, and a heartbeat in flight no batch.
#[test]
fn entries_and_heartbeats_travel_independently() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let batch = append_to(&effects, 1);
    let (server, effects) = server.step(BEAT);
    let heartbeat = append_to(&effects, 1);
    assert_eq!((&heartbeat.entries[..], heartbeat.prev_log), (&[][..], at(2, 2)));
    let server = after(server, [update(2, "b", 1), accepted(1, &batch)]);
    let (_, effects) = server.step(BEAT);
    assert_eq!(appends_to(&effects, 1), [], "the previous heartbeat is still in flight");
    let (server, effects) = leader(3).step(BEAT);
    assert_eq!(append_to(&effects, 1).entries, []);
    let (_, effects) = server.step(update(1, "a", 1));
    assert_eq!(append_to(&effects, 1).entries.len(), 1);
}

/// A heartbeat says nothing about the batch in flight: the leader still waits for its reply, and does not send it
/// twice.
#[test]
fn a_heartbeat_s_reply_does_not_repeat_the_batch_under_way() {
    let server = after(leader(3), [update(1, "a", 1)]);
    let (server, effects) = server.step(BEAT);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(effects, []);
}

/// §5.3: "the leader retries AppendEntries RPCs indefinitely", with every heartbeat and never in a tight loop.
#[test]
fn a_failed_append_is_tried_again_at_the_next_heartbeat_and_not_before() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let (server, effects) = server.step(unanswered(1, &append_to(&effects, 1)));
    assert_eq!(effects, []);
    let (server, effects) = server.step(update(2, "b", 1));
    assert_eq!(appends_to(&effects, 1), []);
    let (server, effects) = server.step(read(3));
    assert_eq!(appends_to(&effects, 1), []);
    let (server, effects) = server.step(BEAT);
    let (server, effects) = server.step(unanswered(1, &append_to(&effects, 1)));
    assert_eq!(appends_to(&effects, 1), []);
    let (server, effects) = server.step(BEAT);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&effects, 1).entries.len(), 2, "it can be reached again");
}

/// A reply to something sent before the failure does not show that the follower can be reached after it. Otherwise
/// every such reply would resend a batch that the follower cannot receive.
#[test]
fn a_reply_to_an_earlier_append_does_not_bring_the_retry_forward() {
    let heartbeat_first = [BEAT, update(1, "a", 1)];
    let batch_first = [update(1, "a", 1), BEAT];
    for [one, other] in [heartbeat_first, batch_first] {
        let (server, first) = leader(3).step(one);
        let (server, second) = server.step(other);
        let mut under_way = [append_to(&first, 1), append_to(&second, 1)];
        under_way.sort_by_key(|request| request.entries.len());
        let [heartbeat, batch] = under_way;
        let server = after(server, [unanswered(1, &batch)]);
        let (server, effects) = server.step(accepted(1, &heartbeat));
        assert_eq!(effects, []);
        let (server, effects) = server.step(BEAT);
        let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
        assert_eq!(append_to(&effects, 1).entries, batch.entries);
    }
}

/// One follower that fails delays nothing at the others, and learns that the entries are committed when it gets them.
#[test]
fn a_follower_out_of_reach_delays_no_other() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let server = after(server, [unanswered(1, &append_to(&effects, 1))]);
    let (server, effects) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(server.status().commit_index, LogIndex(3));
    assert_eq!(replies(&effects), [(1, Reply::Updated(true))]);
    let (server, effects) = server.step(BEAT);
    let (_, effects) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&effects, 1).leader_commit, LogIndex(3));
}

/// A reply settles the append that it answers and no other; a second copy settles nothing.
#[test]
fn a_late_or_repeated_reply_changes_neither_next_nor_match_index() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let first = append_to(&effects, 1);
    let (server, effects) = after(server, [update(2, "b", 1)]).step(accepted(1, &first));
    assert_eq!(server.status().commit_index, LogIndex(3));
    let late = [
        accepted(1, &first),
        answered(1, &first, AppendOutcome::Mismatch(at(0, 0))),
        answered(1, &first, AppendOutcome::Stale),
        unanswered(1, &first),
    ];
    for event in late {
        let (same, again) = server.clone().step(event);
        assert_eq!(again, []);
        assert_eq!(same, server);
    }
    let second = appends_to(&effects, 1).remove(0);
    assert_eq!(second.prev_log, at(2, 3));
    let (server, _) = server.step(accepted(1, &second));
    assert_eq!(server.status().commit_index, LogIndex(4), "the true reply still counts");
}

/// §5.1, §5.3: what a follower answered in an earlier leadership of this server says nothing about this one.
#[test]
fn a_reply_of_an_earlier_leadership_does_not_count() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let old = append_to(&effects, 1);
    let server = after(server, [asks(ask(BallotKind::Vote, 3, at(0, 0)))]);
    let (server, effects) = after(server, [timeout(Timer::Silence)]).step(timeout(Timer::Election));
    let (server, effects) = server.step(granted(1, &vote_requests(&effects)[0].1));
    let (server, _) = server.step(granted(1, &vote_requests(&effects)[0].1));
    assert_eq!((server.role(), server.current_term()), (RoleName::Leader, Term(4)));
    for event in [
        accepted(1, &AppendEntries { round: Round(1), ..old.clone() }),
        unanswered(1, &AppendEntries { round: Round(1), ..old }),
    ] {
        let (same, effects) = server.clone().step(event);
        assert_eq!(effects, []);
        assert_eq!(same, server);
    }
}

/// A reply to something that was never sent, and one from a stranger, are ignored.
#[test]
fn a_reply_to_nothing_changes_nothing() {
    let (server, request) = newly_elected();
    let unsent = AppendEntries { round: Round(99), ..request.clone() };
    for event in [accepted(1, &unsent), accepted(5, &request), accepted(0, &request)] {
        let (same, effects) = server.clone().step(event);
        assert_eq!(effects, []);
        assert_eq!(same, server);
    }
}

/// §5.3: "after a rejection, the leader decrements nextIndex and retries", to the place the refusal names, and at once.
#[test]
fn a_refused_append_is_tried_again_at_once_where_the_logs_can_agree() {
    let table = [
        (at(2, 2), at(1, 2), vec![2, 3]),
        (at(1, 1), at(1, 1), vec![1, 2, 3]),
        (at(0, 0), at(0, 0), vec![1, 1, 2, 3]),
        (at(2, 9), at(2, 3), vec![3]),
    ];
    for (hint, prev_log, sent) in table {
        let (server, request) = newly_elected();
        let (_, effects) = server.step(answered(1, &request, AppendOutcome::Mismatch(hint)));
        let retry = append_to(&effects, 1);
        assert_eq!(retry.prev_log, prev_log, "{hint:?}");
        assert_eq!(retry.entries, rosters_of(5, &sent), "{hint:?}");
    }
}

/// A refusal with a place beyond every log, which no follower sends, does no harm.
#[test]
fn a_hint_beyond_the_log_is_harmless() {
    let (server, request) = newly_elected();
    let hint = at(u64::MAX, u64::MAX);
    let (server, effects) = server.step(answered(1, &request, AppendOutcome::Mismatch(hint)));
    assert_eq!(effects, []);
    let (_, effects) = server.step(update(1, "a", 1));
    assert_eq!(append_to(&effects, 1).prev_log, at(3, 4));
}

/// A follower that refuses an append at or below what it has acknowledged has followed another history in between,
/// because it did not know that this one is founded. It no longer counts for what it held, and is brought up to date
/// from the start.
#[test]
fn a_follower_that_lacks_what_it_acknowledged_is_no_longer_counted() {
    let lost = AppendOutcome::Mismatch(at(0, 0));
    let (server, effects) = leader(5).step(update(1, "a", 1));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    let (server, beat) = server.step(BEAT);
    let (server, sent) = server.step(answered(1, &append_to(&beat, 1), lost));
    assert_eq!(append_to(&sent, 1).prev_log, at(0, 0));
    assert_eq!(append_to(&sent, 1).entries.len(), 3);
    let (server, _) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(server.status().commit_index, LogIndex(2), "two of five hold the update");
    let (server, _) = server.step(accepted(1, &append_to(&sent, 1)));
    assert_eq!(server.status().commit_index, LogIndex(3), "now three of five hold it");
}

/// What it acknowledged before, and what arrives only now, does not count either.
#[test]
fn a_late_reply_from_before_that_does_not_count() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let batch = append_to(&effects, 1);
    let (server, beat) = server.step(BEAT);
    let lost = answered(1, &append_to(&beat, 1), AppendOutcome::Mismatch(at(0, 0)));
    let (server, _) = after(server, [lost]).step(accepted(1, &batch));
    assert_eq!(server.status().commit_index, LogIndex(2));
}
