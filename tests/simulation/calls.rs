//! What clients and operators do to the servers, and the answers that they get.

use surfstore::gate;
use surfstore::protocol::Ask;
use surfstore::raft::{CallId, Member, RoleName, ServerId, Status, Timer};
use surfstore::service::{Document, Input};
use surfstore::value::Value;
use surfstore::xmlrpc;

use crate::clients::{Answer, Kind, Waiting};
use crate::disk::Ending;
use crate::marks::Mark;
use crate::plan::Losses;
use crate::world::World;

/// Documents that are no valid calls. A server must answer them with a fault.
const NONSENSE: [&[u8]; 4] = [
    b"",
    b"<methodCall><methodName>ping</methodName>",
    b"<methodCall><methodName>surfstore.fly</methodName><params/></methodCall>",
    b"<methodCall><methodName>updatefile</methodName><params/></methodCall>",
];

impl World {
    pub(crate) fn update(
        &mut self,
        server: ServerId,
        name: &str,
        version: i64,
        ballast: usize,
    ) -> CallId {
        let call = CallId(self.number());
        let hashes = Value::from(hashes(call, ballast));
        let kind = Kind::Update(name.to_owned(), version);
        self.ask(server, call, kind, &Ask::Update(name, version, &hashes));
        call
    }

    pub(crate) fn read(&mut self, server: ServerId) {
        let call = CallId(self.number());
        let status = self.status(server);
        let committed = self.server(server).log().position(status.commit_index);
        if status.role == RoleName::Leader
            && committed.is_none_or(|position| position.term < status.current_term)
        {
            self.marks.hit(Mark::EarlyRead);
        }
        self.ask(server, call, Kind::Read, &Ask::Files);
    }

    /// Makes a multicall that updates a file several times, from `version` on. A read or a question follows each
    /// update.
    pub(crate) fn multicall(&mut self, server: ServerId, name: &str, version: i64, updates: u8) {
        let mut calls = Vec::new();
        let mut kinds = Vec::new();
        for version in (version..).take(updates.into()) {
            let call = CallId(self.number());
            kinds.push((call, Kind::Update(name.to_owned(), version)));
            let params = [name.into(), version.into(), Value::Array(hashes(call, 0).into())];
            calls.push(one_of_several("surfstore.updatefile", params.into()));
            let (kind, method) = match self.number() % 2 {
                0 => (Kind::Read, "surfstore.getfileinfomap"),
                _ => (Kind::Question, "surfstore.isLeader"),
            };
            kinds.push((CallId(self.number()), kind));
            calls.push(one_of_several(method, [].into()));
        }
        let call = CallId(self.number());
        let ask = Ask::Method("system.multicall", &[Value::Array(calls.into())]);
        self.ask(server, call, Kind::Multicall(kinds), &ask);
    }

    fn ask(&mut self, server: ServerId, call: CallId, kind: Kind, ask: &Ask<'_>) {
        self.traffic.calls += 1;
        let committed = self.history.ledger.len();
        self.clients.ask(call, Waiting { server, kind, since: self.now, committed });
        let input = self.call_of(server, call, &request(&ask.document()));
        self.step_and_answer(server, input);
    }

    pub(crate) fn hang_up(&mut self, call: CallId) {
        if let Some(server) = self.clients.hang_up(call) {
            self.step_and_answer(server, Input::HangUp(call));
        }
    }

    /// Makes the calls that a server answers without the others, even if it is crashed, and sends it an invalid call.
    /// Checks the answers, and that the server does not change.
    pub(crate) fn question(&mut self, server: ServerId, name: &str) {
        let before = *self.status(server);
        let is_crashed = Ok(Value::Boolean(before.role == RoleName::Crashed));
        let answer = self.answer_to(server, &Ask::IsCrashed.document());
        assert!(answer == is_crashed, "isCrashed is wrong");
        let leads = Ok(Value::Boolean(self.server(server).leads()));
        assert!(self.answer_to(server, &Ask::IsLeader.document()) == leads, "isLeader is wrong");
        let version = Ok(Value::Int(self.server(server).files().version(name)));
        let answer = self.answer_to(server, &Ask::Version(name).document());
        assert!(answer == version, "tester_getversion answers {answer:?}");
        let status = self.answer_to(server, &Ask::Status.document());
        assert!(matches!(status, Ok(Value::Struct(_))), "the status is {status:?}");
        let nonsense = NONSENSE[self.number() as usize % NONSENSE.len()];
        assert!(self.answer_to(server, nonsense).is_err(), "nonsense is answered");
        assert!(before == *self.status(server), "a question changed a server");
    }

    /// The answer to a document that a server answers at once.
    fn answer_to(&mut self, server: ServerId, document: &[u8]) -> Answer {
        let call = CallId(self.number());
        let answer = self.ask_at_once(server, call, &request(document));
        xmlrpc::parse_response(&answer.bytes()).expect("an answer is a document")
    }

    pub(crate) fn crash(&mut self, id: ServerId) {
        self.marks.hit(match self.status(id).role {
            RoleName::Leader => Mark::LeaderCrash,
            RoleName::Candidate => Mark::CandidateCrash,
            RoleName::Follower => Mark::FollowerCrash,
            RoleName::Crashed => Mark::DoubleCrash,
        });
        self.control(id, &Ask::Crash);
        assert!(!self.is_awaited(id), "a crashed server answers its peers");
        if self.snapshots.forget(id) {
            self.marks.hit(Mark::CrashMidway);
        }
        if 2 * self.up() == self.services.len() {
            self.marks.hit(Mark::HalfUp);
        }
        if self.up() < self.majority() && 0 < self.clients.waiting().len() {
            self.majority_lost = Some(self.now);
        }
    }

    pub(crate) fn restore(&mut self, id: ServerId) {
        let was_up = self.is_up(id);
        if was_up {
            self.marks.hit(Mark::RestoreOfRunning);
        }
        self.control(id, &Ask::Restore);
        let role = self.status(id).role;
        assert!(was_up || role == RoleName::Follower, "whoever is restored follows");
        if !was_up {
            let timers = self.service(id).timers();
            assert!(timers.eq([Timer::Silence]), "whoever is restored has a fresh timer");
        }
    }

    /// Crashes or restores a server, and checks what it keeps.
    fn control(&mut self, id: ServerId, ask: &Ask<'_>) {
        let before = *self.status(id);
        let (log, files) = (self.server(id).log().clone(), self.server(id).files().clone());
        let answer = self.answer_to(id, &ask.document());
        assert!(answer == Ok(Value::Boolean(true)), "crash and restore are always done");
        let kept = |status: &Status| {
            let Status { current_term, voted_for, last_log, commit_index, .. } = *status;
            (current_term, voted_for, last_log, commit_index)
        };
        assert!(
            kept(&before) == kept(self.status(id)),
            "crash and restore keep term, vote, log and commit index"
        );
        assert!(log == *self.server(id).log(), "crash and restore keep the log");
        assert!(files == *self.server(id).files(), "crash and restore keep the map");
    }

    /// Ends the server's process.
    pub(crate) fn end(&mut self, id: ServerId) {
        self.stop(id, Ending::Kill);
    }

    /// Ends the server's process. Its memory is lost, and its callers never learn the outcome of their calls.
    pub(crate) fn stop(&mut self, id: ServerId, ending: Ending) {
        let slot = usize::from(id.0);
        if !std::mem::replace(&mut self.running[slot], false) {
            return;
        }
        self.note(|| format!("{}  its process ends", id.0));
        let keeps = self.disks.disk(id).is_some() && ending != Ending::LostDisk;
        if 0 < self.status(id).last_log.index.0 && !keeps {
            self.marks.hit(Mark::MemoryLost);
        }
        self.close_connections(id);
        self.stop_disk(id, ending);
        self.lost[slot] = None;
        self.clocks[slot].stop();
        self.more[slot] = false;
        self.paused[slot] = 0;
        self.clients.lose(id);
        self.history.forget(id);
        self.lanes.forget(id);
        self.snapshots.forget(id);
        self.replace_process(id);
        self.check_promise();
        if self.up() < self.majority() && 0 < self.clients.waiting().len() {
            self.majority_lost = Some(self.now);
        }
    }

    /// Whether a majority of the last committed roster would keep its memory if `lost` lost its own. False before the
    /// first commit, when there is no roster.
    pub(crate) fn can_lose(&self, lost: ServerId) -> bool {
        let left = self.living().filter(|member| member.id != lost);
        self.history.members_among(left).is_some_and(|members| self.majority() <= members)
    }

    /// The processes with a log of the founded history, even if they are crashed, and the servers with such a log on
    /// their disks. A server that the roster names but that has never held such a log has no memory, like a relaunched
    /// one.
    fn living(&self) -> impl Iterator<Item = Member> {
        let history = self.history.founded();
        let remembers = move |id: &ServerId| {
            history.is_some()
                && match self.disks.disk(*id) {
                    Some(disk) => disk.history() == history,
                    None => self.has_process(*id) && self.status(*id).history == history,
                }
        };
        let living = self.ids().filter(remembers);
        living.map(|id| Member { id, incarnation: self.process(id) })
    }

    /// Checks the promise: it is void once fewer than a majority of the last committed roster are alive with a log.
    pub(crate) fn check_promise(&mut self) {
        let members = self.history.members_among(self.living());
        let is_void = members.is_some_and(|members| members < self.majority());
        if is_void && self.losses != Losses::Unnoticed && !self.history.promise_is_void {
            self.note(|| "the promise is void".to_owned());
            self.marks.hit(Mark::PromiseVoid);
            self.history.promise_is_void = true;
        }
    }

    /// Launches a process of the server if it has none.
    pub(crate) fn launch(&mut self, id: ServerId) {
        if self.has_process(id) {
            return;
        }
        let actions = self.replace_process(id);
        if self.disks.disk(id).is_some_and(|disk| disk.saved().snapshot.is_some()) {
            self.marks.hit(Mark::RecoveredSnapshot);
        }
        self.running[usize::from(id.0)] = true;
        let process = self.process(id);
        self.note(|| format!("{}  is launched as #{}", id.0, process.0));
        self.begin(id, actions);
    }

    /// Passes on the answer to a peer's request that has waited, or checks the answer to a client's call. Once the
    /// promise is void, only that there is one.
    pub(crate) fn answer(&mut self, call: CallId, document: &Document) {
        if let Some(delivered) = self.delivered.remove(&call) {
            return self.respond(delivered, document);
        }
        if self.history.promise_is_void {
            return self.clients.answered_somehow(call);
        }
        let answer = xmlrpc::parse_response(&document.bytes()).expect("an answer is a document");
        if let Some(&Waiting { server, ref kind, since, .. }) = self.clients.get(call)
            && answer.is_ok()
        {
            // A large map takes several steps to write, and the server may have lost its leadership in between.
            if *kind == Kind::Read && !self.was_writing {
                self.check_confirmed(call, server);
            }
            if matches!(kind, Kind::Read | Kind::Update(..))
                && self.majority_lost.is_some_and(|lost| since <= lost)
            {
                self.marks.hit(Mark::MajorityRegained);
            }
        }
        self.clients.answered((call, &answer, self.now), &mut self.history.ledger, &mut self.marks);
    }

    /// Checks that the server remembers exactly the calls that wait at it. A multicall may or may not be among them: it
    /// waits for one of its calls, or for its turn.
    pub(crate) fn check_waiting(&self, id: ServerId) {
        let remembered = self.status(id).waiting + self.service(id).reads();
        let (waiting, multicalls) = self.clients.count(id);
        assert!(
            (waiting..=waiting + multicalls).contains(&remembered),
            "{id:?} remembers {remembered} callers of {waiting} and {multicalls} multicalls"
        );
        assert!(remembered <= self.limits.waiting_max, "{id:?} lets {remembered} callers wait");
    }
}

/// An HTTP request with this document.
fn request(document: &[u8]) -> Vec<u8> {
    gate::write_post("localhost:9001", document)
}

/// The hash list of the update that a call makes. The first element identifies the call.
fn hashes(call: CallId, ballast: usize) -> [Value; 2] {
    let own = i64::try_from(call.0).expect("few calls").into();
    [own, Value::Base64(vec![0; ballast].into())]
}

/// A call as an element of a multicall.
fn one_of_several(method: &str, params: Box<[Value]>) -> Value {
    let members = [("methodName".into(), method.into()), ("params".into(), Value::Array(params))];
    Value::Struct(members.into())
}
