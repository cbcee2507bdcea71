//! Refused requests, and the responses to them.

use super::request::ALLOWED;

/// Why a request is refused. The connection is closed after it.
///
/// The fields are public because some reasons, such as a deadline, cannot be found in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason, for people: a sentence without its full stop, in ASCII and on one line.
    pub reason: &'static str,
}

impl Refusal {
    /// For a request that arrives while too many bytes of others are held, or that the system has no memory for.
    pub const NO_ROOM: Refusal =
        Refusal { status: 503, reason: "too many bytes of requests are in flight" };

    pub(super) const BODY_TOO_LARGE: Refusal =
        Refusal { status: 413, reason: "the body is larger than 8 MiB" };

    pub(super) const fn bad_request(reason: &'static str) -> Refusal {
        Refusal { status: 400, reason }
    }

    /// The complete response, which announces that the connection will be closed.
    pub fn response(&self) -> Vec<u8> {
        let Refusal { status, reason } = self;
        // A 405 response must name the allowed methods.
        let allow = if *status == 405 { format!("Allow: {ALLOWED}\r\n") } else { String::new() };
        format!(
            "HTTP/1.1 {status} {phrase}\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: {length}\r\n\
             {allow}\
             Connection: close\r\n\
             \r\n\
             {reason}\n",
            phrase = phrase(*status),
            length = reason.len() + 1,
        )
        .into_bytes()
    }
}

/// The reason phrase that HTTP gives the status.
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // HTTP allows an empty phrase.
        _ => "",
    }
}
