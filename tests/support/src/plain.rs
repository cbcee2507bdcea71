//! Requests in their shortest form.

use surfstore::gate::HttpRequest;

/// The request as a client would send it that sends nothing unnecessary.
pub fn plain(request: &HttpRequest) -> Vec<u8> {
    let (head, body) = (request.clean_head(), &request.body);
    let lines = head.strip_suffix(b"\r\n").expect("an empty line ends it");
    [lines, format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}
