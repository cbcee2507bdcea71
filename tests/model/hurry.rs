//! What must hold for servers in a hurry: a closed connection proves nothing, the lost leader is the judge, and a hurry
//! ends. `src/raft/hurry.rs` has the rule.

use surfstore::raft::{
    BallotKind, Call, Effect, Event, Failure, Identity, Incarnation, Member, Reply, Request,
    RequestVote, Response, RoleName, Server, ServerId, Status, Timer, VoteReply,
};

use crate::disks;
use crate::marks::{Mark, Marks};
use crate::steps::{AT_ONCE, Ballot, Local, accepted_leader, answer_to_candidate};

/// The number of ballots in a hurry.
const BALLOTS_MAX: u8 = 3;

/// Checks a server state.
pub(crate) fn check_state(local: &Local) {
    check_strangers(local);
    check_ballots(local);
    check_founding(local);
}

/// Only followers obey hints, and only about the process on which they count.
fn check_strangers(local: &Local) {
    let Status { role, voted_for, .. } = local.server.status();
    let strangers = (0..local.server.identity().size).map(ServerId).filter(|id| *id != local.id);
    let strangers = strangers.map(|id| Member { id, incarnation: Incarnation(u64::MAX) });
    let known = voted_for.filter(|_| role != RoleName::Follower);
    for peer in strangers.chain(known) {
        let ignored = local.ignores(Event::Disconnected(peer));
        assert!(ignored, "it obeys a hint about {peer:?}, on which it does not count");
    }
}

/// A hurry in which no server answers ends after so many ballots.
fn check_ballots(local: &Local) {
    if local.timer != Some(Timer::Hurry) {
        return;
    }
    let mut hurried = local.clone();
    for _ in 0..BALLOTS_MAX {
        (hurried, _) = hurried.step(&Event::Timeout(Timer::Hurry));
        if !hurried.is_in_a_hurry() {
            return;
        }
        (hurried, _) = hurried.step(&Event::Timeout(Timer::Patience));
    }
    let (last, _) = hurried.step(&Event::Timeout(Timer::Hurry));
    assert!(last.timer == Some(Timer::Campaign), "its hurry does not end");
}

/// A founding waits for all servers, so it never hurries.
fn check_founding(local: &Local) {
    let Status { role, history, .. } = local.server.status();
    let founds = role == RoleName::Candidate && history.is_none();
    assert!(!founds || local.timer == Some(Timer::Campaign), "a founding hurries");
}

/// Checks a step.
pub(crate) fn check_change(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    check_hint(before, event, after, effects);
    check_cause(before, event, after);
    check_end(before, event, after, effects);
    check_append(event, after, effects);
    check_judge(before, event, after);
    check_verdict(before, event, after);
    votes(effects).for_each(|reply| check_vote(before, event, after, reply));
    check_rivals(before, after);
}

/// A hint changes no term, vote, log or commit index. A follower obeys it if it counts on that process.
fn check_hint(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let Event::Disconnected(peer) = event else { return };
    let (old, new) = (before.server.status(), after.server.status());
    assert!(new == Status { leader: new.leader, ..old }, "a hint changes more than the leader");
    assert!(before.server.log() == after.server.log(), "a hint changes the log");
    let awaits_winner = old.leader_history.is_none() && old.voted_for == Some(*peer);
    let counts_on = old.leader == Some(peer.id) || awaits_winner;
    let is_ignored = before == after && effects.is_empty();
    let is_obeyed = new.leader.is_none() && effects == [Effect::ArmTimer(Timer::Hurry)];
    assert!(is_ignored || is_obeyed, "a hint does something else than to begin a hurry");
    assert!(is_ignored || counts_on, "it obeys a hint about a server on which it does not count");
    assert!(is_obeyed || !awaits_winner, "it ignores a hint about its candidate");
}

/// Only a hint or a lost vote begins a hurry. Without them, only the usual timers run.
fn check_cause(before: &Local, event: &Event, after: &Local) {
    if before.is_in_a_hurry() || !after.is_in_a_hurry() {
        return;
    }
    let is_hint = matches!(event, Event::Disconnected(_));
    assert!(is_hint || loses_vote(before, event), "it is in a hurry without a reason");
}

/// Whether a candidate learns what came of a vote, not of a pre-vote. A vote that is granted may be one that does not
/// count.
fn loses_vote(before: &Local, event: &Event) -> bool {
    let is_answer = matches!(
        event,
        Event::Response { response: Response::Vote(_), .. }
            | Event::Unanswered { request: Request::RequestVote(_), .. }
    );
    is_answer && before.ballot.as_ref().is_some_and(|ballot| ballot.kind == BallotKind::Vote)
}

/// A hurry outlasts changes of term and role. It ends with a request of a leader, its verdict, an election won, its
/// ballots used up, a crash, or a server that starts over. Until then, a candidate that gives up its role without a
/// vote for another stands again soon.
fn check_end(before: &Local, event: &Event, after: &Local, effects: &[Effect]) {
    let (old, new) = (before.server.status(), after.server.status());
    let is_over = match event {
        Event::Call(_, Call::AppendEntries(_) | Call::InstallSnapshot(_)) => {
            accepted_leader(event, effects).is_some_and(|(_, has_majority)| has_majority)
        }
        Event::Call(_, Call::Crash) | Event::Timeout(Timer::Hurry) => true,
        _ => leads_on(before, event) || old.incarnation != new.incarnation,
    };
    let ends = new.role == RoleName::Leader || is_over;
    assert!(after.is_in_a_hurry() || !before.is_in_a_hurry() || ends, "its hurry ends too early");
    let gives_up = old.role == RoleName::Candidate && new.role == RoleName::Follower;
    let has_voted = votes(effects).any(|reply| reply.vote_granted);
    if after.is_in_a_hurry() && gives_up && !has_voted {
        assert!(after.timer == Some(Timer::Hurry), "it does not stand again soon");
    }
}

/// The request of a leader that has a majority ends a hurry.
fn check_append(event: &Event, after: &Local, effects: &[Effect]) {
    let Some((leader, has_majority)) = accepted_leader(event, effects) else { return };
    if has_majority {
        assert!(after.server.leader() == Some(leader.id), "it does not trust its leader");
        assert!(after.timer == Some(Timer::Silence), "a leader does not end its hurry");
    }
}

/// A pre-vote in a hurry is not won before the lost leader has answered or patience has ended.
fn check_judge(before: &Local, event: &Event, after: &Local) {
    let Some(judge) = before.ballot.as_ref().and_then(|ballot| ballot.judge) else { return };
    if is_won(before, after) {
        let has_answered = answer_to_candidate(event).is_some_and(|(_, by, _)| by == judge);
        let is_over = *event == Event::Timeout(Timer::Patience);
        assert!(has_answered || is_over, "it does not wait for the leader that it has lost");
    }
}

/// Whether a candidate goes on from the pre-vote to the vote.
fn is_won(before: &Local, after: &Local) -> bool {
    let stands_in = |local: &Local, kind| local.ballot.as_ref().is_some_and(|it| it.kind == kind);
    stands_in(before, BallotKind::PreVote) && stands_in(after, BallotKind::Vote)
}

/// If the lost leader says that it leads on, the candidate follows it again, in the same term. No other reply names a
/// leader.
fn check_verdict(before: &Local, event: &Event, after: &Local) {
    let (old, new) = (before.server.status(), after.server.status());
    if leads_on(before, event) {
        let lost = before.lost.map(|lost| lost.id);
        assert!(new.role == RoleName::Follower, "it deposes a leader that leads on");
        assert!(new.leader == lost, "it does not trust a leader that leads on");
        assert!(new.current_term == old.current_term, "it leaves the term of a leader that leads");
        assert!(after.timer == Some(Timer::Silence), "its hurry outlasts the verdict");
    } else if matches!(event, Event::Response { .. }) && new.role == RoleName::Follower {
        assert!(old.leader == new.leader || new.leader.is_none(), "a reply gives it a leader");
    }
}

/// Whether a candidate is told by the leader that it has lost that it leads on.
fn leads_on(before: &Local, event: &Event) -> bool {
    let Event::Response { response: Response::Vote(reply), .. } = event else { return false };
    let is_asked = |ballot: &Ballot| (reply.kind, reply.ballot) == (ballot.kind, ballot.number);
    reply.leads
        && before.ballot.as_ref().is_some_and(is_asked)
        && before.lost == Some(reply.sender.member())
        && reply.sender.term == before.server.current_term()
}

/// The replies to candidates.
fn votes(effects: &[Effect]) -> impl Iterator<Item = &VoteReply> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Reply(_, Reply::Vote(reply)) => Some(reply),
        _ => None,
    })
}

/// Only a leader that has a majority says that it leads. A voter in a hurry soon stands again.
fn check_vote(before: &Local, event: &Event, after: &Local, reply: &VoteReply) {
    let leads = |local: &Local| local.server.role() == RoleName::Leader;
    let goes_on = leads(before) && leads(after);
    assert!(goes_on || !reply.leads, "it says that it leads, and does not");
    if goes_on && before.server.leads() {
        let has_majority = before.server.has_majority();
        assert!(has_majority || !reply.leads, "it says that it leads, without a majority");
        let is_peer = matches!(event, Event::Call(_, Call::RequestVote(request))
            if request.sender.history == before.server.status().history);
        assert!(reply.leads || !has_majority || !is_peer, "it does not say that it leads");
    }
    if reply.vote_granted && reply.kind == BallotKind::Vote {
        let wait = if before.is_in_a_hurry() { Timer::Patience } else { Timer::Silence };
        assert!(after.timer == Some(wait), "a voter waits for the winner until {:?}", after.timer);
    }
}

/// Of two equals that stand at the same moment, only the one with the greater number is granted the pre-vote. But a
/// candidate that cannot win any more holds back neither.
fn check_rivals(before: &Local, after: &Local) {
    let Some(ballot) = &after.ballot else { return };
    let number = |local: &Local| local.ballot.as_ref().map(|ballot| ballot.number);
    if ballot.kind != BallotKind::PreVote || number(before) == number(after) {
        return;
    }
    let own = after.server.identity();
    let peers = || (0..own.size).map(ServerId).filter(|id| *id != own.id);
    let server = disks::at_rest(&after.server);
    let mut lost = server.clone();
    for by in peers() {
        let request = RequestVote {
            sender: own,
            kind: ballot.kind,
            ballot: ballot.number,
            account: ballot.account.clone(),
        };
        let request = Request::RequestVote(request);
        (lost, _) = lost.step(Event::Unanswered { by, request, failure: Failure::Silent });
    }
    for id in peers() {
        let rival = Identity { id, incarnation: Incarnation(1), ..own };
        let sender = rival;
        let request = RequestVote { sender, kind: BallotKind::PreVote, ballot: 1, account: None };
        let event = Event::Call(AT_ONCE, Call::RequestVote(request));
        let grants = |server: &Server| {
            let (_, effects) = server.clone().step(event.clone());
            votes(&effects).any(|reply| reply.vote_granted)
        };
        assert!(grants(&server) == (own.id < id), "equals that stand grant each other");
        assert!(grants(&lost), "a candidate that cannot win holds {id:?} back");
    }
}

/// The situations in a step that only a hurry brings about.
pub(crate) fn mark(marks: &mut Marks, before: &Local, event: &Event, after: &Local) {
    let begins = !before.is_in_a_hurry() && after.is_in_a_hurry();
    if matches!(event, Event::Disconnected(_)) && before != after {
        let trusted = before.server.leader().is_some();
        marks.hit(if trusted { Mark::LeaderLost } else { Mark::WinnerLost });
    }
    marks.hit_if(Mark::VoteLost, begins && loses_vote(before, event));
    marks.hit_if(Mark::LedOn, leads_on(before, event));
    let waits = before.ballot.as_ref().is_some_and(|ballot| ballot.judge.is_some());
    if waits && is_won(before, after) {
        let is_over = *event == Event::Timeout(Timer::Patience);
        marks.hit(if is_over { Mark::PatienceEnded } else { Mark::JudgeAnswered });
    }
}
