//! Decides which web pages may make calls, and read this server's pages: only those that this server, or another one of
//! its configuration, has sent.
//!
//! A browser lets any page post to any server, so a page could even send `crash()` to a server on the user's own
//! machine. The browser names the site of the page in `Origin`. Programs other than browsers do not send this header.
//! The browser shows a page only those answers of another site that name the page's own (CORS).
//!
//! A page may also read what comes from its own site, without naming it in `Origin`. So the owner of a name could point
//! it at this server after loading a page from elsewhere (DNS rebinding), and read this server's pages. The browser
//! shows the name in `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::Refusal;
use crate::config::{Address, Config};

/// The port if `http://` names none.
const PORT_DEFAULT: u16 = 80;

/// The servers whose pages are trusted. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Site(Arc<Servers>);

#[derive(Debug)]
struct Servers {
    /// The host of this server in the configuration. Its own pages use this name.
    own_host: String,
    /// All servers of the configuration.
    all: Vec<Address>,
}

impl Site {
    /// The servers of the configuration, as seen by the one at this address.
    pub fn new(own: &Address, config: &Config) -> Site {
        Site(Arc::new(Servers { own_host: own.host.clone(), all: config.servers.clone() }))
    }
}

/// A server that is configured under this host and knows no other.
impl From<&str> for Site {
    fn from(own_host: &str) -> Site {
        Site(Arc::new(Servers { own_host: own_host.to_owned(), all: Vec::new() }))
    }
}

/// The host and port in a `Host` header or an origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// In lower case. An IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl Authority {
    /// Parses `host` or `host:port`. Returns `None` if the text is neither.
    pub(super) fn read(text: &str) -> Option<Authority> {
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of `[::1]` belongs to the host.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (text, ""),
        };
        let is_sound = match in_brackets(host) {
            // Not only addresses: a client on the same link appends the name of its link.
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

    /// Whether the host can only mean the server at the other end. The owner of any other name may have rebound it.
    pub(super) fn cannot_be_rebound(&self, site: &Site) -> bool {
        self.host == "localhost"
            || self.host.eq_ignore_ascii_case(&site.0.own_host)
            || self.host.parse::<Ipv4Addr>().is_ok()
            || in_brackets(&self.host).is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
    }

    /// Whether a server of the configuration has this host and port. `localhost`, `127.0.0.1` and
    /// `::1` count as one host.
    fn is_of_server(&self, site: &Site) -> bool {
        let host = in_brackets(&self.host).unwrap_or(&self.host);
        let named = Address { host: host.to_owned(), port: self.port };
        let is_it = |server: &Address| {
            server.is_same(&named)
                || (server.port == named.port && server.is_loopback() && named.is_loopback())
        };
        site.0.all.iter().any(is_it)
    }
}

/// Refuses pages of other sites. `host` is the name that the request uses for this server. Returns the origin of a page
/// of another server, which the answer must name.
pub(super) fn check<'o>(
    origin: Option<&'o str>,
    host: Option<&Authority>,
    site: &Site,
) -> Result<Option<&'o str>, Refusal> {
    let Some(origin) = origin else { return Ok(None) };
    let page = origin
        .split_at_checked("http://".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http://"))
        .and_then(|(_, authority)| Authority::read(authority));
    match (page, host) {
        (Some(page), Some(host)) if host.cannot_be_rebound(site) => {
            if page == *host {
                Ok(None)
            } else if page.is_of_server(site) {
                Ok(Some(origin))
            } else {
                Err(FOREIGN)
            }
        }
        _ => Err(FOREIGN),
    }
}

/// Refuses to show a page under a name that may have been rebound. Browsers always name a host, and a name under
/// `localhost` is resolved to this machine.
pub(super) fn check_name(host: Option<&Authority>, site: &Site) -> Result<(), Refusal> {
    let own_host = &site.0.own_host;
    let is_safe = |host: &Authority| {
        let is_literal = in_brackets(&host.host).is_some();
        host.host.is_empty()
            || is_literal
            || host.host.ends_with(".localhost")
            || host.host.strip_suffix('.').is_some_and(|name| name.eq_ignore_ascii_case(own_host))
            || host.cannot_be_rebound(site)
    };
    if host.is_none_or(is_safe) { Ok(()) } else { Err(MISDIRECTED) }
}

/// The refusal of a page under a foreign name.
const MISDIRECTED: Refusal = Refusal {
    status: 421,
    reason: "pages are shown under this server's name in its configuration, localhost, or an IP address",
};

/// The refusal of a page from another site.
pub(super) const FOREIGN: Refusal =
    Refusal { status: 403, reason: "pages of other sites may not call this server" };

fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// Whether the byte may occur in a host name. No byte that ends a host in a URL, or separates two hosts in a list, may.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}
