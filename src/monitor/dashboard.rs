//! The dashboard: a web page and its parts, compiled into the program. The page gets everything else from `/view`.

use super::pages::Page;
use crate::config::{Address, Config};

/// The part of the dashboard at that path; `None` if there is none.
pub(super) fn part(path: &str, config: &Config) -> Option<Page> {
    let (content_type, body) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("../dashboard/index.html")),
        "/style.css" => ("text/css; charset=utf-8", include_str!("../dashboard/style.css")),
        "/model.js" => ("text/javascript; charset=utf-8", include_str!("../dashboard/model.js")),
        "/page.js" => ("text/javascript; charset=utf-8", include_str!("../dashboard/page.js")),
        _ => return None,
    };
    let mut fields = if path == "/" { root_fields() } else { fields() };
    fields.push(("Content-Security-Policy", security_policy(config)));
    Some(Page { status: 200, content_type, fields, body: body.to_owned() })
}

/// The header fields of the page, of its parts and of what it asks for.
pub(super) fn fields() -> Vec<(&'static str, String)> {
    [
        // After an upgrade of the server, the page is the new one.
        ("Cache-Control", "no-cache"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// The header fields of `/`. Programs get the status there.
pub(super) fn root_fields() -> Vec<(&'static str, String)> {
    let mut fields = fields();
    fields.push(("Vary", "Accept".to_owned()));
    fields
}

/// The page loads its own parts, asks the servers of the configuration, and does nothing else.
fn security_policy(config: &Config) -> String {
    let servers: String = config.servers.iter().map(sources).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{servers}; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}

/// A server as sources of the policy, each after a space. A policy can name neither an IPv6 address nor a host with an
/// underscore, so a server that has one is allowed as any host with its port.
fn sources(server: &Address) -> String {
    let Address { host, port } = server;
    let by_name = if host.contains([':', '_']) {
        format!(" http://*:{port}")
    } else {
        format!(" http://{host}:{port}")
    };
    let aliases = if server.is_loopback() { ["localhost", "127.0.0.1"].as_slice() } else { &[] };
    let others = aliases.iter().filter(|alias| !host.eq_ignore_ascii_case(alias));
    others.fold(by_name, |sources, alias| format!("{sources} http://{alias}:{port}"))
}
