//! Measures how fast a set of servers is, and how long a failover takes.
//!
//! - `load` makes the calls, `figures` counts them, and `failover` crashes the leader;
//! - `plot` draws in plain characters, and `report` shows the result.
//!
//! The calls are real: updates go into the map of the set, but only to files whose names begin with a prefix. Whatever
//! ends the measurement, the crashed server is restored and the files are marked as deleted.

mod failover;
mod figures;
mod load;
mod plot;
mod report;

use std::time::Duration;

use super::arguments::{BenchPlan, Format};
use super::doctor::counted;
use super::error::{CommandError, INTERRUPTED};
use super::interrupt::Interruption;
use super::live::Live;
use super::screen::{Screen, plain};
use super::status::majority;
use crate::client::blocking::wait;
use crate::client::{Client, FileInfoMap, Limits};
use crate::config::{Address, Config};
use crate::metadata::VERSION_MAX;
use crate::raft::RoleName;
use crate::terminal::cut_end;
use failover::{Failovers, Watch, restore, statuses};
use figures::Figures;
use load::{Call, Crew, File};
use report::{Report, Set};

/// What the names of all files of benchmarks begin with.
const PREFIX: &str = "surfstore-bench/";

/// The longest warm-up, and its share of the time of a measurement if that is shorter.
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_SHARE: u32 = 5;

/// A file with a higher version is not used, so that no run comes to the last version that a file can have.
const VERSION_USED_MAX: i64 = VERSION_MAX / 2;

/// The maximum number of hashes in all files, because every server keeps them in memory.
const HASHES_MAX: usize = 1_000_000;

/// The maximum number of hashes in memory while the clients read, because each of them holds the whole map.
const HELD_MAX: usize = 4_000_000;

/// The smallest set in which a majority is left without the leader.
const FAILOVER_SERVERS_MIN: usize = 3;

/// How often files are marked as deleted until the map shows that all are. An update that was interrupted may come in
/// between.
const DELETE_ROUNDS: usize = 3;

/// The message of a second Ctrl-C.
const LEFT: &str = "interrupted again; a crashed server may be left (`surfstore restore all`), and files whose names \
                    begin with surfstore-bench/";

/// `bench`
pub(super) fn run(
    screen: &Screen,
    config: &Config,
    limits: Limits,
    plan: BenchPlan,
    output: Format,
) -> Result<(), CommandError> {
    let clients = usize::from(plan.clients);
    let hashes = usize::from(plan.hashes);
    let files = plan.files.map_or(clients, usize::from);
    check_plan(plan, files, config)?;
    let interruption = Interruption::watch(LEFT)?;
    let crew = Crew::new(config, limits, &interruption, hashes);
    let (set, map) = find(&crew, plan)?;
    let mut bench = Bench {
        crew: &crew,
        clients,
        limits,
        files: choose(&map, files),
        silent: set.silent.clone(),
        loads: Vec::new(),
        failovers: Failovers::default(),
        progress: Progress::new(screen, output),
    };
    screen.say(&announcement(plan, files));
    let ended = bench.measure(plan);
    bench.progress.end();
    if ended.as_ref().is_err_and(|error| error.code == INTERRUPTED) {
        screen.say("surfstore: interrupted; undoing what was done, unless Ctrl-C is pressed again");
    }
    let acknowledged = crew.acknowledged();
    let undone = bench.undo(ended.is_ok());
    bench.progress.end();
    let report = Report {
        set,
        files,
        hashes,
        warm_up: warm_up(plan.seconds),
        time: plan.seconds,
        loads: bench.loads,
        failovers: bench.failovers.measured,
        acknowledged,
        deleted: crew.acknowledged().saturating_sub(acknowledged),
    };
    // Also after an error: what was measured before it is still true.
    let shown = match output {
        _ if report.loads.is_empty() => Ok(()),
        Format::Table => report.show(screen),
        Format::Json => screen.show_json(&report.json()),
    };
    if let (Err(_), Err(error)) = (&ended, &undone) {
        screen.say(&format!("surfstore: {}", plain(&error.message)));
    }
    ended.and(undone).and(shown)
}

/// Checks what can be checked without a server.
fn check_plan(plan: BenchPlan, files: usize, config: &Config) -> Result<(), CommandError> {
    let BenchPlan { clients, hashes, failovers, .. } = plan;
    if files < usize::from(clients) {
        return Err(CommandError::usage(format!(
            "--files {files} is less than --clients {clients}; each client updates files of its own"
        )));
    }
    let in_all = files.saturating_mul(hashes.into());
    if HASHES_MAX < in_all {
        return Err(CommandError::usage(format!(
            "{files} files with {hashes} hashes each have {in_all} hashes; at most {HASHES_MAX} are allowed"
        )));
    }
    let held = in_all.saturating_mul(clients.into());
    if HELD_MAX < held {
        return Err(CommandError::usage(format!(
            "{clients} clients that each read {in_all} hashes hold {held} hashes in memory; at most {HELD_MAX} are \
             allowed"
        )));
    }
    let servers = config.servers.len();
    if 0 < failovers && servers < FAILOVER_SERVERS_MIN {
        return Err(CommandError::usage(format!(
            "--failovers needs a set of {FAILOVER_SERVERS_MIN} servers or more, because a majority must remain if the \
             leader crashes; the configuration names {}",
            counted(servers, "server")
        )));
    }
    Ok(())
}

/// Finds the leader, and checks that a majority confirms the map. Nothing has been changed then.
fn find(crew: &Crew<'_>, plan: BenchPlan) -> Result<(Set, FileInfoMap), CommandError> {
    let mut client = crew.client();
    crew.wait(async {
        let (_, leader) = client.leader().await?;
        majority(&leader)?;
        let statuses = statuses(&mut client, &[]).await;
        if 0 < plan.failovers {
            failover::check(&statuses, &leader)?;
        }
        let map = client.files().await?;
        check_map(&map, plan)?;
        let all = client.servers().iter().zip(&statuses);
        let silent = all.filter(|(_, status)| status.is_err());
        let answered = || statuses.iter().flatten();
        let set = Set {
            servers: statuses.len(),
            silent: silent.map(|(server, _)| server.address().clone()).collect(),
            up: answered().filter(|status| status.role != RoleName::Crashed).count(),
            on_disk: answered().filter(|status| status.disk_bytes.is_some()).count(),
            leader: leader.address,
            term: leader.term,
        };
        Ok((set, map))
    })
}

/// Checks that the clients can hold the map while all of them read it. One client can, because it has read it.
fn check_map(map: &FileInfoMap, plan: BenchPlan) -> Result<(), CommandError> {
    let clients = usize::from(plan.clients);
    let files = plan.files.map_or(clients, usize::from);
    let stored: usize = map.values().map(|stored| stored.hashes.len()).sum();
    let hashes = stored.saturating_add(files.saturating_mul(plan.hashes.into()));
    let held = hashes.saturating_mul(clients);
    if clients == 1 || held <= HELD_MAX {
        return Ok(());
    }
    let few = (HELD_MAX / hashes.max(1)).max(1);
    Err(CommandError::error(format!(
        "the map will have {hashes} hashes, and {clients} clients that each read it hold {held} hashes in memory; at \
         most {HELD_MAX} are allowed, so use --clients {few}{}",
        if few == 1 { "" } else { " or fewer" }
    )))
}

/// The files that are updated.
fn choose(map: &FileInfoMap, count: usize) -> Vec<File> {
    let files = (0..).map(|number: u64| {
        let name = format!("{PREFIX}{number}");
        let version = map.get(&name).map_or(0, |stored| stored.version);
        File { name: name.into(), version, is_open: false }
    });
    files.filter(|file| file.version <= VERSION_USED_MAX).take(count).collect()
}

/// What is going to be done, said before it begins.
fn announcement(plan: BenchPlan, files: usize) -> String {
    let loads = u32::try_from(loads(plan.clients.into()).len()).unwrap_or(u32::MAX);
    let time = (plan.seconds + warm_up(plan.seconds)).saturating_mul(loads);
    let crashes = match plan.failovers {
        0 => String::new(),
        1 => " It also crashes the leader once, and restores it.".to_owned(),
        count => format!(" It also crashes the leader {count} times, and restores it."),
    };
    format!(
        "surfstore: updating {} of this set, with names that begin with {PREFIX}, for about {:.0} s. At the end they \
         are marked as deleted, and no other file is changed.{crashes}",
        counted(files, "file"),
        time.as_secs_f64().ceil()
    )
}

/// The measurements: kinds of calls, each with a number of clients.
fn loads(clients: usize) -> Vec<(Call, usize)> {
    let mut loads =
        vec![(Call::Update, 1), (Call::Update, clients), (Call::Read, 1), (Call::Read, clients)];
    loads.dedup();
    loads
}

fn warm_up(time: Duration) -> Duration {
    (time / WARM_UP_SHARE).min(WARM_UP)
}

/// A benchmark that has begun.
struct Bench<'a> {
    crew: &'a Crew<'a>,
    clients: usize,
    limits: Limits,
    files: Vec<File>,
    /// The addresses of the servers that did not answer before.
    silent: Vec<Address>,
    loads: Vec<Figures>,
    failovers: Failovers,
    progress: Progress<'a>,
}

impl Bench<'_> {
    fn measure(&mut self, plan: BenchPlan) -> Result<(), CommandError> {
        self.write_each()?;
        let loads = loads(self.clients);
        for (number, load) in (1..).zip(&loads) {
            let (call, clients) = *load;
            let name = format!(
                "{number} of {}: {}, {}",
                loads.len(),
                call.name(),
                counted(clients, "client")
            );
            let seconds = plan.seconds.as_secs_f64();
            let progress = &mut self.progress;
            let look = |time: Duration, calls| {
                progress.show(&format!(
                    "{name}: {:.0} of {seconds} s, {calls} calls",
                    time.as_secs_f64()
                ))
            };
            let times = (warm_up(plan.seconds), plan.seconds);
            self.loads.push(self.crew.measure(*load, times, &mut self.files, look)?);
        }
        let mut watch = Watch::new(self.crew, &self.silent, self.limits);
        for number in 1..=plan.failovers {
            self.progress.show(&format!("failover {number} of {}", plan.failovers));
            if let Some(file) = self.files.first_mut() {
                failover::fail(self.crew, &mut watch, file, &mut self.failovers)?;
            }
        }
        Ok(())
    }

    /// Writes each file once, so that reads return all of them.
    fn write_each(&mut self) -> Result<(), CommandError> {
        let crew = self.crew;
        let progress = &mut self.progress;
        let write = async |client: &mut Client, files: &mut [&mut File]| {
            for file in files {
                if crew.is_over() {
                    break;
                }
                let hashes = crew.hashes(file.version.saturating_add(1));
                crew.update(client, file, hashes).await?;
            }
            Ok(())
        };
        let look = || progress.show("writing the files");
        crew.work(self.clients, &mut self.files, Some(crew.interruption()), write, look)
    }

    /// Restores the crashed server, and marks the files as deleted. If nothing failed before, it also checks that the
    /// map has what was acknowledged.
    fn undo(&mut self, is_sound: bool) -> Result<(), CommandError> {
        let restored = match self.failovers.crashed {
            None => Ok(()),
            Some(id) => {
                let told =
                    format!("server {id} may still be crashed; run `surfstore restore {id}`");
                match wait(restore(&mut self.crew.client(), id)) {
                    // It may execute the two calls in any order.
                    Ok(()) if self.failovers.is_crash_open => Err(CommandError::error(told)),
                    restored => restored.map_err(|error| error.at(&told)),
                }
            }
        };
        let deleted = self.delete(is_sound);
        restored.and(deleted)
    }

    fn delete(&mut self, is_sound: bool) -> Result<(), CommandError> {
        let what = format!("files that begin with {PREFIX} are left");
        let crew = self.crew;
        let mut client = crew.client();
        let mut last = Ok(());
        let mut checked = Ok(());
        for round in 0..=DELETE_ROUNDS {
            self.progress.show("marking the files as deleted");
            let map = wait(client.files()).map_err(|error| CommandError::from(error).at(&what))?;
            if is_sound && round == 0 {
                checked = crew.check(&map, &self.files);
            }
            let mut left = Vec::new();
            for file in &mut self.files {
                let stored = map.get(&*file.name);
                // An open update may come at any time, even if the map shows no file to delete. Either it or the
                // deletion at the same version is refused, and then the map of the next round is final.
                if file.is_open || stored.is_some_and(|stored| !stored.is_deleted()) {
                    file.version = stored.map_or(0, |stored| stored.version);
                    left.push(file);
                }
            }
            if left.is_empty() {
                return checked;
            }
            let delete = async |client: &mut Client, files: &mut [&mut File]| {
                for file in files {
                    crew.update(client, file, ["0".into()].into()).await?;
                }
                Ok(())
            };
            last = crew.work(self.clients.min(left.len()), left, None, delete, || {});
        }
        last.map_err(|error| error.at(&what)).and(checked)
    }
}

/// A line about what is being done, on a terminal only.
struct Progress<'a> {
    screen: &'a Screen,
    is_shown: bool,
    live: Live,
}

impl Progress<'_> {
    fn new(screen: &Screen, output: Format) -> Progress<'_> {
        Progress { screen, is_shown: output == Format::Table, live: Live::default() }
    }

    /// Shows the line in the place of the last one. It is no result, so it may be lost.
    fn show(&mut self, line: &str) {
        if let Some(size) = self.screen.with_cursor().filter(|_| self.is_shown) {
            let frame = self.live.frame(size, &cut_end(line, size.columns));
            let _ = self.screen.show(&frame);
        }
    }

    /// Removes the line.
    fn end(&mut self) {
        self.screen.steer(&self.live.removal());
    }
}
