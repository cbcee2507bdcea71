//! Methods and targets: which ones are served, and how the others are refused.

use super::{call, post_with, refused, served};
use surfstore::gate::{HttpMethod, Refusal};

#[test]
fn get_and_head_are_let_through_without_a_body() {
    for (name, method) in [("GET", HttpMethod::Get), ("HEAD", HttpMethod::Head)] {
        for headers in ["", "Content-Length: 0\r\n"] {
            let request =
                served(format!("{name} /status?full HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
            assert_eq!((request.method, request.target.as_str()), (method, "/status?full"));
            assert!(request.body.is_empty());
        }
        for headers in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
            let head = format!("{name} / HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
            assert_eq!(refused(head), 400, "{name} with {headers}");
        }
    }
}

#[test]
fn methods_that_are_not_for_calls_are_told_to_post() {
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "post", "Post"] {
        assert_eq!(refused(format!("{method} /RPC2 HTTP/1.1\r\nHost: a\r\n\r\n")), 405, "{method}");
    }
    assert_eq!(refused("TRACE * HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
}

/// A load balancer's health check may ask it under any name.
#[test]
fn options_are_told_what_is_allowed() {
    for (line, close) in [
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", false),
        ("OPTIONS /RPC2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", true),
        ("OPTIONS / HTTP/1.0\r\n", true),
    ] {
        let request = served(format!("{line}\r\n"));
        assert_eq!((request.method, request.close), (HttpMethod::Options, close));
        let close = if close { "Connection: close\r\n" } else { "" };
        let expected =
            format!("HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS, POST\r\n{close}\r\n");
        assert_eq!(String::from_utf8(request.allowed()).unwrap(), expected);
    }
    let foreign = "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a\r\n\r\n";
    assert_eq!(refused(foreign), 403, "a page of another site is not allowed to call");
    assert_eq!(refused("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"), 400);
}

#[test]
fn methods_that_are_not_known_are_not_implemented() {
    for line in ["CONNECT a:1", "get /", "POSTS /", "M-SEARCH *", "x /"] {
        assert_eq!(refused(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")), 501, "{line}");
    }
}

#[test]
fn any_path_is_served() {
    for path in ["/", "/RPC2", "/RPC", "//", "/a/../b?c=d#e", "/\"<>[]{}|\\^`%zz"] {
        let request = served(post_with("").replace("/RPC2", path));
        assert_eq!(request.target, path);
    }
}

#[test]
fn a_target_for_a_proxy_is_cut_to_its_path() {
    for (target, path) in [
        ("http://a:9001/RPC2", "/RPC2"),
        ("HTTP://a/RPC2?b", "/RPC2?b"),
        ("http://[::1]:9001", "/"),
        ("http://a?b/c", "/?b/c"),
    ] {
        assert_eq!(served(post_with("").replace("/RPC2", target)).target, path, "{target}");
    }
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    for target in ["*", "RPC2", "a:9001", "https://a/", "http:/a", "http://a@b/", "http://a#b"] {
        assert_eq!(refused(post_with("").replace("/RPC2", target)), 400, "{target}");
    }
}

#[test]
fn a_content_encoding_is_not_understood() {
    for value in ["gzip", "deflate", "identity, gzip", "x"] {
        assert_eq!(refused(post_with(&format!("Content-Encoding: {value}\r\n"))), 415, "{value}");
    }
    assert_eq!(refused(post_with("Content-Encoding: identity\r\ncontent-encoding: br\r\n")), 415);
    assert_eq!(served(post_with("Content-Encoding: Identity\r\n")), call(b"hi"));
}

#[test]
fn a_refusal_is_a_whole_response_that_closes_the_connection() {
    let refusal = Refusal { status: 405, reason: "not so" };
    let expected = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\
                    Allow: GET, HEAD, OPTIONS, POST\r\nConnection: close\r\n\r\nnot so\n";
    assert_eq!(String::from_utf8(refusal.response()).unwrap(), expected);
    for status in [400, 403, 404, 408, 411, 413, 414, 415, 417, 421, 431, 501, 503, 505, 599] {
        let response = String::from_utf8(Refusal { status, reason: "no" }.response()).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").expect("the response has a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("\r\nContent-Length: 3"), "{head}");
        assert!(!head.contains("Allow"), "{head}");
        assert_eq!(body, "no\n");
    }
}
