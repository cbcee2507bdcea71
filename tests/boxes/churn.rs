//! Clients that read and update while servers are crashed, cut off, paused and relaunched: their answers must be
//! linearizable, and at the end all servers must be equal.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use support::client::{Client, FALSE, TRUE, content, contents, files, update};
use support::wait::{PATIENCE, wait_until};
use surfstore::chaos::check::check;
use surfstore::chaos::history::{Deed, Fate, Operation};

use crate::network::Network;
use crate::settings::{note, number, random};
use crate::way::{Rough, Way};

const SERVERS: usize = 5;
const FILES: [&str; 3] = ["a.txt", "b.txt", "c.txt"];

/// The time after which a client disconnects.
const PATIENCE_OF_CLIENTS: Duration = Duration::from_millis(700);

/// How many updates a client may request: numbers in hash lists have 32 bits.
const UPDATES_MAX: u64 = 20_000_000;

/// A bad network. A lost message takes its connection with it, which is worse than the loss of TCP packets: the sender
/// waits until its timeout.
const ROUGH: Rough = Rough { delay: 0..=15, lost: 1, late: 0 };

/// How many updates and reads must succeed, so that a run proves something.
const PROOF_MIN: usize = 50;

/// How many updates and reads have succeeded so far, by all clients.
#[derive(Default)]
struct Successes {
    updates: AtomicUsize,
    reads: AtomicUsize,
}

impl Successes {
    fn count(&self, deed: &Deed) {
        match deed {
            Deed::Update { fate: Fate::Applied, .. } => {
                self.updates.fetch_add(1, Ordering::Relaxed)
            }
            Deed::Read(_) => self.reads.fetch_add(1, Ordering::Relaxed),
            Deed::Update { .. } => return,
        };
    }

    fn are_enough(&self) -> bool {
        [&self.updates, &self.reads].iter().all(|count| PROOF_MIN <= count.load(Ordering::Relaxed))
    }
}

/// A client that stays with a server as long as it leads, and records its answers.
struct Caller {
    servers: Vec<Client>,
    /// The server that it calls.
    at: usize,
    /// The current versions, as far as it knows.
    known: BTreeMap<&'static str, i64>,
    number: usize,
    /// How many updates it has asked for.
    updates: u64,
    clock: Instant,
    history: Vec<Operation>,
    rng: Rng,
}

impl Caller {
    /// Calls until it is told to stop. Returns what it recorded.
    fn call_until(mut self, is_over: &AtomicBool, successes: &Successes) -> Vec<Operation> {
        while !is_over.load(Ordering::Relaxed) {
            self.call(successes);
            thread::sleep(Duration::from_millis(2));
        }
        self.history
    }

    fn call(&mut self, successes: &Successes) {
        let start = self.clock.elapsed();
        let deed = if self.rng.u8(0..10) < 4 { self.read() } else { Some(self.update()) };
        let end = self.clock.elapsed();
        if matches!(deed, None | Some(Deed::Update { fate: Fate::Failed | Fate::Unknown, .. })) {
            self.at = self.rng.usize(0..SERVERS);
        }
        if let Some(deed) = deed {
            successes.count(&deed);
            self.history.push(Operation { worker: self.number, start, end, deed });
        }
    }

    /// A read; `None` if it failed, from which nothing follows.
    fn read(&mut self) -> Option<Deed> {
        let answer = self.servers[self.at].try_call("surfstore.getfileinfomap", &[]).ok()?;
        match answer {
            Ok(answer) => {
                let seen = contents(&files(answer));
                self.known = FILES
                    .map(|name| (name, seen.get(name).map_or(0, |(version, _)| *version)))
                    .into();
                Some(Deed::Read(seen))
            }
            Err(fault) => {
                assert!([1, 2, 4].contains(&fault.code), "a read failed: {fault:?}");
                None
            }
        }
    }

    fn update(&mut self) -> Deed {
        let name = self.rng.choice(FILES).unwrap();
        let known = self.known.get(name).copied().unwrap_or_default();
        // Sometimes a version that may be taken already.
        let version = if self.rng.u8(0..10) == 0 { known } else { known + 1 };
        self.updates += 1;
        let own = self.number as u64 * UPDATES_MAX + self.updates;
        let params = update(name, version, &content(own));
        let fate = match self.servers[self.at].try_call("surfstore.updatefile", &params) {
            Ok(answer) if answer == TRUE => {
                self.known.insert(name, version);
                Fate::Applied
            }
            Ok(answer) if answer == FALSE => {
                // It may lag that far behind.
                self.known.insert(name, known + 1);
                Fate::Refused
            }
            Ok(Err(fault)) if [1, 2, 4].contains(&fault.code) => Fate::Failed,
            Ok(Err(fault)) if fault.code == 3 => Fate::Unknown,
            Ok(answer) => panic!("an update was answered with {answer:?}"),
            // It has reached its timeout.
            Err(_) => Fate::Unknown,
        };
        Deed::Update { file: name.into(), version, content: own, fate }
    }
}

/// Pairs of faults, of which the first often hits the leader.
const HARD: [(usize, usize); 5] = [(0, 7), (1, 2), (3, 6), (4, 5), (1, 0)];

/// Pairs with one fault that loses a server's memory: while there is no leader, or shortly before another fault hits
/// the others.
const FORGETFUL: [(usize, usize); 5] = [(8, 0), (8, 1), (8, 4), (0, 8), (1, 8)];

/// No fault: everything is as before.
const PEACE: usize = 9;

/// One fault. All have ended by the next one, except that servers stay crashed or cut off.
fn strike(network: &mut Network, blow: usize, base: &Way, rng: &mut Rng) {
    let mut all = network.running();
    rng.shuffle(&mut all);
    match blow {
        0 => network.crash(&network.leaders()),
        1 => network.isolate(&network.leaders()),
        2 => network.crash(&all[..1]),
        3 => network.isolate(&all[..3]),
        4 => network.split(&[&all[..2], &all[2..]]),
        5 => {
            network.pause(&all[..2]);
            thread::sleep(Duration::from_millis(rng.u64(100..1500)));
            network.resume(&all[..2]);
        }
        6 => all[1..].iter().for_each(|to| network.proxy.set((all[0], *to), Way::Cut)),
        7 => all[1..].iter().for_each(|from| network.proxy.set((*from, all[0]), Way::Cut)),
        8 => network.relaunch(&all[..1]),
        _ => {
            network.restore(&all);
            network.set_all(base);
            network.await_whole();
        }
    }
}

/// Ends the clients' work when it is dropped, even after a failure.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The conditions for clients.
struct Course {
    /// How many clients there are.
    clients: usize,
    /// The minimum duration. The run goes on until enough calls have succeeded, because in a bad network their number
    /// is random.
    time: Duration,
    /// The network between faults.
    base: Way,
    /// The faults.
    pairs: [(usize, usize); 5],
}

/// Which version of each file each server has applied, by a process that has kept its memory since.
#[derive(Default)]
struct Applied([(String, [i64; FILES.len()]); SERVERS]);

impl Applied {
    /// Checks that nothing that a process applied was undone.
    fn look(&mut self, network: &Network) {
        for (id, before) in self.0.iter_mut().enumerate() {
            let now = FILES.map(|name| network.at(id).version(name));
            let incarnation = network.at(id).text("incarnation");
            let falls = before.1.iter().zip(&now).any(|(before, now)| now < before);
            assert!(
                !falls || before.0 != incarnation,
                "server {id} went from {before:?} back to {now:?}"
            );
            *before = (incarnation, now);
        }
    }
}

/// Lets clients call while faults occur, then repairs everything. Returns what the clients recorded.
fn churn(network: &mut Network, course: &Course) -> Vec<Operation> {
    let Course { clients, time, ref base, pairs } = *course;
    let mut rng = random();
    let clock = Instant::now();
    let is_over = AtomicBool::new(false);
    let successes = Successes::default();
    network.set_all(base);
    let mut caller = |number: usize| Caller {
        servers: (0..SERVERS).map(|id| network.at(id).impatient(PATIENCE_OF_CLIENTS)).collect(),
        at: 0,
        known: BTreeMap::new(),
        number,
        updates: 0,
        clock,
        history: Vec::new(),
        rng: rng.fork(),
    };
    let callers: Vec<_> = (0..clients).map(&mut caller).collect();
    let mut history = thread::scope(|scope| {
        let over = Over(&is_over);
        let call = |caller: Caller| scope.spawn(|| caller.call_until(&is_over, &successes));
        let threads: Vec<_> = callers.into_iter().map(call).collect();
        let mut blows = Vec::new();
        let mut applied = Applied::default();
        let is_due = || {
            time < clock.elapsed() && (successes.are_enough() || time + PATIENCE < clock.elapsed())
        };
        while !is_due() || !blows.is_empty() {
            if blows.is_empty() {
                // Two faults, and then a pause, so that calls succeed and every server counts.
                let mut pairs = pairs;
                rng.shuffle(&mut pairs);
                blows = pairs.iter().flat_map(|(first, second)| [PEACE, *second, *first]).collect();
            }
            let blow = blows.pop().unwrap();
            strike(network, blow, base, &mut rng);
            // The election of another leader takes a while.
            let time = if blow < 2 { 1500..2000 } else { 100..500 };
            thread::sleep(Duration::from_millis(rng.u64(time)));
            applied.look(network);
        }
        drop(over);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    network.restore(&network.running());
    history.push(last_read(network, clock));
    history
}

/// After the repair, all servers are equal, and a last read returns the map.
fn last_read(network: &Network, clock: Instant) -> Operation {
    let start = clock.elapsed();
    let deed = Deed::Read(contents(&network.settle()));
    Operation { worker: 0, start, end: clock.elapsed(), deed }
}

/// Checks what the clients were told, and that it was not too little to prove anything.
fn judge(network: &Network, history: &[Operation], started: Instant) {
    let fate = |operation: &Operation| match operation.deed {
        Deed::Update { fate, .. } => Some(fate),
        Deed::Read(_) => None,
    };
    let count = |wanted| history.iter().filter(|one| fate(one) == wanted).count();
    let [wrote, refused, unknown] =
        [Fate::Applied, Fate::Refused, Fate::Unknown].map(|fate| count(Some(fate)));
    let read = count(None);
    let terms = network.at(network.leader()).state().term;
    let took = started.elapsed();
    let start = Instant::now();
    let violations = check(history);
    note(&format!(
        "{} calls in {took:?}: {wrote} wrote, {read} read, {refused} refused, {unknown} unknown; {terms} terms; \
         judged in {:?}",
        history.len(),
        start.elapsed()
    ));
    let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(PROOF_MIN <= wrote.min(read), "the run proves nothing");
    assert!(3 <= terms, "the run proves nothing: there were {terms} terms");
}

/// A run for as long and with as many clients as the environment says.
fn course(seconds: &str, base: Way, pairs: [(usize, usize); 5]) -> Course {
    let time = Duration::from_secs(number(seconds, 5));
    Course { clients: number("CLIENTS", 5) as usize, time, base, pairs }
}

/// MIT `Churn`.
#[test]
fn what_clients_are_told_while_servers_come_and_go_is_linearizable() {
    let (mut network, _) = Network::led(SERVERS);
    let start = Instant::now();
    let history = churn(&mut network, &course("CHURN_SECONDS", Way::Open, HARD));
    judge(&network, &history, start);
}

/// Only one at a time loses its memory, and it counts again before the next.
#[test]
fn what_clients_are_told_while_processes_are_relaunched_and_others_come_and_go_is_linearizable() {
    let (mut network, _) = Network::led(SERVERS);
    let start = Instant::now();
    let history = churn(&mut network, &course("CHURN_SECONDS", Way::Open, FORGETFUL));
    judge(&network, &history, start);
}

/// The memory in KiB and the number of descriptors of each server.
fn held(network: &mut Network) -> Vec<(u64, usize)> {
    let of = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        (memory, fs::read_dir(format!("/proc/{process}/fd")).unwrap().count())
    };
    (0..SERVERS).map(|id| of(network.process(id).id())).collect()
}

/// MIT `UnreliableChurn`, and for as long as `SOAK_SECONDS` says.
#[test]
fn what_clients_are_told_in_a_bad_network_is_linearizable_and_servers_hold_no_more_in_the_end() {
    let (mut network, _) = Network::led(SERVERS);
    let start = Instant::now();
    network.settle();
    let before = held(&mut network);
    let history = churn(&mut network, &course("SOAK_SECONDS", Way::Rough(ROUGH), HARD));
    judge(&network, &history, start);
    let mut after = Vec::new();
    // Every server that led meanwhile keeps two connections to each of the others, and they keep theirs to it.
    let lanes = 4 * (SERVERS - 1);
    wait_until(PATIENCE, "the servers have no more descriptors than they need", || {
        after = held(&mut network);
        before.iter().zip(&after).all(|(before, after)| after.1 <= before.1 + lanes)
    });
    // Memory has no bound here: it may grow with the map, and with the updates until 8 MiB of them are in the log.
    note(&format!("memory in KiB and descriptors before {before:?}, after {after:?}"));
}
