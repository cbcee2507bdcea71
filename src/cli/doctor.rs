//! What is wrong with a set of servers, in words.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs;
use std::thread;
use std::time::Duration;

use super::failure::Failure;
use super::screen::{GREEN, RED, Screen, plain};
use super::status::{Statuses, health, newest};
use crate::client::blocking::Client;
use crate::client::{Files, Limits, ServerStatus};
use crate::config::{Address, Config};
use crate::raft::RoleName;

/// How many files are compared at most: a sample tells of a map that went wrong.
const FILES_MAX: usize = 20;

/// How long a server may take to apply what others have applied: two heartbeats.
const SETTLE: Duration = Duration::from_millis(500);

/// `doctor`
pub(super) fn run(screen: &Screen, config: &Config, limits: Limits) -> Result<(), Failure> {
    let mut findings = Findings { screen, problems: 0 };
    findings.good(&format!("the configuration names {} servers", config.servers.len()))?;
    for (id, address) in config.servers.iter().enumerate() {
        findings.check_host(id, address)?;
    }
    let mut client = Client::new(&config.servers, limits);
    let statuses = client.at_each(async |server| server.status().await);
    for (id, status) in statuses.iter().enumerate() {
        match status {
            Ok(status) => findings.check_server(id, config, status)?,
            Err(error) => findings.bad(&format!("server {id} gives no status: {error}"))?,
        }
    }
    // What changes all the time is compared after a while, so that nobody is told of what ends by itself.
    thread::sleep(SETTLE);
    let later = client.at_each(async |server| server.status().await);
    findings.compare(&later, newest(&statuses))?;
    health(&later)?;
    let files = client.files()?;
    findings.good(&format!("a majority confirms the map; it has {} files", files.len()))?;
    thread::sleep(SETTLE);
    findings.compare_maps(&mut client, &files)?;
    match findings.problems {
        0 => screen.show("all is well"),
        1 => Err(Failure::error("one problem was found")),
        problems => Err(Failure::error(format!("{problems} problems were found"))),
    }
}

struct Findings<'a> {
    screen: &'a Screen,
    problems: usize,
}

impl Findings<'_> {
    fn good(&self, text: &str) -> Result<(), Failure> {
        self.screen.show(&format!("{} {text}", self.screen.paint(Some(GREEN), "ok ")))
    }

    fn bad(&mut self, text: &str) -> Result<(), Failure> {
        self.problems += 1;
        self.screen.show(&format!("{} {text}", self.screen.paint(Some(RED), "bad")))
    }

    fn check_host(&mut self, id: usize, address: &Address) -> Result<(), Failure> {
        match (address.host.as_str(), address.port).to_socket_addrs() {
            Ok(places) => {
                let places: BTreeSet<_> = places.map(|place| place.ip().to_string()).collect();
                let places: Vec<_> = places.into_iter().collect();
                self.good(&format!("server {id}: {} is {}", address.host, places.join(" and ")))
            }
            Err(error) => {
                self.bad(&format!("server {id}: the host {} is not known: {error}", address.host))
            }
        }
    }

    /// Whether the server is the one that the configuration names, and takes part.
    fn check_server(
        &mut self,
        id: usize,
        config: &Config,
        status: &ServerStatus,
    ) -> Result<(), Failure> {
        let expected = config.servers.get(id).map(ToString::to_string).unwrap_or_default();
        let is_id = i64::try_from(id) == Ok(status.id);
        let is_count = i64::try_from(config.servers.len()) == Ok(status.servers);
        if !is_id || !is_count || status.address != expected {
            return self.bad(&format!(
                "the server at {expected} was started with another configuration: it is server {} of {}, at {}",
                status.id,
                status.servers,
                plain(&status.address)
            ));
        }
        if status.role == RoleName::Crashed {
            return self
                .bad(&format!("server {id} is crashed; `surfstore restore {id}` ends that"));
        }
        self.good(&format!("server {id} is a {} in term {}", status.role.as_str(), status.term))
    }

    /// Whether the servers that take part agree on the leader and the term, and have applied what was committed before.
    fn compare(&mut self, statuses: &Statuses, committed: i64) -> Result<(), Failure> {
        let terms: BTreeSet<_> = takes_part(statuses).map(|(_, status)| status.term).collect();
        if 1 < terms.len() {
            let terms: Vec<_> = terms.iter().map(ToString::to_string).collect();
            self.bad(&format!("the servers are in different terms: {}", terms.join(", ")))?;
        }
        let leaders: BTreeSet<_> = takes_part(statuses).map(|(_, status)| &status.leader).collect();
        if 1 < leaders.len() {
            let names = leaders.iter().map(|leader| leader.as_deref().unwrap_or("nobody"));
            let names: Vec<_> = names.map(plain).collect();
            self.bad(&format!("the servers follow different leaders: {}", names.join(", ")))?;
        }
        for (id, status) in takes_part(statuses) {
            if status.last_applied < committed {
                let behind = committed - status.last_applied;
                self.bad(&format!("server {id} is behind by {behind} entries"))?;
            }
        }
        Ok(())
    }

    /// Compares what the servers have applied by now with the map that a majority has confirmed.
    fn compare_maps(&mut self, client: &mut Client, files: &Files) -> Result<(), Failure> {
        for (name, file) in files.iter().take(FILES_MAX) {
            let versions = client.at_each(async |server| match server.is_crashed().await {
                Ok(false) => server.version(name).await.ok(),
                _ => None,
            });
            for (id, version) in versions.into_iter().enumerate() {
                if let Some(version) = version.filter(|version| *version < file.version) {
                    self.bad(&format!(
                        "server {id} has version {version} of {}, and the map has {}",
                        plain(name),
                        file.version
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// The servers that answered and are not crashed, by their ids.
fn takes_part(statuses: &Statuses) -> impl Iterator<Item = (usize, &ServerStatus)> {
    let answered =
        statuses.iter().enumerate().filter_map(|(id, status)| Some((id, status.as_ref().ok()?)));
    answered.filter(|(_, status)| status.role != RoleName::Crashed)
}
