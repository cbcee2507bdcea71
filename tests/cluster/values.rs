//! Everything stored is returned as it was sent: hash lists with the types of their elements, file names byte for byte.

use std::iter;

use support::client::{Client, FALSE, Files, TRUE, assert_fault, hash, list};
use support::harness::Cluster;
use surfstore::value::{DateTime, Double, Value};

fn double(number: f64) -> Value {
    Value::Double(Double::new(number).unwrap())
}

fn base64(bytes: &[u8]) -> Value {
    Value::Base64(bytes.into())
}

fn date_time() -> Value {
    Value::DateTime(DateTime::new("19980717T14:08:55").unwrap())
}

/// Hash lists that clients send.
fn hash_lists() -> Vec<Value> {
    let hashes: Vec<_> = (0..100).map(|n| Value::from(format!("{n:064x}").as_str())).collect();
    let nested = |inside: Value| list([inside]);
    let deep = iter::successors(Some(list([1.into()])), |inside| Some(nested(inside.clone())));
    let member: (Box<str>, Value) = ("]]>&".into(), list([double(0.5)]));
    vec![
        Value::Array(hashes.into()),
        list([]),
        list(["".into()]),
        list(["0".into()]),
        list([0.into()]),
        list([1.into(), 2.into(), 3.into()]),
        list([2_147_483_647.into(), (-2_147_483_648).into()]),
        list([true.into(), false.into()]),
        list([1.into(), true.into(), "1".into(), double(1.0), base64(b"1")]),
        list([double(0.1), double(-0.0), double(1e300), double(5e-324)]),
        list([base64(b""), base64(&[0, 255, 13, 10]), base64(&[b'x'; 1000])]),
        list([date_time(), "19980717T14:08:55".into()]),
        list([" blanks ".into(), "<a>&amp;]]>".into(), "a\r\nb\tc\n".into(), "\u{1F600}".into()]),
        list([list([]), list([list([list(["x".into()]), 1.into()])])]),
        list([Value::Struct([member].into()), Value::Struct([].into())]),
        deep.into_iter().nth(12).unwrap(),
    ]
}

/// File names that clients send.
fn names() -> Vec<String> {
    let mut names: Vec<_> = [
        "",
        " ",
        " a.txt ",
        "a b",
        "../../etc/passwd",
        "Größe",
        "Gro\u{308}ße",
        "文件",
        "\u{1F600}",
        "a\u{10FFFF}",
        "<>&\"']]>",
        "&amp;",
        "<![CDATA[x]]>",
        "a\rb",
        "a\nb",
        "a\r\nb",
        "\n",
        "\t",
        "\u{7f}",
        "\u{85}\u{2028}",
        "A.TXT",
        "a.txt",
    ]
    .map(str::to_owned)
    .into();
    names.extend(["x".repeat(4096), "é".repeat(2048)]);
    names
}

/// The map as another server returns it, once it leads in place of this one.
fn files_at_the_next_leader(cluster: &Cluster, leader: usize) -> Files {
    cluster.at(leader).crash();
    cluster.at(cluster.leader()).files().unwrap()
}

#[test]
fn hash_lists_keep_the_type_and_value_of_every_element() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    let mut expected = Files::new();
    for (n, hashes) in hash_lists().into_iter().enumerate() {
        let name = format!("{n}.txt");
        assert_eq!(leader.update(&name, 1, &hashes), TRUE, "{hashes:?}");
        expected.insert(name, (1, hashes));
    }
    assert_eq!(leader.files().unwrap(), expected);
    assert_eq!(files_at_the_next_leader(&cluster, id), expected);
}

#[test]
fn a_scalar_in_the_place_of_a_list_is_stored_as_that_scalar() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    let scalars = [
        "abc".into(),
        "".into(),
        "0".into(),
        0.into(),
        true.into(),
        double(0.5),
        base64(b"x"),
        date_time(),
    ];
    for (version, value) in (1..).zip(scalars) {
        assert_eq!(leader.update("a.txt", version, &value), TRUE, "{value:?}");
        assert_eq!(leader.files().unwrap()["a.txt"], (version, value));
    }
    assert_eq!(files_at_the_next_leader(&cluster, id)["a.txt"], (8, date_time()));
}

#[test]
fn file_names_keep_every_byte_and_are_told_apart_by_it() {
    let (cluster, id) = Cluster::led(3);
    let leader = cluster.at(id);
    let mut expected = Files::new();
    for (n, name) in names().into_iter().enumerate() {
        let hashes = hash(&n.to_string());
        assert_eq!(leader.update(&name, 1, &hashes), TRUE, "{name:?}");
        assert_eq!(leader.update(&name, 1, &hashes), FALSE, "{name:?}");
        cluster.await_version(&cluster.running(), &name, 1);
        expected.insert(name, (1, hashes));
    }
    assert_eq!(leader.files().unwrap(), expected);
    assert_eq!(files_at_the_next_leader(&cluster, id), expected);
}

#[test]
fn a_file_name_that_no_answer_could_carry_or_that_is_too_long_is_refused() {
    let (cluster, id) = Cluster::led(1);
    let leader = cluster.at(id);
    let before = leader.state();
    let refused = |name: Value| {
        let answer = leader.call("surfstore.updatefile", &[name, 1.into(), list([])]);
        assert_fault(&answer, -32602, "");
    };
    for characters in ["\0", "a\u{1}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        refused(base64(characters.as_bytes()));
    }
    refused(base64(b"\xff"));
    refused("x".repeat(4097).as_str().into());
    refused(base64(&[b'x'; 4097]));
    for reference in ["&#0;", "&#1;", "&#xFFFE;", "&#xD800;"] {
        assert_refused_as_xml(leader, reference);
    }
    assert_eq!(leader.state(), before);
    assert_eq!(leader.files().unwrap(), Files::new());
}

/// A name that is written with such a reference is in no well-formed document.
fn assert_refused_as_xml(leader: &Client, reference: &str) {
    let document = format!(
        "<methodCall><methodName>surfstore.updatefile</methodName><params>\
         <param><value>a{reference}</value></param><param><value><int>1</int></value></param>\
         <param><value><array><data/></array></value></param></params></methodCall>"
    );
    let fault = leader.send(document.as_bytes()).unwrap_err();
    assert!([-32700, -32702].contains(&fault.code), "{reference}: {fault:?}");
}
