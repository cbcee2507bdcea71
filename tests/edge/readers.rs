//! Callers that request much and do not read the answers.

use std::fs;
use std::time::Duration;

use support::client::{Client, TRUE, assert_fault, hash};
use support::harness::Cluster;
use support::wait::wait_until;

use crate::raw::{Raw, call, post};
use crate::servers::assert_unharmed;

/// The file map takes 16 MiB, far more than sockets buffer.
const FILES: usize = 4;
const FILE_BYTES: usize = (4 << 20) - 1000;

/// With the map, half as much again as the budget for answers.
const READERS: i64 = 18;

/// The maximum memory that a process ever used, in MiB.
fn peak(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

fn reads_whole(client: &Client) -> bool {
    client.another().files().is_ok_and(|files| FILES < files.len())
}

#[test]
fn answers_that_nobody_takes_are_bounded_and_soon_make_room_for_others() {
    let (mut cluster, id) = Cluster::led(1);
    let process = cluster.process(id).id();
    let server = cluster.at(id);
    for file in 0..FILES {
        let large = hash(&"x".repeat(FILE_BYTES));
        assert_eq!(server.update(&file.to_string(), 1, &large), TRUE);
    }
    let readers: Vec<_> = (1..=READERS)
        .map(|version| {
            // Every reader gets a map of which one file is written for it alone.
            let large = hash(&"x".repeat(FILE_BYTES));
            assert_eq!(server.update("large", version, &large), TRUE);
            let mut reader = Raw::to(server);
            reader.send(post(&call("surfstore.getfileinfomap"))).unwrap();
            // Otherwise the next update would come first, and several readers would share a map.
            reader.stream().peek(&mut [0]).unwrap();
            reader
        })
        .collect();
    wait_until(Duration::from_secs(5), "callers that do not read are dropped", || {
        reads_whole(server)
    });
    assert_eq!(server.update("large", READERS + 1, &hash("x")), TRUE);
    assert!(peak(process) < 256, "the server held {} MiB", peak(process));
    assert!(reads_whole(server));
    let answers: Vec<_> = readers.into_iter().map(|mut reader| reader.try_response()).collect();
    assert!(answers.iter().any(Result::is_err), "some were dropped");
    for refused in answers.into_iter().flatten().filter(|response| response.body.len() < 1000) {
        assert_fault(&refused.answer(), 4, "busy: too many bytes of answers");
    }
    assert_unharmed(&cluster);
}
