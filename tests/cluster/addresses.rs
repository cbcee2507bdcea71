//! The addresses besides `localhost` that a configuration may name.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

use support::client::{Client, TRUE, assert_fault};
use support::harness::Cluster;
use support::turns::Turn;
use support::wait::{PATIENCE, loud_note, wait_until};

/// A cluster on that host that has elected a leader and agreed on an update.
fn agreed_on(host: &str) -> Cluster {
    let mut cluster = Cluster::on(host, 3, Arc::new(Turn::take()));
    cluster.start(0..3);
    let leader = cluster.leader();
    cluster.agree(leader, &cluster.running(), "a.txt", 1);
    for id in cluster.others(leader) {
        let expected = format!("not the leader: {}", cluster.at(leader).address());
        assert_fault(&cluster.at(id).call("getfileinfomap", &[]), 2, &expected);
    }
    cluster.crash(&[leader]);
    let next = cluster.leader();
    cluster.restore(&[leader]);
    cluster.agree(next, &cluster.running(), "a.txt", 2);
    cluster
}

fn port(cluster: &Cluster, id: usize) -> u16 {
    cluster.at(id).address().rsplit(':').next().unwrap().parse().unwrap()
}

/// An IPv4 address of this machine that other machines may use to reach it.
fn own_address() -> Option<IpAddr> {
    // Connecting selects a route to that address, which is reserved for documentation, and sends nothing.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// The name of this machine, if it resolves.
fn own_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let is_known =
        (name.as_str(), 9).to_socket_addrs().is_ok_and(|mut places| places.next().is_some());
    (name != "localhost" && is_known).then_some(name)
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn servers_agree_on_an_address_of_this_machine_and_listen_there_alone() {
    let Some(address) = own_address() else {
        return loud_note("a cluster on an address of this machine, which has only loopback");
    };
    let cluster = agreed_on(&address.to_string());
    for id in cluster.running() {
        let elsewhere = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&cluster, id)));
        assert!(elsewhere.is_err(), "server {id} listens on loopback too");
    }
}

#[test]
fn servers_agree_on_the_name_of_this_machine_and_listen_on_all_interfaces() {
    let Some(name) = own_name() else {
        return loud_note("a cluster on the machine's name, which does not resolve");
    };
    let cluster = agreed_on(&name);
    let places = [Some(IpAddr::from(Ipv4Addr::LOCALHOST)), own_address()];
    for id in cluster.running() {
        for place in places.iter().flatten() {
            let server = Client::new(&format!("{place}:{}", port(&cluster, id)));
            assert_eq!(server.call("ping", &[]), TRUE, "at {place}");
        }
        let said = cluster.written(id, "stderr");
        assert!(said.lines().next().unwrap().contains("all interfaces"), "{said}");
    }
}

#[test]
fn servers_agree_on_a_bracketed_ipv6_address() {
    if !has_ipv6() {
        return loud_note("a cluster on IPv6, which this machine lacks");
    }
    agreed_on("[::1]");
}

#[test]
fn a_server_on_localhost_listens_on_both_loopback_addresses() {
    let (cluster, id) = Cluster::led(1);
    let port = port(&cluster, id);
    assert_eq!(Client::new(&format!("127.0.0.1:{port}")).call("ping", &[]), TRUE);
    if !has_ipv6() {
        return loud_note("localhost on IPv6, which this machine lacks");
    }
    assert_eq!(Client::new(&format!("[::1]:{port}")).call("ping", &[]), TRUE);
}

/// It may have been misspelt, and then no other machine finds the server.
#[test]
fn a_name_of_its_own_that_does_not_resolve_is_a_warning() {
    let mut cluster = Cluster::stopped(1);
    // No name under this domain ever exists.
    let address = format!("surfstore.invalid:{}", port(&cluster, 0));
    cluster.launch(0, cluster.command_with(0, &[address]));
    let warning = "warning: server 0: surfstore.invalid, the name of this server in the configuration, does not resolve here: ";
    wait_until(PATIENCE, "the warning", || {
        cluster.lines(0).iter().any(|line| line.starts_with(warning))
    });
    cluster.await_answer(0);
}
