//! The candidate (§5.2): asks for votes, first for a pre-vote (thesis §9.6), then for the vote itself.
//!
//! The pre-vote asks whether the election could be won, and changes no server's term. So a server that cannot win does
//! not depose a leader merely by coming back. There are three ways to win, of which the log and its roster leave one:
//! an election as in the paper, a founding, and everybody's vote (see `identity`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cluster::ServerId;
use super::core::{Core, LeaderRequest};
use super::event::{Call, CallError, CallId, Effects, Event, Failure, Reply, Timer};
use super::follower::Follower;
use super::hurry::Hurry;
use super::identity::{Account, Identity, Incarnation, Member, Roster};
use super::log::Term;
use super::node::Node;
use super::role::{Role, RoleName};
use super::rpc::{AppendOutcome, BallotKind, Request, RequestVote, Response, VoteReply};
use super::server::Server;

/// A server that stands for election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    kind: BallotKind,
    /// The ballot's number, which distinguishes its replies from those to an earlier one.
    ballot: u64,
    /// The term to lead in: the current one or, in a pre-vote, the next.
    term: Term,
    /// What is known of every server in this ballot, its own grant included.
    answers: BTreeMap<ServerId, VoteOutcome>,
    /// The servers that have not answered yet: in a pre-vote of all others, in a vote of those that answered the
    /// pre-vote. A founding waits for all of them, a pre-vote in a hurry only for the lost leader.
    awaited: BTreeSet<ServerId>,
    /// What the pre-vote showed, if everybody's vote won it.
    account: Option<Account>,
    /// Whether a server has shown that its history is founded. If so, this ballot founds no other history.
    meets_founded: bool,
}

/// A copy of a candidate's ballot, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// What it decides.
    pub kind: BallotKind,
    /// Whether it is the second round of everybody's vote (see `identity`).
    pub is_everybodys: bool,
    /// The servers that have granted it, in order, the candidate among them.
    pub granted: Vec<ServerId>,
}

/// What a ballot has shown about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum VoteOutcome {
    /// It grants the vote.
    Granted(Incarnation),
    /// It refuses the vote.
    Refused(Incarnation),
    /// It is crashed.
    Crashed {
        incarnation: Incarnation,
        /// Whether it could not vote for this candidate even if it were restored: its log is better, or is of another
        /// founded history.
        is_better: bool,
    },
    /// Its process has ended.
    Ended,
    /// The request got no answer.
    Silent,
}

impl VoteOutcome {
    fn incarnation(self) -> Option<Incarnation> {
        match self {
            VoteOutcome::Granted(incarnation)
            | VoteOutcome::Refused(incarnation)
            | VoteOutcome::Crashed { incarnation, .. } => Some(incarnation),
            VoteOutcome::Ended | VoteOutcome::Silent => None,
        }
    }

    fn is_granted(self) -> bool {
        matches!(self, VoteOutcome::Granted(_))
    }
}

impl Role for Candidate {
    const NAME: RoleName = RoleName::Candidate;

    fn enter(&self, core: &mut Core, out: &mut Effects) {
        out.arm(core.hurry().map_or(Timer::Campaign, |_| Timer::Patience));
    }

    fn waits_for(&self, core: &Core) -> Vec<ServerId> {
        let servers = || core.cluster.servers();
        let majority = core.cluster.majority();
        let may_win_without = |id| {
            let others = servers().filter(|other| *other != id && self.may_count(*other, core));
            majority <= others.count()
        };
        let all: Vec<_> = servers().filter(|id| self.is_held_up_by(*id, core)).collect();
        let needed: Vec<_> = all.iter().copied().filter(|id| !may_win_without(*id)).collect();
        // If a majority is up, only these servers explain why there is no leader.
        let is_majority_up = majority <= self.granted().count();
        if needed.is_empty() && is_majority_up { all } else { needed }
    }

    fn check(&self, core: &Core) {
        let own = self.answers.get(&core.cluster.id());
        let itself = VoteOutcome::Granted(core.incarnation);
        assert!(own == Some(&itself), "a candidate is among its own voters");
        assert!(!self.has_won(core), "a candidate with a majority has won");
        match self.kind {
            BallotKind::PreVote => {
                assert!(self.term == core.current_term.next(), "a pre-vote changes no term")
            }
            BallotKind::Vote => {
                let is_own = self.term == core.current_term;
                assert!(is_own, "a candidate campaigns in its own term (§5.2)");
                let voted = core.voted_for == Some(core.member());
                assert!(voted, "a candidate votes for itself (§5.2)");
            }
        }
    }
}

impl Candidate {
    /// Starts a pre-vote ballot, in which the server has granted its own request.
    pub(super) fn ask_first(core: &mut Core) -> Candidate {
        let awaited = core.cluster.peers().collect();
        Candidate::begin(BallotKind::PreVote, core, awaited, None)
    }

    /// Starts the vote ballot after this pre-vote. Only the vote increments the term.
    fn stand(&self, core: &mut Core) -> Candidate {
        let answered = |id: &ServerId| self.incarnation(*id).is_some();
        let awaited = core.cluster.peers().filter(answered).collect();
        let account =
            (core.log.history().is_some() && !self.has_majority(core)).then(|| self.account(core));
        core.enter_term(core.current_term.next());
        core.voted_for = Some(core.member());
        account.iter().for_each(|account| core.bury(account));
        Candidate::begin(BallotKind::Vote, core, awaited, account)
    }

    fn begin(
        kind: BallotKind,
        core: &mut Core,
        awaited: BTreeSet<ServerId>,
        account: Option<Account>,
    ) -> Candidate {
        let Member { id, incarnation } = core.member();
        let term = match kind {
            BallotKind::PreVote => core.current_term.next(),
            BallotKind::Vote => core.current_term,
        };
        core.ballots += 1;
        let answers = [(id, VoteOutcome::Granted(incarnation))].into();
        let ballot = core.ballots;
        Candidate { kind, ballot, term, answers, awaited, account, meets_founded: false }
    }

    /// Gives up the ballot without asking again: answers to it that still arrive are too late.
    fn withdraw(&mut self, core: &mut Core) {
        let awaited = core.cluster.peers().collect();
        *self = Candidate::begin(self.kind, core, awaited, None);
    }

    /// The incarnation of the server that has answered, if one has.
    pub(super) fn incarnation(&self, id: ServerId) -> Option<Incarnation> {
        self.answers.get(&id).and_then(|answer| answer.incarnation())
    }

    /// What operators see of the ballot.
    pub(super) fn ballot(&self) -> Ballot {
        Ballot {
            kind: self.kind,
            is_everybodys: self.account.is_some(),
            granted: self.granted().map(|(id, _)| id).collect(),
        }
    }

    fn granted(&self) -> impl Iterator<Item = (ServerId, Incarnation)> {
        let granted = self.answers.iter().filter(|(_, answer)| answer.is_granted());
        granted.filter_map(|(id, answer)| Some((*id, answer.incarnation()?)))
    }

    /// §5.2: a candidate wins with the votes of a majority of all servers. Here only votes of servers that its roster
    /// names count.
    fn has_majority(&self, core: &Core) -> bool {
        let Some(roster) = core.log.roster() else { return false };
        let named = |(id, incarnation)| roster.names(Member { id, incarnation });
        core.cluster.majority() <= self.granted().filter(|granted| named(*granted)).count()
    }

    /// Whether a candidate with an empty log has the votes of a majority, of whichever servers.
    fn may_found(&self, core: &Core) -> bool {
        core.log.history().is_none()
            && !self.meets_founded
            && core.cluster.majority() <= self.granted().count()
    }

    /// Whether all servers are accounted for, and the roster either can give no majority any more or was never
    /// confirmed by one. In the vote, the account must equal that of the pre-vote.
    fn has_everybodys_vote(&self, core: &Core) -> bool {
        core.log.roster().is_some()
            && core.cluster.servers().all(|id| self.accounts_for(id, core))
            && core.cluster.majority() <= self.granted().count()
            && !self.may_give_majority(core)
            && (self.kind == BallotKind::PreVote || self.account == Some(self.account(core)))
    }

    /// Whether a majority of a roster that was confirmed lives, crashed or not. Then everybody's vote does not apply.
    fn may_give_majority(&self, core: &Core) -> bool {
        let lives = |id: &ServerId| self.lives_as_named(*id, core);
        (self.meets_founded || core.is_founded())
            && core.cluster.majority() <= core.cluster.servers().filter(lives).count()
    }

    /// Whether that server has answered in the incarnation that the roster names.
    fn lives_as_named(&self, id: ServerId, core: &Core) -> bool {
        let named = core.log.roster().and_then(|roster| roster.members.get(&id).copied());
        named.is_some() && self.incarnation(id) == named
    }

    /// Whether the ballot would go on if that server granted its vote.
    fn is_held_up_by(&self, id: ServerId, core: &Core) -> bool {
        let grants = self.answers.get(&id).is_some_and(|answer| answer.is_granted());
        let is_member = self.may_give_majority(core) && self.lives_as_named(id, core);
        !self.accounts_for(id, core) || (is_member && !grants)
    }

    /// Whether everybody's vote has nothing to wait for from that server. If a process has ended, what it knew is gone,
    /// unless it is on a disk.
    fn accounts_for(&self, id: ServerId, core: &Core) -> bool {
        let is_empty = core.log.history().is_none();
        self.answers.get(&id).is_some_and(|answer| match answer {
            VoteOutcome::Granted(_) => true,
            VoteOutcome::Ended => is_empty || !core.may_come_back(id),
            VoteOutcome::Crashed { is_better, .. } => !is_better,
            VoteOutcome::Refused(_) | VoteOutcome::Silent => false,
        })
    }

    /// Whether the vote of that server may still count without everybody's: it lives, or may come back, in the
    /// incarnation that the roster names.
    fn may_count(&self, id: ServerId, core: &Core) -> bool {
        // Every empty server may help to found a history, unless there is one.
        let Some(roster) = core.log.roster() else { return !self.meets_founded };
        roster.members.get(&id).is_some_and(|named| match self.answers.get(&id) {
            Some(VoteOutcome::Ended) => named.is_on_disk(),
            Some(VoteOutcome::Silent) | None => true,
            Some(answer) => answer.incarnation() == Some(*named),
        })
    }

    fn account(&self, core: &Core) -> Account {
        Account(core.cluster.servers().map(|id| (id, self.incarnation(id))).collect())
    }

    fn has_won(&self, core: &Core) -> bool {
        let founds = self.may_found(core) && self.awaited.is_empty();
        let wins = self.has_majority(core) || self.has_everybodys_vote(core);
        founds || (wins && !self.awaits_judge(core))
    }

    /// Whether the leader that this server has lost may still say that it leads on.
    fn awaits_judge(&self, core: &Core) -> bool {
        let judge = core.hurry().and_then(Hurry::judge);
        self.kind == BallotKind::PreVote && judge.is_some_and(|judge| self.awaited.contains(&judge))
    }

    /// Whether it cannot win any more, whatever the servers that have not answered yet may say. Grants of servers
    /// outside the roster do not count, even if they are a majority.
    fn is_lost(&self, core: &Core) -> bool {
        let majority = core.cluster.majority();
        let answer = |id: &ServerId| self.answers.get(id);
        let may_grant = |id: &ServerId| answer(id).is_none_or(|answer| answer.is_granted());
        let granting: Vec<_> = core.cluster.servers().filter(may_grant).collect();
        let Some(roster) = core.log.roster() else { return granting.len() < majority };
        let may_count = |id: &&ServerId| match self.incarnation(**id) {
            Some(incarnation) => roster.names(Member { id: **id, incarnation }),
            None => roster.members.contains_key(*id),
        };
        // Once all have answered, everybody's vote is won or lost.
        let may_be_everybodys = self.answers.len() < core.cluster.size().into()
            && self.answers.keys().all(|id| self.accounts_for(*id, core))
            && majority <= granting.len();
        granting.iter().filter(may_count).count() < majority && !may_be_everybodys
    }

    /// Whether this candidate grants a pre-vote to a rival whose log is at least as up-to-date as its own. If two
    /// equals that stand at the same moment granted each other's, both would go on to the vote and split it. So only
    /// the better one is granted it (by its log, then by its number). But a candidate that cannot win without the
    /// rival, or at all, must not hold others back.
    fn lets_by(&self, core: &Core, rival: &Identity) -> bool {
        let is_better = (core.log.last(), core.cluster.id()) < (rival.last_log, rival.id);
        let has_refused = matches!(self.answers.get(&rival.id), Some(VoteOutcome::Refused(_)));
        self.kind == BallotKind::Vote || is_better || has_refused || self.is_lost(core)
    }

    /// The roster that opens the term that this candidate has won.
    fn opening_roster(&self, core: &Core) -> Arc<Roster> {
        match core.log.roster() {
            Some(roster) if self.has_majority(core) => Arc::clone(roster),
            // Everybody's vote: only here is an incarnation exchanged.
            Some(roster) => {
                Arc::new(Roster { history: roster.history, members: self.granted().collect() })
            }
            // A founding: every server that has answered counts, even if it is crashed.
            None => {
                let named = |id| Some((id, self.incarnation(id)?));
                let members = core.cluster.servers().filter_map(named).collect();
                Arc::new(Roster { history: core.incarnation, members })
            }
        }
    }
}

impl Node<Candidate> {
    pub(super) fn step(self, event: Event, out: &mut Effects) -> Server {
        let mut node = self;
        match event {
            Event::Timeout(Timer::Campaign | Timer::Patience) => return node.end_ballot(out),
            Event::Timeout(Timer::Fate) => {
                node.core.give_up(|_| true, CallError::OutcomeUnknown, out);
            }
            Event::Call(call, request) => return node.serve(call, request, out),
            Event::HangUp(call) => node.core.forget(call),
            Event::Response { from, response: Response::Vote(reply) } => {
                return node.hear(from, &reply, out);
            }
            // A lost request is not retried: the next ballot asks again.
            Event::Unanswered { by, request: Request::RequestVote(request), failure } => {
                return node.miss(by, &request, failure, out);
            }
            Event::Timeout(
                Timer::Start | Timer::Silence | Timer::Election | Timer::Hurry | Timer::Heartbeat,
            )
            | Event::Response { response: Response::Append(_), .. }
            | Event::Unanswered {
                request: Request::AppendEntries(_) | Request::InstallSnapshot(_),
                ..
            }
            | Event::Disconnected(_)
            | Event::Saved(_) => {}
        }
        Server::Candidate(node)
    }

    /// Asks every peer, once per ballot. A server that is a majority on its own has won already.
    pub(super) fn ask(mut self, out: &mut Effects) -> Server {
        self.core.drop_old_requests();
        let Candidate { kind, ballot, ref account, .. } = self.role;
        let request =
            RequestVote { sender: self.core.identity(), kind, ballot, account: account.clone() };
        for peer in self.core.cluster.peers() {
            out.send(peer, Request::RequestVote(request.clone()));
        }
        self.tally(out)
    }

    /// The ballot's time is over: a founding or a judge has been waited for long enough, and any other ballot is
    /// started over.
    fn end_ballot(mut self, out: &mut Effects) -> Server {
        self.role.awaited.clear();
        if self.role.has_won(&self.core) {
            return self.tally(out);
        }
        match self.core.hurry() {
            Some(_) => self.wait_for_turn(out),
            None => self.campaign(out),
        }
    }

    /// Goes back to the second phase of a follower: in a hurry, to stand again soon.
    fn wait_for_turn(self, out: &mut Effects) -> Server {
        Server::Follower(self.transition(Follower::without_leader(), out))
    }

    fn hear(mut self, from: ServerId, reply: &VoteReply, out: &mut Effects) -> Server {
        let VoteReply { kind, ballot, vote_granted, leads, ref sender } = *reply;
        if !self.asked(from, kind, ballot) {
            return Server::Candidate(self);
        }
        let leader = sender.member();
        let has_lost = self.core.hurry().is_some_and(|hurry| hurry.has_lost(leader));
        if leads && has_lost && sender.term == self.core.current_term {
            self.core.last_hurry = None;
            return Server::Follower(self.transition(Follower::of(leader), out));
        }
        let incarnation = sender.incarnation;
        let answer = if vote_granted {
            VoteOutcome::Granted(incarnation)
        } else {
            VoteOutcome::Refused(incarnation)
        };
        self.note(from, answer);
        self.meet(sender, out)
    }

    fn miss(
        mut self,
        by: ServerId,
        request: &RequestVote,
        failure: Failure,
        out: &mut Effects,
    ) -> Server {
        if !self.asked(by, request.kind, request.ballot) {
            return Server::Candidate(self);
        }
        match failure {
            // It may still vote for another candidate, so a founding or a judge's verdict is waited for as before.
            Failure::Silent => {
                self.role.answers.entry(by).or_insert(VoteOutcome::Silent);
                self.go_on(out)
            }
            Failure::Ended => {
                self.note(by, VoteOutcome::Ended);
                self.tally(out)
            }
            Failure::Crashed(sender) => {
                let is_better = sender.is_founded_apart_from(self.core.log.history())
                    || self.core.log.last() < sender.last_log;
                let incarnation = sender.incarnation;
                self.note(by, VoteOutcome::Crashed { incarnation, is_better });
                self.meet(&sender, out)
            }
        }
    }

    /// Whether an answer belongs to a request of this ballot.
    fn asked(&self, peer: ServerId, kind: BallotKind, ballot: u64) -> bool {
        self.core.cluster.has_peer(peer) && (kind, ballot) == (self.role.kind, self.role.ballot)
    }

    /// Records an answer. The first one stands, except that a grant from the same process may replace it later. If
    /// configurations differ, one process may answer at the addresses of two servers; it is counted as one server.
    fn note(&mut self, peer: ServerId, answer: VoteOutcome) {
        self.role.awaited.remove(&peer);
        let is_another = answer.incarnation().is_some_and(|incarnation| {
            let servers = self.core.cluster.servers();
            servers
                .filter(|id| *id != peer)
                .any(|id| self.role.incarnation(id) == Some(incarnation))
        });
        if is_another {
            return;
        }
        let noted = self.role.answers.entry(peer).or_insert(answer);
        if noted.incarnation() == answer.incarnation() && answer.is_granted() {
            *noted = answer;
        }
    }

    /// Histories meet: a server with a founded history has shown it to this candidate.
    fn meet(mut self, shown: &Identity, out: &mut Effects) -> Server {
        if self.core.starts_anew_for(shown) {
            self.core.start_anew(out);
            return self.wait_for_turn(out);
        }
        self.role.meets_founded |= shown.founded;
        self.tally(out)
    }

    fn tally(mut self, out: &mut Effects) -> Server {
        if !self.role.has_won(&self.core) {
            return self.go_on(out);
        }
        match self.role.kind {
            BallotKind::PreVote => {
                let candidate = self.role.stand(&mut self.core);
                self.transition(candidate, out).ask(out)
            }
            BallotKind::Vote => {
                let roster = self.role.opening_roster(&self.core);
                self.lead(roster, out)
            }
        }
    }

    /// Waits for more answers, at least for the judge's, unless the ballot is lost and can be repeated soon.
    fn go_on(mut self, out: &mut Effects) -> Server {
        if !self.role.is_lost(&self.core) || self.role.awaits_judge(&self.core) {
            return Server::Candidate(self);
        }
        if self.role.kind == BallotKind::Vote {
            self.core.last_hurry.get_or_insert(Hurry::without_judge());
        }
        match self.core.hurry() {
            Some(_) => self.wait_for_turn(out),
            None => Server::Candidate(self),
        }
    }

    fn serve(self, call: CallId, request: Call, out: &mut Effects) -> Server {
        match request {
            Call::Update(_) | Call::ReadFiles => out.fail(call, CallError::NotLeader(None)),
            Call::Crash => return self.crash(call, out),
            Call::Restore => out.reply(call, Reply::Done),
            Call::RequestVote(request) => return self.answer_candidate(call, &request, out),
            Call::AppendEntries(request) => return self.answer_leader(call, request, out),
            Call::InstallSnapshot(request) => return self.answer_leader(call, request, out),
        }
        Server::Candidate(self)
    }

    fn answer_candidate(
        mut self,
        call: CallId,
        request: &RequestVote,
        out: &mut Effects,
    ) -> Server {
        let granted = match request.kind {
            BallotKind::PreVote => {
                self.core.would_vote(request) && self.role.lets_by(&self.core, &request.sender)
            }
            BallotKind::Vote => self.core.vote(request),
        };
        out.reply(call, Reply::Vote(self.core.vote_reply(request, granted)));
        // A pre-candidate has not voted in its term yet, so it can vote for another server, which it then follows.
        if granted && request.kind == BallotKind::Vote {
            return Server::Follower(self.transition(Follower::default(), out));
        }
        Server::Candidate(self)
    }

    /// §5.2: a leader's request of the current term comes from the winner of the election, which the candidate then
    /// follows.
    fn answer_leader(
        mut self,
        call: CallId,
        request: impl LeaderRequest,
        out: &mut Effects,
    ) -> Server {
        let round = request.round();
        if request.sender().term < self.core.current_term {
            out.reply(call, self.core.append_reply(round, AppendOutcome::Stale));
            return Server::Candidate(self);
        }
        if request.has_majority() {
            let mut follower = self.transition(Follower::default(), out);
            follower.answer_leader(call, request, out);
            return Server::Follower(follower);
        }
        // The winner is cut off from the majority: its entries are valid, but it must not keep others from standing.
        let outcome = request.store(&mut self.core, out);
        out.reply(call, self.core.append_reply(round, outcome));
        if self.role.kind == BallotKind::Vote {
            // This vote is lost. Above all, it must not count a server that only the winner's roster names.
            self.role.withdraw(&mut self.core);
        }
        self.tally(out)
    }
}
