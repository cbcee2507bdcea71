//! What `/view` says about services that run.

use std::time::Duration;

use serde_json::Value as Json;
use surfstore::monitor::{Process, VIEW_BYTES_MAX};
use surfstore::protocol::{self, Ask};
use surfstore::raft::{AppendEntries, LogIndex, Position, Request, Round, WAITING_MAX};
use surfstore::value::Value;

use super::cluster::{Cluster, page_request};
use super::{cut_off, update};

#[track_caller]
fn view(cluster: &Cluster, id: u8, since: u64) -> Json {
    let page = cluster.page(id, &format!("/view?since={since}")).unwrap();
    assert_eq!((page.status, page.content_type), (200, "application/json"));
    assert!(page.body.len() <= VIEW_BYTES_MAX, "{} bytes", page.body.len());
    serde_json::from_str(&page.body).unwrap()
}

fn events(view: &Json) -> &[Json] {
    view["events"].as_array().unwrap()
}

/// The kinds of the events, without appends.
fn kinds(view: &Json) -> Vec<&str> {
    let kinds = events(view).iter().map(|event| event["kind"].as_str().unwrap());
    kinds.filter(|kind| !["heartbeat", "entries"].contains(kind)).collect()
}

/// Fails unless the kinds contain those in this order, others between them or not.
#[track_caller]
fn assert_in_order(kinds: &[&str], expected: &[&str]) {
    let mut rest = kinds.iter();
    for kind in expected {
        assert!(rest.any(|other| other == kind), "{expected:?} in {kinds:?}");
    }
}

#[test]
fn an_election_is_recorded_in_its_order_at_the_winner_and_at_a_voter() {
    let (cluster, leader) = Cluster::led(3, WAITING_MAX);
    let view_of_leader = view(&cluster, leader, 0);
    let order = ["timeout", "candidate", "preVote", "grantedBy", "vote", "grantedBy", "founds"];
    assert_in_order(&kinds(&view_of_leader), &order);
    assert_in_order(&kinds(&view_of_leader), &["founds", "leader"]);
    let others: Vec<_> = (0..3).filter(|id| *id != leader).collect();
    let ballot = events(&view_of_leader).iter().find(|event| event["kind"] == "vote").unwrap();
    assert_eq!(ballot["to"], serde_json::json!(others));
    let voter = view(&cluster, others[0], 0);
    let granted = events(&voter).iter().filter(|event| event["kind"] == "granted");
    let granted: Vec<_> = granted.map(|event| (&event["peer"], &event["ballot"])).collect();
    let candidate = Json::from(leader);
    let last_two = &granted[granted.len() - 2..];
    assert_eq!(last_two, [(&candidate, &"preVote".into()), (&candidate, &"vote".into())]);
    assert_eq!(voter["votedFor"], leader);
}

#[test]
fn events_are_numbered_without_gaps_timed_and_told_once() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let first = view(&cluster, leader, 0);
    let number = |event: &Json| event["seq"].as_u64().unwrap();
    let numbers: Vec<_> = events(&first).iter().map(number).collect();
    let last = *numbers.last().unwrap();
    assert_eq!(numbers, (last + 1 - numbers.len() as u64..=last).collect::<Vec<_>>());
    let times = |view: &Json| -> Vec<u64> {
        events(view).iter().map(|event| event["at"].as_u64().unwrap()).collect()
    };
    assert!(times(&first).is_sorted() && times(&first)[0] < 2_000, "{:?}", times(&first));
    assert_eq!(events(&view(&cluster, leader, last)), [] as [Json; 0]);
    cluster.pass(Duration::from_secs(1));
    let second = view(&cluster, leader, last);
    assert_eq!(number(&events(&second)[0]), last + 1);
    assert!(second.get("dropped").is_none(), "{second}");
    assert_eq!((&second["boot"], &first["boot"]), (&first["boot"], &second["boot"]));
    assert_eq!(first["boot"].as_str().unwrap().len(), 16);
    assert_eq!(second["milliseconds"].as_u64(), first["milliseconds"].as_u64().map(|t| t + 1_000));
}

/// Crashes and restores the server, which are two events, so many times.
fn crash_and_restore(cluster: &mut Cluster, id: u8, times: usize) {
    for _ in 0..times {
        cluster.send(id, &Ask::Crash.document());
        cluster.send(id, &Ask::Restore.document());
    }
}

/// Heartbeats never end, so they must not displace what happened before.
#[test]
fn after_minutes_of_heartbeats_the_election_is_still_there_and_nothing_is_said_to_be_dropped() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cluster.pass(Duration::from_secs(120));
    let late = view(&cluster, leader, 0);
    assert!(late.get("dropped").is_none(), "{late}");
    let kinds = kinds(&late);
    assert!(kinds.contains(&"leader"), "{kinds:?}");
    let heartbeats = events(&late).iter().filter(|event| event["kind"] == "heartbeat").count();
    assert!((1..=64).contains(&heartbeats), "{heartbeats}");
}

/// A page that was away for long learns that it has missed events, and the number of those that are kept is bounded.
#[test]
fn the_oldest_events_are_forgotten_and_the_view_says_so() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    crash_and_restore(&mut cluster, leader, 200);
    let late = view(&cluster, leader, 1);
    assert_eq!(late["dropped"], true);
    assert!(events(&late).len() <= 256, "{}", events(&late).len());
    let last = events(&late).last().unwrap()["seq"].as_u64().unwrap();
    assert!(256 < last, "{last}");
    assert!(view(&cluster, leader, last - 1).get("dropped").is_none());
    assert_eq!(events(&view(&cluster, leader, last + 1_000)), [] as [Json; 0]);
}

#[test]
fn every_heartbeat_of_an_idle_leader_is_recorded_and_few_of_many_appends() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let follower = (leader + 1) % 3;
    let before = events(&view(&cluster, follower, 0)).last().unwrap()["seq"].as_u64().unwrap();
    cluster.pass(Duration::from_secs(2));
    let idle = view(&cluster, follower, before);
    assert_eq!(events(&idle).len(), 8, "{idle}");
    assert!(events(&idle).iter().all(|event| event["kind"] == "heartbeat"), "{idle}");
    let before = before + 8;
    for version in 1..=50 {
        cluster.send(leader, &update("a", version));
    }
    cluster.pass(Duration::from_millis(300));
    cluster.send(leader, &update("a", 51));
    let busy = view(&cluster, follower, before);
    let entries = events(&busy).iter().filter(|event| event["kind"] == "entries");
    let counts: Vec<_> = entries.map(|event| event["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 50], "the second has those that were left out");
}

#[test]
fn a_leader_shows_the_progress_of_its_followers_and_who_is_silent() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cluster.send(leader, &update("a", 1));
    let before = view(&cluster, leader, 0);
    let last = before["lastIndex"].as_u64().unwrap();
    assert_eq!(
        (before["hasMajority"].as_bool(), before["commitIndex"].as_u64()),
        (Some(true), Some(last))
    );
    let peers = before["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 2);
    for peer in peers {
        assert_eq!((&peer["match"], &peer["next"]), (&last.into(), &(last + 1).into()));
        assert_eq!(peer["sent"], peer["answered"]);
    }
    assert_eq!(before["timer"]["kind"], "heartbeat");
    assert_eq!(before["timer"]["total"], 250);
    cut_off(&mut cluster, leader);
    cluster.pass(Duration::from_secs(3));
    cluster.send(leader, &update("a", 2));
    cluster.call(leader, &Ask::Files);
    let alone = view(&cluster, leader, 0);
    assert_eq!((&alone["hasMajority"], &alone["role"]), (&false.into(), &"leader".into()));
    assert_eq!((&alone["waiting"]["updates"], &alone["waiting"]["reads"]), (&1.into(), &1.into()));
    assert_eq!(alone["lastIndex"], last + 1);
    assert!(
        alone["peers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|peer| 3 <= peer["unanswered"].as_u64().unwrap())
    );
    let silent = kinds(&alone).into_iter().filter(|kind| *kind == "silent").count();
    assert_eq!(silent, 2, "once for each peer: {alone}");
    let last_seen = events(&alone).last().unwrap()["seq"].as_u64().unwrap();
    cluster.isolated.clear();
    cluster.pass(Duration::from_secs(3));
    let healed = view(&cluster, leader, last_seen);
    assert_in_order(&kinds(&healed), &["back", "follower", "conflict"]);
    let follower = &healed;
    assert_eq!(
        (&follower["role"], &follower["peers"][0]["next"]),
        (&"follower".into(), &Json::Null)
    );
}

#[test]
fn a_candidate_shows_its_ballot_and_a_crashed_server_that_it_is() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let others: Vec<u8> = (0..3).filter(|id| *id != leader).collect();
    cluster.isolated.extend(&others);
    cluster.pass(Duration::from_secs(3));
    let candidate = others
        .iter()
        .map(|id| view(&cluster, *id, 0))
        .find(|view| view["role"] == "candidate")
        .expect("one that hears from nobody stands");
    let itself = candidate["id"].clone();
    assert_eq!(candidate["ballot"], serde_json::json!({ "kind": "preVote", "granted": [itself] }));
    assert_eq!(candidate["timer"]["kind"], "campaign");
    cluster.answer(leader, &Ask::Crash).unwrap();
    let crashed = view(&cluster, leader, 0);
    assert_eq!((&crashed["role"], &crashed["timer"]), (&"crashed".into(), &Json::Null));
    cluster.answer(leader, &Ask::Restore).unwrap();
    assert_in_order(&kinds(&view(&cluster, leader, 0)), &["crashed", "restored"]);
}

#[test]
fn what_a_leader_of_an_older_term_sends_is_not_recorded_as_received() {
    let (mut cluster, old) = Cluster::led(3, WAITING_MAX);
    cut_off(&mut cluster, old);
    cluster.pass(Duration::from_secs(5));
    let others: Vec<u8> = (0..3).filter(|id| *id != old).collect();
    let seen = |cluster: &Cluster, id| {
        events(&view(cluster, id, 0)).last().unwrap()["seq"].as_u64().unwrap()
    };
    let before: Vec<_> = others.iter().map(|id| (*id, seen(&cluster, *id))).collect();
    let sender = cluster.service(old).server().identity();
    let append = Request::AppendEntries(AppendEntries {
        sender,
        receiver: None,
        prev_log: Position::default(),
        entries: Vec::new(),
        leader_commit: LogIndex::default(),
        round: Round::default(),
        has_majority: true,
    });
    for (id, before) in before {
        cluster.send(id, &protocol::write_request(&append));
        let view = view(&cluster, id, before);
        let is_of_old = |event: &&Json| event["sent"] == false && event["peer"] == old;
        assert_eq!(events(&view).iter().find(is_of_old), None, "at server {id}");
    }
}

#[test]
fn a_crashed_server_records_nothing_but_that_it_is() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let crashed = (leader + 1) % 3;
    cluster.answer(crashed, &Ask::Crash).unwrap();
    let before = events(&view(&cluster, crashed, 0)).last().unwrap()["seq"].as_u64().unwrap();
    cluster.pass(Duration::from_secs(2));
    cluster.disconnect(leader, crashed);
    assert_eq!(events(&view(&cluster, crashed, before)), [] as [Json; 0]);
}

#[test]
fn a_snapshot_is_recorded_where_it_is_sent_and_where_it_is_installed() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let lagging = (leader + 1) % 3;
    cluster.isolated.insert(lagging);
    // More than a leader keeps of the updates of a small map.
    let long = Value::Array(["h".repeat(1 << 20).as_str().into()].into());
    for version in 1..=12 {
        // Two files are more than a piece of a snapshot.
        for name in ["a", "b"] {
            cluster.send(leader, &Ask::Update(name, version, &long).document());
        }
    }
    let before = view(&cluster, leader, 0);
    assert!(1 < before["lastIncluded"].as_u64().unwrap(), "{before}");
    cluster.isolated.clear();
    cluster.pass(Duration::from_secs(2));
    let snapshots = |id| {
        let view = view(&cluster, id, 0);
        let events = events(&view).iter().filter(|event| event["kind"] == "snapshot");
        events
            .map(|it| (it["peer"].clone(), it["sent"] == true, it["phase"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(snapshots(leader), [(lagging.into(), true, "begun".into())]);
    let received = ["begun", "installed"].map(|phase| (leader.into(), false, phase.into()));
    assert_eq!(snapshots(lagging), received);
}

#[test]
fn a_peer_whose_connections_close_is_recorded() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    let follower = (leader + 1) % 3;
    cluster.disconnect(leader, follower);
    let view = view(&cluster, follower, 0);
    let closed = events(&view).iter().find(|event| event["kind"] == "closed");
    assert_eq!(closed.map(|event| &event["peer"]), Some(&leader.into()), "{view}");
}

#[test]
fn the_log_says_which_updates_took_effect() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    cut_off(&mut cluster, leader);
    cluster.send(leader, &update("a", 1));
    cluster.send(leader, &update("a", 1));
    let accepted = |cluster: &Cluster| {
        let view = view(cluster, leader, 0);
        let log = view["log"].as_array().unwrap().clone();
        log.into_iter()
            .filter(|entry| entry["kind"] == "update")
            .map(|entry| entry["accepted"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        accepted(&cluster),
        [Json::Null, Json::Null],
        "nothing is known before it is committed"
    );
    cluster.isolated.clear();
    cluster.pass(Duration::from_millis(500));
    assert_eq!(accepted(&cluster), [Json::from(true), false.into()]);
    cluster.send(leader, &update("a", 2));
    assert_eq!(accepted(&cluster), [Json::Null, Json::Null, true.into()], "a later one hides it");
}

#[test]
fn a_file_shows_its_version_its_blocks_and_those_that_are_missing() {
    let (mut cluster, leader) = Cluster::led(1, WAITING_MAX);
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    cluster
        .answer(leader, &Ask::Method("surfstore.putblock", &[Value::Base64(b"abc"[..].into())]))
        .unwrap();
    let lists: [(&str, Value); 3] = [
        ("a", Value::Array([hash.into(), "h".into(), hash.into()].into())),
        ("b", Value::Array(["0".into()].into())),
        ("c", Value::Array([].into())),
    ];
    for (name, hashes) in &lists {
        cluster.send(leader, &Ask::Update(name, 1, hashes).document());
    }
    let view = view(&cluster, leader, 0);
    let file = |name: &str, deleted: bool, blocks: u8, missing: u8| {
        serde_json::json!({
            "key": format!("{:08x}", crc32c::crc32c(name.as_bytes())), "name": name, "version": 1,
            "deleted": deleted, "blocks": blocks, "missing": missing
        })
    };
    let expected = [file("a", false, 3, 1), file("b", true, 0, 0), file("c", false, 0, 0)];
    assert_eq!(view["files"], serde_json::json!({ "count": 3, "shown": expected }));
    assert_eq!(view["blocks"], serde_json::json!({ "count": 1, "bytes": 259, "missing": 1 }));
}

/// The page knows its test file by the key, because servers may cut its name.
#[test]
fn files_whose_names_are_cut_to_the_same_text_have_different_keys() {
    let (mut cluster, leader) = Cluster::led(1, WAITING_MAX);
    let long = |end: &str| "long".repeat(100) + end;
    for name in ["dashboard.txt", &long("a"), &long("b")] {
        cluster.send(leader, &update(name, 1));
    }
    let view = view(&cluster, leader, 0);
    let shown = view["files"]["shown"].as_array().unwrap();
    assert_eq!(shown[1]["name"], shown[2]["name"]);
    assert_ne!(shown[1]["key"], shown[2]["key"]);
    let of_page = format!("TEST_KEY = {};", shown[0]["key"]);
    assert!(include_str!("../../src/dashboard/page.js").contains(&of_page), "{of_page}");
}

/// Long names of files leave room for what happened meanwhile: it is told once, and the files again next time.
#[test]
fn long_names_take_no_more_than_half_of_the_view_from_events() {
    let (mut cluster, leader) = Cluster::led(3, WAITING_MAX);
    for file in 0..60 {
        cluster.send(leader, &update(&format!("{file:03}{}", "x".repeat(300)), 1));
    }
    let seen = events(&view(&cluster, leader, 0)).last().unwrap()["seq"].as_u64().unwrap();
    crash_and_restore(&mut cluster, leader, 100);
    let late = view(&cluster, leader, seen);
    let bytes = late["events"].to_string().len();
    let (log, files) = (late["log"].to_string().len(), late["files"].to_string().len());
    assert!(
        log + files <= bytes + 2 * 512,
        "{bytes} bytes of events, {log} of entries, {files} of files"
    );
    let idle = view(&cluster, leader, events(&late).last().unwrap()["seq"].as_u64().unwrap());
    assert_eq!(idle["files"]["shown"].as_array().unwrap().len(), 50);
    assert_eq!(idle["log"].as_array().unwrap().len(), 32);
}

/// Names are cut between characters, and what programs take for the end of a line or a tag is only text.
#[test]
fn the_view_is_bounded_and_sound_whatever_the_names_and_hash_lists_are() {
    let names: [fn(usize) -> String; 5] = [
        |file| format!("{file:03}{}", "x".repeat(4_000)),
        |file| format!("{file:03}{}", "\t\"\\\n".repeat(1_000)),
        |file| format!("{file:03}{}", "\u{2028}\u{202e}é€𝄞".repeat(250)),
        |file| format!("{file:03}<img src=x onerror=alert(1)></script>"),
        |file| format!("file-{file:03}-of-an-ordinary-name.txt"),
    ];
    for name in names {
        let (mut cluster, leader) = Cluster::led(1, WAITING_MAX);
        let long = Value::Array((0..2_000).map(|_| "h".repeat(64).as_str().into()).collect());
        for file in 0..60 {
            let hashes = if file == 7 { long.clone() } else { Value::Array(["h".into()].into()) };
            cluster.send(leader, &Ask::Update(&name(file), 1, &hashes).document());
        }
        let view = view(&cluster, leader, 0);
        let shown = view["files"]["shown"].as_array().unwrap();
        assert_eq!((shown.len(), &view["files"]["count"]), (50, &60.into()));
        for (file, shown) in shown.iter().enumerate() {
            let shown = shown["name"].as_str().unwrap();
            let whole = name(file);
            let kept = shown.strip_suffix('…').unwrap_or(shown);
            assert!(whole.starts_with(kept) && 8 <= kept.chars().count(), "{shown:?}");
            assert!(kept.chars().count() <= 120, "{shown:?}");
        }
        assert_eq!((&shown[7]["blocks"], &shown[7]["missing"]), (&2_000.into(), &Json::Null));
        assert_eq!(view["blocks"]["missing"], Json::Null);
        let log = view["log"].as_array().unwrap();
        assert_eq!((log.len(), &log[31]["index"]), (32, &view["lastIndex"]));
        assert!(!events(&view).is_empty(), "there is room for some events");
    }
}

#[test]
fn the_root_is_the_page_for_people_and_the_status_for_programs() {
    let (cluster, leader) = Cluster::led(1, WAITING_MAX);
    let mut request = page_request("/?x");
    let page = cluster.service(leader).page(&request, Process::default, cluster.now).unwrap();
    assert_eq!((page.status, page.content_type), (200, "text/html; charset=utf-8"));
    request.prefers_json = true;
    let status = cluster.service(leader).page(&request, Process::default, cluster.now).unwrap();
    let plain = cluster.page(leader, "/status").unwrap();
    assert_eq!((status.content_type, &status.body), (plain.content_type, &plain.body));
    for field in ["Vary: Accept", "Cache-Control: no-cache", "X-Content-Type-Options: nosniff"] {
        for page in [&page, &status] {
            let has = page.fields.iter().any(|(name, value)| format!("{name}: {value}") == field);
            assert!(has, "{field} in {:?}", page.fields);
        }
    }
    let may_crash = |may_call| {
        let request = surfstore::monitor::PageRequest { may_call, ..page_request("/view") };
        let view = cluster.service(leader).page(&request, Process::default, cluster.now).unwrap();
        serde_json::from_str::<Json>(&view.body).unwrap()["mayCrash"].clone()
    };
    assert_eq!((may_crash(true), may_crash(false)), (true.into(), false.into()));
}
