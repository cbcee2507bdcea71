//! Values as clients in many languages write them: what is stored, and what is refused and leaves no trace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::client::{Answer, Client, FALSE, Files, TRUE, assert_fault, hash, list, update};
use support::harness::Cluster;
use support::wait::PATIENCE;
use surfstore::value::Value;
use surfstore::xmlrpc::Fault;

use crate::crowds::Over;
use crate::raw::{Raw, call, post};
use crate::servers::assert_unharmed;

/// Updates a file with parameters that are written like this.
#[track_caller]
fn update_spelled(server: &Client, name: &str, version: &str, hashes: &str) -> Answer {
    let params: String = [name, version, hashes]
        .iter()
        .map(|value| format!("<param><value>{value}</value></param>"))
        .collect();
    let document = format!(
        "<methodCall><methodName>surfstore.updatefile</methodName><params>{params}</params></methodCall>"
    );
    let mut connection = Raw::to(server);
    connection.send(post(document.as_bytes())).unwrap();
    connection.response().answer()
}

fn array(element: &str) -> String {
    format!("<array><data><value>{element}</value></data></array>")
}

#[test]
fn integers_are_read_in_all_their_spellings() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let spellings = [
        "<int>1</int>",
        "<i4>2</i4>",
        "<i8>3</i8>",
        "<int>+4</int>",
        "<int>05</int>",
        "<int> 6 </int>",
        "\r\n <int>7</int>\t",
    ];
    for (number, version) in (1..).zip(spellings) {
        assert_eq!(update_spelled(server, "a", version, &array("x")), TRUE, "{version}");
        assert_eq!(server.version("a"), number, "{version}");
    }
}

#[test]
fn integers_out_of_range_or_misspelt_are_refused() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let before = server.state();
    for digits in
        ["2147483648", "-2147483649", "100000000000000000000", "1.5", "", " ", "0x1", "1e0"]
    {
        let version = format!("<int>{digits}</int>");
        let answer = update_spelled(server, "a", &version, &array("x"));
        assert_fault(&answer, -32602, "");
    }
    for version in
        ["<i8>9223372036854775808</i8>", "1", "<boolean>1</boolean>", "<double>1.5</double>"]
    {
        assert_fault(&update_spelled(server, "a", version, &array("x")), -32602, "");
    }
    assert_eq!(server.state(), before);
}

#[test]
fn values_that_xml_rpc_does_not_know_are_refused() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let before = server.state();
    for value in [
        "<double>NaN</double>",
        "<double>inf</double>",
        "<double>-INF</double>",
        "<double>1e999</double>",
        "<boolean>2</boolean>",
        "<boolean>yes</boolean>",
        "<base64>a</base64>",
        "<base64>%%%%</base64>",
        "<dateTime.iso8601>yesterday</dateTime.iso8601>",
        "<nil/>",
        "<float>1.0</float>",
    ] {
        let answer = update_spelled(server, "a", "<int>1</int>", &array(value));
        assert_fault(&answer, -32602, "");
    }
    assert_eq!(server.state(), before);
}

#[test]
fn text_is_one_however_it_is_split() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let spellings = [
        "a&amp;b",
        "<string>a&amp;b</string>",
        "<string>a&#38;b</string>",
        "<string>a&#x26;b</string>",
        "<![CDATA[a&b]]>",
        "<string>a<![CDATA[&]]>b</string>",
        "<string>a<!-- & -->&amp;<!-- -->b</string>",
        "<string><?x y?>a&amp;b</string>",
        "<base64>YSZi</base64>",
    ];
    for (number, name) in (1..).zip(spellings) {
        let version = format!("<int>{number}</int>");
        assert_eq!(update_spelled(server, name, &version, &array(name)), TRUE, "{name}");
        assert_eq!(server.version("a&b"), number, "{name}");
    }
    assert_eq!(server.state().files, 1);
}

#[test]
fn file_names_come_back_equal() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let long = "n".repeat(4 << 10);
    let names = [
        "",
        &long,
        "../..",
        "../../etc/passwd",
        "\"'",
        "a\rb",
        "a\tb",
        "a\nb",
        "\u{1F600}",
        "\u{E4}",
        "a\u{308}",
        "]]>",
        "<",
        "&lt;",
        "a",
        " a",
        "a ",
        "  \t\n",
    ];
    for name in names {
        assert_eq!(server.update(name, 1, &hash("x")), TRUE, "{name:?}");
    }
    let expected: Files = names.map(|name| (name.to_owned(), (1, hash("x")))).into();
    assert_eq!(server.files().unwrap(), expected);
    assert_fault(&server.update(&format!("{long}n"), 1, &hash("x")), -32602, "");
    for character in ["\u{1}", "\0", "\u{FFFE}"] {
        let params = [Value::Base64(character.as_bytes().into()), 1.into(), hash("x")];
        assert_fault(&server.call("surfstore.updatefile", &params), -32602, "");
    }
    assert_eq!(server.files().unwrap(), expected);
}

#[test]
fn versions_other_than_the_next_are_refused_without_a_fault() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    assert_eq!(server.update("a", 1, &hash("x")), TRUE);
    for version in [0, -1, 1, 3, i64::from(i32::MAX), i64::from(i32::MIN)] {
        assert_eq!(server.update("a", version, &hash("x")), FALSE, "{version}");
    }
    for version in [i64::MAX, i64::MIN] {
        let answer = server.update("a", version, &hash("x"));
        assert!(answer == FALSE || answer.as_ref().is_err_and(|fault| fault.code == -32602));
    }
    assert_eq!(server.version("a"), 1);
}

#[test]
fn a_map_of_5000_files_is_answered_whole() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    let names: Vec<_> = (0..5000).map(|n| format!("{n:04}.txt")).collect();
    let hashes = hash(&"0123456789abcdef".repeat(8));
    let mut connection = Raw::to(server);
    for batch in names.chunks(100) {
        let request = |name: &String| {
            post(&surfstore::xmlrpc::write_call("surfstore.updatefile", |out| {
                update(name, 1, &hashes).iter().for_each(|value| out.param(|out| out.value(value)));
            }))
        };
        connection.send(batch.iter().flat_map(request).collect::<Vec<_>>()).unwrap();
        batch.iter().for_each(|_| assert_eq!(connection.response().answer(), TRUE));
    }
    connection.send(post(&call("surfstore.getfileinfomap"))).unwrap();
    let response = connection.response();
    assert!(512 << 10 < response.body.len(), "the answer has {} bytes", response.body.len());
    let files = support::client::files(response.answer().unwrap());
    let expected: BTreeMap<_, _> =
        names.into_iter().map(|name| (name, (1, hashes.clone()))).collect();
    assert_eq!(files, expected);
}

#[test]
fn calls_at_a_crashed_server_have_no_effect() {
    let (cluster, _) = Cluster::led(1);
    let server = cluster.at(0);
    assert_eq!(server.update("a", 1, &hash("x")), TRUE);
    server.crash();
    let before = server.state();
    for (method, params) in [
        ("surfstore.updatefile", update("a", 2, &hash("x")).to_vec()),
        ("surfstore.updatefile", vec![]),
        ("surfstore.getfileinfomap", vec![]),
        ("surfstore.requestVote", vec![list([])]),
        ("surfstore.appendEntries", vec![]),
        ("surfstore.installSnapshot", vec![]),
        ("surfstore.getblock", vec!["x".into()]),
        ("surfstore.hasblocks", vec![list([])]),
    ] {
        assert_fault(&server.call(method, &params), 1, "isCrashed");
    }
    assert_eq!(server.version("a"), 1);
    assert_eq!(server.call("surfstore.ping", &[]), TRUE);
    assert!(!server.is_leader());
    assert_eq!(server.state(), before);
}

#[test]
fn a_thousand_crashes_and_restores_among_other_calls_do_no_harm() {
    let (cluster, id) = Cluster::led(3);
    let server = cluster.at(id);
    assert_eq!(server.update("a", 1, &hash("x")), TRUE);
    let round: Vec<u8> = ["crash", "isCrashed", "getversion", "isleader", "restore", "getfileinfo"]
        .iter()
        .flat_map(|method| match *method {
            "getversion" => post(&surfstore::xmlrpc::write_call(method, |out| {
                out.param(|out| out.string("a"));
            })),
            _ => post(&call(method)),
        })
        .collect();
    let mut connection = Raw::to(server);
    for _ in 0..100 {
        connection.send(round.repeat(10)).unwrap();
        for _ in 0..10 {
            assert_eq!(connection.response().answer(), TRUE);
            assert_eq!(connection.response().answer(), TRUE);
            assert_eq!(connection.response().answer(), Ok(1.into()));
            assert_eq!(connection.response().answer(), FALSE);
            assert_eq!(connection.response().answer(), TRUE);
            assert_fault(&connection.response().answer(), 2, "not the leader");
        }
    }
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a", 2);
    assert_eq!(cluster.at(leader).begin("surfstore.ping", &[]).answer(PATIENCE), TRUE);
}

/// Makes every kind of call until the storm is over. Returns how many were answered.
fn call_all(server: &Client, is_over: &AtomicBool) -> usize {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        assert_eq!(server.call("surfstore.ping", &[]), TRUE);
        assert_eq!(server.version("a"), 1);
        assert!(server.call("surfstore.isLeader", &[]).is_ok());
        assert!(server.call("surfstore.isCrashed", &[]).is_ok());
        for (method, params) in [
            ("surfstore.updatefile", update("a", 3, &hash("x")).to_vec()),
            ("surfstore.getfileinfomap", vec![]),
            ("surfstore.hasblocks", vec![list([])]),
        ] {
            let answer = server.call(method, &params);
            let is_definite = |fault: &Fault| matches!(fault.code, 1..=3);
            assert!(answer.as_ref().err().is_none_or(is_definite), "{method}: {answer:?}");
            assert_ne!(answer, TRUE, "only the next version is accepted");
        }
        for method in
            ["surfstore.requestVote", "surfstore.appendEntries", "surfstore.installSnapshot"]
        {
            let fault = server.call(method, &[list([])]).unwrap_err();
            assert!([1, -32602].contains(&fault.code), "{method}: {fault:?}");
        }
        count += 10;
    }
    count
}

#[test]
fn every_call_is_answered_while_its_server_is_crashed_and_restored_again_and_again() {
    let (cluster, id) = Cluster::led(3);
    cluster.agree(id, &cluster.running(), "a", 1);
    let is_over = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        let callers =
            [(); 4].map(|()| scope.spawn(|| call_all(&cluster.at(id).another(), &is_over)));
        let over = Over(&is_over);
        let start = Instant::now();
        let mut connection = Raw::to(cluster.at(id));
        let round = ["crash", "restore"].map(|method| post(&call(method))).concat();
        // A thousand pairs a second on an idle machine, for two seconds.
        while start.elapsed() < Duration::from_secs(2) {
            connection.send(round.repeat(10)).unwrap();
            (0..20).for_each(|_| assert_eq!(connection.response().answer(), TRUE));
            thread::sleep(Duration::from_millis(5));
        }
        drop(over);
        callers.map(|caller| caller.join().unwrap()).into_iter().sum::<usize>()
    });
    assert!(100 < answered, "{answered} calls were answered");
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a", 2);
    assert_unharmed(&cluster);
}
