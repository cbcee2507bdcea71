//! The names of methods, what the servers report about them, and the blocks that each server stores for itself.

use support::client::{Client, TRUE, assert_fault, hash, list, update};
use support::harness::Cluster;
use surfstore::value::Value;

/// The SHA-256 of `abc` and of nothing, from FIPS 180.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The methods and their signatures: the type of the answer, then those of the parameters.
const SIGNATURES: [(&str, &[&str]); 14] = [
    ("surfstore.ping", &["boolean"]),
    ("surfstore.isLeader", &["boolean"]),
    ("surfstore.isCrashed", &["boolean"]),
    ("surfstore.crash", &["boolean"]),
    ("surfstore.restore", &["boolean"]),
    ("surfstore.updatefile", &["boolean", "string", "int", "array"]),
    ("surfstore.getfileinfomap", &["struct"]),
    ("surfstore.tester_getversion", &["int", "string"]),
    ("surfstore.getblock", &["base64", "string"]),
    ("surfstore.putblock", &["boolean", "base64"]),
    ("surfstore.hasblocks", &["array", "array"]),
    ("surfstore.status", &["struct"]),
    ("system.listMethods", &["array"]),
    ("system.methodHelp", &["string", "string"]),
];

fn strings(values: &[&str]) -> Value {
    Value::Array(values.iter().map(|text| Value::from(*text)).collect())
}

fn base64(bytes: &[u8]) -> Value {
    Value::Base64(bytes.into())
}

#[test]
fn what_the_servers_say_about_their_methods_is_true() {
    let (cluster, id) = Cluster::led(1);
    let server = cluster.at(id);
    let Ok(Value::Array(listed)) = server.call("system.listMethods", &[]) else { panic!() };
    for (method, signature) in SIGNATURES {
        assert!(listed.contains(&method.into()), "{method} is not in {listed:?}");
        let answer = server.call("system.methodSignature", &[method.into()]);
        assert_eq!(answer, Ok(list([strings(signature)])), "{method}");
    }
    for method in &listed {
        assert_described_as_it_is(server, method);
    }
}

/// Checks that a listed method has a help text, and takes as many parameters as its signature says.
fn assert_described_as_it_is(server: &Client, method: &Value) {
    let Value::String(name) = method else { panic!("{method:?}") };
    let help = server.call("system.methodHelp", std::slice::from_ref(method));
    assert!(matches!(&help, Ok(Value::String(text)) if !text.is_empty()), "{name}: {help:?}");
    let answer = server.call("system.methodSignature", std::slice::from_ref(method));
    let Ok(Value::Array(signatures)) = answer else { panic!("{name}: {answer:?}") };
    let [Value::Array(types)] = &*signatures else { panic!("{name}: {signatures:?}") };
    let too_many = vec![Value::from(1); types.len()];
    assert_fault(&server.call(name, &too_many), -32602, "");
}

#[test]
fn a_method_answers_to_its_name_in_any_case_and_without_the_prefix() {
    let (cluster, id) = Cluster::led(1);
    let server = cluster.at(id);
    for name in ["ping", "PING", "surfstore.ping", "SurfStore.Ping", "SURFSTORE.PING"] {
        assert_eq!(server.call(name, &[]), TRUE, "{name}");
    }
    for (version, name) in (1..).zip(["updatefile", "surfstore.updateFile", "UPDATEFILE"]) {
        assert_eq!(server.call(name, &update("a.txt", version, &hash("x"))), TRUE, "{name}");
    }
    for name in ["tester_getversion", "surfstore.getversion", "getVersion", "Tester_GetVersion"] {
        assert_eq!(server.call(name, &["a.txt".into()]), Ok(3.into()), "{name}");
    }
    let map = server.call("surfstore.getfileinfomap", &[]);
    for name in ["getFileInfoMap", "surfstore.getfileinfo", "getfileinfos"] {
        assert_eq!(server.call(name, &[]), map, "{name}");
    }
    for name in ["isLeader", "isleader", "surfstore.isleader"] {
        assert_eq!(server.call(name, &[]), TRUE, "{name}");
    }
}

#[test]
fn blocks_are_kept_under_the_sha_256_of_their_content_by_the_server_that_got_them() {
    let (cluster, id) = Cluster::led(3);
    let other = cluster.at(cluster.others(id)[0]);
    let server = cluster.at(id);
    let large = vec![7; 1 << 20];
    for block in [&b"abc"[..], b"", b"abc", &large] {
        assert_eq!(server.call("surfstore.putblock", &[base64(block)]), TRUE);
    }
    assert_eq!(server.call("surfstore.getblock", &[ABC.into()]), Ok(base64(b"abc")));
    assert_eq!(server.call("surfstore.getblock", &[NOTHING.into()]), Ok(base64(b"")));
    let unknown = "0".repeat(64);
    let asked = strings(&[NOTHING, &unknown, ABC, "x"]);
    let stored = server.call("surfstore.hasblocks", std::slice::from_ref(&asked));
    assert_eq!(stored, Ok(strings(&[NOTHING, ABC])));
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&ABC[2 * at..][..2], 16).unwrap()).collect();
    let names = [
        ABC.to_uppercase().as_str().into(),
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=".into(),
        base64(ABC.as_bytes()),
        base64(&bytes),
    ];
    for name in &names {
        let answer = server.call("surfstore.getblock", std::slice::from_ref(name));
        assert_eq!(answer, Ok(base64(b"abc")), "{name:?}");
    }
    let named = list(names);
    let stored = server.call("surfstore.hasblocks", std::slice::from_ref(&named));
    assert_eq!(stored, Ok(named), "as they were asked");
    assert_eq!(other.call("surfstore.hasblocks", &[asked]), Ok(list([])));
    for (server, hash) in [(server, unknown.as_str()), (server, ""), (other, ABC)] {
        let answer = server.call("surfstore.getblock", &[hash.into()]);
        assert!(answer.is_err(), "{hash:?}: {answer:?}");
    }
}

#[test]
fn a_server_serves_its_blocks_again_once_restored() {
    let (cluster, id) = Cluster::led(1);
    let server = cluster.at(id);
    assert_eq!(server.call("surfstore.putblock", &[base64(b"abc")]), TRUE);
    server.crash();
    assert_fault(&server.call("surfstore.getblock", &[ABC.into()]), 1, "isCrashed");
    assert_fault(&server.call("surfstore.putblock", &[base64(b"")]), 1, "isCrashed");
    server.restore();
    assert_eq!(server.call("surfstore.getblock", &[ABC.into()]), Ok(base64(b"abc")));
    let asked = [strings(&[NOTHING, ABC])];
    assert_eq!(server.call("surfstore.hasblocks", &asked), Ok(strings(&[ABC])));
}
