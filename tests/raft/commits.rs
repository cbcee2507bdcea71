//! When an entry is committed (§5.3, §5.4.2, Figure 8), and how followers' logs are repaired (§5.3, Figure 7).

use support::raft::*;

fn commit_index(server: &Server) -> u64 {
    server.status().commit_index.0
}

/// The largest index that more than half of the servers hold, counted one by one.
fn naive_commit_index(held: &[u64]) -> u64 {
    let is_held = |index: &u64| {
        held.len() < 2 * held.iter().filter(|last_held| *index <= **last_held).count()
    };
    (1..=4).rev().find(is_held).unwrap_or_default()
}

/// Lets each of the peers in `first` accept nothing, its first append, or its second as well, in every combination;
/// `held` says what the others hold. Returns the number of combinations.
fn check_all(server: &Server, first: &[(ServerId, AppendEntries)], held: &mut Vec<u64>) -> u32 {
    let Some(((peer, request), others)) = first.split_first() else {
        assert_eq!(commit_index(server), naive_commit_index(held), "{held:?}");
        return 1;
    };
    let (once, effects) = server.clone().step(accepted(peer.0, request));
    let second = appends_to(&effects, peer.0).remove(0);
    let (twice, _) = once.clone().step(accepted(peer.0, &second));
    let mut combinations = 0;
    for (server, last_held) in [(server, 1), (&once, 2), (&twice, 4)] {
        held.push(last_held);
        combinations += check_all(server, others, held);
        held.pop();
    }
    combinations
}

/// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
/// log[N].term == currentTerm: set commitIndex = N". Entry 1 is committed. The first append to a peer has the roster of
/// the term, the second two updates.
#[test]
fn commit_follows_the_majority_of_all_servers_for_every_vector_of_match_indexes() {
    for of in 2..=10 {
        let (server, effects) = elected(of, &[1]);
        let server = after(server, [update(1, "a", 1), update(2, "b", 1)]);
        let combinations = check_all(&server, &append_requests(&effects), &mut vec![4]);
        assert_eq!(combinations, 3_u32.pow(u32::from(of) - 1));
    }
}

/// §5.3: on a single server, an entry is on a majority once it is appended.
#[test]
fn a_single_server_commits_at_once() {
    let server = server(0, 1);
    assert_eq!(commit_index(&server), 1);
    let (server, effects) = server.step(update(1, "a", 1));
    assert_eq!(commit_index(&server), 2);
    assert_eq!(effects, [Effect::Reply(CallId(1), Reply::Updated(true))]);
}

/// §5.4.2: "Raft never commits log entries from previous terms by counting replicas." Figure 8 (c): an entry of term 2
/// is on a majority in term 3, and could still be overwritten. The entry is so large that it is sent alone.
#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let large = entry(2, &"x".repeat(BATCH_BYTES_MAX), 1);
    let log = [rosters_of(5, &[1, 2]), vec![large]].concat();
    let (mut server, effects) =
        elect(after(server(0, 5), [appends(append(2, at(0, 0), log).of(5))]));
    for peer in [1, 2, 3] {
        let refusal = AppendOutcome::Mismatch(at(2, 2));
        let (told, sent) = server.step(answered(peer, &append_to(&effects, peer), refusal));
        assert_eq!(append_to(&sent, peer).entries.len(), 1);
        let (holds, next) = told.step(accepted(peer, &append_to(&sent, peer)));
        assert_eq!(commit_index(&holds), 0, "{} of 5 hold 3/t2", peer + 1);
        assert_eq!(append_to(&next, peer).entries, rosters_of(5, &[3]));
        server = holds;
    }
}

/// §5.4.2, Figure 8 (e): "once an entry from the current term has been committed in this way, then all prior entries
/// are committed indirectly".
#[test]
fn earlier_entries_are_committed_with_the_first_of_the_current_term() {
    let (server, effects) = elect(follower_holding(5, &[1, 2]));
    let server = after(server, [accepted(1, &append_to(&effects, 1))]);
    assert_eq!(commit_index(&server), 0);
    let (server, _) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(commit_index(&server), 3);
}

/// §5.3: a heartbeat that a longer log accepts proves no more than the place it names.
#[test]
fn an_accepted_heartbeat_commits_nothing_beyond_what_it_verified() {
    let (server, _) = elect(follower_holding(3, &[1, 2]));
    let (server, effects) = server.step(timeout(Timer::Heartbeat));
    let (server, _) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(commit_index(&server), 0);
}

/// A refusal does not show that the follower holds anything, whatever place it names.
#[test]
fn a_refusal_is_not_counted() {
    let (server, effects) = elect(follower_holding(3, &[1, 2]));
    let hint = AppendOutcome::Mismatch(at(3, 3));
    let (server, _) = server.step(answered(1, &append_to(&effects, 1), hint));
    assert_eq!(commit_index(&server), 0);
}

/// §5.3: followers learn what is committed with the next append: here with an empty one at once, not with the next
/// heartbeat.
#[test]
fn a_commit_is_told_to_the_followers_at_once() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let (_, news) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&news, 1).entries, []);
    assert_eq!(append_to(&news, 1).leader_commit, LogIndex(3));
}

/// A follower whose batch is still in flight learns it as well: its caller may ask it next.
#[test]
fn a_commit_is_told_ahead_of_the_reply_to_a_batch_under_way() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let (server, news) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&news, 2).entries, []);
    assert_eq!(append_to(&news, 2).leader_commit, LogIndex(3));
    let server = after(server, [accepted(2, &append_to(&news, 2))]);
    let (_, more) = server.step(accepted(2, &append_to(&effects, 2)));
    assert_eq!(append_requests(&more), [], "it need not be sent twice");
}

/// What a follower has verified stays verified for the term, and so does what its leader has committed.
#[test]
fn entries_and_the_news_of_their_commit_may_arrive_in_either_order() {
    let entries = append(1, at(1, 1), rosters(&[1, 1]));
    let news = append(1, at(0, 0), vec![]).committing(3);
    for order in [[entries.clone(), news.clone()], [news, entries]] {
        let server = after(follower(3), order.map(appends));
        assert_eq!(commit_index(&server), 3);
    }
}

/// Neither of the two outlives its term: the next leader has not verified the entries that another leader sent.
#[test]
fn what_an_earlier_leader_verified_is_not_committed_by_the_next() {
    let server = after(follower(3), [appends(append(1, at(1, 1), rosters(&[1, 1])))]);
    let news = append(2, at(0, 0), vec![]).committing(3);
    assert_eq!(commit_index(&after(server, [appends(news)])), 1);
}

/// The next entries bring the commit index with them, if there are any; then no empty append is needed.
#[test]
fn the_news_of_a_commit_is_sent_with_the_next_entries_if_there_are_any() {
    let (server, effects) = leader(3).step(update(1, "a", 1));
    let server = after(server, [update(2, "b", 1)]);
    let (_, news) = server.step(accepted(1, &append_to(&effects, 1)));
    assert_eq!(append_to(&news, 1).entries, [entry(2, "b", 1)]);
    assert_eq!(append_to(&news, 1).leader_commit, LogIndex(3));
}

/// A leader with the first log in `term` brings server 1 with the second log up to date; both are real cores. Returns
/// how many appends were refused.
fn refusals_until_level(leader_terms: &[u64], follower_terms: &[u64], term: u64) -> usize {
    let enter = append(term - 1, at(0, 0), vec![]).of(2);
    let (mut leader, mut effects) =
        elect(after(follower_holding(2, leader_terms), [appends(enter)]));
    let log = append(term - 1, at(0, 0), rosters_of(2, follower_terms)).of(2).by(0);
    let log = AppendEntries { has_majority: false, ..log };
    let mut follower = after(server(1, 2), [appends(log)]);
    let mut refusals = 0;
    while terms(&follower) != terms(&leader) {
        let request = append_to(&effects, 1);
        let (next, answer) = follower.step(appends(request.clone()));
        follower = next;
        refusals += usize::from(matches!(outcome(&answer), AppendOutcome::Mismatch(_)));
        assert!(refusals < 100, "{leader_terms:?} and {follower_terms:?} never become equal");
        (leader, effects) = leader.step(answered(1, &request, outcome(&answer)));
    }
    refusals
}

/// Figure 7: "When the leader at the top comes to power, it is possible that any of scenarios (a–f) could occur in
/// follower logs." All are brought up to date, each after one probe at most: follower f's two conflicting terms are
/// skipped together.
#[test]
fn all_followers_of_figure_7_are_repaired() {
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [(&str, &[u64], usize); 6] = [
        ("a", &[1, 1, 1, 4, 4, 5, 5, 6, 6], 1),
        ("b", &[1, 1, 1, 4], 1),
        ("c", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], 0),
        ("d", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], 0),
        ("e", &[1, 1, 1, 4, 4, 4, 4], 1),
        ("f", &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], 1),
    ];
    for (name, follower, expected) in followers {
        assert_eq!(refusals_until_level(&leader, follower, 8), expected, "follower {name}");
    }
}

/// All logs of at most five entries of the terms 1 to 3. A server without an entry founds a new history.
fn small_logs() -> Vec<Vec<u64>> {
    let mut logs = vec![vec![]];
    let mut shorter = 0;
    while logs[shorter].len() < 5 {
        let log = logs[shorter].clone();
        let from = log.last().copied().unwrap_or(1);
        logs.extend((from..=3).map(|term| [&log[..], &[term]].concat()));
        shorter += 1;
    }
    logs
}

/// §5.3, end: "one AppendEntries RPC will be required for each term with conflicting entries, rather than one RPC per
/// entry", after the first, for every pair of small logs that can meet.
#[test]
fn a_repair_takes_one_refusal_and_at_most_one_more_per_conflicting_term() {
    let logs = small_logs();
    assert_eq!(logs.len(), 56);
    for leader in &logs {
        for follower in &logs {
            let agreed = leader.iter().zip(follower).take_while(|(a, b)| a == b).count();
            let mut conflicting = follower[agreed..].to_vec();
            conflicting.dedup();
            // No leader of a term begins it at two places.
            if conflicting.iter().any(|term| leader[agreed..].contains(term)) {
                continue;
            }
            let refusals = refusals_until_level(leader, follower, 5);
            assert!(refusals <= 1 + conflicting.len(), "{leader:?} and {follower:?}");
        }
    }
}

/// A step that commits a long log would take long, so a leader commits it in parts, and goes on when a follower answers
/// the news of the part before.
#[test]
fn a_long_log_is_committed_in_parts() {
    let mut terms = vec![1];
    terms.resize(2 * BATCH_ENTRIES_MAX + 1, 1);
    let (mut server, effects) = elected(3, &terms);
    let whole = u64::try_from(terms.len() + 1).unwrap();
    let mut next = append_to(&effects, 1);
    let mut commits = vec![server.status().commit_index.0];
    while server.status().commit_index < LogIndex(whole) {
        let effects;
        (server, effects) = server.step(accepted(1, &next));
        commits.push(server.status().commit_index.0);
        next = append_to(&effects, 1);
        assert!(next.leader_commit == server.status().commit_index, "the news goes out at once");
    }
    let part = u64::try_from(BATCH_ENTRIES_MAX).unwrap();
    assert_eq!(commits, [1, 1 + part, 1 + 2 * part, whole]);
}
