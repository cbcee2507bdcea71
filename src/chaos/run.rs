//! A run from start to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use fastrand::Rng;

use super::check::check;
use super::draw::{self, Blow, Sight};
use super::options::Options;
use super::report::{Blows, Report};
use super::view::View;
use super::watch::Watch;
use super::worker::{File, Shared, Worker};
use crate::client::blocking::{Client, wait};
use crate::client::{Error, Limits, ServerStatus};
use crate::config::Config;

/// The time between two checks of all servers.
const LOOKS: Duration = Duration::from_millis(50);

/// How long the monkey waits for a server's answer. A server that is up answers immediately.
const ANSWER: Duration = Duration::from_secs(2);

/// The maximum duration of each step at the start and at the end: two elections.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The state of the monkey during a run.
pub(super) struct Monkey<'a> {
    pub(super) client: Client,
    pub(super) watch: Watch,
    pub(super) shared: &'a Shared,
    blows: Blows,
    /// For each crashed server, its versions of all files.
    stood: Vec<Option<Vec<i64>>>,
    /// The index of the file whose versions are checked next.
    turn: usize,
}

/// Runs until the duration has passed or `interrupted` is set, restores all servers, and checks what was seen.
///
/// # Errors
///
/// If the set cannot be reached, or does not work before the first action.
pub fn run(
    options: &Options,
    config: &Config,
    seed: u64,
    interrupted: &AtomicBool,
) -> anyhow::Result<Report> {
    let mut rng = Rng::with_seed(seed);
    let workers = usize::from(options.workers);
    let shared = Shared::new(seed, workers);
    let mut monkey = Monkey::new(config, &shared);
    monkey.begin()?;
    thread::scope(|threads| {
        for number in 0..workers {
            let client = Client::new(&config.servers, Limits::default());
            let worker = Worker { number, client, shared: &shared };
            let rng = rng.fork();
            threads.spawn(move || worker.work(rng));
        }
        monkey.rage(options, &mut rng, interrupted);
        shared.is_over.store(true, Ordering::Relaxed);
        monkey.restore((0..config.servers.len()).collect());
        // The workers finish their current calls and end.
    });
    let client = Client::new(&config.servers, Limits::default());
    monkey.settle(Worker { number: workers, client, shared: &shared });
    Ok(monkey.report(options, seed))
}

impl<'a> Monkey<'a> {
    fn new(config: &Config, shared: &'a Shared) -> Monkey<'a> {
        let limits = Limits { deadline: PATIENCE, attempt: ANSWER, ..Limits::default() };
        let size = config.servers.len();
        Monkey {
            client: Client::new(&config.servers, limits),
            watch: Watch::new(size),
            shared,
            blows: Blows::default(),
            stood: vec![None; size],
            turn: 0,
        }
    }

    /// Checks that the set works: every server answers, all servers are restored, and one leads.
    fn begin(&mut self) -> anyhow::Result<()> {
        for (id, status) in self.statuses().into_iter().enumerate() {
            if let Err(error) = status {
                bail!("server {id} returns no status: {error}");
            }
        }
        for server in self.client.servers() {
            wait(server.restore()).context("a server cannot be restored")?;
        }
        self.client.leader().context("the set has no leader")?;
        Ok(())
    }

    fn statuses(&mut self) -> Vec<Result<ServerStatus, Error>> {
        self.client.at_each(async |server| server.status().await)
    }

    /// Acts on the servers and checks them until the run is over.
    fn rage(&mut self, options: &Options, rng: &mut Rng, interrupted: &AtomicBool) {
        let mut view = View::new();
        let mut next = self.shared.now() + draw::pause(rng, options.pace);
        while self.shared.now() < options.duration && !interrupted.load(Ordering::Relaxed) {
            let looked = self.shared.now();
            self.look();
            if next <= self.shared.now() {
                self.strike(options, rng);
                next = self.shared.now() + draw::pause(rng, options.pace);
            }
            view.show(self.shared, &self.watch, &self.blows);
            thread::sleep((looked + LOOKS).saturating_sub(self.shared.now()));
        }
        view.end();
    }

    /// Checks all servers, and their versions of one file.
    pub(super) fn look(&mut self) {
        let statuses: Vec<_> = self.statuses().into_iter().map(Result::ok).collect();
        self.watch.look(self.shared.now(), &statuses);
        self.turn = (self.turn + 1) % self.shared.files.len();
        let Some(file) = self.shared.files.get(self.turn) else { return };
        let versions = self.client.at_each(async |server| server.version(&file.name).await.ok());
        let (now, asked) = (self.shared.now(), file.asked());
        for (id, version) in versions.into_iter().enumerate() {
            if let Some(version) = version {
                self.watch.version(now, id, &file.name, version, asked);
            }
        }
    }

    fn strike(&mut self, options: &Options, rng: &mut Rng) {
        let crashed = self.watch.crashed();
        let leader = self.watch.leader.map(|(id, _)| id);
        match draw::blow(rng, options.majority, &Sight { crashed: &crashed, leader }) {
            Some(Blow::Crash(id)) => self.crash(id),
            Some(Blow::Restore(ids)) => self.restore(ids),
            None => {}
        }
        // The next draw must see the result of this one.
        self.look();
    }

    fn crash(&mut self, id: usize) {
        let Some(server) = self.client.servers().get_mut(id) else { return };
        if let Err(error) = wait(server.crash()) {
            return self.watch.note(self.shared.now(), &format!("{error}"));
        }
        self.blows.crashes += 1;
        let leads = self.watch.leader.is_some_and(|(leader, _)| leader == id);
        self.blows.crashes_of_leaders += usize::from(leads);
        let up = self.watch.crashed().iter().filter(|crashed| !**crashed).count();
        let size = self.stood.len();
        self.blows.majorities_lost += usize::from(size < 2 * up && 2 * (up - 1) <= size);
        self.watch.crashed_now(self.shared.now(), id);
        let versions = self.versions(id);
        self.stood.get_mut(id).into_iter().for_each(|stood| stood.clone_from(&versions));
    }

    /// Restores servers, and checks that they did not change while they were crashed.
    pub(super) fn restore(&mut self, ids: Vec<usize>) {
        for id in ids {
            let first = self.stood.get_mut(id).and_then(Option::take);
            if let Some((first, later)) = first.zip(self.versions(id)) {
                self.watch.stood_still(self.shared.now(), id, &first, &later);
                self.blows.restores += 1;
            }
            self.watch.restored_now(self.shared.now(), id);
            let Some(server) = self.client.servers().get_mut(id) else { continue };
            if let Err(error) = wait(server.restore()) {
                self.watch.note(self.shared.now(), &format!("{error}"));
            }
        }
    }

    /// A server's versions of all files, in the order of the files.
    pub(super) fn versions(&mut self, id: usize) -> Option<Vec<i64>> {
        let server = self.client.servers().get_mut(id)?;
        let version = |file: &File| wait(server.version(&file.name)).ok();
        self.shared.files.iter().map(version).collect()
    }

    fn report(self, options: &Options, seed: u64) -> Report {
        let mut record = self.shared.record();
        let history = std::mem::take(&mut record.history);
        let mut violations = self.watch.violations;
        violations.extend(check(&history));
        Report {
            command: options.command(seed),
            seed,
            servers: self.stood.len(),
            duration: self.shared.now(),
            calls: record.calls.clone(),
            blows: self.blows,
            leader_changes: self.watch.leader_changes,
            elections: self.watch.elections,
            violations,
        }
    }
}
