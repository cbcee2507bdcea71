//! A connection for raw bytes, and as much of HTTP as responses need.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use support::client::{Answer, Client, TRUE};
use support::wait::PATIENCE;
use surfstore::xmlrpc::{parse_response, write_call};

/// A connection to a server.
pub(crate) struct Raw {
    stream: BufReader<TcpStream>,
}

/// The response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The header lines, in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    #[track_caller]
    pub(crate) fn to(server: &Client) -> Raw {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw { stream: BufReader::new(stream) }
    }

    /// Sends bytes, which the server may not accept to the end.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Half-closes the connection.
    pub(crate) fn finish(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// The next response.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.try_response().unwrap_or_else(|error| panic!("there is no response: {error}"))
    }

    pub(crate) fn try_response(&mut self) -> io::Result<Response> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("it begins with {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            headers.push(line);
        }
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Response { status, headers, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or(ErrorKind::UnexpectedEof.into())
    }

    /// Whether nothing has arrived for so long, and the connection is open.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let outcome = self.stream.fill_buf().map(<[u8]>::len);
        self.stream.get_ref().set_read_timeout(Some(2 * PATIENCE)).unwrap();
        outcome
            .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Checks that the server has closed the connection, without sending anything more.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// The stream itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl Response {
    /// The XML-RPC answer.
    #[track_caller]
    pub(crate) fn answer(&self) -> Answer {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        parse_response(&self.body).unwrap()
    }

    pub(crate) fn has_header(&self, line: &str) -> bool {
        self.headers.iter().any(|header| header == line)
    }
}

/// The document of a call without parameters.
pub(crate) fn call(method: &str) -> Vec<u8> {
    write_call(method, |_| {})
}

/// A request with a document, and header lines besides the usual ones.
pub(crate) fn post_with(headers: &str, document: &[u8]) -> Vec<u8> {
    let length = document.len();
    let head =
        format!("POST /RPC2 HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), document].concat()
}

/// A request with a document.
pub(crate) fn post(document: &[u8]) -> Vec<u8> {
    post_with("", document)
}

/// A request for an answer from a server that must answer.
pub(crate) fn ping() -> Vec<u8> {
    post(&call("surfstore.ping"))
}

/// Checks that the bytes are refused with that status, and that the connection is closed.
#[track_caller]
pub(crate) fn assert_refused(server: &Client, bytes: impl AsRef<[u8]>, status: u16) {
    let response = refusal(server, bytes.as_ref());
    let begin = &bytes.as_ref()[..bytes.as_ref().len().min(300)];
    let shown = String::from_utf8_lossy(begin);
    assert_eq!(response.status, status, "{shown:?}: {:?}", String::from_utf8_lossy(&response.body));
    assert!(response.has_header("connection: close"), "{shown:?}: {:?}", response.headers);
}

/// The one response to bytes that are refused.
#[track_caller]
pub(crate) fn refusal(server: &Client, bytes: &[u8]) -> Response {
    let mut connection = Raw::to(server);
    // The server may refuse before it has received everything.
    let _ = connection.send(bytes);
    let response = connection.response();
    connection.assert_closed();
    response
}

/// Checks that a ping is served, and that the connection stays open.
#[track_caller]
pub(crate) fn assert_served(server: &Client, bytes: impl AsRef<[u8]>) {
    let mut connection = Raw::to(server);
    for round in 0..2 {
        connection.send(bytes.as_ref()).unwrap();
        let shown = String::from_utf8_lossy(bytes.as_ref());
        assert_eq!(connection.response().answer(), TRUE, "round {round}: {shown:?}");
    }
}
