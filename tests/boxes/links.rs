//! The proxy itself, between two sockets that are not servers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::turns::free_port;

use crate::proxy::Proxy;
use crate::way::{Rough, Way};

const THERE: (usize, usize) = (0, 1);
const BACK: (usize, usize) = (1, 0);

/// A proxy with a connection of server 0 to server 1: the proxy, the listener of 1, 0's end, and 1's end.
fn linked() -> (Proxy, TcpListener, TcpStream, TcpStream) {
    let ports = [free_port(), free_port()];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[1])).unwrap();
    let proxy = Proxy::between(&ports);
    let near = connect(&proxy).unwrap();
    let far = listener.accept().unwrap().0;
    far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    (proxy, listener, near, far)
}

fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    let near = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port(THERE)))?;
    near.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(near)
}

/// Whether what is sent arrives at the other end, and nothing else.
fn arrives(mut from: &TcpStream, to: &TcpStream) -> bool {
    from.write_all(b"hello").is_ok() && read(to) == Some(b"hello".into())
}

/// What arrives within a while: empty at the end of the connection, `None` if nothing arrives.
fn read(mut to: &TcpStream) -> Option<Vec<u8>> {
    let mut chunk = [0; 100];
    match to.read(&mut chunk) {
        Ok(count) => Some(chunk[..count].into()),
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => None,
        Err(_) => Some(Vec::new()),
    }
}

#[test]
fn an_open_way_carries_bytes_both_ways_counts_them_and_tells_the_end() {
    let (proxy, _listener, near, far) = linked();
    assert!(arrives(&near, &far) && arrives(&far, &near) && arrives(&near, &far));
    assert_eq!((proxy.passed(THERE), proxy.passed(BACK)), (10, 5));
    drop(near);
    assert_eq!(read(&far), Some(vec![]));
}

#[test]
fn a_cut_stops_one_way_of_a_connection_and_what_waited_arrives_when_it_is_healed() {
    let (proxy, _listener, near, far) = linked();
    proxy.set(THERE, Way::Cut);
    assert!(!arrives(&near, &far), "requests stop");
    assert!(arrives(&far, &near), "replies pass");
    proxy.set(THERE, Way::Open);
    assert_eq!(read(&far).as_deref(), Some(b"hello".as_slice()), "it arrives late");
    proxy.set(BACK, Way::Cut);
    assert!(arrives(&near, &far), "requests pass");
    assert!(!arrives(&far, &near), "replies stop");
    drop(near);
    assert_eq!(read(&far), Some(vec![]));
}

#[test]
fn a_connection_that_is_made_through_a_cut_carries_nothing_even_once_it_is_healed() {
    let (proxy, listener, _near, _far) = linked();
    listener.set_nonblocking(true).unwrap();
    proxy.set(THERE, Way::Cut);
    let mut late = connect(&proxy).unwrap();
    late.write_all(b"hello").unwrap();
    assert_eq!(read(&late), None);
    proxy.set(THERE, Way::Open);
    assert_eq!(read(&late), None);
    assert!(listener.accept().is_err());
}

#[test]
fn a_black_hole_takes_everything_and_the_rest_of_the_connection_too() {
    let (proxy, _listener, near, far) = linked();
    proxy.set(THERE, Way::BlackHole);
    assert!(!arrives(&near, &far));
    proxy.set(THERE, Way::Open);
    assert!(!arrives(&near, &far), "half of a message must never arrive");
    drop(near);
    assert_eq!(read(&far), Some(vec![]));
}

#[test]
fn a_refused_link_closes_its_port_and_its_connections_and_opens_again() {
    let (proxy, listener, near, far) = linked();
    proxy.refuse(THERE);
    assert_eq!(read(&near), Some(vec![]));
    assert_eq!(read(&far), Some(vec![]));
    assert_eq!(connect(&proxy).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.accept(THERE);
    let near = connect(&proxy).unwrap();
    let far = listener.accept().unwrap().0;
    assert!(arrives(&near, &far) && arrives(&far, &near));
}

#[test]
fn a_link_that_is_reset_loses_its_connections_and_accepts_new_ones() {
    let (proxy, listener, near, far) = linked();
    assert!(arrives(&near, &far));
    proxy.reset(THERE);
    assert_eq!(read(&near), Some(vec![]));
    assert_eq!(read(&far), Some(vec![]));
    let near = connect(&proxy).unwrap();
    let far = listener.accept().unwrap().0;
    assert!(arrives(&near, &far) && arrives(&far, &near));
}

#[test]
fn a_rough_way_delays_and_loses() {
    let (proxy, _listener, near, far) = linked();
    let late = Rough { delay: 50..=60, lost: 0, late: 0 };
    proxy.set(THERE, Way::Rough(late.clone()));
    let start = Instant::now();
    assert!(arrives(&near, &far));
    assert!(Duration::from_millis(50) <= start.elapsed());
    proxy.set(THERE, Way::Rough(Rough { lost: 100, ..late }));
    assert!(!arrives(&near, &far));
}
