//! The dashboard at a running server: what a browser is sent, and which pages may use it.

use support::client::{Client, FALSE, TRUE};

use crate::raw::{Raw, Response, call};
use crate::servers::{assert_unharmed, shared};

/// The response to a GET with these header lines.
#[track_caller]
fn get(server: &Client, target: &str, lines: &str) -> Response {
    let mut connection = Raw::to(server);
    connection.send(format!("GET {target} HTTP/1.1\r\n{lines}\r\n")).unwrap();
    connection.response()
}

#[test]
fn the_root_is_html_for_browsers_and_the_status_for_programs_that_ask_for_json() {
    let cluster = shared();
    let server = cluster.at(0);
    let host = format!("Host: {}\r\n", server.address());
    let page = get(server, "/", &format!("{host}Accept: text/html,*/*;q=0.8\r\n"));
    assert_eq!(page.status, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-cache",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.has_header(header), "{header} in {:?}", page.headers);
    }
    let policy =
        page.headers.iter().find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.expect("the page has a policy");
    let source = format!("http://{}", server.address());
    assert!(policy.contains("default-src 'none'") && policy.contains(&source), "{policy}");
    let status = get(server, "/", &format!("{host}Accept: application/json\r\n"));
    assert!(status.has_header("content-type: application/json"), "{:?}", status.headers);
    let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!(status["address"], server.address());
    let view = get(server, "/view?since=0", &host);
    let view: serde_json::Value = serde_json::from_slice(&view.body).unwrap();
    assert_eq!((&view["role"], &view["mayCrash"]), (&"leader".into(), &true.into()));
}

#[test]
fn a_name_that_was_rebound_shows_no_part_of_the_dashboard() {
    let cluster = shared();
    for target in ["/", "/page.js", "/view"] {
        let refused = get(cluster.at(0), target, "Host: evil.example:9001\r\n");
        assert_eq!(refused.status, 421, "{target}");
        let why = String::from_utf8(refused.body).unwrap();
        assert!(why.starts_with("pages are shown under this server's name"), "{why}");
    }
    assert_unharmed(&cluster);
}

/// The set is this server alone, so its pages under another name for this machine stand for those of another server.
#[test]
fn only_a_page_of_a_configured_server_may_read_the_view_and_call() {
    let cluster = shared();
    let server = cluster.at(0);
    let port: u16 = server.address().rsplit(':').next().unwrap().parse().unwrap();
    let host = format!("Host: localhost:{port}\r\n");
    let post = |origin: &str| {
        let document = call("surfstore.isCrashed");
        let length = format!("Content-Length: {}\r\n\r\n", document.len());
        let mut connection = Raw::to(server);
        let head = format!("POST /RPC2 HTTP/1.1\r\n{host}Origin: {origin}\r\n{length}");
        connection.send([head.as_bytes(), &document].concat()).unwrap();
        connection.response()
    };
    let member = format!("http://127.0.0.1:{port}");
    let named = format!("access-control-allow-origin: {member}");
    let view = get(server, "/view", &format!("{host}Origin: {member}\r\n"));
    let answer = post(&member);
    for response in [&view, &answer] {
        assert_eq!(response.status, 200);
        assert!(response.has_header(&named), "{:?}", response.headers);
        assert!(response.has_header("vary: origin"), "{:?}", response.headers);
    }
    assert_eq!(answer.answer(), FALSE);
    for foreign in ["http://evil.example", "null", &format!("http://localhost:{}", port ^ 1)] {
        for response in [
            get(server, "/view", &format!("{host}Origin: {foreign}\r\n")),
            get(server, "/", &format!("{host}Origin: {foreign}\r\n")),
            post(foreign),
        ] {
            assert_eq!(response.status, 403, "{foreign}");
            let names = response.headers.iter().any(|line| line.starts_with("access-control"));
            assert!(!names, "{:?}", response.headers);
        }
    }
    let own = post(&format!("http://localhost:{port}"));
    assert_eq!(own.answer(), FALSE);
    assert_eq!(server.call("surfstore.ping", &[]), TRUE);
}
