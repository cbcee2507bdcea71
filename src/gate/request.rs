//! A request that is whole and sound.

/// The methods that are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A call.
    Post,
    /// A page is asked for.
    Get,
    /// What precedes a page is asked for: the response has no body.
    Head,
}

/// A request as it was understood, of which nothing is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path and query in printable ASCII; begins with a slash and has at most 8000 bytes.
    pub target: String,
    /// The body, at most [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX) bytes; empty but for POST.
    pub body: Vec<u8>,
    /// Whether the connection is to be closed after the response.
    pub close: bool,
    /// Whether a client that ends its side of the connection may still wait for the response: those of HTTP/1.0 may mark
    /// the end of their request so.
    pub may_half_close: bool,
}

impl Request {
    /// The head in the one form in which the HTTP library gets to see it, without a body to come.
    ///
    /// No header of the client's is in there: what they ask for is decided, and the library fails on some of them.
    pub fn clean_head(&self) -> Vec<u8> {
        let method = match self.method {
            Method::Post => "POST",
            Method::Get => "GET",
            Method::Head => "HEAD",
        };
        format!("{method} {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.target).into_bytes()
    }
}
