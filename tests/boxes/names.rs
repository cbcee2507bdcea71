//! A name server for servers on separate machines, which is slow and can die.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long a look-up takes: longer than a server waits for the answer to a heartbeat.
const DELAY: Duration = Duration::from_millis(500);

/// The types of a question and of its answer.
const A: [u8; 2] = [0, 1];
const AAAA: [u8; 2] = [0, 28];

/// Who has got which answer.
type Answered = BTreeSet<(IpAddr, Vec<u8>)>;

/// The server, which runs until the process ends.
pub(crate) struct NameServer {
    is_dead: Arc<AtomicBool>,
    answered: Arc<Mutex<Answered>>,
}

impl NameServer {
    /// Starts it at port 53 of an address. `addresses` has the addresses of each name.
    pub(crate) fn start(
        at: Ipv4Addr,
        addresses: impl Fn(&str) -> Option<(Ipv4Addr, Ipv6Addr)> + Send + 'static,
    ) -> Result<NameServer, String> {
        let socket = UdpSocket::bind((at, 53)).map_err(|error| format!("port 53: {error}"))?;
        let server = NameServer { is_dead: Arc::default(), answered: Arc::default() };
        let (is_dead, answered) = (Arc::clone(&server.is_dead), Arc::clone(&server.answered));
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut query) {
                let Some(answer) = answer(&query[..length], &addresses) else { continue };
                let (socket, is_dead) = (socket.try_clone().unwrap(), Arc::clone(&is_dead));
                let answered = Arc::clone(&answered);
                thread::spawn(move || {
                    thread::sleep(DELAY);
                    if !is_dead.load(Ordering::SeqCst) {
                        send(&socket, asker, &answer);
                        answered.lock().unwrap().insert((asker.ip(), answer[2..].to_vec()));
                    }
                });
            }
        });
        Ok(server)
    }

    /// From now on nobody gets an answer.
    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
    }

    /// How many different answers have been given, counted for each machine that asked.
    pub(crate) fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }
}

fn send(socket: &UdpSocket, asker: SocketAddr, answer: &[u8]) {
    // The asker may have ended, or its cable may be unplugged.
    let _ = socket.send_to(answer, asker);
}

/// The answer to a query with one question.
fn answer(
    query: &[u8],
    addresses: impl Fn(&str) -> Option<(Ipv4Addr, Ipv6Addr)>,
) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    let mut labels = Vec::new();
    let mut rest = query.get(HEAD..)?;
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        labels.push(str::from_utf8(label).ok()?);
        rest = after;
    }
    // The end of the name, the type and the class.
    let kind = rest.get(1..3)?;
    let question = query.get(HEAD..query.len() - rest.len() + 5)?;
    let address = addresses(&labels.join(".")).and_then(|(v4, v6)| match kind {
        kind if kind == A => Some(v4.octets().to_vec()),
        kind if kind == AAAA => Some(v6.octets().to_vec()),
        _ => None,
    });
    let count = u8::from(address.is_some());
    let mut answer = query.get(..2)?.to_vec();
    // A response without an error, with one question and that many answers.
    answer.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = address {
        // The name of the question, its type, class 1, to be kept for 0 s.
        answer.extend([0xc0, 0x0c]);
        answer.extend(kind);
        answer.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(address.len()).ok()?]);
        answer.extend(address);
    }
    Some(answer)
}
