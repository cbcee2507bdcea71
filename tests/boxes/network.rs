//! A cluster whose servers reach each other through the proxy alone. Clients reach each of them directly.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use surfstore::value::Value;

use crate::client::{Answer, FALSE, Pending, TRUE, hash, update};
use crate::harness::Cluster;
use crate::proxy::{Direction, Proxy, Way};
use crate::turns::{Turn, free_port};
use crate::wait::{ELECTION, PATIENCE, wait_until};

/// Within which time an agreement is reached by a leader that may still have to be elected.
const AGREEMENT: Duration = Duration::from_secs(10);

/// Within which time an agreement that was reached shows on every server within reach.
const SHOWN: Duration = Duration::from_secs(2);

/// A cluster, and the network between its servers.
pub(crate) struct Network {
    cluster: Cluster,
    pub(crate) proxy: Proxy,
}

impl Network {
    /// A cluster of which nothing runs yet, in an open network.
    pub(crate) fn stopped(size: usize) -> Network {
        Network::in_turn(size, Arc::new(Turn::take()))
    }

    /// The same, in a turn that it shares with others.
    pub(crate) fn in_turn(size: usize, turn: Arc<Turn>) -> Network {
        let ports: Vec<_> = (0..size).map(|_| free_port()).collect();
        let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Network { cluster: Cluster::of(&addresses, turn), proxy: Proxy::between(&ports) }
    }

    /// A cluster that runs, with its leader.
    pub(crate) fn led(size: usize) -> (Network, usize) {
        let mut network = Network::stopped(size);
        network.start(0..size);
        let leader = network.cluster.leader();
        (network, leader)
    }

    /// Starts servers, and waits until they answer.
    pub(crate) fn start(&mut self, ids: impl IntoIterator<Item = usize> + Clone) {
        self.start_with(ids, &[]);
    }

    /// Starts servers with these variables in their environment, and waits until they answer.
    pub(crate) fn start_with(
        &mut self,
        ids: impl IntoIterator<Item = usize> + Clone,
        variables: &[(&str, &str)],
    ) {
        for id in ids.clone() {
            let own = self.at(id).address().to_owned();
            let peer = |to| format!("127.0.0.1:{}", self.proxy.port((id, to)));
            let addresses: Vec<_> =
                (0..self.size()).map(|to| if to == id { own.clone() } else { peer(to) }).collect();
            let mut command = self.command_with(id, &addresses);
            command.envs(variables.iter().copied());
            self.launch(id, command);
        }
        for id in ids {
            self.await_answer(id);
        }
    }

    /// All ways between two servers.
    fn directions(&self) -> impl Iterator<Item = Direction> + use<> {
        let size = self.size();
        (0..size).flat_map(move |from| (0..size).map(move |to| (from, to)))
    }

    /// Decides what becomes of what goes either way between two servers.
    pub(crate) fn set_both(&self, (a, b): Direction, way: &Way) {
        self.proxy.set((a, b), way.clone());
        self.proxy.set((b, a), way.clone());
    }

    /// Decides what becomes of what goes any way.
    pub(crate) fn set_all(&self, way: &Way) {
        self.directions().for_each(|direction| self.proxy.set(direction, way.clone()));
    }

    /// Opens all ways.
    pub(crate) fn heal(&self) {
        self.set_all(&Way::Open);
    }

    /// Cuts servers off from all others, and from each other.
    pub(crate) fn isolate(&self, ids: &[usize]) {
        self.set_around(ids, &Way::Cut);
    }

    /// Opens all ways from and to servers.
    pub(crate) fn connect(&self, ids: &[usize]) {
        self.set_around(ids, &Way::Open);
    }

    fn set_around(&self, ids: &[usize], way: &Way) {
        for (from, to) in self.directions() {
            if ids.contains(&from) || ids.contains(&to) {
                self.proxy.set((from, to), way.clone());
            }
        }
    }

    /// Leaves the network with no ways but those between servers of the same group.
    pub(crate) fn split(&self, groups: &[&[usize]]) {
        self.keep(|(from, to)| {
            groups.iter().any(|group| group.contains(&from) && group.contains(&to))
        });
    }

    /// Leaves the network with no ways but those, both of each.
    pub(crate) fn keep_links(&self, links: &[Direction]) {
        self.keep(|(from, to)| links.contains(&(from, to)) || links.contains(&(to, from)));
    }

    fn keep(&self, is_kept: impl Fn(Direction) -> bool) {
        for direction in self.directions() {
            let way = if is_kept(direction) { Way::Open } else { Way::Cut };
            self.proxy.set(direction, way);
        }
    }

    /// Those of the servers that say they lead.
    #[track_caller]
    pub(crate) fn leaders_among(&self, ids: &[usize]) -> Vec<usize> {
        ids.iter().copied().filter(|id| self.at(*id).is_leader()).collect()
    }

    /// The one leader among servers that reach each other and know no other, and how long it took to find.
    #[track_caller]
    pub(crate) fn leader_among(&self, ids: &[usize]) -> (usize, Duration) {
        let start = Instant::now();
        let mut leaders = Vec::new();
        wait_until(ELECTION, "exactly one of those within reach leads, in one term", || {
            leaders = self.leaders_among(ids);
            let terms: BTreeSet<_> = ids.iter().map(|id| self.at(*id).state().term).collect();
            leaders.len() == 1 && terms.len() == 1
        });
        (leaders[0], start.elapsed())
    }

    /// MIT's `one`: has the version accepted, and waits until all of these servers have it.
    #[track_caller]
    pub(crate) fn one(&self, ids: &[usize], name: &str, version: i64) {
        self.accepted(ids, name, version);
        for id in ids {
            wait_until(SHOWN, &format!("server {id} has {name} {version}"), || {
                version <= self.at(*id).version(name)
            });
        }
    }

    /// Has the version accepted by whichever of the servers leads, however often it has to be asked for.
    #[track_caller]
    pub(crate) fn accepted(&self, ids: &[usize], name: &str, version: i64) {
        let own = hash(&format!("{name} {version}"));
        wait_until(AGREEMENT, &format!("{name} {version} is accepted"), || {
            let leaders = self.leaders_among(ids);
            leaders.into_iter().any(|id| {
                let begun = self.at(id).begin("surfstore.updatefile", &update(name, version, &own));
                match answered(&begun, SHOWN).then(|| begun.answer(SHOWN)) {
                    // An earlier attempt whose outcome was unknown has taken effect.
                    Some(answer) if answer == FALSE => version <= self.at(id).version(name),
                    answer => answer == Some(TRUE),
                }
            })
        });
    }

    /// Waits until an update of a new file is accepted, and says who leads then and how long it took. A leader that has
    /// no majority says that it leads, and keeps its callers waiting.
    #[track_caller]
    pub(crate) fn working_leader(&self, name: &str) -> (usize, Duration) {
        let start = Instant::now();
        let term = |id: &usize| self.at(*id).state().term;
        let mut asked = BTreeSet::new();
        let mut begun: Vec<Pending> = Vec::new();
        wait_until(PATIENCE, "some leader has a majority", || {
            for id in self.leaders() {
                if asked.insert((id, term(&id))) {
                    begun.push(self.begin_update(id, &format!("{name} {id}"), 1));
                }
            }
            let done = begun.iter().position(|update| !update.is_blocked());
            done.is_some_and(|place| begun.remove(place).answer(SHOWN) == TRUE)
        });
        let took = start.elapsed();
        // It need not be the one that was asked, whose last entries may have been the next leader's first.
        (self.leaders().into_iter().max_by_key(term).unwrap(), took)
    }

    /// Begins an update with a value of its own.
    pub(crate) fn begin_update(&self, id: usize, name: &str, version: i64) -> Pending {
        let own = hash(&format!("{name} {version} at {id}"));
        self.at(id).begin("surfstore.updatefile", &update(name, version, &own))
    }

    /// Waits until all servers have the same log, and the same map, and gives that.
    #[track_caller]
    pub(crate) fn settle(&self) -> crate::client::Files {
        self.heal();
        let all = self.running();
        let (leader, _) = self.leader_among(&all);
        let files = self.at(leader).files().unwrap();
        wait_until(PATIENCE, "all logs are equal", || {
            let state = |id: &usize| {
                let state = self.at(*id).state();
                (state.last_log, state.commit_index, state.term)
            };
            all.iter().all(|id| state(id) == state(&leader) && state(id).0.0 == state(id).1)
        });
        for (name, (version, _)) in &files {
            self.await_version(&all, name, *version);
        }
        files
    }

    /// How many requests the servers have received from their peers.
    pub(crate) fn requests(&self) -> Vec<i64> {
        let requests = |id: usize| {
            let Ok(Value::Struct(members)) = self.at(id).call("surfstore.status", &[]) else {
                panic!("no status")
            };
            let count = members.iter().find(|(name, _)| &**name == "peerRequests");
            let Some((_, Value::Int(count))) = count else { panic!("no count of requests") };
            *count
        };
        (0..self.size()).map(requests).collect()
    }
}

impl Deref for Network {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for Network {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

/// Whether a call is answered within that time.
pub(crate) fn answered(call: &Pending, within: Duration) -> bool {
    let start = Instant::now();
    while call.is_blocked() && start.elapsed() < within {
        thread::sleep(Duration::from_millis(2));
    }
    !call.is_blocked()
}

/// Checks that an update which a leader lost was not accepted, and says whether its fate was known.
#[track_caller]
pub(crate) fn assert_lost(answer: &Answer) -> bool {
    match answer {
        Err(fault) if [2, 3].contains(&fault.code) => fault.code == 2,
        other => panic!("an update that a leader lost was answered with {other:?}"),
    }
}

/// A number from the environment, or this one.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The source of a random course, which is shown where the test fails.
#[expect(clippy::print_stderr, reason = "the seed is shown where the test fails")]
pub(crate) fn random() -> fastrand::Rng {
    let seed = number("SEED", fastrand::u64(..));
    eprintln!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Figures are shown where the output of a test is.
#[expect(clippy::print_stderr, reason = "a test shows its figures")]
pub(crate) fn note(figures: &str) {
    eprintln!("{figures}");
}
