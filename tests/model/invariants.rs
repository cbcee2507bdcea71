//! What must hold of one server, in every state and over every step, whatever the others do.
//!
//! Much of it the core checks itself after each step; here it is checked from outside, by what a server shows.

use surfstore::metadata::Update;
use surfstore::raft::{
    AppendOutcome, BallotKind, Call, CallId, Effect, Event, Fault, LogIndex, Reply, Request,
    RequestVote, RoleName, Server, ServerId, Status, Timer,
};

use crate::marks::{Mark, Marks};
use crate::steps::Local;

/// Checks a server state.
pub(crate) fn check_state(local: &Local) {
    check_indexes(&local.server);
    check_terms(&local.server);
    check_timers(local);
    check_waiting(local);
    check_leader(&local.server);
}

/// Applied <= commit <= last.
fn check_indexes(server: &Server) {
    let Status { last_applied, commit_index, last_log, .. } = server.status();
    assert!(last_applied <= commit_index, "it applied what is not committed");
    assert!(commit_index <= last_log.index, "what is committed is not in its log");
}

/// Terms never fall along a log and never exceed the current term.
fn check_terms(server: &Server) {
    let terms = server.log().from(LogIndex(1)).iter().map(|entry| entry.term);
    assert!(terms.clone().is_sorted(), "terms fall along its log");
    assert!(terms.max() <= Some(server.current_term()), "it has an entry of a term to come");
}

/// Every role owns exactly its own timer, and a crashed server none.
fn check_timers(local: &Local) {
    let fits = match local.server.role() {
        RoleName::Follower => matches!(local.timer, Some(Timer::Silence | Timer::Election)),
        RoleName::Candidate => local.timer == Some(Timer::Campaign),
        RoleName::Leader => local.timer == Some(Timer::Heartbeat),
        RoleName::Crashed => local.timer.is_none() && !local.fate,
    };
    assert!(fits, "it has the timer {:?} in the wrong role", local.timer);
}

/// Callers wait at a leader or for the end of a timer.
fn check_waiting(local: &Local) {
    let Status { role, waiting, .. } = local.server.status();
    let ends = role == RoleName::Leader || waiting == 0 || local.fate;
    assert!(ends, "it keeps callers waiting without end");
}

/// A leader voted for itself and has an entry of its term.
fn check_leader(server: &Server) {
    let Status { role, current_term, last_log, voted_for, leader, .. } = server.status();
    if role == RoleName::Leader {
        assert!(voted_for.is_some() && voted_for == leader, "it leads without its own vote");
        assert!(last_log.term == current_term, "it leads without an entry of its term");
    }
}

/// Checks that a server state is deaf to what the search therefore leaves out: timers that do not run, requests for
/// votes that fail, callers who left, and calls of clients to a server that does not lead.
pub(crate) fn check_deafness(local: &Local) {
    for timer in [Timer::Silence, Timer::Election, Timer::Campaign, Timer::Heartbeat, Timer::Fate] {
        let runs = local.timer == Some(timer) || (timer == Timer::Fate && local.fate);
        assert!(runs || ignores(local, Event::Timeout(timer)), "it heeds {timer:?}, not running");
    }
    for kind in [BallotKind::PreVote, BallotKind::Vote] {
        let unanswered = failed_vote(&local.server, kind);
        assert!(ignores(local, unanswered), "it heeds a vote that failed");
    }
    assert!(ignores(local, Event::HangUp(CallId(u64::MAX))), "it heeds an unknown caller's leave");
    if local.server.role() != RoleName::Leader {
        check_refusal(local, Call::ReadFiles);
        let update = Update { name: "f".into(), version: 1, hashes: [].into() };
        check_refusal(local, Call::Update(update));
    }
}

fn ignores(local: &Local, event: Event) -> bool {
    let (server, effects) = local.server.clone().step(event);
    server == local.server && effects.is_empty()
}

fn failed_vote(server: &Server, kind: BallotKind) -> Event {
    let Status { current_term: term, last_log, .. } = server.status();
    let request = RequestVote { kind, ballot: 1, term, candidate_id: ServerId(0), last_log };
    Event::Unanswered { by: ServerId(1), request: Request::RequestVote(request) }
}

/// Whoever does not lead refuses clients, for good and without effect.
fn check_refusal(local: &Local, call: Call) {
    let id = CallId(u64::MAX);
    let (server, effects) = local.server.clone().step(Event::Call(id, call));
    assert!(server == local.server, "a call that it refuses changes it");
    let [Effect::Reply(answered, Reply::Fault(fault))] = effects[..] else {
        panic!("it does not refuse a client, but {effects:?}")
    };
    let crashed = local.server.role() == RoleName::Crashed;
    let due = if crashed { fault == Fault::Crashed } else { matches!(fault, Fault::NotLeader(_)) };
    assert!(answered == id && due, "it refuses a client with {fault:?}");
}

/// Checks a step.
pub(crate) fn check_change(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let (old, new) = (&before.server, &after.server);
    check_falls(&old.status(), &new.status());
    check_vote(&old.status(), &new.status());
    check_committed_stays(old, new);
    check_append_only(old, new);
    check_crashed(before, event, after, effects);
    check_restored(old, event, after);
}

/// Term, commit index and applied index never fall.
fn check_falls(before: &Status, after: &Status) {
    assert!(before.current_term <= after.current_term, "its term fell");
    assert!(before.commit_index <= after.commit_index, "its commit index fell");
    assert!(before.last_applied <= after.last_applied, "its applied index fell");
}

/// A server votes at most once in a term, crashes or not.
fn check_vote(before: &Status, after: &Status) {
    let same_term = before.current_term == after.current_term;
    let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
    assert!(!same_term || kept, "it voted twice in a term");
}

/// Nothing up to the commit index is ever truncated or changed.
fn check_committed_stays(before: &Server, after: &Server) {
    let committed = before.status().commit_index.0 as usize;
    let held = |server: &Server| server.log().from(LogIndex(1)).get(..committed).map(<[_]>::to_vec);
    assert!(held(before) == held(after), "a committed entry was deleted");
}

/// A leader never deletes or changes its entries, and leads until its term ends or it crashes.
fn check_append_only(before: &Server, after: &Server) {
    let goes_on = before.current_term() == after.current_term();
    if before.role() != RoleName::Leader || !goes_on {
        return;
    }
    let led = before.log().from(LogIndex(1));
    assert!(after.log().from(LogIndex(1)).starts_with(led), "a leader changed its own entries");
    let leads = matches!(after.role(), RoleName::Leader | RoleName::Crashed);
    assert!(leads, "a leader gave up within its term");
}

/// While it is crashed a server changes nothing, sends nothing and refuses its peers.
fn check_crashed(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let crashed = before.server.role() == RoleName::Crashed;
    if !crashed || matches!(event, Event::Call(_, Call::Restore)) {
        return;
    }
    assert!(before == after, "something changed at a crashed server");
    let refuses = |effect: &Effect| {
        matches!(effect, Effect::Reply(_, Reply::Fault(Fault::Crashed) | Reply::Done))
    };
    assert!(effects.iter().all(refuses), "a crashed server takes part: {effects:?}");
}

/// What is restored is a follower with its old term, vote, log and commit index, and a fresh timer.
fn check_restored(before: &Server, event: &Event, after: &Local) {
    let crashed = before.role() == RoleName::Crashed;
    if !crashed || !matches!(event, Event::Call(_, Call::Restore)) {
        return;
    }
    let kept = Status { role: RoleName::Follower, ..before.status() };
    assert!(after.server.status() == kept, "it lost something in its crash");
    assert!(after.server.log() == before.log(), "it lost entries in its crash");
    assert!(after.timer == Some(Timer::Silence), "it begins without a whole silence phase");
}

/// The situations in a step that one server alone can tell.
pub(crate) fn marks(before: &Local, event: &Event, after: &Local, effects: &[Effect]) -> Marks {
    let mut marks = Marks::default();
    let (old, new) = (before.server.status(), after.server.status());
    let shortened = before.server.log().from(LogIndex(1));
    let truncated = !after.server.log().from(LogIndex(1)).starts_with(shortened);
    marks.hit_if(Mark::ConflictTruncated, truncated);
    let deposed = old.role == RoleName::Leader && new.role == RoleName::Follower;
    marks.hit_if(Mark::DeposedWithCallers, deposed && 0 < old.waiting);
    mark_event(&mut marks, &old, event);
    for effect in effects {
        mark_effect(&mut marks, (&old, event), effect);
    }
    marks
}

fn mark_event(marks: &mut Marks, old: &Status, event: &Event) {
    match event {
        Event::Call(_, Call::Crash) => match old.role {
            RoleName::Leader => marks.hit(Mark::LeaderCrashed),
            RoleName::Candidate => marks.hit(Mark::CandidateCrashed),
            RoleName::Follower => marks.hit(Mark::FollowerCrashed),
            RoleName::Crashed => {}
        },
        Event::Call(_, Call::AppendEntries(request)) => {
            marks.hit_if(Mark::AppendOfOldTerm, request.term < old.current_term);
            marks.hit_if(Mark::AppendWithoutMajority, !request.has_majority);
        }
        Event::Response { response, .. } => {
            marks.hit_if(Mark::LateReply, response.term() < old.current_term);
        }
        Event::Unanswered { .. } => {
            marks.hit_if(Mark::AppendFailed, old.role == RoleName::Leader);
        }
        Event::Call(..) | Event::Timeout(_) | Event::HangUp(_) => {}
    }
}

fn mark_effect(marks: &mut Marks, (old, event): (&Status, &Event), effect: &Effect) {
    let Effect::Reply(_, reply) = effect else { return };
    match (reply, event) {
        (Reply::Vote(reply), Event::Call(_, Call::RequestVote(request))) if !reply.vote_granted => {
            mark_refusal(marks, old, request);
        }
        (Reply::Append(reply), _) => {
            let refused = matches!(reply.outcome, AppendOutcome::Mismatch(_));
            marks.hit_if(Mark::AppendRefused, refused);
        }
        (Reply::Updated(true), _) => marks.hit(Mark::ToldTrue),
        (Reply::Updated(false), _) => marks.hit(Mark::ToldFalse),
        (Reply::Files(_), _) => marks.hit(Mark::ReadAnswered),
        (Reply::Fault(Fault::NotLeader(Some(_))), _) => marks.hit(Mark::ToldOverwritten),
        (Reply::Fault(Fault::OutcomeUnknown), _) => marks.hit(Mark::ToldUnknown),
        _ => {}
    }
}

fn mark_refusal(marks: &mut Marks, old: &Status, request: &RequestVote) {
    if request.kind == BallotKind::PreVote {
        return marks.hit(Mark::PreVoteRefused);
    }
    let voted = old.current_term == request.term
        && old.voted_for.is_some_and(|voted| voted != request.candidate_id);
    marks.hit_if(Mark::VoteRefusedForVote, voted);
    marks.hit_if(Mark::VoteRefusedForLog, request.last_log < old.last_log);
}
