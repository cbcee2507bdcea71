//! What clients and operators do to the world, and what they are answered.

use surfstore::metadata::Update;
use surfstore::raft::{Call, CallId, Event, Member, Reply, RoleName, ServerId, Status, Timer};
use surfstore::value::Value;

use crate::clients::{Kind, Waiting};
use crate::marks::Mark;
use crate::plan::Losses;
use crate::world::World;

impl World {
    pub(crate) fn update(
        &mut self,
        server: ServerId,
        name: &str,
        version: i64,
        ballast: usize,
    ) -> CallId {
        let call = CallId(self.number());
        let own = i64::try_from(call.0).expect("few calls").into();
        let hashes = [own, Value::Base64(vec![0; ballast].into())].into();
        let update = Update { name: name.into(), version, hashes };
        self.ask(server, call, Kind::Update, Call::Update(update))
    }

    pub(crate) fn read(&mut self, server: ServerId) -> CallId {
        let call = CallId(self.number());
        let status = self.status(server);
        let committed = self.server(server).log().get(status.commit_index);
        if status.role == RoleName::Leader
            && committed.is_none_or(|entry| entry.term < status.current_term)
        {
            self.marks.hit(Mark::EarlyRead);
        }
        self.ask(server, call, Kind::Read, Call::ReadFiles)
    }

    fn ask(&mut self, server: ServerId, call: CallId, kind: Kind, request: Call) -> CallId {
        self.traffic.calls += 1;
        let committed = self.history.ledger.len();
        self.clients.ask(call, Waiting { server, kind, since: self.now, committed });
        self.settle(server, Event::Call(call, request));
        call
    }

    pub(crate) fn hang_up(&mut self, call: CallId) {
        if let Some(server) = self.clients.hang_up(call) {
            self.settle(server, Event::HangUp(call));
        }
    }

    pub(crate) fn crash(&mut self, id: ServerId) {
        self.marks.hit(match self.status(id).role {
            RoleName::Leader => Mark::LeaderCrash,
            RoleName::Candidate => Mark::CandidateCrash,
            RoleName::Follower => Mark::FollowerCrash,
            RoleName::Crashed => Mark::DoubleCrash,
        });
        self.control(id, Call::Crash);
        if 2 * self.up() == self.servers.len() {
            self.marks.hit(Mark::HalfUp);
        }
        if self.up() < self.majority() && 0 < self.clients.waiting().len() {
            self.lost = Some(self.now);
        }
    }

    pub(crate) fn restore(&mut self, id: ServerId) {
        let was_up = self.is_up(id);
        if was_up {
            self.marks.hit(Mark::RestoreOfRunning);
        }
        self.control(id, Call::Restore);
        let role = self.status(id).role;
        assert!(was_up || role == RoleName::Follower, "whoever is restored follows");
        if !was_up {
            let timer = self.clocks[usize::from(id.0)].role.map(|(timer, _)| timer);
            assert!(timer == Some(Timer::Silence), "whoever is restored has a fresh timer");
        }
    }

    fn control(&mut self, id: ServerId, request: Call) {
        let call = CallId(self.number());
        let before = *self.status(id);
        let reply = self.ask_at_once(id, call, request);
        assert!(reply == Reply::Done, "crash and restore are always done");
        let kept = |status: &Status| {
            let Status { current_term, voted_for, last_log, commit_index, .. } = *status;
            (current_term, voted_for, last_log, commit_index)
        };
        assert!(
            kept(&before) == kept(self.status(id)),
            "crash and restore keep term, vote, log and commit index"
        );
    }

    /// Ends the server's process. What it knew is gone, and its callers never hear what became of their calls.
    pub(crate) fn end(&mut self, id: ServerId) {
        let slot = usize::from(id.0);
        if !std::mem::replace(&mut self.running[slot], false) {
            return;
        }
        self.note(|| format!("{}  its process ends", id.0));
        if 0 < self.status(id).last_log.index.0 {
            self.marks.hit(Mark::MemoryLost);
        }
        self.clocks[slot].stop();
        self.paused[slot] = 0;
        self.clients.lose(id);
        self.history.forget(id);
        self.lanes.forget(id);
        self.start_anew(id);
        self.watch_the_promise();
        if self.up() < self.majority() && 0 < self.clients.waiting().len() {
            self.lost = Some(self.now);
        }
    }

    /// Whether a majority of those that count would still be alive. Nobody counts before anything is committed.
    pub(crate) fn bears_the_loss_of(&self, lost: ServerId) -> bool {
        let left = self.living().filter(|member| member.id != lost);
        self.history.members_among(left).is_some_and(|members| self.majority() <= members)
    }

    /// Those that remember something of what is committed, be it while they are crashed. A server that the roster names but
    /// that has never held a log of its history is without memory, like one that was relaunched.
    fn living(&self) -> impl Iterator<Item = Member> {
        let history = self.history.founded();
        let remembers =
            move |id: &ServerId| history.is_some() && self.status(*id).history == history;
        let living = self.ids().filter(move |id| self.runs_at_all(*id) && remembers(id));
        living.map(|id| Member { id, incarnation: self.process(id) })
    }

    /// The promise is void once fewer than a majority of those that count are alive.
    pub(crate) fn watch_the_promise(&mut self) {
        let members = self.history.members_among(self.living());
        let is_void = members.is_some_and(|members| members < self.majority());
        if is_void && self.losses != Losses::Unnoticed && !self.history.promise_is_void {
            self.note(|| "the promise is void".to_owned());
            self.marks.hit(Mark::PromiseVoid);
            self.history.promise_is_void = true;
        }
    }

    /// Launches a process where one has ended.
    pub(crate) fn launch(&mut self, id: ServerId) {
        if self.runs_at_all(id) {
            return;
        }
        let effects = self.start_anew(id);
        self.running[usize::from(id.0)] = true;
        let process = self.process(id);
        self.note(|| format!("{}  is launched as #{}", id.0, process.0));
        self.begin(id, effects);
    }

    pub(crate) fn answer(&mut self, call: CallId, reply: &Reply) {
        if self.history.promise_is_void {
            return self.clients.answered_somehow(call);
        }
        if let Some(&Waiting { server, since, .. }) = self.clients.get(call) {
            if let Reply::Files(_) = reply {
                self.check_confirmed(call, server);
            }
            if matches!(reply, Reply::Files(_) | Reply::Updated(_))
                && self.lost.is_some_and(|lost| since <= lost)
            {
                self.marks.hit(Mark::MajorityRegained);
            }
        }
        self.clients.answered((call, reply, self.now), &mut self.history.ledger, &mut self.marks);
    }

    /// The server remembers exactly those callers that wait at it.
    pub(crate) fn check_waiting(&self, id: ServerId) {
        let (remembered, waiting) = (self.status(id).waiting, self.clients.count(id));
        assert!(remembered == waiting, "{id:?} remembers {remembered} callers of {waiting}");
    }
}
