//! Apache XML-RPC for Java, whose last version is in no package: what it sends, byte for byte, by its default transport
//! and by its "lite" one, and the answers, of which its parser must understand every byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use support::client::{Client, FALSE, TRUE, assert_fault};
use support::harness::Cluster;
use support::wait::{PATIENCE, wait_until};

use crate::raw::Raw;

const NAME: &str = "naïve 名 &amp; &lt;x&gt;.txt";

/// How documents begin, without and with the extensions that a client may enable.
const BEGINNINGS: [&str; 2] =
    ["<methodCall>", "<methodCall xmlns:ex=\"http://ws.apache.org/xmlrpc/namespaces/extensions\">"];

/// The document of a call: strings have no type, numbers are `i4`, and an empty element is one tag.
fn document(beginning: &str, method: &str, values: &[&str]) -> String {
    let params: String =
        values.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
    let params = match values {
        [] => "<params/>".to_owned(),
        _ => format!("<params>{params}</params>"),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>{beginning}\
         <methodName>surfstore.{method}</methodName>{params}</methodCall>"
    )
}

/// What `java.net.HttpURLConnection` sends for a document.
fn by_default(document: &str) -> String {
    format!(
        "POST /RPC2 HTTP/1.1\r\nContent-Type: text/xml\r\n\
         User-Agent: Apache XML RPC 3.1.3 (Sun HTTP Transport)\r\n\
         Cache-Control: no-cache\r\nPragma: no-cache\r\nHost: localhost:9001\r\n\
         Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\
         Content-Length: {}\r\n\r\n{document}",
        document.len()
    )
}

/// What the lite transport sends for a document, before it closes its side of the connection.
fn by_lite(document: &str) -> String {
    format!(
        "POST /RPC2 HTTP/1.0\r\nUser-Agent: Apache XML RPC 3.1.3 (Lite HTTP Transport)\r\n\
         Host: localhost:9001\r\nContent-Length: {}\r\nContent-Type: text/xml\r\n\r\n{document}",
        document.len()
    )
}

/// The document that answers a call of the lite transport, which requires a reason phrase after the status, and reads
/// as many bytes as announced, or up to the end.
#[track_caller]
fn answer_to_lite(server: &Client, document: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(by_lite(document).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let length = format!("content-length: {}", body.len());
    assert!(head.to_lowercase().lines().any(|line| line == length), "{head}");
    body.into()
}

/// The document of an answer with that value.
fn answer(value: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodResponse><params><param><value>{value}</value></param>\
         </params></methodResponse>"
    )
}

/// The document of a fault.
fn fault(code: i32, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodResponse><fault><value><struct>\
         <member><name>faultCode</name><value><int>{code}</int></value></member>\
         <member><name>faultString</name><value><string>{message}</string></value></member>\
         </struct></value></fault></methodResponse>"
    )
}

#[test]
fn all_calls_of_its_default_transport_are_answered_over_one_connection() {
    let (cluster, leader) = Cluster::led(1);
    let mut connection = Raw::to(cluster.at(leader));
    let mut call = |beginning, method, values: &[&str]| {
        let request = by_default(&document(beginning, method, values));
        connection.send(request).unwrap();
        connection.response().answer()
    };
    for (beginning, version) in BEGINNINGS.into_iter().zip(["<i4>1</i4>", "<i4>2</i4>"]) {
        assert_eq!(call(beginning, "ping", &[]), TRUE);
        assert_eq!(call(beginning, "isLeader", &[]), TRUE);
        let strings = "<array><data><value>h1</value><value></value></data></array>";
        assert_eq!(call(beginning, "updatefile", &[NAME, version, strings]), TRUE);
        assert_eq!(call(beginning, "updatefile", &[NAME, version, strings]), FALSE);
        let none = "<array><data/></array>";
        assert_eq!(call(beginning, "updatefile", &["none", version, none]), TRUE);
        assert_eq!(call(beginning, "crash", &[]), TRUE);
        assert_fault(&call(beginning, "getfileinfomap", &[]), 1, "isCrashed");
        assert_eq!(call(beginning, "restore", &[]), TRUE);
        wait_until(PATIENCE, "it leads again", || cluster.at(leader).is_leader());
    }
    // With the extensions, a Java `long` has a type of theirs.
    let long = "<ex:i8>3</ex:i8>";
    let longs = "<array><data><value><ex:i8>4</ex:i8></value></data></array>";
    assert_eq!(call(BEGINNINGS[1], "updatefile", &[NAME, long, longs]), TRUE);
}

#[test]
fn the_answers_to_its_lite_transport_are_typed_as_it_reads_them() {
    let (cluster, leader) = Cluster::led(3);
    let follower = cluster.others(leader)[0];
    let at = |server, method, values: &[&str]| {
        answer_to_lite(cluster.at(server), &document(BEGINNINGS[0], method, values))
    };
    let (yes, no) = (answer("<boolean>1</boolean>"), answer("<boolean>0</boolean>"));
    assert_eq!(at(leader, "ping", &[]), yes);
    assert_eq!(at(leader, "isLeader", &[]), yes);
    assert_eq!(at(follower, "isLeader", &[]), no);

    let hashes = "<array><data><value>h1</value><value><i4>2</i4></value><value><boolean>1</boolean></value>\
        <value><double>1.5</double></value><value><base64>YWI=</base64></value></data></array>";
    assert_eq!(at(leader, "updatefile", &[NAME, "<i4>1</i4>", hashes]), yes);
    assert_eq!(at(leader, "updatefile", &[NAME, "<i4>1</i4>", hashes]), no);
    let typed = hashes.replace("<value>h1<", "<value><string>h1</string><").replace("i4", "int");
    let stored = format!(
        "<struct><member><name>{NAME}</name><value><array><data><value><int>1</int></value><value>{typed}</value>\
         </data></array></value></member></struct>"
    );
    assert_eq!(at(leader, "getfileinfomap", &[]), answer(&stored));
    assert_eq!(at(leader, "tester_getversion", &[NAME]), answer("<int>1</int>"));

    let elsewhere = format!("not the leader: {} is", cluster.at(leader).address());
    assert_eq!(at(follower, "updatefile", &[NAME, "<i4>2</i4>", hashes]), fault(2, &elsewhere));
    assert_eq!(at(leader, "crash", &[]), yes);
    let crashed = at(leader, "updatefile", &[NAME, "<i4>2</i4>", hashes]);
    assert!(
        crashed.starts_with(fault(1, "isCrashed").split_once("</string>").unwrap().0),
        "{crashed}"
    );
    assert_eq!(at(leader, "restore", &[]), yes);
    assert_eq!(at(leader, "isCrashed", &[]), no);
}
