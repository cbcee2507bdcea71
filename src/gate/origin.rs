//! Which web pages may call: those that this server has sent itself.
//!
//! A browser lets any page post to any server, `crash()` to one on the reader's own machine included, and tells the
//! server in `Origin` whose page it is. Programs that are no browsers send none.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Refusal;

/// The port where `http://` names none.
const PORT_DEFAULT: u16 = 80;

/// The host and port of a `Host` header or an origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// In lower case; an IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl Authority {
    /// Reads `host` or `host:port`; `None` if it is neither.
    pub(super) fn read(text: &str) -> Option<Authority> {
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of `[::1]` belongs to the host.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (text, ""),
        };
        let is_sound = match in_brackets(host) {
            // Not only addresses: a client on the same link adds its name for the link.
            Some(literal) => literal.bytes().all(|byte| byte == b':' || is_name(byte)),
            None => host.bytes().all(is_name),
        };
        let port = match port {
            "" => PORT_DEFAULT,
            _ if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            _ => return None,
        };
        is_sound.then(|| Authority { host: host.to_ascii_lowercase(), port })
    }

    /// Whether the host can only mean the server at the other end. Any other name may have been made to, by whoever
    /// owns it, after its page was loaded from elsewhere.
    fn cannot_be_rebound(&self, own_host: &str) -> bool {
        self.host == "localhost"
            || self.host.eq_ignore_ascii_case(own_host)
            || self.host.parse::<Ipv4Addr>().is_ok()
            || in_brackets(&self.host).is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
    }
}

/// Refuses pages of others. `host` is what the request calls this server.
pub(super) fn check(
    origin: Option<&str>,
    host: Option<&Authority>,
    own_host: &str,
) -> Result<(), Refusal> {
    let Some(origin) = origin else { return Ok(()) };
    let page = origin
        .split_at_checked("http://".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http://"))
        .and_then(|(_, authority)| Authority::read(authority));
    match (page, host) {
        (Some(page), Some(host)) if page == *host && page.cannot_be_rebound(own_host) => Ok(()),
        _ => Err(FOREIGN),
    }
}

/// The refusal of a page that is not this server's own.
pub(super) const FOREIGN: Refusal =
    Refusal { status: 403, reason: "pages of other sites may not call this server" };

fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// Whether the byte can stand in a host's name. Nothing that ends a host in a URL, or separates two in a list, can.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}
