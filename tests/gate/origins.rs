//! Web pages: only pages that the server itself could have sent may call.

use super::{OWN_HOST, call, refused, served};

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
