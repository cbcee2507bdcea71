//! Requests that are not served, and how their senders are told.

/// Why a request is not served. The connection ends with it.
///
/// Its parts can be set by whoever answers: some reasons, a deadline for one, are not found in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// The reason, for people: a sentence without its full stop, in ASCII and on one line.
    pub reason: &'static str,
}

impl Refusal {
    pub(super) const BODY_TOO_LARGE: Refusal =
        Refusal { status: 413, reason: "the body has more than 8 MiB" };

    pub(super) const fn bad_request(reason: &'static str) -> Refusal {
        Refusal { status: 400, reason }
    }

    /// The whole response, which announces that the connection is closed.
    pub fn response(&self) -> Vec<u8> {
        let Refusal { status, reason } = self;
        // A 405 has to name what is allowed instead.
        let allow = if *status == 405 { "Allow: POST\r\n" } else { "" };
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

/// What HTTP calls the status.
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
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // HTTP lets the phrase be empty.
        _ => "",
    }
}
