//! Web pages: only pages that the server itself, or another server of its configuration, could have sent may call.

use super::{OWN_HOST, call, refused, served};
use surfstore::config::Config;
use surfstore::gate::{Gate, HttpRequest, Received, Site};

fn post(host: &str, headers: &str) -> String {
    format!("POST /RPC2 HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: 2\r\n\r\nhi")
}

#[test]
fn a_page_of_the_server_itself_may_call() {
    for (host, origin) in [
        ("localhost:9001", "http://localhost:9001"),
        ("LocalHost:9001", "HTTP://localhost:9001"),
        ("localhost", "http://localhost:80"),
        ("localhost:80", "http://localhost"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("[::1]:9001", "http://[::1]:9001"),
        ("[FE80::a]", "http://[fe80::A]"),
        ("meta0.EXAMPLE:9001", "http://Meta0.example:9001"),
        (OWN_HOST, "http://Meta0.example"),
    ] {
        let request = post(host, &format!("Origin: {origin}\r\n"));
        assert_eq!(served(request), call(b"hi"), "{origin} at {host}");
    }
}

#[test]
fn a_page_of_another_site_may_not() {
    for (host, origin) in [
        ("localhost:9001", "null"),
        ("localhost:9001", ""),
        ("localhost:9001", "http://"),
        ("localhost:9001", "http:"),
        ("localhost:9001", "http://evil.example"),
        ("localhost:9001", "http://localhost"),
        ("localhost:9001", "http://localhost:9002"),
        ("localhost:9001", "http://127.0.0.1:9001"),
        ("localhost:9001", "https://localhost:9001"),
        ("localhost:9001", "http://localhost:9001/"),
        ("localhost:9001", "http://localhost:9001 http://localhost:9001"),
        ("localhost:9001", "localhost:9001"),
        ("localhost:9001", "http://user@localhost:9001"),
        ("localhost:9001", "http://localhost:9001.evil.example"),
        ("localhost", "https://localhost"),
        ("", "http://"),
    ] {
        let request = post(host, &format!("Origin: {origin}\r\n"));
        assert_eq!(refused(request), 403, "{origin} at {host}");
    }
}

#[test]
fn a_name_that_was_rebound_to_this_server_is_no_way_in() {
    for host in [
        "evil.example:9001",
        "localhost.evil.example:9001",
        "1.2.3.4.evil.example:9001",
        "1.2.3:9001",
        "localhost.:9001",
        "[fe80::1%eth0]:9001",
        "[a]:9001",
    ] {
        let request = post(host, &format!("Origin: http://{host}\r\n"));
        assert_eq!(refused(request), 403, "{host}");
    }
}

#[test]
fn several_origins_are_refused_even_if_each_is_the_servers_own() {
    let own = "Origin: http://localhost:9001\r\n";
    assert_eq!(refused(post("localhost:9001", &own.repeat(2))), 403);
}

#[test]
fn a_page_cannot_call_without_naming_the_server() {
    let head = "POST / HTTP/1.0\r\nOrigin: http://localhost\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(refused(head), 403);
}

#[test]
fn other_methods_are_closed_to_other_sites_as_well() {
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n"), 403);
}

/// A page may read its own site without naming it in `Origin`, so a name that was rebound would let it read the status.
#[test]
fn pages_are_shown_only_under_names_that_cannot_be_rebound() {
    let get =
        |method: &str, host: &str| format!("{method} /status HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for method in ["GET", "HEAD"] {
        for host in [
            "localhost:9001",
            "LOCALHOST",
            "a.localhost:9001",
            "127.0.0.1:9001",
            "192.0.2.7",
            "[::1]:9001",
            "[fe80::1%eth0]:9001",
            "META0.example:9001",
            "meta0.example.:9001",
            OWN_HOST,
            "",
        ] {
            assert_eq!(served(get(method, host)).target, "/status", "{method} {host}");
        }
        for host in [
            "evil.example:9001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "meta0.example.evil:9001",
            "1.2.3",
        ] {
            assert_eq!(refused(get(method, host)), 421, "{method} {host}");
        }
    }
    for target in ["/healthz", "/readyz"] {
        let check = format!("GET {target} HTTP/1.1\r\nHost: surfstore-0.pods\r\n\r\n");
        assert_eq!(served(check).target, target, "a health check names a server as it likes");
    }
    assert_eq!(served("GET /status HTTP/1.0\r\n\r\n").target, "/status", "no browser names none");
}

/// What is read from the bytes at server 0 of the set `localhost:9001`, `meta1.example:9002` and `[2001:db8::1]:9003`.
fn read_in_set(bytes: &str) -> Result<HttpRequest, u16> {
    let text = "M: 3\nmetadata0: localhost:9001\nmetadata1: meta1.example:9002\n\
                metadata2: [2001:db8::1]:9003\n";
    let config = Config::parse(text).expect("the configuration is sound");
    let mut gate = Gate::new(Site::new(&config.servers[0], &config));
    gate.push(bytes.as_bytes());
    match gate.next() {
        Ok(Received::Request(request)) => Ok(request),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.status),
    }
}

/// A browser shows a page the answer of another server only if the answer names the page's origin.
#[test]
fn a_page_of_another_server_of_the_configuration_may_call_and_is_named_in_the_answer() {
    for (host, origin) in [
        ("localhost:9001", "http://meta1.example:9002"),
        ("localhost:9001", "http://META1.example:9002"),
        ("localhost:9001", "http://[2001:db8::1]:9003"),
        ("localhost:9001", "http://127.0.0.1:9001"),
        ("127.0.0.1:9001", "http://localhost:9001"),
        ("127.0.0.1:9001", "http://[::1]:9001"),
        ("192.0.2.7:9001", "http://meta1.example:9002"),
    ] {
        for request in [
            post(host, &format!("Origin: {origin}\r\n")),
            format!("GET /view HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"),
            format!("OPTIONS /RPC2 HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"),
        ] {
            let read = read_in_set(&request).unwrap_or_else(|status| panic!("{status}: {request}"));
            let named = format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n");
            assert_eq!(read.access_fields(), named, "{request}");
        }
    }
}

#[test]
fn a_page_of_a_server_that_is_not_in_the_configuration_may_not() {
    for (host, origin) in [
        ("localhost:9001", "http://localhost:9002"),
        ("localhost:9001", "http://meta1.example:9001"),
        ("localhost:9001", "http://meta1.example"),
        ("localhost:9001", "https://meta1.example:9002"),
        ("localhost:9001", "http://meta1.example.evil:9002"),
        ("localhost:9001", "http://evil.meta1.example:9002"),
        ("localhost:9001", "http://a.localhost:9001"),
        ("localhost:9001", "http://127.0.0.2:9001"),
        ("localhost:9001", "http://[2001:db8::2]:9003"),
        ("localhost:9001", "null"),
        ("evil.example:9001", "http://meta1.example:9002"),
        ("meta1.example:9002", "http://meta1.example:9002"),
    ] {
        for request in [
            post(host, &format!("Origin: {origin}\r\n")),
            format!("OPTIONS /RPC2 HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"),
        ] {
            assert_eq!(read_in_set(&request), Err(403), "{request}");
        }
        let request = format!("GET /view HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
        assert!(read_in_set(&request).is_err(), "{request}");
    }
}

#[test]
fn an_answer_names_no_origin_without_need() {
    for origin in ["", "Origin: http://localhost:9001\r\n"] {
        let read = read_in_set(&post("localhost:9001", origin)).expect("it is served");
        assert_eq!(read.access_fields(), "", "{origin}");
    }
}

#[test]
fn a_browser_that_asks_before_a_call_is_told_what_a_page_of_another_server_may_do() {
    let ask = |origin: &str| {
        let head = "OPTIONS /RPC2 HTTP/1.1\r\nHost: localhost:9001\r\n\
                    Access-Control-Request-Method: POST\r\n";
        let read = read_in_set(&format!("{head}{origin}\r\n")).expect("it is served");
        String::from_utf8(read.allowed()).expect("a head is text")
    };
    let plain = "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS, POST\r\n";
    assert_eq!(ask(""), format!("{plain}\r\n"));
    assert_eq!(
        ask("Origin: http://meta1.example:9002\r\n"),
        format!(
            "{plain}Access-Control-Allow-Origin: http://meta1.example:9002\r\nVary: Origin\r\n\
             Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: Content-Type\r\n\r\n"
        )
    );
}

/// Pages may be read under some names that no call is accepted under.
#[test]
fn a_page_learns_whether_it_may_call_under_its_name() {
    for (host, may_call) in [
        ("localhost:9001", true),
        ("[::1]:9001", true),
        ("192.0.2.7:9001", true),
        ("a.localhost:9001", false),
        ("localhost.:9001", false),
    ] {
        let view = format!("GET /view HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(read_in_set(&view).map(|view| view.may_call), Ok(may_call), "{host}");
        let call = read_in_set(&post(host, &format!("Origin: http://{host}\r\n")));
        assert_eq!(call.is_ok(), may_call, "{host}");
    }
}
