//! A complete, valid request.

use super::body::BodyBytes;

/// The methods that are served, as the header `Allow` lists them.
pub(super) const ALLOWED: &str = "GET, HEAD, OPTIONS, POST";

/// The methods that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// A call.
    Post,
    /// A request for a page.
    Get,
    /// A request for the head of a page: the response has no body.
    Head,
    /// A question for the methods that are served. Load balancers ask it to see whether a server is up.
    Options,
}

/// A complete request, as parsed.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The path and query in printable ASCII. It starts with a slash and has at most 8000 bytes.
    pub target: String,
    /// The body, at most [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX) bytes; empty except for POST.
    pub body: BodyBytes,
    /// Whether the connection must be closed after the response.
    pub close: bool,
    /// Whether a client that half-closes the connection may still wait for the response. An HTTP/1.0 client may mark
    /// the end of its request in this way.
    pub may_half_close: bool,
    /// The origin of the web page that makes the request, if another server has sent that page. The response must name
    /// it: see [`access_fields`](HttpRequest::access_fields).
    pub origin: Option<String>,
    /// Whether the client prefers JSON to HTML.
    pub prefers_json: bool,
    /// Whether a web page that was loaded under the same name may make calls. Under some names, pages can only be read.
    pub may_call: bool,
}

impl HttpRequest {
    /// The response to OPTIONS. It is complete: with this status there is no body. Browsers send this request before a
    /// page of another server makes a call (CORS preflight).
    pub fn allowed(&self) -> Vec<u8> {
        let close = if self.close { "Connection: close\r\n" } else { "" };
        let access = self.access_fields();
        let calls = if access.is_empty() {
            ""
        } else {
            "Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: Content-Type\r\n"
        };
        let head = format!("HTTP/1.1 204 No Content\r\nAllow: {ALLOWED}\r\n");
        format!("{head}{access}{calls}{close}\r\n").into_bytes()
    }

    /// The header lines of the response that let a page of another server read it in a browser; empty for all other
    /// requests.
    pub fn access_fields(&self) -> String {
        self.origin.as_ref().map_or(String::new(), |origin| {
            format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n")
        })
    }

    /// The head in the only form that the HTTP library receives, with no body to come.
    ///
    /// It contains none of the client's headers. The gate has already acted on them, and some make the library fail.
    pub fn clean_head(&self) -> Vec<u8> {
        let method = match self.method {
            HttpMethod::Post => "POST",
            HttpMethod::Get => "GET",
            HttpMethod::Head => "HEAD",
            HttpMethod::Options => "OPTIONS",
        };
        format!("{method} {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.target).into_bytes()
    }
}
