//! What must hold for one server, in every state and over every step, whatever the others do.
//!
//! The core checks much of it itself after each step; here it is checked from outside, by what a server shows.

use surfstore::metadata::Update;
use surfstore::raft::{
    AppendEntries, AppendOutcome, BallotKind, Call, CallError, CallId, Command, Effect, Entry,
    Event, Failure, Identity, Incarnation, LogIndex, Reply, Request, RequestVote, Response,
    RoleName, Roster, Server, ServerId, Status, Timer, VoteReply,
};

use crate::disks;
use crate::hurry;
use crate::logs::{has, held};
use crate::marks::{Mark, Marks};
use crate::snapshots;
use crate::steps::{Local, append_outcome};

/// An event without effect on any server: an unknown caller disconnects.
pub(crate) const NOTHING: Event = Event::HangUp(CallId(u64::MAX));

/// Checks a server state.
pub(crate) fn check_state(local: &Local) {
    check_indexes(&local.server);
    check_terms(&local.server);
    check_timers(local);
    check_waiting(local);
    check_leader(&local.server);
    hurry::check_state(local);
    disks::check_state(local);
}

/// Applied <= commit <= last.
fn check_indexes(server: &Server) {
    let Status { last_applied, commit_index, last_log, .. } = server.status();
    assert!(last_applied <= commit_index, "it applied an entry that is not committed");
    assert!(commit_index <= last_log.index, "a committed entry is not in its log");
}

/// Terms never fall along a log and never exceed the current term.
fn check_terms(server: &Server) {
    let dropped = std::iter::once(server.log().last_included().term);
    let terms = dropped.chain(held(server.log()).map(|(_, entry)| entry.term));
    assert!(terms.is_sorted(), "terms fall along its log");
    let last = server.log().last();
    assert!(last.term <= server.current_term(), "it has an entry of a later term");
}

/// Every role has exactly its own timer, and a crashed server has none.
fn check_timers(local: &Local) {
    let fits = match local.server.role() {
        RoleName::Follower => {
            use Timer::{Election, Hurry, Patience, Silence, Start};
            matches!(local.timer, Some(Start | Silence | Election | Hurry | Patience))
        }
        RoleName::Candidate => matches!(local.timer, Some(Timer::Campaign | Timer::Patience)),
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
        let itself = server.identity().member();
        assert!(leader == Some(itself.id), "it leads but takes another for the leader");
        assert!(voted_for == Some(itself), "it leads without its own vote");
        assert!(last_log.term == current_term, "it leads without an entry of its term");
    }
}

/// Checks that a server state ignores the events that the search therefore leaves out: timers that do not run, failures
/// in ballots that are over, callers who disconnected, and calls of clients to a server that does not lead.
///
/// With a roster that it has just appended, a leader may be able to commit more than before. It does so at the next
/// event, whatever that is, so such a server is not idle.
pub(crate) fn check_deafness(local: &Local) {
    for timer in [
        Timer::Start,
        Timer::Silence,
        Timer::Election,
        Timer::Campaign,
        Timer::Hurry,
        Timer::Patience,
        Timer::Heartbeat,
        Timer::Fate,
    ] {
        let runs = if timer == Timer::Fate { local.fate } else { ends(local.timer, timer) };
        assert!(
            runs || local.ignores(Event::Timeout(timer)),
            "it reacts to {timer:?}, which does not run"
        );
    }
    for kind in [BallotKind::PreVote, BallotKind::Vote] {
        for failure in [Failure::Silent, Failure::Ended] {
            let failed = failed_vote(local, kind, failure);
            assert!(local.ignores(failed), "it reacts to a failure in another ballot");
        }
    }
    if !local.server.leads() {
        check_refusal(local, Call::ReadFiles);
        let update = Update { name: "f".into(), version: 1, hashes: [].into() };
        check_refusal(local, Call::Update(update));
    }
}

/// Whether an expiring timer ends the phase of the running one. Start and hurry are election phases like any other, and
/// patience is as long as a phase of silence or a ballot in a hurry.
fn ends(running: Option<Timer>, timer: Timer) -> bool {
    use Timer::{Campaign, Election, Hurry, Patience, Silence, Start};
    let [own, other] = [running, Some(timer)].map(|timer| match timer {
        Some(Start | Hurry) => Some(Election),
        other => other,
    });
    let lasts = |timer| matches!(timer, Some(Silence | Campaign | Patience));
    own == other
        || (lasts(own) && lasts(other) && (own == Some(Patience) || other == Some(Patience)))
}

/// Whether an event without meaning has no effect.
pub(crate) fn is_idle(local: &Local) -> bool {
    let (server, effects) = local.server.clone().step(NOTHING);
    let idle = server == local.server && effects.is_empty();
    assert!(
        idle || local.server.role() == RoleName::Leader,
        "it reacts to an unknown caller that disconnects"
    );
    idle
}

/// A request for a vote that fails, in none of the candidate's ballots.
fn failed_vote(local: &Local, kind: BallotKind, failure: Failure) -> Event {
    let sender = local.server.identity();
    let request = RequestVote { sender, kind, ballot: 0, account: None };
    let by = ServerId(u8::from(local.id == ServerId(0)));
    Event::Unanswered { by, request: Request::RequestVote(request), failure }
}

/// A server that does not lead refuses clients, definitely and without effect.
fn check_refusal(local: &Local, call: Call) {
    let id = CallId(u64::MAX);
    let (server, effects) = local.server.clone().step(Event::Call(id, call));
    let (idle, due) = local.server.clone().step(NOTHING);
    assert!(server == idle, "a call that it refuses changes it");
    let [Effect::Reply(answered, Reply::Failed(fault)), ref others @ ..] = effects[..] else {
        panic!("it does not refuse a client, but {effects:?}")
    };
    assert!(*others == due, "a call that it refuses has effects: {others:?}");
    let crashed = local.server.role() == RoleName::Crashed;
    let due = if crashed {
        fault == CallError::Crashed
    } else {
        matches!(fault, CallError::NotLeader(_))
    };
    assert!(answered == id && due, "it refuses a client with {fault:?}");
}

/// Checks a step.
pub(crate) fn check_change(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let (old, new) = (&before.server, &after.server);
    assert!(old.current_term() <= new.current_term(), "its term fell");
    check_vote(&old.status(), &new.status());
    if old.status().incarnation == new.status().incarnation {
        check_falls(&old.status(), &new.status());
        check_committed_stays(old, new);
        check_append_only(old, new);
        check_rosters(old, new);
    } else {
        check_anew(old, event, new);
    }
    check_founding(before, event, after);
    check_acknowledged(event, new, effects);
    check_crashed(before, event, after, effects);
    check_restored(old, event, after);
    snapshots::check_change(old, event, new, effects);
    hurry::check_change(before, event, after, effects);
}

/// Commit index and applied index never fall.
fn check_falls(before: &Status, after: &Status) {
    assert!(before.commit_index <= after.commit_index, "its commit index fell");
    assert!(before.last_applied <= after.last_applied, "its applied index fell");
}

/// Only a candidate without updates starts over, and only if it is shown a founded history that is not its own.
fn check_anew(before: &Server, event: &Event, after: &Server) {
    let shown = shown_by(event).expect("it starts over without a reason");
    let own = before.status().history;
    assert!(before.role() == RoleName::Candidate, "a server that starts over is not a candidate");
    assert!(shown.founded && shown.history != own, "it starts over but was shown no history");
    let has_updates = held(before.log()).any(|(_, entry)| roster_of(entry).is_none());
    assert!(!has_updates && before.files().is_empty(), "a server with updates starts over");
    assert!(after.log().last_index() == LogIndex(0), "it starts over with a log");
}

/// No server founds a history in a ballot in which a founded one has shown itself.
fn check_founding(before: &Local, event: &Event, after: &Local) {
    let founds = before.server.status().history.is_none()
        && before.server.role() == RoleName::Candidate
        && after.server.role() == RoleName::Leader;
    let shown = shown_by(event).is_some_and(|shown| shown.founded);
    let meets = before.ballot.as_ref().is_some_and(|ballot| ballot.meets_founded) || shown;
    assert!(!founds || !meets, "it founds a history although it knows of one");
}

/// What a reply or a failure shows about its sender.
fn shown_by(event: &Event) -> Option<&Identity> {
    match event {
        Event::Response { response, .. } => Some(response.sender()),
        Event::Unanswered { failure: Failure::Crashed(sender), .. } => Some(sender),
        _ => None,
    }
}

/// A server that acknowledges entries holds them.
fn check_acknowledged(event: &Event, after: &Server, effects: &[Effect]) {
    let Event::Call(_, Call::AppendEntries(request)) = event else { return };
    if append_outcome(effects) == Some(AppendOutcome::Accepted) {
        assert!(
            after.log().contains(request.prev_log),
            "it acknowledges an entry that it does not hold"
        );
        let indexes = (request.prev_log.index.next().0..).map(LogIndex);
        let mut entries = indexes.zip(&request.entries);
        let holds_all = entries.all(|(index, entry)| has(after.log(), index, entry));
        assert!(holds_all, "it acknowledges entries that it lacks");
        let history = after.status().history.or(request.sender.history);
        assert!(history == request.sender.history, "it acknowledges another history than its own");
    }
}

/// Within a term no roster exchanges an incarnation, and the next one comes only after the last one is committed.
fn check_rosters(before: &Server, after: &Server) {
    let appends = before.role() == RoleName::Leader && after.role() == RoleName::Leader;
    let (Some(old), Some(new)) = (before.log().roster(), after.log().roster()) else { return };
    if !appends || old == new {
        return;
    }
    let agree = |(id, named): (&ServerId, _)| new.members.get(id).is_none_or(|next| next == named);
    assert!(old.members.iter().all(agree), "a roster exchanges an incarnation");
    assert!(old.history == new.history, "a roster changes the history");
    let is_committed = before.log().roster_index() <= after.status().commit_index;
    assert!(is_committed, "a roster follows one that is not committed");
}

fn roster_of(entry: &Entry) -> Option<&Roster> {
    match &entry.command {
        Command::Roster(roster) => Some(roster),
        Command::Update(_) => None,
    }
}

/// A server votes at most once in a term, crashes or not.
fn check_vote(before: &Status, after: &Status) {
    let same_term = before.current_term == after.current_term;
    let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
    assert!(!same_term || kept, "it voted twice in a term");
}

/// Nothing up to the commit index is ever truncated or changed, and nothing after it is dropped.
fn check_committed_stays(before: &Server, after: &Server) {
    let committed = before.status().commit_index;
    let mut entries = held(before.log()).take_while(|(index, _)| *index <= committed);
    let are_kept = entries.all(|(index, entry)| has(after.log(), index, entry));
    assert!(are_kept, "a committed entry was deleted");
    let dropped = (before.log().last_included(), after.log().last_included());
    assert!(dropped.0 <= dropped.1, "what was dropped has come back");
    assert!(dropped.1.index <= after.status().last_applied, "it dropped what it has not applied");
}

/// A leader never deletes or changes its entries, and leads until its term ends or it crashes.
fn check_append_only(before: &Server, after: &Server) {
    let goes_on = before.current_term() == after.current_term();
    if before.role() != RoleName::Leader || !goes_on {
        return;
    }
    let mut led = held(before.log());
    let are_kept = led.all(|(index, entry)| has(after.log(), index, entry));
    assert!(are_kept, "a leader changed its own entries");
    let leads = matches!(after.role(), RoleName::Leader | RoleName::Crashed);
    assert!(leads, "a leader gave up within its term");
}

/// While it is crashed, a server changes nothing, sends nothing and refuses its peers.
fn check_crashed(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let crashed = before.server.role() == RoleName::Crashed;
    if !crashed || matches!(event, Event::Call(_, Call::Restore)) {
        return;
    }
    let is_same = matches!(event, Event::Saved(_)) || before == after;
    assert!(is_same, "something changed at a crashed server");
    let refuses = |effect: &Effect| {
        matches!(effect, Effect::Reply(_, Reply::Failed(CallError::Crashed) | Reply::Done))
    };
    assert!(effects.iter().all(refuses), "a crashed server has effects: {effects:?}");
}

/// A restored server is a follower with its old term, vote, log and commit index, and a fresh timer.
fn check_restored(before: &Server, event: &Event, after: &Local) {
    let crashed = before.role() == RoleName::Crashed;
    if !crashed || !matches!(event, Event::Call(_, Call::Restore)) {
        return;
    }
    let kept = Status { role: RoleName::Follower, ..before.status() };
    assert!(after.server.status() == kept, "it lost something in its crash");
    assert!(after.server.log() == before.log(), "it lost entries in its crash");
    assert!(after.timer == Some(Timer::Silence), "it begins without a full silence phase");
}

/// The situations in a step that one server alone shows.
pub(crate) fn marks(before: &Local, event: &Event, after: &Local, effects: &[Effect]) -> Marks {
    let mut marks = Marks::default();
    let (old, new) = (before.server.status(), after.server.status());
    let is_kept = |(index, entry)| has(after.server.log(), index, entry);
    let truncated = !held(before.server.log()).all(is_kept);
    marks.hit_if(Mark::ConflictTruncated, truncated && old.history == new.history);
    let deposed = old.role == RoleName::Leader && new.role == RoleName::Follower;
    marks.hit_if(Mark::DeposedWithCallers, deposed && 0 < old.waiting);
    mark_history(&mut marks, before, event, after);
    mark_rosters(&mut marks, &before.server, &after.server);
    mark_event(&mut marks, before, event);
    snapshots::mark(&mut marks, before, event, after, effects);
    hurry::mark(&mut marks, before, event, after);
    for effect in effects {
        mark_effect(&mut marks, (&before.server, event), effect);
    }
    marks
}

fn mark_history(marks: &mut Marks, before: &Local, event: &Event, after: &Local) {
    let (old, new) = (before.server.status(), after.server.status());
    let anew = old.incarnation != new.incarnation;
    marks.hit_if(Mark::StartedAnew, anew);
    let given_up = old.history.is_some() && old.history != new.history;
    marks.hit_if(Mark::HistoryGivenUp, given_up && !anew);
    let leads = |server: &Server| server.role() == RoleName::Leader;
    let stays = leads(&before.server) && new.role == RoleName::Follower;
    if let Event::Call(_, Call::AppendEntries(request)) = event {
        marks.hit_if(Mark::GaveWay, stays && request.sender.term == old.current_term);
    }
    let meets = |local: &Local| local.ballot.as_ref().is_some_and(|ballot| ballot.meets_founded);
    let voided = old.history.is_none() && !meets(before) && meets(after);
    marks.hit_if(Mark::FoundingVoided, voided);
    let founds = !leads(&before.server) && leads(&after.server) && old.history.is_none();
    let is_timeout = matches!(event, Event::Timeout(Timer::Campaign));
    marks.hit_if(Mark::FoundedWithoutAll, founds && is_timeout);
}

fn mark_rosters(marks: &mut Marks, before: &Server, after: &Server) {
    let (Some(old), Some(new)) = (before.log().roster(), after.log().roster()) else { return };
    if after.role() != RoleName::Leader || old == new {
        return;
    }
    let leads = before.role() == RoleName::Leader;
    let lacks =
        |one: &Roster, other: &Roster| one.members.keys().any(|id| !other.members.contains_key(id));
    marks.hit_if(Mark::WonByEverybody, !leads);
    marks.hit_if(Mark::TakenOut, leads && lacks(old, new));
    marks.hit_if(Mark::BroughtIn, leads && lacks(new, old));
}

fn mark_event(marks: &mut Marks, before: &Local, event: &Event) {
    let old = before.server.status();
    match event {
        Event::Call(_, Call::Crash) => match old.role {
            RoleName::Leader => marks.hit(Mark::LeaderCrashed),
            RoleName::Candidate => marks.hit(Mark::CandidateCrashed),
            RoleName::Follower => marks.hit(Mark::FollowerCrashed),
            RoleName::Crashed => {}
        },
        Event::Call(_, Call::AppendEntries(request)) => {
            marks.hit_if(Mark::AppendOfOldTerm, request.sender.term < old.current_term);
            marks.hit_if(Mark::AppendWithoutMajority, !request.has_majority);
        }
        Event::Response { from, response } => {
            let sender = response.sender();
            marks.hit_if(Mark::LateReply, sender.term < old.current_term);
            if let Response::Vote(VoteReply { kind, ballot, .. }) = response {
                mark_answer(marks, before, (*kind, *ballot), (*from, Some(sender.incarnation)));
            }
        }
        Event::Unanswered { by, request, failure } => {
            mark_failure(marks, before, (*by, request), *failure);
        }
        Event::Call(..)
        | Event::Timeout(_)
        | Event::HangUp(_)
        | Event::Disconnected(_)
        | Event::Saved(_) => {}
    }
}

fn mark_failure(
    marks: &mut Marks,
    before: &Local,
    (by, request): (ServerId, &Request),
    failure: Failure,
) {
    let role = before.server.role();
    let seeks = matches!(role, RoleName::Candidate | RoleName::Leader);
    marks.hit_if(Mark::FoundCrashed, seeks && matches!(failure, Failure::Crashed(_)));
    let stands = role == RoleName::Candidate;
    marks.hit_if(Mark::FoundEnded, stands && failure == Failure::Ended);
    match request {
        Request::AppendEntries(_) | Request::InstallSnapshot(_) => {
            marks.hit_if(Mark::AppendFailed, role == RoleName::Leader);
        }
        Request::RequestVote(request) => {
            let shown = match failure {
                Failure::Crashed(sender) => Some(sender.incarnation),
                Failure::Ended => None,
                Failure::Silent => return,
            };
            mark_answer(marks, before, (request.kind, request.ballot), (by, shown));
        }
    }
}

/// An answer to a candidate's ballot, which shows that incarnation or, if there is none, that the process has ended.
fn mark_answer(
    marks: &mut Marks,
    candidate: &Local,
    asked: (BallotKind, u64),
    (id, shown): (ServerId, Option<Incarnation>),
) {
    let Some(ballot) = &candidate.ballot else { return };
    let told = ballot.account.as_ref().and_then(|account| account.0.get(&id));
    let differs = told.is_some_and(|told| *told != shown);
    marks.hit_if(Mark::AccountDiffered, differs && asked == (ballot.kind, ballot.number));
}

fn mark_effect(marks: &mut Marks, (server, event): (&Server, &Event), effect: &Effect) {
    let Effect::Reply(_, reply) = effect else { return };
    match (reply, event) {
        (Reply::Vote(reply), Event::Call(_, Call::RequestVote(request))) if !reply.vote_granted => {
            mark_refusal(marks, server, request);
        }
        (Reply::Append(reply), Event::Call(_, Call::AppendEntries(request))) => {
            mark_append(marks, server, request, reply.outcome);
        }
        (Reply::Updated(true), _) => marks.hit(Mark::ToldTrue),
        (Reply::Updated(false), _) => marks.hit(Mark::ToldFalse),
        (Reply::Files(_), _) => marks.hit(Mark::ReadAnswered),
        (Reply::Failed(CallError::NotLeader(Some(_))), _) => marks.hit(Mark::ToldOverwritten),
        (Reply::Failed(CallError::OutcomeUnknown), _) => marks.hit(Mark::ToldUnknown),
        _ => {}
    }
}

fn mark_append(
    marks: &mut Marks,
    server: &Server,
    request: &AppendEntries,
    outcome: AppendOutcome,
) {
    let itself = server.identity();
    match outcome {
        AppendOutcome::Accepted => {
            let last = request.entries.iter().filter_map(roster_of).next_back();
            let names = last.or(server.log().roster().map(|roster| &**roster));
            let is_guest = names.is_some_and(|roster| !roster.names(itself.member()));
            marks.hit_if(Mark::GuestPresent, is_guest);
        }
        AppendOutcome::Mismatch(_) => marks.hit(Mark::AppendRefused),
        AppendOutcome::Refused => {
            let foreign = itself.founded && itself.history != request.sender.history;
            marks.hit_if(Mark::ForeignHistoryRefused, foreign);
            marks.hit_if(Mark::EarlierProcessRefused, !foreign);
        }
        AppendOutcome::Incomplete(_) | AppendOutcome::Stale => {}
    }
}

fn mark_refusal(marks: &mut Marks, server: &Server, request: &RequestVote) {
    if request.kind == BallotKind::PreVote {
        return marks.hit(Mark::PreVoteRefused);
    }
    let old = server.status();
    let candidate = request.sender.member();
    let voted =
        old.current_term == request.term() && old.voted_for.is_some_and(|voted| voted != candidate);
    marks.hit_if(Mark::VoteRefusedForVote, voted);
    marks.hit_if(Mark::VoteRefusedForLog, request.sender.last_log < old.last_log);
}
