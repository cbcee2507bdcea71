//! Random crashes and restores while clients update and read; then all servers are restored. The history of all calls
//! must be linearizable.
//!
//! A failed run prints its seed, which can be given in `SEED` in the environment; it repeats the crashes, not the
//! clients.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use support::client::{Client, FALSE, TRUE, content, contents, files, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::chaos::check::check;
use surfstore::chaos::history::{Deed, Fate, Operation};

const SERVERS: usize = 5;
const CLIENTS: usize = 4;
const FILES: [&str; 3] = ["a.txt", "b.txt", "c.txt"];

/// How many updates a client may ask for: numbers in hash lists have 32 bits.
const UPDATES_MAX: u64 = 20_000_000;

/// How long there is chaos.
const CHAOS: Duration = Duration::from_secs(15);

/// A client that stays with a server for as long as that leads.
struct Caller {
    servers: Vec<Client>,
    /// The server that it calls.
    at: usize,
    number: usize,
    /// How many updates it has asked for.
    updates: u64,
    clock: Instant,
    history: Vec<Operation>,
    rng: Rng,
}

impl Caller {
    /// Calls for that long. Returns what it recorded.
    fn call_for(mut self, time: Duration) -> Vec<Operation> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.read_and_update();
        }
        self.history
    }

    fn record(&mut self, start: Duration, deed: Deed) {
        let end = self.clock.elapsed();
        self.history.push(Operation { worker: self.number, start, end, deed });
    }

    /// Reads, and updates a file, if this server leads; otherwise moves to another server.
    fn read_and_update(&mut self) {
        let server = &self.servers[self.at];
        let start = self.clock.elapsed();
        let seen = match server.call("surfstore.getfileinfomap", &[]) {
            Ok(answer) => contents(&files(answer)),
            Err(fault) => {
                assert!([1, 2].contains(&fault.code), "a read failed: {fault:?}");
                self.at = self.rng.usize(0..SERVERS);
                return thread::sleep(Duration::from_millis(5));
            }
        };
        self.record(start, Deed::Read(seen.clone()));
        self.updates += 1;
        let own = self.number as u64 * UPDATES_MAX + self.updates;
        let name = self.rng.choice(FILES).unwrap();
        let last = seen.get(name).map_or(0, |(version, _)| *version);
        // Sometimes a version that cannot be the next, even if other clients are quick.
        let version = if self.rng.u8(0..10) == 0 { last } else { last + 1 };
        // Sometimes another server than the one that was read from, which may not lead.
        let at = if self.rng.u8(0..10) == 0 { self.rng.usize(0..SERVERS) } else { self.at };
        let start = self.clock.elapsed();
        let params = update(name, version, &content(own));
        let fate = match self.servers[at].call("surfstore.updatefile", &params) {
            answer if answer == TRUE => Fate::Applied,
            answer if answer == FALSE => Fate::Refused,
            Err(fault) if [1, 2, 4].contains(&fault.code) => Fate::Failed,
            Err(fault) if fault.code == 3 => Fate::Unknown,
            answer => panic!("an update was answered with {answer:?}"),
        };
        self.record(start, Deed::Update { file: name.into(), version, content: own, fate });
    }
}

/// One fault.
fn strike(cluster: &Cluster, blow: usize, rng: &mut Rng) {
    let mut all = cluster.running();
    rng.shuffle(&mut all);
    match blow {
        0 => cluster.crash(&cluster.leaders()),
        1 => cluster.crash(&all[..1]),
        2 => cluster.crash(&all[..3]),
        3 => cluster.restore(&all),
        4 => cluster.restore(&all[..2]),
        _ => (0..20).for_each(|_| {
            cluster.crash(&all[..2]);
            cluster.restore(&all[1..3]);
        }),
    }
}

/// Causes faults for a while, and then restores all servers.
fn rage(cluster: &Cluster, rng: &mut Rng) {
    let start = Instant::now();
    let mut blows = Vec::new();
    let mut applied = [[0; FILES.len()]; SERVERS];
    while start.elapsed() < CHAOS {
        if blows.is_empty() {
            // Restoring all servers is more frequent than any fault, so that calls succeed.
            blows = vec![0, 1, 2, 3, 3, 4, 5];
            rng.shuffle(&mut blows);
        }
        strike(cluster, blows.pop().unwrap(), rng);
        for (id, before) in applied.iter_mut().enumerate() {
            let now = FILES.map(|name| cluster.at(id).version(name));
            let falls = before.iter().zip(&now).any(|(before, now)| now < before);
            assert!(!falls, "server {id} went from {before:?} back to {now:?}");
            *before = now;
        }
        thread::sleep(Duration::from_millis(rng.u64(50..1200)));
    }
    cluster.restore(&cluster.running());
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed is shown if the test fails")]
fn nothing_acknowledged_is_lost_and_nothing_refused_is_seen_through_random_crashes() {
    let seed = env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (cluster, leader) = Cluster::led(SERVERS);
    let term = cluster.at(leader).state().term;
    let clock = Instant::now();
    let mut history = thread::scope(|scope| {
        let call = |number| {
            let servers = cluster.running().iter().map(|id| cluster.at(*id).another()).collect();
            let (history, rng) = (Vec::new(), rng.fork());
            let caller = Caller { servers, at: 0, number, updates: 0, clock, history, rng };
            scope.spawn(move || caller.call_for(CHAOS))
        };
        let callers: Vec<_> = (0..CLIENTS).map(call).collect();
        rage(&cluster, &mut rng);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    history.extend(last_reads(&cluster, clock));
    let violations: Vec<_> = check(&history).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let terms = cluster.at(cluster.leader()).state().term - term;
    let fate = |operation: &Operation| match operation.deed {
        Deed::Update { fate, .. } => Some(fate),
        Deed::Read(_) => None,
    };
    let count = |wanted| history.iter().filter(|one| fate(one) == Some(wanted)).count();
    let [applied, refused, unknown] = [Fate::Applied, Fate::Refused, Fate::Unknown].map(count);
    eprintln!("{applied} applied, {refused} refused, {unknown} unknown, {terms} terms");
    assert!(100 <= applied, "the run proves nothing: {applied} updates were applied");
    assert!(2 <= terms, "the run proves nothing: there were {terms} terms");
}

/// After the restore, all servers are equal: the map is read at one after another; each is made the leader in turn.
fn last_reads(cluster: &Cluster, clock: Instant) -> Vec<Operation> {
    let mut map = None;
    let mut reads = Vec::new();
    for _ in 0..3 {
        let leader = cluster.leader();
        let start = clock.elapsed();
        let files = cluster.at(leader).files().unwrap();
        let deed = Deed::Read(contents(&files));
        reads.push(Operation { worker: 0, start, end: clock.elapsed(), deed });
        for name in FILES {
            cluster.await_version(&cluster.running(), name, files[name].0);
        }
        wait_until(PATIENCE, "all logs are equal", || {
            let last = cluster.at(leader).state().last_log;
            cluster.running().iter().all(|id| cluster.at(*id).state().last_log == last)
        });
        assert_eq!(*map.get_or_insert_with(|| files.clone()), files);
        cluster.crash(&[leader]);
        cluster.leader();
        cluster.restore(&[leader]);
    }
    reads
}
