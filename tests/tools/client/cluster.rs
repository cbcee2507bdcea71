//! The client against real servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use support::client::{Files, list};
use support::harness::Cluster;
use support::stage::{soon, update};
use support::wait::{ELECTION, PATIENCE, wait_until};
use surfstore::client::blocking::{Client, wait};
use surfstore::client::{Error, FileUpdate, Limits, Outcome};
use surfstore::config::Address;
use surfstore::raft::RoleName;
use surfstore::value::Value;

fn client(cluster: &Cluster, limits: Limits) -> Client {
    let address = |id| {
        let (host, port) = cluster.at(id).address().rsplit_once(':').unwrap();
        Address { host: host.to_owned(), port: port.parse().unwrap() }
    };
    Client::new(&(0..cluster.size()).map(address).collect::<Vec<_>>(), limits)
}

fn patient() -> Limits {
    Limits { deadline: PATIENCE, ..Limits::default() }
}

#[test]
fn updates_go_on_through_a_change_of_leader() {
    let (cluster, leader) = Cluster::led(3);
    let mut client = client(&cluster, patient());
    assert_eq!(client.leader().unwrap().0, leader);
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    cluster.crash(&[leader]);
    assert_eq!(client.update(&update("a", 2)), Ok(Outcome::Applied));
    assert_eq!(client.update(&update("a", 2)), Ok(Outcome::Refused { stored: Some(2) }));
    assert_eq!(client.update(&update("a", 4)), Ok(Outcome::Refused { stored: Some(2) }));
    let next = client.leader().unwrap().0;
    assert_ne!(next, leader);
    assert_eq!(client.files().unwrap()["a"].version, 2);
    assert_eq!(wait(client.servers()[next].version("a")), Ok(2));
    assert_eq!(wait(client.servers()[leader].version("a")), Ok(1));
    assert_eq!(wait(client.servers()[leader].is_crashed()), Ok(true));
}

#[test]
fn a_known_leader_that_is_suspended_leaves_time_for_its_successor() {
    let (mut cluster, leader) = Cluster::led(3);
    let limits = Limits { deadline: Duration::from_secs(3), ..Limits::default() };
    let mut client = client(&cluster, limits);
    assert_eq!(client.leader().unwrap().0, leader);
    // The connection is kept.
    assert_eq!(client.update(&update("a", 1)), Ok(Outcome::Applied));
    cluster.signal(leader, Signal::STOP);
    wait_until(ELECTION, "another server leads", || {
        let others = (0..3).filter(|id| *id != leader);
        others.into_iter().any(|id| cluster.at(id).is_leader())
    });
    assert_eq!(client.update(&update("a", 2)), Ok(Outcome::Applied));
    cluster.signal(leader, Signal::CONT);
    // The copy that it got while it was suspended has no effect.
    cluster.await_version(&[leader], "a", 2);
    assert_eq!(client.update(&update("a", 2)), Ok(Outcome::Refused { stored: Some(2) }));
}

#[test]
fn without_a_majority_an_update_is_unknown_and_a_read_finds_no_leader() {
    let (cluster, leader) = Cluster::led(3);
    let mut client = client(&cluster, soon());
    assert_eq!(client.leader().unwrap().0, leader);
    cluster.crash(&cluster.others(leader));
    let outcome = client.update(&update("a", 1));
    assert!(matches!(outcome, Ok(Outcome::Unknown { .. })), "{outcome:?}");
    let files = client.files();
    assert!(matches!(files, Err(Error::NoLeader(_))), "{files:?}");
}

#[test]
fn what_was_applied_stays_while_leaders_crash_and_nothing_is_applied_twice() {
    let (cluster, _) = Cluster::led(3);
    let is_over = AtomicBool::new(false);
    let (cluster, over) = (&cluster, &is_over);
    thread::scope(|threads| {
        threads.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Some(leader) = cluster.leaders().first() {
                    cluster.crash(&[*leader]);
                    thread::sleep(Duration::from_millis(400));
                    cluster.restore(&[*leader]);
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                threads.spawn(move || {
                    let mut client = client(cluster, patient());
                    let name = format!("file{writer}");
                    for version in 1..=100 {
                        let outcome = client.update(&update(&name, version));
                        assert_eq!(outcome, Ok(Outcome::Applied), "{name} {version}");
                    }
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|writer| writer.unwrap());
    });
    let files = client(cluster, patient()).files().unwrap();
    let versions: Vec<_> = files.values().map(|file| file.version).collect();
    assert_eq!(versions, [100; 3]);
}

#[test]
fn every_type_of_hash_list_comes_back_as_it_went() {
    let (cluster, leader) = Cluster::led(1);
    let mut client = client(&cluster, patient());
    let mut typed = update("a", 1);
    let hashes =
        [1.into(), true.into(), "\r\n".into(), list(["x".into()]), Value::Base64([].into())];
    typed.hashes = hashes.clone().into();
    assert_eq!(client.update(&typed), Ok(Outcome::Applied));
    assert_eq!(*client.files().unwrap()["a"].hashes.elements(), hashes);
    let expected: Files = [("a".to_owned(), (1, list(hashes)))].into();
    assert_eq!(cluster.at(leader).files(), Ok(expected));
}

#[test]
fn a_scalar_in_a_lists_place_comes_back_as_it_went() {
    let (cluster, _) = Cluster::led(1);
    let mut client = client(&cluster, patient());
    let deletion = FileUpdate { hashes: "0".into(), ..update("a", 1) };
    assert_eq!(client.update(&deletion), Ok(Outcome::Applied));
    let file = &client.files().unwrap()["a"];
    assert_eq!((file.hashes.value(), file.is_deleted()), ("0".into(), true));
}

#[test]
fn a_status_is_typed_and_a_dead_server_has_none() {
    let (mut cluster, leader) = Cluster::led(3);
    let dead = cluster.others(leader)[0];
    let crashed = cluster.others(leader)[1];
    cluster.kill(dead);
    cluster.crash(&[crashed]);
    let statuses = client(&cluster, soon()).at_each(async |server| server.status().await);
    assert!(matches!(statuses[dead], Err(Error::Refused(_))), "{:?}", statuses[dead]);
    let status = statuses[crashed].clone().unwrap();
    assert_eq!((status.role, status.servers, status.leader), (RoleName::Crashed, 3, None));
    let status = statuses[leader].clone().unwrap();
    assert!(status.leads() && status.id == i64::try_from(leader).unwrap());
    assert_eq!(status.leader.as_deref(), Some(cluster.at(leader).address()));
    assert_eq!(status.address, cluster.at(leader).address());
    assert_eq!(status.term, cluster.at(leader).state().term);
    assert!(status.last_heard.is_some());
}

#[test]
fn the_versions_of_many_files_are_told_in_their_order_also_by_a_crashed_server() {
    let (cluster, _) = Cluster::led(1);
    let mut client = client(&cluster, patient());
    let names: Vec<_> = (0..130).map(|number| format!("{number}")).collect();
    for name in &names[1..] {
        assert_eq!(client.update(&update(name, 1)), Ok(Outcome::Applied));
    }
    cluster.crash(&[0]);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let versions = wait(client.servers()[0].versions(&names)).unwrap();
    assert_eq!((versions.len(), versions[0]), (130, 0));
    assert!(versions[1..].iter().all(|version| *version == 1), "{versions:?}");
    assert_eq!(wait(client.servers()[0].versions(&["a\u{1}"])), Err(Error::Unfit));
}
