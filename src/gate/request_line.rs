//! The first line of a request: method, target and version.
//!
//! It decides whether the line is valid. Other modules decide which methods and targets are served.

use super::Refusal;
use super::fields::is_token;

/// The maximum size of a target in bytes. HTTP requires at least 8000. The HTTP library accepts heads of less than
/// 8 KiB, part of which a clean request needs for its headers.
const TARGET_BYTES_MAX: usize = 8000;

/// The parts of the request line.
#[derive(Debug)]
pub(super) struct RequestLine {
    /// A token.
    pub(super) method: String,
    /// Printable ASCII without blanks, never empty, at most [`TARGET_BYTES_MAX`] bytes.
    pub(super) target: String,
    pub(super) version: Version,
}

/// The supported versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

impl RequestLine {
    pub(super) const TARGET_TOO_LONG: Refusal =
        Refusal { status: 414, reason: "the request target is too long" };

    /// Parses the line, given without its line end.
    pub(super) fn read(line: &[u8]) -> Result<RequestLine, Refusal> {
        let bad = Refusal::bad_request("the request line is not a method, a target and a version");
        let line = std::str::from_utf8(line).map_err(|_| bad)?;
        let mut parts = line.split(' ');
        let (Some(method), Some(target)) = (parts.next(), parts.next()) else { return Err(bad) };
        if !method.bytes().all(is_token) || target.is_empty() {
            return Err(bad);
        }
        // An HTTP/0.9 request line has no version.
        let version = version(parts.next().unwrap_or("HTTP/0.9"))?;
        if parts.next().is_some() {
            return Err(bad);
        }
        if target.len() > TARGET_BYTES_MAX {
            return Err(RequestLine::TARGET_TOO_LONG);
        }
        Ok(RequestLine { method: method.to_owned(), target: target.to_owned(), version })
    }
}

fn version(text: &str) -> Result<Version, Refusal> {
    let number = text.strip_prefix("HTTP/").unwrap_or_default();
    match number {
        "1.1" => Ok(Version::Http11),
        "1.0" => Ok(Version::Http10),
        _ if is_version_number(number) => {
            Err(Refusal { status: 505, reason: "only HTTP/1.1 and HTTP/1.0 are supported" })
        }
        _ => Err(Refusal::bad_request("the request line does not end with an HTTP version")),
    }
}

/// Whether the text is another version number: `2.0`, or `2`, as some clients write it.
fn is_version_number(text: &str) -> bool {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    [major, minor].iter().all(|part| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit()))
}
