//! Servers on separate machines, as far as one machine can emulate them: a network namespace for each, with its own
//! address, and a virtual cable to a bridge. An unplugged cable loses packets silently, which sockets on one machine
//! never do. A slow name server knows the machines' names, and gives each a first address whose packets get lost.
//!
//! Needs Linux, iproute2 and root.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};
use support::client::TRUE;
use support::harness::Cluster;
use support::turns::Turn;
use support::wait::{ELECTION, holds_for, loud_note, wait_until};

use crate::names::NameServer;
use crate::outcomes::answered;
use crate::settings::note;

/// The servers' port; each has an address of its own.
const PORT: u16 = 9000;

/// How many machines there are.
const SIZE: usize = 5;

/// The prefix of the names of all machines, before the id of the process that emulates them.
const MARK: &str = "surf";

/// The namespaces, their cables and the bridge; all are removed when it is dropped.
struct Machines {
    /// The prefix of the names of everything here.
    mark: String,
    /// The first three bytes of all addresses.
    subnet: String,
}

impl Machines {
    /// The machines, or the reason why this machine cannot emulate them.
    fn new() -> Result<Machines, String> {
        Machines::sweep();
        let number = process::id();
        // From the addresses that are reserved for benchmarks of networks.
        let subnet = format!("198.{}.{}", 18 + (number >> 8) % 2, number % 0x100);
        let machines = Machines { mark: format!("{MARK}{number:x}"), subnet };
        // If this fails, what exists by then is removed.
        machines.build()?;
        Ok(machines)
    }

    /// Removes what was left by runs that were killed.
    fn sweep() {
        for line in ip("netns list").unwrap_or_default().lines() {
            let mark = line.split(['-', ' ']).next().unwrap_or_default();
            let number = mark.strip_prefix(MARK).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            if number.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
                drop(Machines { mark: mark.to_owned(), subnet: String::new() });
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let bridge = self.bridge();
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("address add {}.254/24 dev {bridge}", self.subnet))?;
        ip(&format!("link set {bridge} up"))?;
        for id in 0..SIZE {
            let (name, cable, address) = (self.name(id), self.cable(id), self.address(id));
            ip(&format!("netns add {name}"))?;
            ip(&format!("link add {cable} type veth peer name eth0 netns {name}"))?;
            ip(&format!("link set {cable} master {bridge} up"))?;
            ip(&format!("-n {name} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
            // A machine without IPv6 has no broken path.
            let _ = ip(&format!("-n {name} address add 2001:db8::{}/64 dev eth0 nodad", id + 1));
            fs::create_dir_all(self.etc(id)).map_err(|error| error.to_string())?;
            let server = format!("nameserver {}.254\n", self.subnet);
            for (file, text) in [
                ("hosts", "127.0.0.1 localhost\n"),
                ("nsswitch.conf", "hosts: files dns\n"),
                ("resolv.conf", &server),
            ] {
                fs::write(self.etc(id).join(file), text).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}br", self.mark)
    }

    fn name(&self, id: usize) -> String {
        format!("{}-{id}", self.mark)
    }

    fn cable(&self, id: usize) -> String {
        format!("{}v{id}", self.mark)
    }

    fn address(&self, id: usize) -> String {
        format!("{}.{}", self.subnet, id + 1)
    }

    /// The name server of all machines. The system prefers the IPv6 address of a name, which is nobody's: packets to it
    /// get lost.
    fn name_server(&self) -> Result<NameServer, String> {
        let address = |text: String| text.parse().unwrap();
        let known = (0..SIZE).map(|id| {
            let nobody = format!("2001:db8::dead:{id}").parse().unwrap();
            (host(id), (address(self.address(id)), nobody))
        });
        let known: BTreeMap<String, (Ipv4Addr, Ipv6Addr)> = known.collect();
        let at = address(format!("{}.254", self.subnet));
        NameServer::start(at, move |name| known.get(name).copied())
    }

    /// Where the system looks for the files that replace those in `/etc` for a namespace.
    fn etc(&self, id: usize) -> PathBuf {
        Path::new("/etc/netns").join(self.name(id))
    }

    /// Unplugs a server's cable, or plugs it in.
    fn set_cable(&self, id: usize, state: &str) {
        ip(&format!("link set {} {state}", self.cable(id))).unwrap();
    }

    /// How many connections the server has started to make.
    fn connections_begun(&self, id: usize) -> u64 {
        let counters = ip(&format!("netns exec {} cat /proc/net/snmp", self.name(id))).unwrap();
        let lines: Vec<Vec<&str>> = counters
            .lines()
            .filter(|line| line.starts_with("Tcp:"))
            .map(|line| line.split(' ').collect())
            .collect();
        let place = lines[0].iter().position(|name| *name == "ActiveOpens").unwrap();
        lines[1][place].parse().unwrap()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        // Some of it may not exist.
        for id in 0..SIZE {
            let name = self.name(id);
            // Servers that were left running would keep their namespace.
            let left = ip(&format!("netns pids {name}")).unwrap_or_default();
            for process in left.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
            {
                let _ = kill_process(process, Signal::KILL);
            }
            let _ = ip(&format!("netns delete {name}"));
            let _ = ip(&format!("link delete {}", self.cable(id)));
            let _ = fs::remove_dir_all(self.etc(id));
        }
        let _ = ip(&format!("link delete {}", self.bridge()));
    }
}

/// The name of a server's machine.
fn host(id: usize) -> String {
    format!("metadata{id}.test")
}

/// Whether the configuration has the server's name: it has the addresses of the others.
fn is_named(id: usize) -> bool {
    id.is_multiple_of(2)
}

/// The command `ip`, which is not on every root's `PATH`.
fn ip_command() -> Command {
    let mut command = Command::new("ip");
    command.env("PATH", format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default()));
    command
}

/// Runs `ip` and returns its output.
fn ip(arguments: &str) -> Result<String, String> {
    let output = ip_command()
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("there is no ip: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into())
    } else {
        Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Starts a server on its machine, and waits until it answers.
fn start(cluster: &mut Cluster, machines: &Machines, id: usize) {
    let place = |id: usize| if is_named(id) { host(id) } else { machines.address(id) };
    let places: Vec<_> = (0..SIZE).map(|id| format!("{}:{PORT}", place(id))).collect();
    let server = cluster.command_with(id, &places);
    let mut command = ip_command();
    command.args(["netns", "exec", &machines.name(id)]);
    command.arg(server.get_program()).args(server.get_args()).stdin(Stdio::null());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    cluster.keep_output(id, &mut command);
    cluster.launch(id, command);
    cluster.await_answer(id);
}

/// The leader among servers that reach each other, elected in time.
#[track_caller]
fn leader_among(cluster: &Cluster, ids: &[usize]) -> usize {
    let mut leaders = Vec::new();
    wait_until(ELECTION, "one of the reachable servers leads", || {
        leaders = ids.iter().copied().filter(|id| cluster.at(*id).is_leader()).collect();
        leaders.len() == 1
    });
    leaders[0]
}

#[test]
fn five_machines_agree_through_crashes_the_end_of_a_process_and_pulled_cables() {
    let emulated = Machines::new().and_then(|machines| {
        let names = machines.name_server()?;
        Ok((machines, names))
    });
    let (machines, names) = match emulated {
        Ok(emulated) => emulated,
        Err(why) => return loud_note(&format!("servers on separate machines: {why}")),
    };
    let addresses: Vec<_> =
        (0..SIZE).map(|id| format!("{}:{PORT}", machines.address(id))).collect();
    let mut cluster = Cluster::of(&addresses, Arc::new(Turn::take()));
    (0..SIZE).for_each(|id| start(&mut cluster, &machines, id));
    let all = cluster.running();
    let leader = cluster.leader();
    cluster.agree(leader, &all, "a", 1);

    wait_until(ELECTION, "each server has looked up the others", || {
        // Each of the two addresses of each name that is in use, except one's own name.
        let named = (0..SIZE).filter(|id| is_named(*id)).count();
        2 * (named * SIZE - named) <= names.answered()
    });
    names.die();
    cluster.crash(&[leader]);
    let next = leader_among(&cluster, &cluster.others(leader));
    cluster.restore(&[leader]);
    cluster.agree(next, &all, "a", 2);

    let leader = pull_cables(&cluster, &machines, next);
    let killed = cluster.others(leader)[0];
    cluster.kill(killed);
    cluster.agree(leader, &cluster.running(), "a", 5);
    attempts_are_few(&cluster, &machines, leader);
    start(&mut cluster, &machines, killed);
    cluster.await_version(&all, "a", 5);
    cluster.await_whole();
    assert_eq!(cluster.leaders(), [leader]);
    cluster.agree(leader, &all, "a", 6);
}

/// Unplugs the cable of the leader, then those of two more; plugs all in again, and returns the leader.
fn pull_cables(cluster: &Cluster, machines: &Machines, old: usize) -> usize {
    let others = cluster.others(old);
    machines.set_cable(old, "down");
    let leader = leader_among(cluster, &others);
    cluster.agree(leader, &others, "a", 3);

    let lost = &cluster.others(leader).into_iter().filter(|id| *id != old).collect::<Vec<_>>()[..2];
    lost.iter().for_each(|id| machines.set_cable(*id, "down"));
    let blocked = cluster.at(leader).begin("surfstore.getfileinfomap", &[]);
    holds_for(Duration::from_secs(2), "two of five answer nothing", || blocked.is_blocked());
    assert!(cluster.at(leader).is_leader());
    for id in lost.iter().chain([&old]) {
        machines.set_cable(*id, "up");
    }
    let start = Instant::now();
    // The servers that were away may prefer the old leader or the new one, but not for long.
    assert!(
        answered(&blocked, ELECTION),
        "no server leads in time after the cables are plugged in"
    );
    wait_until(ELECTION, "all servers follow one leader", || {
        let terms: Vec<_> =
            cluster.running().iter().map(|id| cluster.at(*id).state().term).collect();
        cluster.leaders().len() == 1 && terms.iter().all(|term| *term == terms[0])
    });
    note(&format!("level {:?} after the cables were put back", start.elapsed()));
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a", 4);
    assert_eq!(cluster.at(leader).call("surfstore.ping", &[]), TRUE);
    leader
}

/// Checks how often the leader tries to reach a peer whose process has ended, and whose port is closed.
fn attempts_are_few(cluster: &Cluster, machines: &Machines, leader: usize) {
    const WATCHED: u64 = 2;
    thread::sleep(Duration::from_secs(1));
    let before = machines.connections_begun(leader);
    thread::sleep(Duration::from_secs(WATCHED));
    let attempts = machines.connections_begun(leader) - before;
    note(&format!("{attempts} attempts to connect to a closed port in {WATCHED} s"));
    assert!(0 < attempts && attempts <= 10 * WATCHED, "{attempts} in {WATCHED} s");
    assert!(cluster.at(leader).is_leader());
}
