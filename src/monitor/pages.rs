//! The pages for GET.

use serde_json::json;

use super::{Moment, Monitor, dashboard, metrics};
use crate::raft::RoleName;
use crate::value::Value;

/// A request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The path and query.
    pub target: String,
    /// Whether the caller prefers JSON to HTML.
    pub prefers_json: bool,
    /// Whether a web page that was loaded under the same name may make calls.
    pub may_call: bool,
}

impl PageRequest {
    /// The path.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The number in the query under that name; 0 if there is none.
    pub fn number(&self, name: &str) -> u64 {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut fields = query.split('&').filter_map(|field| field.split_once('='));
        let number = fields.find(|(other, _)| *other == name);
        number.and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }
}

/// A page with its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status: 200, or 503 if the server is not ready.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Further header fields, with names and values that may stand in a head.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Monitor {
    /// The page at an HTTP target, whatever its query; `None` if there is none.
    pub fn page(&self, target: &str, moment: Moment<'_>) -> Option<Page> {
        let path = target.split('?').next().unwrap_or_default();
        Some(match path {
            "/status" => self.status_page(moment, Vec::new()),
            "/metrics" => Page {
                status: 200,
                content_type: "text/plain; version=0.0.4",
                fields: Vec::new(),
                body: metrics::text(self, moment),
            },
            // That this answer arrives shows that the process is alive.
            "/healthz" => plain(200, "ok"),
            "/readyz" => self.readiness(moment),
            _ => return dashboard::part(path, &self.config),
        })
    }

    /// The page `/` for programs: the status, with the header fields of the page for people.
    pub fn root_for_programs(&self, moment: Moment<'_>) -> Page {
        self.status_page(moment, dashboard::root_fields())
    }

    fn status_page(&self, moment: Moment<'_>, fields: Vec<(&'static str, String)>) -> Page {
        let body = format!("{}\n", self.json(moment));
        Page { status: 200, content_type: "application/json", fields, body }
    }

    fn json(&self, moment: Moment<'_>) -> serde_json::Value {
        let members = self.status(moment).members().into_iter();
        let members = members.map(|(name, value)| (name.to_owned(), json(&value)));
        serde_json::Value::Object(members.collect())
    }

    /// Whether calls can be sent here. A follower is ready, because it redirects its callers to the leader: it follows
    /// only one that has a majority.
    fn readiness(&self, moment: Moment<'_>) -> Page {
        match self.raft {
            raft if raft.role == RoleName::Crashed => plain(503, "this server is crashed"),
            raft if raft.leader.is_none() => plain(503, &self.why_not_ready()),
            _ if self.lacks_majority(moment) => {
                plain(503, "this leader has no majority, so its calls wait")
            }
            _ => plain(200, "ready"),
        }
    }

    fn why_not_ready(&self) -> String {
        match self.waits.servers() {
            [] => "no leader is known".to_owned(),
            _ => format!("no leader is known; this server waits for {}", self.awaited()),
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Double(number) => json!(number.get()),
        Value::String(text) => json!(text),
        Value::Base64(bytes) => json!(&**bytes),
        Value::DateTime(time) => json!(time.as_str()),
        Value::Array(elements) => elements.iter().map(json).collect(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| (name.to_string(), json(value))).collect()
        }
    }
}

fn plain(status: u16, text: &str) -> Page {
    Page { status, content_type: "text/plain", fields: Vec::new(), body: format!("{text}\n") }
}
