//! Crowds: what connections and callers may cost while they exist, and afterwards.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::client::{Client, TRUE, assert_fault, hash, update};
use support::harness::Cluster;
use support::wait::{ELECTION, PATIENCE, loud_note, wait_until};

use crate::hangups::{read_request, update_request};
use crate::memory::{RESIDENT_MAX, RETURNED, await_memory, most_resident, resident};
use crate::raw::{Raw, ping};
use crate::servers::assert_unharmed;

/// What the first crowd may leave behind, in bytes, for the next ones to reuse: the system gets back only the end of
/// the heap, and the tables that a crowd made longer lie above what was kept for each of its members.
const FIRST_CROWD: u64 = 3 << 20;

/// The maximum size of an update in the log, in bytes, if its name and its list are short.
const ENTRY: u64 = 512;

/// Raises this process's limit on descriptors for its crowds. Returns whether that succeeded.
fn may_open(descriptors: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    current.is_none_or(|current| descriptors <= current)
        || setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), maximum }).is_ok()
}

/// Connects and disconnects at once, alternately with and without a request, until it is told to stop.
fn storm(server: &Client, is_over: &AtomicBool, count: &AtomicUsize) {
    let mut asks = false;
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(server.address()) {
            asks = !asks;
            if asks {
                // The answer finds no reader, or is left unread: the connection is reset.
                let _ = stream.write_all(&ping());
            }
        }
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Figures are printed with the output of a test.
#[expect(clippy::print_stderr, reason = "a test shows its figures")]
fn note(figures: &str) {
    eprintln!("{figures}");
}

#[test]
fn a_set_under_a_storm_elects_and_updates_in_time_and_gives_its_memory_back() {
    if !may_open(6_000) {
        return loud_note("a storm of connections, because this process may not open so many");
    }
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a", 1);
    let before: Vec<_> = (0..3).map(|id| resident(&mut cluster, id)).collect();
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let connect = |number: usize| TcpStream::connect(cluster.at(number % 3).address()).unwrap();
    let idle: Vec<_> = (0..2000).map(connect).collect();
    let mut slow: Vec<_> = (0..200).map(connect).collect();
    let next = thread::scope(|scope| {
        // A byte a second each; connections that are refused or closed are made again.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (number, stream) in slow.iter_mut().enumerate() {
                    if stream.write_all(b"P").is_err() {
                        *stream = connect(number);
                    }
                }
                thread::sleep(Duration::from_secs(1));
            }
        });
        for id in 0..3 {
            let server = cluster.at(id);
            scope.spawn(|| storm(server, &is_over, &count));
        }
        let _over = Over(&is_over);
        thread::sleep(Duration::from_secs(2));
        cluster.at(leader).another().crash();
        let start = Instant::now();
        let next = cluster.leader();
        let elected = start.elapsed();
        assert!(elected <= ELECTION, "elected only after {elected:?}");
        let start = Instant::now();
        let updated = cluster.at(next).begin("surfstore.updatefile", &update("a", 2, &hash("x")));
        assert_eq!(updated.answer(Duration::from_secs(1)), TRUE);
        note(&format!("elected after {elected:?}, updated after {:?}", start.elapsed()));
        thread::sleep(Duration::from_secs(2));
        next
    });
    let most: Vec<_> = (0..3).map(|id| most_resident(&mut cluster, id)).collect();
    note(&format!("{} connections in the storm, memory {most:?}", count.into_inner()));
    assert!(most.iter().all(|bytes| *bytes <= RESIDENT_MAX), "the servers took {most:?}");
    drop((idle, slow));
    cluster.restore(&[leader]);
    cluster.agree(next, &cluster.running(), "a", 3);
    for (id, before) in before.into_iter().enumerate() {
        await_memory(&mut cluster, id, before + FIRST_CROWD);
    }
    assert_unharmed(&cluster);
}

/// Ends an attack when it is dropped, even if a check fails, because the scope waits for all attackers.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn ten_thousand_callers_that_leave_a_leader_without_a_majority_leave_nothing_behind() {
    if !may_open(3_000) {
        return loud_note("a crowd of callers, because this process may not open so many");
    }
    let (mut cluster, leader) = Cluster::led(3);
    cluster.agree(leader, &cluster.running(), "a", 1);
    cluster.crash(&cluster.others(leader));
    let mut before = resident(&mut cluster, leader) + FIRST_CROWD;
    let start = Instant::now();
    for wave in 0..=10 {
        let ask = |number: usize| {
            let mut connection = Raw::to(cluster.at(leader));
            let name = format!("{wave}/{number}");
            let asks =
                if number.is_multiple_of(2) { read_request() } else { update_request(&name, 1) };
            connection.send(asks).unwrap();
            connection
        };
        let crowd: Vec<_> = (0..1000).map(ask).collect();
        wait_until(PATIENCE, "all of the wave wait", || {
            cluster.at(leader).state().waiting_calls == 1000
        });
        drop(crowd);
        wait_until(RETURNED, "no call waits any more", || {
            cluster.at(leader).state().waiting_calls == 0
        });
        // The update of a caller that disconnected is in the log all the same.
        await_memory(&mut cluster, leader, before + wave * 500 * ENTRY);
        if wave == 0 {
            before = resident(&mut cluster, leader);
        }
    }
    let most = most_resident(&mut cluster, leader);
    note(&format!(
        "the waves took {:?}, memory {before} after the first, {most} at most",
        start.elapsed()
    ));
    assert!(most <= RESIDENT_MAX, "the leader took {most} bytes");
    cluster.restore(&cluster.others(leader));
    cluster.agree(leader, &cluster.running(), "a", 2);
    assert_unharmed(&cluster);
}

/// Connections that do a little and are held until all of them leave.
type Come = fn(&Client) -> Raw;

#[test]
fn a_crowd_that_comes_again_takes_no_more_memory_than_the_first() {
    if !may_open(3_000) {
        return loud_note("a crowd of callers, because this process may not open so many");
    }
    let idle: Come = Raw::to;
    let slow: Come = |server| {
        let mut connection = Raw::to(server);
        let _ = connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n<");
        connection
    };
    let served: Come = |server| {
        let mut connection = Raw::to(server);
        connection.send(ping()).unwrap();
        assert_eq!(connection.response().answer(), TRUE);
        connection
    };
    for come in [idle, slow, served] {
        let (mut cluster, id) = Cluster::led(1);
        let mut before = resident(&mut cluster, id) + FIRST_CROWD;
        for _ in 0..4 {
            let crowd: Vec<_> = (0..1200).map(|_| come(cluster.at(id))).collect();
            drop(crowd);
            assert_eq!(cluster.at(id).another().call("surfstore.ping", &[]), TRUE);
            await_memory(&mut cluster, id, before);
            before = before.min(resident(&mut cluster, id));
        }
        let most = most_resident(&mut cluster, id);
        note(&format!("memory {before} after a crowd, {most} at most"));
        assert_unharmed(&cluster);
    }
}

#[test]
fn callers_beyond_the_bound_are_told_that_the_leader_is_busy() {
    if !may_open(3_000) {
        return loud_note("a crowd of callers, because this process may not open so many");
    }
    let (cluster, leader) = Cluster::led(3);
    cluster.crash(&cluster.others(leader));
    let ask = |_| {
        let mut connection = Raw::to(cluster.at(leader));
        connection.send(read_request()).unwrap();
        connection
    };
    let crowd: Vec<_> = (0..1024).map(ask).collect();
    wait_until(PATIENCE, "the bound is reached", || {
        cluster.at(leader).state().waiting_calls == 1024
    });
    assert_fault(&cluster.at(leader).call("surfstore.getfileinfomap", &[]), 4, "busy");
    cluster.restore(&cluster.others(leader));
    for mut connection in crowd {
        assert!(connection.response().answer().is_ok());
    }
}
