//! The form of a page that a client prefers.

use super::served;

#[test]
fn json_is_preferred_only_by_those_that_say_so() {
    for (accept, prefers_json) in [
        ("", false),
        ("*/*", false),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ("text/html, application/json", false),
        ("application/json;q=0.5, text/html;q=0.9", false),
        ("application/json;q=0", false),
        ("application/jsonl", false),
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/json, */*;q=0.5", true),
        ("text/html;q=0.5, application/json;q=0.9", true),
        ("text/plain, application/json", true),
        ("application/json;q=x", true),
    ] {
        for method in ["GET", "HEAD"] {
            let head =
                format!("{method} / HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
            assert_eq!(served(head).prefers_json, prefers_json, "{method} {accept:?}");
        }
    }
    let lines = "Accept: text/html;q=0.1\r\nAccept: application/json\r\n";
    assert!(served(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")).prefers_json);
    let garbled = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: é\r\n\r\n";
    assert!(!served(garbled).prefers_json, "a header that only helps is no reason to refuse");
}
