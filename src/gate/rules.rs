//! Decides what a complete head asks for, and whether that is served.
//!
//! Refusals that leave the end of the request uncertain are checked first, then unsupported requests, so that the
//! refusal names the more serious reason.

use super::accept;
use super::body::Framing;
use super::headers::Headers;
use super::origin::{self, Authority, Site};
use super::request_line::{RequestLine, Version};
use super::{BODY_BYTES_MAX, HttpMethod, Refusal};

/// The maximum number of digits of a length. Any such number fits in 64 bits.
const LENGTH_DIGITS_MAX: usize = 16;

/// The content of a head that is served.
#[derive(Debug)]
pub(super) struct ServedHead {
    pub(super) method: HttpMethod,
    pub(super) target: String,
    pub(super) close: bool,
    pub(super) may_half_close: bool,
    /// Whether the client waits for permission before it sends its body.
    pub(super) expects_continue: bool,
    pub(super) framing: Framing,
    /// The origin of a page of another server.
    pub(super) origin: Option<String>,
    pub(super) prefers_json: bool,
    pub(super) may_call: bool,
}

/// The body that the head announces, before any bound is checked.
#[derive(Clone, Copy)]
enum Announced {
    Nothing,
    Length(u64),
    Chunks,
}

/// Decides about a head: its first line, and the header lines.
pub(super) fn judge(line: RequestLine, lines: &[u8], site: &Site) -> Result<ServedHead, Refusal> {
    let headers = Headers::read(lines)?;
    let host = host(&headers, line.version)?;
    let announced = announced(&headers, line.version)?;
    let method = method(&line.method)?;
    let target = target(line.target, method)?;
    // Health checks name a server in many ways, and learn nothing that is worth protecting.
    let is_health = matches!(&*target, "/healthz" | "/readyz");
    let is_page = matches!(method, HttpMethod::Get | HttpMethod::Head);
    if is_page && !is_health {
        origin::check_name(host.as_ref(), site)?;
    }
    let origin = headers.only("origin", origin::FOREIGN)?;
    let origin = origin::check(origin, host.as_ref(), site)?.map(str::to_owned);
    let may_call = !is_page || host.is_none_or(|host| host.cannot_be_rebound(site));
    let prefers_json = is_page && accept::prefers_json(&headers);
    check_encoding(&headers)?;
    let expects_continue = expects_continue(&headers)? && line.version == Version::Http11;
    let may_half_close = line.version == Version::Http10;
    let close = may_half_close || asks_to_close(&headers)?;
    let framing = framing(method, announced)?;
    let expects_continue = expects_continue && framing != Framing::EMPTY;
    Ok(ServedHead {
        method,
        target,
        close,
        may_half_close,
        expects_continue,
        framing,
        origin,
        prefers_json,
        may_call,
    })
}

/// The name that the request uses for the server, from the `Host` header, which is optional in HTTP/1.0.
fn host(headers: &Headers<'_>, version: Version) -> Result<Option<Authority>, Refusal> {
    let several = Refusal::bad_request("there is more than one Host header");
    match headers.only("host", several)? {
        Some(value) => match Authority::read(value) {
            Some(host) => Ok(Some(host)),
            None => Err(Refusal::bad_request("the Host header is not a host and a port")),
        },
        None if version == Version::Http10 => Ok(None),
        None => Err(Refusal::bad_request("the Host header is missing")),
    }
}

/// How the body is announced. It is never guessed: if the body is assumed too short, its rest would be read as another
/// request.
fn announced(headers: &Headers<'_>, version: Version) -> Result<Announced, Refusal> {
    let lengths = headers.values("content-length")?;
    match headers.values("transfer-encoding")?.as_slice() {
        [] => announced_length(&lengths),
        _ if !lengths.is_empty() => {
            Err(Refusal::bad_request("Content-Length and Transfer-Encoding cannot be combined"))
        }
        [coding] if coding.eq_ignore_ascii_case("chunked") && version == Version::Http11 => {
            Ok(Announced::Chunks)
        }
        _ => Err(Refusal::bad_request("the only Transfer-Encoding is chunked, in HTTP/1.1")),
    }
}

/// The length. It may be repeated if all values are equal.
fn announced_length(lengths: &[&str]) -> Result<Announced, Refusal> {
    let Some((first, others)) = lengths.split_first() else { return Ok(Announced::Nothing) };
    if others.iter().any(|other| other != first) {
        return Err(Refusal::bad_request("there is more than one Content-Length"));
    }
    let is_number = first.len() <= LENGTH_DIGITS_MAX && first.bytes().all(|b| b.is_ascii_digit());
    match first.parse() {
        // `parse` alone would accept a sign.
        Ok(length) if is_number => Ok(Announced::Length(length)),
        _ => Err(Refusal::bad_request("the Content-Length is not a number of at most 16 digits")),
    }
}

fn method(name: &str) -> Result<HttpMethod, Refusal> {
    match name {
        "POST" => Ok(HttpMethod::Post),
        "GET" => Ok(HttpMethod::Get),
        "HEAD" => Ok(HttpMethod::Head),
        "OPTIONS" => Ok(HttpMethod::Options),
        "PUT" | "DELETE" | "PATCH" | "TRACE" => Err(NOT_ALLOWED),
        _ if name.eq_ignore_ascii_case("POST") => Err(NOT_ALLOWED),
        _ => Err(Refusal { status: 501, reason: "the method is not supported" }),
    }
}

const NOT_ALLOWED: Refusal = Refusal { status: 405, reason: "calls are made with POST" };

/// The path and query. A client that takes this server for a proxy also puts the server's name in the target.
fn target(target: String, method: HttpMethod) -> Result<String, Refusal> {
    if target.starts_with('/') {
        return Ok(target);
    }
    // The whole server is meant, of which the path says no more than any other.
    if method == HttpMethod::Options && target == "*" {
        return Ok("/".to_owned());
    }
    let bad = Refusal::bad_request("the target is not a path");
    let (scheme, rest) = target.split_at_checked("http://".len()).ok_or(bad)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !scheme.eq_ignore_ascii_case("http://") || Authority::read(authority).is_none() {
        return Err(bad);
    }
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// Refuses compressed bodies: a small one can expand to any size.
fn check_encoding(headers: &Headers<'_>) -> Result<(), Refusal> {
    let values = headers.values("content-encoding")?;
    if values.iter().all(|value| value.eq_ignore_ascii_case("identity")) {
        Ok(())
    } else {
        Err(Refusal { status: 415, reason: "no Content-Encoding is supported" })
    }
}

fn expects_continue(headers: &Headers<'_>) -> Result<bool, Refusal> {
    let values = headers.values("expect")?;
    if values.iter().all(|value| value.eq_ignore_ascii_case("100-continue")) {
        Ok(!values.is_empty())
    } else {
        Err(Refusal { status: 417, reason: "the only supported expectation is 100-continue" })
    }
}

fn asks_to_close(headers: &Headers<'_>) -> Result<bool, Refusal> {
    let values = headers.values("connection")?;
    let mut options = values.iter().flat_map(|value| value.split(','));
    Ok(options.any(|option| option.trim_matches([' ', '\t']).eq_ignore_ascii_case("close")))
}

/// How the body is read, within its bounds.
fn framing(method: HttpMethod, announced: Announced) -> Result<Framing, Refusal> {
    match (method, announced) {
        (HttpMethod::Post, Announced::Nothing) => {
            Err(Refusal { status: 411, reason: "the length of the body is missing" })
        }
        (HttpMethod::Post, Announced::Chunks) => Ok(Framing::Chunks),
        (HttpMethod::Post, Announced::Length(length)) => match usize::try_from(length) {
            Ok(length) if length <= BODY_BYTES_MAX => Ok(Framing::Length(length)),
            _ => Err(Refusal::BODY_TOO_LARGE),
        },
        (_, Announced::Nothing | Announced::Length(0)) => Ok(Framing::EMPTY),
        (_, _) => Err(Refusal::bad_request("only a POST may have a body")),
    }
}
