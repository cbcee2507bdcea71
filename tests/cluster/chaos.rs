//! Random crashes and restores while clients update and read; then all servers are restored, and no answer may turn out
//! to be wrong.
//!
//! Every update writes a unique value, so that each version can be assigned to its update. A failed run prints its
//! seed, which can be given in `SEED` in the environment; it repeats the crashes, not the clients.

use std::collections::BTreeMap;
use std::env;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use support::client::{Client, FALSE, Files, TRUE, files, hash, update};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};
use surfstore::value::Value;

const SERVERS: usize = 5;
const CLIENTS: usize = 4;
const FILES: [&str; 3] = ["a.txt", "b.txt", "c.txt"];

/// How long the chaos lasts.
const CHAOS: Duration = Duration::from_secs(15);

/// A version of a file.
type Version = (String, i64);

/// What clients have learned so far.
#[derive(Default)]
struct History {
    /// What each version was seen or acknowledged to be. No version ever has two contents.
    known: BTreeMap<Version, Value>,
    /// The newest version of each file that was seen or acknowledged. Every later read must see it.
    newest: BTreeMap<String, i64>,
    /// Updates that were answered as having no effect. None of them may be seen.
    refused: Vec<(Version, Value)>,
    /// How many updates were acknowledged.
    acknowledged: usize,
    /// How many updates have an unknown outcome.
    unknown: usize,
}

impl History {
    fn learn(&mut self, name: &str, version: i64, hashes: Value) {
        let known = self.known.entry((name.to_owned(), version)).or_insert(hashes.clone());
        assert_eq!(*known, hashes, "version {version} of {name} has two contents");
        let newest = self.newest.entry(name.to_owned()).or_default();
        *newest = version.max(*newest);
    }

    /// Records the result of a read that started when `newest` was known.
    fn saw(&mut self, files: &Files, newest: &BTreeMap<String, i64>) {
        for (name, version) in newest {
            let seen = files.get(name).map_or(0, |(seen, _)| *seen);
            assert!(*version <= seen, "{name} was read as {seen} after {version}");
        }
        for (name, (version, hashes)) in files {
            self.learn(name, *version, hashes.clone());
        }
    }
}

/// A client that stays with a server as long as it leads.
struct Caller<'a> {
    servers: Vec<Client>,
    /// The server that it calls.
    at: usize,
    history: &'a Mutex<History>,
    number: usize,
    attempts: usize,
    rng: Rng,
}

impl Caller<'_> {
    /// Reads, and updates a file, if this server leads; otherwise moves to another server.
    fn read_and_update(&mut self) {
        let server = &self.servers[self.at];
        let newest = self.history.lock().unwrap().newest.clone();
        let seen = match server.call("surfstore.getfileinfomap", &[]) {
            Ok(answer) => files(answer),
            Err(fault) => {
                assert!([1, 2].contains(&fault.code), "a read failed: {fault:?}");
                self.at = self.rng.usize(0..SERVERS);
                return thread::sleep(Duration::from_millis(5));
            }
        };
        self.history.lock().unwrap().saw(&seen, &newest);
        self.attempts += 1;
        let own = hash(&format!("client {} attempt {}", self.number, self.attempts));
        let name = self.rng.choice(FILES).unwrap();
        let last = seen.get(name).map_or(0, |(version, _)| *version);
        // Sometimes a version that cannot be the next, even if other clients are quick.
        let version = if self.rng.u8(0..10) == 0 { last } else { last + 1 };
        // Sometimes another server than the one that was read from, which may not lead.
        let server =
            if self.rng.u8(0..10) == 0 { self.rng.choice(&self.servers).unwrap() } else { server };
        let answer = server.call("surfstore.updatefile", &update(name, version, &own));
        let mut history = self.history.lock().unwrap();
        match answer {
            answer if answer == TRUE => {
                assert_eq!(version, last + 1, "a version that cannot be the next was accepted");
                history.acknowledged += 1;
                history.learn(name, version, own);
            }
            answer if answer == FALSE => history.refused.push(((name.to_owned(), version), own)),
            Err(fault) if [1, 2, 4].contains(&fault.code) => {
                history.refused.push(((name.to_owned(), version), own));
            }
            Err(fault) if fault.code == 3 => history.unknown += 1,
            answer => panic!("an update was answered with {answer:?}"),
        }
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
    let history = Mutex::new(History::default());
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let servers = cluster.running().iter().map(|id| cluster.at(*id).another()).collect();
            let rng = rng.fork();
            let mut caller = Caller { servers, at: 0, history: &history, number, attempts: 0, rng };
            let end = Instant::now() + CHAOS;
            scope.spawn(move || {
                while Instant::now() < end {
                    caller.read_and_update();
                }
            });
        }
        rage(&cluster, &mut rng);
    });
    let history = history.into_inner().unwrap();
    settle(&cluster, &history);
    let terms = cluster.at(cluster.leader()).state().term - term;
    let History { acknowledged, unknown, refused, .. } = &history;
    eprintln!(
        "{acknowledged} acknowledged, {unknown} unknown, {} refused, {terms} terms",
        refused.len()
    );
    assert!(
        100 <= *acknowledged,
        "the run proves nothing: {acknowledged} updates were acknowledged"
    );
    assert!(2 <= terms, "the run proves nothing: there were {terms} terms");
}

/// After the restore, all servers are equal, and the map is what the clients were told.
fn settle(cluster: &Cluster, history: &History) {
    for (version, own) in &history.refused {
        assert_ne!(history.known.get(version), Some(own), "{version:?} was refused but is present");
    }
    let mut map = None;
    // The map is read at one server after another; each is made the leader in turn.
    for _ in 0..3 {
        let leader = cluster.leader();
        let files = cluster.at(leader).files().unwrap();
        for name in FILES {
            let (version, hashes) = &files[name];
            assert!(history.newest[name] <= *version, "{name} fell back to {version}");
            let known = history.known.get(&(name.to_owned(), *version));
            assert!(known.is_none_or(|known| known == hashes), "{name} {version} was {known:?}");
            cluster.await_version(&cluster.running(), name, *version);
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
}
