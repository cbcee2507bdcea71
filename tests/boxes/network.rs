//! A cluster whose servers reach each other only through the proxy. Clients reach each of them directly.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::harness::Cluster;
use support::turns::{Turn, free_port};
use support::wait::{ELECTION, wait_until};
use surfstore::value::Value;

use crate::proxy::Proxy;
use crate::way::{Direction, Way};

/// A cluster, and the network between its servers.
pub(crate) struct Network {
    cluster: Cluster,
    pub(crate) proxy: Proxy,
}

impl Network {
    /// A cluster in an open network, without running servers.
    pub(crate) fn stopped(size: usize) -> Network {
        Network::in_turn(size, Arc::new(Turn::take()))
    }

    /// The same, in a turn that it shares with other clusters.
    pub(crate) fn in_turn(size: usize, turn: Arc<Turn>) -> Network {
        let ports: Vec<_> = (0..size).map(|_| free_port()).collect();
        let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Network { cluster: Cluster::of(&addresses, turn), proxy: Proxy::between(&ports) }
    }

    /// A running cluster in which every server counts, with its leader.
    pub(crate) fn led(size: usize) -> (Network, usize) {
        let mut network = Network::stopped(size);
        network.start(0..size);
        let leader = network.whole();
        (network, leader)
    }

    /// The leader, once every server counts. A server refuses a leader whose configuration has other names for the
    /// servers until it has reached that leader itself. It tries to once it has heard from no leader for long enough.
    #[track_caller]
    fn whole(&self) -> usize {
        let leader = self.leader();
        self.await_whole();
        leader
    }

    /// Does the same for all of the cases at once, each in its own cluster with its leader: most of the time is
    /// waiting.
    pub(crate) fn led_for_each<T: Copy + Sync>(
        size: usize,
        cases: &[T],
        test: impl Fn(Network, usize, T) + Sync,
    ) {
        let turn = Arc::new(Turn::take());
        let led = |case| {
            let mut network = Network::in_turn(size, Arc::clone(&turn));
            network.start(0..size);
            let leader = network.whole();
            test(network, leader, case);
        };
        thread::scope(|scope| {
            for case in cases {
                scope.spawn(|| led(*case));
            }
        });
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

    /// Ends processes and starts them again, so that they have lost their memory. Waits until they answer.
    pub(crate) fn relaunch(&mut self, ids: &[usize]) {
        ids.iter().for_each(|id| self.kill(*id));
        self.start(ids.iter().copied());
    }

    /// Both directions between two servers.
    fn directions(&self) -> impl Iterator<Item = Direction> + use<> {
        let size = self.size();
        (0..size).flat_map(move |from| (0..size).map(move |to| (from, to)))
    }

    /// Sets how the network treats what is sent in either direction between two servers.
    pub(crate) fn set_both(&self, (a, b): Direction, way: &Way) {
        self.proxy.set((a, b), way.clone());
        self.proxy.set((b, a), way.clone());
    }

    /// Sets how the network treats everything that is sent.
    pub(crate) fn set_all(&self, way: &Way) {
        self.directions().for_each(|direction| self.proxy.set(direction, way.clone()));
    }

    /// Opens all directions.
    pub(crate) fn heal(&self) {
        self.set_all(&Way::Open);
    }

    /// Cuts servers off from all others, and from each other.
    pub(crate) fn isolate(&self, ids: &[usize]) {
        self.set_around(ids, &Way::Cut);
    }

    /// Opens all directions from and to servers.
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

    /// Leaves only the directions between servers of the same group open.
    pub(crate) fn split(&self, groups: &[&[usize]]) {
        self.keep(|(from, to)| {
            groups.iter().any(|group| group.contains(&from) && group.contains(&to))
        });
    }

    /// Leaves only these links open, both directions of each.
    pub(crate) fn keep_links(&self, links: &[Direction]) {
        self.keep(|(from, to)| links.contains(&(from, to)) || links.contains(&(to, from)));
    }

    fn keep(&self, is_kept: impl Fn(Direction) -> bool) {
        for direction in self.directions() {
            let way = if is_kept(direction) { Way::Open } else { Way::Cut };
            self.proxy.set(direction, way);
        }
    }

    /// Ends all connections between servers, as a device does that forgets them. New ones are made at once.
    pub(crate) fn reset(&self) {
        self.directions().filter(|(from, to)| from != to).for_each(|link| self.proxy.reset(link));
    }

    /// Stops processes by SIGSTOP. Calls to them wait until they are resumed.
    pub(crate) fn pause(&mut self, ids: &[usize]) {
        ids.iter().for_each(|id| self.signal(*id, Signal::STOP));
    }

    /// Resumes processes that were stopped.
    pub(crate) fn resume(&mut self, ids: &[usize]) {
        ids.iter().for_each(|id| self.signal(*id, Signal::CONT));
    }

    /// The servers among these that say they lead.
    #[track_caller]
    pub(crate) fn leaders_among(&self, ids: &[usize]) -> Vec<usize> {
        ids.iter().copied().filter(|id| self.at(*id).is_leader()).collect()
    }

    /// The one leader among servers that reach each other and no other server, and how long it took to find.
    #[track_caller]
    pub(crate) fn leader_among(&self, ids: &[usize]) -> (usize, Duration) {
        let start = Instant::now();
        let mut leaders = Vec::new();
        wait_until(ELECTION, "exactly one of the reachable servers leads, in one term", || {
            leaders = self.leaders_among(ids);
            let terms: BTreeSet<_> = ids.iter().map(|id| self.at(*id).state().term).collect();
            leaders.len() == 1 && terms.len() == 1
        });
        (leaders[0], start.elapsed())
    }

    /// How many requests the servers have received from their peers.
    pub(crate) fn requests(&self) -> Vec<i64> {
        let requests = |id: usize| {
            let Ok(Value::Struct(members)) = self.at(id).call("surfstore.status", &[]) else {
                panic!("no status")
            };
            let count = members.iter().find(|(name, _)| &**name == "peerRequests");
            let Some((_, Value::Int(count))) = count else {
                panic!("the number of requests is missing")
            };
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
