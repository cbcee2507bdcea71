//! Diagnoses a set of servers.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::arguments::Format;
use super::error::CommandError;
use super::ports;
use super::screen::{Colour, GREEN, RED, Screen, YELLOW, shown_name};
use super::status::{Statuses, health, newest};
use super::who;
use crate::client::blocking::Client;
use crate::client::{Error, FileInfoMap, Limits, ServerStatus};
use crate::config::{Address, Config};
use crate::raft::RoleName;

/// How long a server may take to apply entries that others have applied: two heartbeats.
const SETTLE: Duration = Duration::from_millis(500);

/// `doctor`
pub(super) fn run(
    screen: &Screen,
    config: &Config,
    limits: Limits,
    output: Format,
) -> Result<(), CommandError> {
    let mut findings = Findings { screen, output, problems: 0, told: Vec::new() };
    let ended = examine(&mut findings, config, limits);
    if output == Format::Json {
        // Also after an error: what was found before it is still true.
        screen.show_json(&Json::Array(findings.told))?;
    }
    ended
}

fn examine(
    findings: &mut Findings<'_>,
    config: &Config,
    limits: Limits,
) -> Result<(), CommandError> {
    findings
        .good(&format!("the configuration names {}", counted(config.servers.len(), "server")))?;
    let mut client = Client::new(&config.servers, limits);
    let hosts = client.at_each(async |server| server.host_addresses().await);
    let is_found: Vec<_> = hosts.iter().map(Result::is_ok).collect();
    for ((id, address), found) in config.servers.iter().enumerate().zip(hosts) {
        findings.check_host(id, address, found)?;
    }
    let mut statuses = client.at_each(async |server| server.status().await);
    for ((id, status), is_found) in statuses.iter().enumerate().zip(is_found) {
        match status {
            Ok(status) => findings.check_server(id, config, status)?,
            // A host that is not found has been reported.
            Err(_) if !is_found => {}
            Err(error) => findings.bad(&format!(
                "server {id} returns no status: {error}; if its process has ended, start it with `run-server.sh CONFIG \
                 {id}`, otherwise make it reachable"
            ))?,
        }
    }
    leave_out_strangers(&mut statuses, config);
    // State that changes all the time is compared after a pause, so that temporary differences are not reported.
    thread::sleep(SETTLE);
    let mut later = client.at_each(async |server| server.status().await);
    let is_healthy = health(&later);
    leave_out_strangers(&mut later, config);
    findings.compare(&later, newest(&statuses))?;
    who::problems(&statuses, &later).iter().try_for_each(|problem| findings.bad(problem))?;
    who::without_disk(&later).iter().try_for_each(|advice| findings.advise(advice))?;
    is_healthy?;
    let files = client.files()?;
    findings
        .good(&format!("a majority confirms the map; it has {}", counted(files.len(), "file")))?;
    thread::sleep(SETTLE);
    findings.compare_maps(&mut client, &later, &files)?;
    match findings.problems {
        0 if findings.output == Format::Json => Ok(()),
        0 => findings.screen.show("all is well"),
        problems => Err(CommandError::error(format!("{} found", counted(problems, "problem")))),
    }
}

/// The advice if configurations differ.
const SAME: &str = "start all servers of a set with the same file";

/// The advice if servers differ that are in touch soon.
const CONNECT: &str = "if `surfstore doctor` still says so after a few seconds, check that every server can reach every other one";

struct Findings<'a> {
    screen: &'a Screen,
    output: Format,
    problems: usize,
    /// The findings, for the output as JSON.
    told: Vec<Json>,
}

impl Findings<'_> {
    fn good(&mut self, text: &str) -> Result<(), CommandError> {
        self.tell(GREEN, "ok", text)
    }

    fn bad(&mut self, text: &str) -> Result<(), CommandError> {
        self.problems += 1;
        self.tell(RED, "bad", text)
    }

    /// Tells something that is no problem now but may become one.
    fn advise(&mut self, text: &str) -> Result<(), CommandError> {
        self.tell(YELLOW, "note", text)
    }

    fn tell(&mut self, colour: Colour, mark: &str, text: &str) -> Result<(), CommandError> {
        match self.output {
            Format::Table => self.screen.show_marked(colour, &format!("{mark:<3}"), text),
            Format::Json => {
                self.told.push(json!({ "finding": mark, "text": text }));
                Ok(())
            }
        }
    }

    fn advise_about_port(
        &mut self,
        id: usize,
        port: u16,
        (first, last): (u16, u16),
    ) -> Result<(), CommandError> {
        self.advise(&format!(
            "server {id}: while the server is down, this machine may give port {port} to an outgoing connection, as \
             any port from {first} to {last}; use one outside this range, or add it to net.ipv4.ip_local_reserved_ports"
        ))
    }

    fn check_host(
        &mut self,
        id: usize,
        Address { host, port }: &Address,
        found: Result<Vec<IpAddr>, Error>,
    ) -> Result<(), CommandError> {
        match found {
            Ok(places) => {
                let places: BTreeSet<_> = places.into_iter().collect();
                let shown: Vec<_> = places.iter().map(ToString::to_string).collect();
                self.good(&format!("server {id}: {host} resolves to {}", shown.join(" and ")))?;
                let is_own = places.into_iter().any(ports::is_own);
                match ports::outgoing(*port).filter(|_| is_own) {
                    Some(range) => self.advise_about_port(id, *port, range),
                    None => Ok(()),
                }
            }
            Err(error) => self.bad(&format!(
                "server {id} is not found: {error}; correct its name in the configuration, or make the name resolve"
            )),
        }
    }

    /// Checks that the server is the one that the configuration names, and that it is not crashed.
    fn check_server(
        &mut self,
        id: usize,
        config: &Config,
        status: &ServerStatus,
    ) -> Result<(), CommandError> {
        let expected = config.servers.get(id).map(ToString::to_string).unwrap_or_default();
        if !has_place(id, config, status) {
            return self.bad(&format!(
                "the server at {expected} was started with another configuration: it is server {} of {}, at {}; {SAME}",
                status.id,
                status.servers,
                status.address
            ));
        }
        if !status.may_be_of(config) {
            return self.bad(&format!(
                "server {id} was started with another configuration: it has other server names or another order of the \
                 servers; {SAME}"
            ));
        }
        if status.role == RoleName::Crashed {
            return self.bad(&format!("server {id} is crashed; run `surfstore restore {id}`"));
        }
        let article = if status.leads() { "the" } else { "a" };
        let role = status.role.as_str();
        self.good(&format!("server {id} is {article} {role} in term {}", status.term))
    }

    /// Checks that the servers that are not crashed agree on the leader and the term, and have applied the entries
    /// committed before.
    fn compare(&mut self, statuses: &Statuses, committed: i64) -> Result<(), CommandError> {
        let terms: BTreeSet<_> = takes_part(statuses).map(|(_, status)| status.term).collect();
        if 1 < terms.len() {
            let terms: Vec<_> = terms.iter().map(ToString::to_string).collect();
            self.bad(&format!(
                "the servers are in different terms: {}; {CONNECT}",
                terms.join(", ")
            ))?;
        }
        let leaders: BTreeSet<_> = takes_part(statuses).map(|(_, status)| &status.leader).collect();
        if 1 < leaders.len() {
            let names = leaders.iter().map(|leader| leader.as_deref().unwrap_or("none"));
            let names: Vec<_> = names.collect();
            self.bad(&format!(
                "the servers follow different leaders: {}; {CONNECT}",
                names.join(", ")
            ))?;
        }
        for (id, status) in takes_part(statuses) {
            if status.last_applied < committed {
                let behind = committed.saturating_sub(status.last_applied);
                let entries = if behind == 1 { "entry" } else { "entries" };
                self.bad(&format!(
                    "server {id} is behind by {behind} {entries}; run `surfstore doctor` again: if it does not catch up, \
                     check that the leader and server {id} can reach each other"
                ))?;
            }
        }
        Ok(())
    }

    /// Compares, for all files, the versions that each server has applied by now with the map that a majority has
    /// confirmed. Crashed servers are left out because they do not change, and servers without a status because that
    /// has been reported.
    fn compare_maps(
        &mut self,
        client: &mut Client,
        statuses: &Statuses,
        files: &FileInfoMap,
    ) -> Result<(), CommandError> {
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        let versions = client.at_each(async |server| {
            if server.is_crashed().await? {
                return Ok(None);
            }
            server.versions(&names).await.map(Some)
        });
        for (id, versions) in versions.into_iter().enumerate() {
            match versions {
                _ if takes_part(statuses).all(|(other, _)| other != id) => {}
                Ok(Some(versions)) => self.compare_map(id, files, &versions)?,
                Ok(None) => {}
                Err(error) => self.bad(&format!(
                    "server {id} returns no versions: {error}; run `surfstore doctor` again"
                ))?,
            }
        }
        Ok(())
    }

    fn compare_map(
        &mut self,
        id: usize,
        files: &FileInfoMap,
        versions: &[i64],
    ) -> Result<(), CommandError> {
        let older = files.iter().zip(versions).filter(|((_, file), had)| **had < file.version);
        let older: Vec<_> = older.collect();
        let Some(((name, file), had)) = older.first() else {
            return self
                .good(&format!("server {id} has applied every file of the map at its version"));
        };
        self.bad(&format!(
            "server {id} has older versions of {}; it has version {had} of {}, the map has version {}; run `surfstore \
             doctor` again: if it does not catch up, check that the leader and server {id} can reach each other",
            counted(older.len(), "file"),
            shown_name(name),
            file.version
        ))
    }
}

/// Whether the server has this place in the configuration, as far as it says.
fn has_place(id: usize, config: &Config, status: &ServerStatus) -> bool {
    let address = config.servers.get(id).map(ToString::to_string);
    i64::try_from(id) == Ok(status.id)
        && i64::try_from(config.servers.len()) == Ok(status.servers)
        && address.is_some_and(|address| address == status.address)
}

/// Whether the server has this place in the set of this configuration, as far as it says.
fn is_of(id: usize, config: &Config, status: &ServerStatus) -> bool {
    has_place(id, config, status) && status.may_be_of(config)
}

/// Takes the statuses of servers with another configuration for no answers: they have been reported, and take no part
/// in this set.
fn leave_out_strangers(statuses: &mut Statuses, config: &Config) {
    for (id, status) in statuses.iter_mut().enumerate() {
        if status.as_ref().is_ok_and(|status| !is_of(id, config, status)) {
            *status = Err(Error::NoAnswer(format!("server {id} has another configuration")));
        }
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
}

/// The servers that answered and are not crashed, with their ids.
fn takes_part(statuses: &Statuses) -> impl Iterator<Item = (usize, &ServerStatus)> {
    let answered =
        statuses.iter().enumerate().filter_map(|(id, status)| Some((id, status.as_ref().ok()?)));
    answered.filter(|(_, status)| status.role != RoleName::Crashed)
}
