//! Servers with data folders: whatever ends their processes, nothing acknowledged is lost, and a folder that cannot be
//! used is refused in one line.
//!
//! The end of a process alone does not show that anything is on disk, because the system keeps what was written. That
//! is shown by the simulation, which loses what was not synced; here, a sync that fails or takes long does.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use fastrand::Rng;
use support::client::{Answer, Client, FALSE, TRUE, content, contents, files, hash, update};
use support::harness::{Cluster, DATA_FOLDER};
use support::programs::program;
use support::wait::{ELECTION, PATIENCE, loud_note, wait_until};
use surfstore::chaos::check::check;
use surfstore::chaos::history::{Deed, Fate, Operation};
use surfstore::value::Value;

use crate::pages::metric;

/// Running servers with data folders, and their leader.
fn led(size: usize) -> (Cluster, usize) {
    let mut cluster = Cluster::durable(size);
    cluster.start(0..size);
    let leader = cluster.leader();
    (cluster, leader)
}

/// Ends processes at the same moment and starts them again.
fn restart(cluster: &mut Cluster, ids: &[usize]) {
    ids.iter().for_each(|id| cluster.kill(*id));
    cluster.start(ids.iter().copied());
}

#[test]
fn a_set_that_is_restarted_whole_goes_on_where_it_was() {
    for size in [1, 2, 3, 5] {
        let (mut cluster, leader) = led(size);
        let all = cluster.running();
        cluster.agree(leader, &all, "a.txt", 1);
        let before = cluster.at(leader).state();
        let histories = |cluster: &Cluster| {
            cluster.running().iter().map(|id| cluster.at(*id).text("history")).collect::<Vec<_>>()
        };
        let history = histories(&cluster);
        for version in 2..4 {
            restart(&mut cluster, &all);
            let leader = cluster.leader();
            assert!(before.term < cluster.at(leader).state().term, "terms never go back");
            cluster.agree(leader, &all, "a.txt", version);
        }
        assert_eq!(histories(&cluster), history, "nothing was founded anew");
    }
}

#[test]
fn a_server_that_is_restarted_is_no_guest_and_needs_no_snapshot() {
    let (mut cluster, leader) = led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.await_whole();
    let [ended, other] = cluster.others(leader)[..] else { panic!("there are three") };
    let incarnation = cluster.at(ended).text("incarnation");
    cluster.kill(ended);
    cluster.agree(leader, &cluster.running(), "a.txt", 2);
    cluster.start([ended]);
    assert_eq!(cluster.at(ended).text("incarnation"), incarnation);
    assert!(cluster.at(leader).ids("guests").is_empty(), "it counts from the first moment");
    // So it makes a majority together with the leader.
    cluster.kill(other);
    cluster.agree(leader, &cluster.running(), "a.txt", 3);
}

#[test]
fn a_server_whose_folder_is_lost_is_brought_in_anew_and_nothing_is_lost() {
    let (mut cluster, leader) = led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for id in cluster.others(leader) {
        cluster.await_whole();
        let incarnation = cluster.at(id).text("incarnation");
        cluster.kill(id);
        fs::remove_dir_all(cluster.data_folder(id)).unwrap();
        cluster.start([id]);
        assert_ne!(cluster.at(id).text("incarnation"), incarnation);
        cluster.await_version(&[id], "a.txt", 1);
    }
    cluster.await_whole();
    cluster.agree(leader, &cluster.running(), "a.txt", 2);
}

#[test]
fn servers_with_and_without_folders_make_a_set() {
    let mut cluster = Cluster::durable(3);
    let mut forgetful = cluster.command(2);
    forgetful.env_remove(DATA_FOLDER);
    cluster.launch(2, forgetful);
    cluster.start([0, 1]);
    let leader = cluster.leader();
    cluster.agree(leader, &[0, 1, 2], "a.txt", 1);
    cluster.await_whole();
    cluster.kill(2);
    let mut forgetful = cluster.command(2);
    forgetful.env_remove(DATA_FOLDER);
    cluster.launch(2, forgetful);
    cluster.await_answer(2);
    cluster.await_whole();
    cluster.agree(cluster.leader(), &[0, 1, 2], "a.txt", 2);
    // The two that keep their state are a majority.
    (0..3).for_each(|id| cluster.kill(id));
    cluster.start([0, 1]);
    cluster.agree(cluster.leader(), &[0, 1], "a.txt", 3);
}

#[test]
fn crash_and_restore_keep_memory_and_folder() {
    let (mut cluster, leader) = led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.crash(&[0, 1, 2]);
    assert!((0..3).all(|id| cluster.at(id).version("a.txt") == 1));
    restart(&mut cluster, &[0]);
    assert!(!cluster.at(0).is_crashed(), "a process begins in service");
    cluster.restore(&[1, 2]);
    cluster.agree(cluster.leader(), &[0, 1, 2], "a.txt", 2);
}

#[test]
fn a_map_that_outgrows_its_log_is_kept_as_a_snapshot() {
    let (mut cluster, leader) = led(3);
    let large = hash(&"x".repeat(2 << 20));
    let versions = 40;
    for version in 1..=versions {
        assert_eq!(cluster.at(leader).update("a.txt", version, &large), TRUE);
    }
    wait_until(PATIENCE, "every server has a snapshot", || {
        (0..3).all(|id| {
            let names = fs::read_dir(cluster.data_folder(id)).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.into_iter().any(|name| name.ends_with(".snapshot"))
        })
    });
    restart(&mut cluster, &[0, 1, 2]);
    cluster.await_version(&[0, 1, 2], "a.txt", versions);
    cluster.agree(cluster.leader(), &[0, 1, 2], "a.txt", versions + 1);
}

/// Tries to start a server, which must refuse with this exit code and one line with all of these in it.
#[track_caller]
fn assert_refused(cluster: &mut Cluster, id: usize, command: Command, code: i32, says: &[&str]) {
    let before = cluster.lines(id).len();
    cluster.launch(id, command);
    assert_eq!(cluster.await_end(id), Some(code));
    let lines = cluster.lines(id);
    let said: Vec<_> = lines[before..].iter().filter(|line| line.contains("data folder")).collect();
    let [line] = said[..] else { panic!("{lines:?}") };
    assert!(says.iter().all(|part| line.contains(part)), "{line}");
}

/// A server's command with another folder.
fn with_folder(cluster: &Cluster, id: usize, folder: &Path) -> Command {
    let mut command = cluster.command(id);
    command.env(DATA_FOLDER, folder);
    command
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_in_one_line() {
    let (mut cluster, leader) = led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    cluster.kill(0);
    let (own, other) = (cluster.data_folder(0), cluster.data_folder(1));
    let locked = with_folder(&cluster, 0, &other);
    assert_refused(&mut cluster, 0, locked, 1, &["another process uses the folder"]);
    cluster.kill(1);
    let of_another = with_folder(&cluster, 0, &other);
    assert_refused(&mut cluster, 0, of_another, 1, &["belongs to server 1", "server 0"]);
    let nowhere = with_folder(&cluster, 0, Path::new("/proc/no/such/place"));
    assert_refused(&mut cluster, 0, nowhere, 1, &["/proc/no/such/place"]);
    let file = cluster.config();
    let no_folder = with_folder(&cluster, 0, &file);
    assert_refused(&mut cluster, 0, no_folder, 1, &[file.to_str().unwrap()]);
    let log = own.join("0000000000000001.log");
    let mut byte = [0];
    let damaged = OpenOptions::new().read(true).write(true).open(&log).unwrap();
    damaged.read_exact_at(&mut byte, 20).unwrap();
    damaged.write_all_at(&[byte[0] ^ 1], 20).unwrap();
    let command = cluster.command(0);
    let says = ["0000000000000001.log", "is damaged at byte 0", "move the folder away"];
    assert_refused(&mut cluster, 0, command, 1, &says);
    let checked = Command::new(program("surfstore-server")).arg("--check").arg(&own).output();
    let checked = checked.unwrap();
    let line = String::from_utf8(checked.stderr).unwrap();
    assert!(line.contains("is damaged at byte 0") && line.lines().count() == 1, "{line}");
    assert_eq!((checked.status.code(), checked.stdout.len()), (Some(1), 0));
    damaged.write_all_at(&byte, 20).unwrap();
    cluster.start([0, 1]);
    cluster.await_version(&[0, 1], "a.txt", 1);
}

#[test]
fn a_stopped_servers_folder_is_verified_and_described() {
    let (mut cluster, leader) = led(3);
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    let state = cluster.at(leader).state();
    let (incarnation, history) =
        (cluster.at(leader).text("incarnation"), cluster.at(leader).text("history"));
    cluster.kill(leader);
    let check = || {
        let mut server = Command::new(program("surfstore-server"));
        server.arg("--check").arg(cluster.data_folder(leader)).output().unwrap()
    };
    let (first, again) = (check(), check());
    assert_eq!(first, again, "nothing is changed");
    assert_eq!((first.status.code(), first.stderr.len()), (Some(0), 0));
    let told = String::from_utf8(first.stdout).unwrap();
    let expected = [
        format!("server: {leader} of 3"),
        format!("incarnation: {incarnation}"),
        format!("history: {history}"),
        format!("term: {}", state.term),
        format!("the last is {}", state.last_log.0),
    ];
    assert!(expected.iter().all(|part| told.contains(part)), "{told}");
}

/// The command that starts a server whose syncs strace tampers with; `None` if there is no strace.
fn tampered(cluster: &Cluster, id: usize, inject: &str) -> Option<Command> {
    let inject = format!("inject=fdatasync:{inject}");
    traced(cluster, id, &["-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject])
}

/// The command that starts a server under strace with these options; `None` if there is no strace.
fn traced(cluster: &Cluster, id: usize, options: &[&str]) -> Option<Command> {
    if Command::new("strace").arg("--version").output().is_err() {
        assert!(env::var_os("CI").is_none(), "CI has strace");
        loud_note("syncs that fail or stall, because there is no strace (Debian: strace)");
        return None;
    }
    let mut command = Command::new("strace");
    // The server is the child, and strace ends with it.
    command.args(["-D", "-f", "-qq"]).args(options).arg(program("surfstore-server"));
    command.arg(cluster.config()).arg(id.to_string()).env(DATA_FOLDER, cluster.data_folder(id));
    cluster.keep_output(id, &mut command);
    Some(command)
}

/// Updates a file once, at a server that leads. Returns whether that was confirmed.
fn update_once(cluster: &Cluster, ids: &[usize], name: &str, version: i64) -> bool {
    update_once_to(cluster, ids, name, version, &hash("x"))
}

fn update_once_to(
    cluster: &Cluster,
    ids: &[usize],
    name: &str,
    version: i64,
    hashes: &Value,
) -> bool {
    let params = update(name, version, hashes);
    ids.iter().any(|id| {
        let server = cluster.at(*id).impatient(Duration::from_secs(2));
        matches!(server.try_call("surfstore.updatefile", &params), Ok(answer) if answer == TRUE)
    })
}

#[test]
fn a_server_whose_sync_fails_ends_with_one_line_and_the_others_go_on() {
    // The first 16 syncs are those of a new segment. Then come those of the folder's owner, of the election and of
    // updates, and among them those of a segment that is made ahead.
    for when in [1, 17, 20, 40, 60] {
        let mut cluster = Cluster::durable(3);
        let tampering = format!("error=EIO:when={when}");
        let Some(command) = tampered(&cluster, 0, &tampering) else { return };
        cluster.launch(0, command);
        cluster.start([1, 2]);
        let mut acknowledged = 0;
        wait_until(PATIENCE, "the server ends", || {
            let confirmed = update_once(&cluster, &[0, 1, 2], "a.txt", acknowledged + 1);
            acknowledged += i64::from(confirmed);
            cluster.process(0).try_wait().unwrap().is_some()
        });
        assert_eq!(cluster.await_end(0), Some(1));
        let said = ["surfstore-server: data folder", "panicked"].map(|what| cluster.said(0, what));
        assert_eq!(said, [1, 0], "{:?}", cluster.lines(0));
        wait_until(ELECTION, "the others go on", || {
            // An update without an answer may have taken effect.
            let known = cluster.at(1).version("a.txt").max(cluster.at(2).version("a.txt"));
            acknowledged = acknowledged.max(known);
            update_once(&cluster, &[1, 2], "a.txt", acknowledged + 1)
        });
        acknowledged += 1;
        [1, 2].iter().for_each(|id| cluster.kill(*id));
        cluster.start([0, 1, 2]);
        cluster.await_version(&[0, 1, 2], "a.txt", acknowledged);
    }
}

/// A file system in memory, of so many MiB. It is unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, mib: u32) -> SmallDisk {
        fs::create_dir(&path).unwrap();
        mount(&path, &format!("size={mib}m"));
        SmallDisk(path)
    }

    fn grow(&self, mib: u32) {
        mount(&self.0, &format!("remount,size={mib}m"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server may still use it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[track_caller]
fn mount(path: &Path, options: &str) {
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
    let is_mounted = mount.is_ok_and(|status| status.success());
    assert!(is_mounted, "this test mounts a small file system, which takes root");
}

#[test]
fn a_server_whose_disk_is_full_ends_with_one_line_and_is_level_again_once_there_is_room() {
    let mut cluster = Cluster::durable(3);
    // An empty folder takes 32 MiB.
    let disk = SmallDisk::mount(cluster.data_folder(0), 40);
    cluster.start(0..3);
    let large = hash(&"x".repeat(1 << 20));
    let known =
        |cluster: &Cluster| cluster.at(1).version("a.txt").max(cluster.at(2).version("a.txt"));
    let mut acknowledged = 0;
    wait_until(PATIENCE, "the disk is full", || {
        if update_once_to(&cluster, &[0, 1, 2], "a.txt", acknowledged + 1, &large) {
            acknowledged += 1;
        } else {
            // An update without an answer may have taken effect.
            acknowledged = acknowledged.max(known(&cluster));
        }
        cluster.process(0).try_wait().unwrap().is_some()
    });
    assert_eq!(cluster.await_end(0), Some(1));
    let said = ["No space left on device", "surfstore-server: ", "panicked"];
    assert_eq!(said.map(|what| cluster.said(0, what)), [1, 1, 0], "{:?}", cluster.lines(0));
    wait_until(ELECTION, "the others go on", || {
        acknowledged = acknowledged.max(known(&cluster));
        update_once(&cluster, &[1, 2], "a.txt", acknowledged + 1)
    });
    acknowledged += 1;
    disk.grow(160);
    cluster.start([0]);
    cluster.await_version(&[0], "a.txt", acknowledged);
    restart(&mut cluster, &[0, 1, 2]);
    cluster.await_version(&[0, 1, 2], "a.txt", acknowledged);
}

/// The syncs that are not those of a batch: of the files of a new folder, of its names, and of the segment that is made
/// ahead. Each of the two segments takes 16.
const SYNCS_OF_START: usize = 2 * 16 + 8;

#[test]
fn changes_that_come_together_share_one_sync() {
    const CALLERS: usize = 64;
    const UPDATES: i64 = 20;
    let mut cluster = Cluster::durable(1);
    let trace = tempfile::NamedTempFile::new().unwrap();
    let file = trace.path().to_str().unwrap();
    let options = ["--seccomp-bpf", "-o", file, "-e", "trace=fdatasync,fsync"];
    let Some(command) = traced(&cluster, 0, &options) else { return };
    cluster.launch(0, command);
    cluster.await_answer(0);
    cluster.leader();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let server = cluster.at(0).another();
            scope.spawn(move || {
                let name = format!("{caller}.txt");
                (1..=UPDATES).for_each(|version| {
                    assert_eq!(server.update(&name, version, &hash("x")), TRUE);
                });
            });
        }
    });
    let batches = metric(cluster.at(0), "surfstore_disk_sync_duration_seconds_count") as usize;
    let traced = fs::read_to_string(file).unwrap();
    let syncs = traced.lines().filter(|line| line.contains("sync(")).count();
    let updates = CALLERS * UPDATES as usize;
    assert!(batches <= syncs, "{batches} batches took only {syncs} syncs");
    assert!(syncs <= batches + SYNCS_OF_START, "{batches} batches took {syncs} syncs");
    assert!(4 * batches < updates, "{updates} updates took {batches} batches");
}

/// A leader that kept its role while its disk is stalled could commit nothing for ever in a set of two. Here the others
/// are a majority, so callers do not even notice.
#[test]
fn a_set_goes_on_while_one_disk_is_stalled() {
    let mut cluster = Cluster::durable(3);
    // From its twentieth sync on, each takes ten seconds.
    let Some(command) = tampered(&cluster, 0, "delay_enter=10000000:when=20+") else { return };
    cluster.launch(0, command);
    cluster.start([1, 2]);
    let mut acknowledged = 0;
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    while acknowledged < 100 {
        assert!(start.elapsed() < PATIENCE, "{acknowledged} updates");
        let began = Instant::now();
        if update_once(&cluster, &[0, 1, 2], "a.txt", acknowledged + 1) {
            acknowledged += 1;
        } else {
            let known = [1, 2].map(|id| cluster.at(id).version("a.txt"));
            acknowledged = known.into_iter().fold(acknowledged, i64::max);
        }
        longest = longest.max(began.elapsed());
    }
    assert!(longest < ELECTION, "an update took {longest:?}");
    (0..3).for_each(|id| cluster.kill(id));
    cluster.start([0, 1, 2]);
    cluster.await_version(&[0, 1, 2], "a.txt", acknowledged);
}

const CALLERS: usize = 4;
const FILES: [&str; 3] = ["a.txt", "b.txt", "c.txt"];

/// How many updates a caller may ask for.
const UPDATES_MAX: u64 = 20_000_000;

/// A caller of servers that may end at any moment.
struct Caller {
    servers: Vec<Client>,
    number: usize,
    updates: u64,
    clock: Instant,
    history: Vec<Operation>,
    rng: Rng,
}

impl Caller {
    fn call_until(mut self, is_over: &AtomicBool) -> Vec<Operation> {
        while !is_over.load(Ordering::Relaxed) {
            let at = self.rng.usize(0..self.servers.len());
            if !self.read_and_update(at) {
                thread::sleep(Duration::from_millis(self.rng.u64(1..10)));
            }
        }
        self.history
    }

    fn record(&mut self, start: Duration, deed: Deed) {
        let end = self.clock.elapsed();
        self.history.push(Operation { worker: self.number, start, end, deed });
    }

    /// Reads, and updates a file. Returns whether this server leads.
    fn read_and_update(&mut self, at: usize) -> bool {
        let start = self.clock.elapsed();
        let seen = match self.servers[at].try_call("surfstore.getfileinfomap", &[]) {
            Ok(Ok(answer)) => contents(&files(answer)),
            Ok(Err(_)) | Err(_) => return false,
        };
        self.record(start, Deed::Read(seen.clone()));
        self.updates += 1;
        let own = self.number as u64 * UPDATES_MAX + self.updates;
        let name = self.rng.choice(FILES).unwrap();
        let version = seen.get(name).map_or(0, |(version, _)| *version) + 1;
        let start = self.clock.elapsed();
        let answer = self.servers[at]
            .try_call("surfstore.updatefile", &update(name, version, &content(own)));
        let fate = fate(answer);
        self.record(start, Deed::Update { file: name.into(), version, content: own, fate });
        true
    }
}

fn fate(answer: io::Result<Answer>) -> Fate {
    match answer {
        Ok(answer) if answer == TRUE => Fate::Applied,
        Ok(answer) if answer == FALSE => Fate::Refused,
        Ok(Err(fault)) if [1, 2, 4].contains(&fault.code) => Fate::Failed,
        // The process has ended, before it got the update or after.
        Ok(Err(_)) | Err(_) => Fate::Unknown,
        Ok(answer) => panic!("an update was answered with {answer:?}"),
    }
}

/// `ROUNDS` in the environment sets how often the processes end.
#[test]
#[expect(clippy::print_stderr, reason = "the seed is shown if the test fails")]
fn all_processes_are_killed_again_and_again_under_load_and_nothing_acknowledged_is_lost() {
    let variable = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = variable("SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (mut cluster, _) = led(3);
    let (clock, is_over) = (Instant::now(), AtomicBool::new(false));
    let history = thread::scope(|scope| {
        let callers: Vec<_> = (1..=CALLERS)
            .map(|number| {
                let servers = (0..3).map(|id| cluster.at(id).another()).collect();
                let (history, rng) = (Vec::new(), rng.fork());
                let caller = Caller { servers, number, updates: 0, clock, history, rng };
                scope.spawn(|| caller.call_until(&is_over))
            })
            .collect();
        for _ in 0..variable("ROUNDS").unwrap_or(10) {
            thread::sleep(Duration::from_millis(rng.u64(20..400)));
            let mut ids = [0, 1, 2];
            rng.shuffle(&mut ids);
            restart(&mut cluster, &ids);
            cluster.leader();
        }
        is_over.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
    });
    let start = clock.elapsed();
    let map = contents(&cluster.at(cluster.leader()).files().unwrap());
    let last = Operation { worker: 0, start, end: clock.elapsed(), deed: Deed::Read(map) };
    let history: Vec<_> = history.into_iter().chain([last]).collect();
    let violations: Vec<_> = check(&history).iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let applied = |one: &&Operation| matches!(one.deed, Deed::Update { fate: Fate::Applied, .. });
    let applied = history.iter().filter(applied).count();
    eprintln!("{applied} updates were applied");
    assert!(100 <= applied, "the run proves nothing: {applied} updates were applied");
}
