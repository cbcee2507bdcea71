//! The calls that any server answers by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::answer::{self, Expected};
use super::connection::ServerConnection;
use super::error::{AttemptError, Error};
use super::{Limits, ServerStatus, after};
use crate::config::Address;
use crate::gate;
use crate::protocol::{Ask, CALLS_MAX};
use crate::value::{Value, is_xml};
use crate::xmlrpc;

/// One server of a set. A call is sent once, and to this server only.
#[derive(Debug)]
pub struct RemoteServer {
    connection: ServerConnection,
    limits: Limits,
}

impl RemoteServer {
    pub(super) fn new(address: &Address, limits: Limits) -> RemoteServer {
        RemoteServer { connection: ServerConnection::new(address), limits }
    }

    /// The address of the server.
    pub fn address(&self) -> &Address {
        self.connection.address()
    }

    /// Looks up the addresses of the server's host.
    ///
    /// # Errors
    ///
    /// If there is none within the timeout of an operation.
    pub async fn host_addresses(&mut self) -> Result<Vec<IpAddr>, Error> {
        let found = self.connection.addresses(after(self.limits.deadline)).await;
        let found = found.map_err(|reason| AttemptError::Unsent(reason).at(self.address()))?;
        Ok(found.iter().map(SocketAddr::ip).collect())
    }

    /// Checks that the server answers; a crashed server does.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or answers with something unexpected. This applies to all calls here.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.at_once(&Ask::Ping, answer::truth).await.map(drop)
    }

    /// Returns whether the server leads.
    pub async fn is_leader(&mut self) -> Result<bool, Error> {
        self.at_once(&Ask::IsLeader, answer::truth).await
    }

    /// Returns whether the server is crashed.
    pub async fn is_crashed(&mut self) -> Result<bool, Error> {
        self.at_once(&Ask::IsCrashed, answer::truth).await
    }

    /// Crashes the server: it behaves as if it had failed until it is restored.
    pub async fn crash(&mut self) -> Result<(), Error> {
        self.at_once(&Ask::Crash, answer::truth).await.map(drop)
    }

    /// Restores a crashed server.
    pub async fn restore(&mut self) -> Result<(), Error> {
        self.at_once(&Ask::Restore, answer::truth).await.map(drop)
    }

    /// Returns the status of the server.
    pub async fn status(&mut self) -> Result<ServerStatus, Error> {
        self.at_once(&Ask::Status, answer::status).await
    }

    /// Returns the status of the server, for an operation with this deadline.
    pub(super) async fn status_before(&mut self, until: Instant) -> Result<ServerStatus, Error> {
        self.at_once_before(until, &Ask::Status, answer::status).await
    }

    /// The version of the file that this server has applied, which may be behind the leader's; 0 for an unknown file.
    pub async fn version(&mut self, name: &str) -> Result<i64, Error> {
        check_text(name)?;
        self.at_once(&Ask::Version(name), answer::version).await
    }

    /// The version of the file, for an operation with this deadline.
    pub(super) async fn version_before(
        &mut self,
        until: Instant,
        name: &str,
    ) -> Result<i64, Error> {
        self.at_once_before(until, &Ask::Version(name), answer::version).await
    }

    /// The versions of several files that this server has applied, in the order of `names`; 0 for an unknown file. Even
    /// many names need only a few calls.
    pub async fn versions(&mut self, names: &[&str]) -> Result<Vec<i64>, Error> {
        names.iter().try_for_each(|name| check_text(name))?;
        let mut versions = Vec::with_capacity(names.len());
        for names in names.chunks(CALLS_MAX) {
            let some = self.at_once(&Ask::Versions(names), answer::versions).await?;
            if some.len() != names.len() {
                return Err(Error::Unexpected("a version for each file"));
            }
            versions.extend(some);
        }
        Ok(versions)
    }

    /// Calls a method by name. It waits for up to the timeout of an operation, because a majority may be missing.
    pub async fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Error> {
        check_text(method)?;
        params.iter().try_for_each(check)?;
        let until = after(self.limits.deadline);
        let document = written(&Ask::Method(method, params))?;
        self.open(until).await?;
        self.answer(&document, until).await
    }

    /// Makes a call that the server answers without waiting for others.
    async fn at_once<T>(
        &mut self,
        ask: &Ask<'_>,
        read: fn(Value) -> Result<T, Expected>,
    ) -> Result<T, Error> {
        let until = after(self.limits.deadline);
        self.open(until).await?;
        self.at_once_before(until, ask, read).await
    }

    /// Connects before the time of an attempt begins, so that a slow name server takes nothing of it.
    async fn open(&mut self, until: Instant) -> Result<(), Error> {
        let opened = self.connection.open(until).await;
        opened.map_err(|error| error.at(self.address()))
    }

    async fn at_once_before<T>(
        &mut self,
        until: Instant,
        ask: &Ask<'_>,
        read: fn(Value) -> Result<T, Expected>,
    ) -> Result<T, Error> {
        let value = self.answer(&written(ask)?, until.min(after(self.limits.attempt))).await?;
        read(value).map_err(Error::Unexpected)
    }

    /// The answer to the document of a call.
    async fn answer(&mut self, document: &[u8], until: Instant) -> Result<Value, Error> {
        let answer = self.send(document, until).await;
        answer.map_err(|error| error.at(self.address()))
    }

    /// Sends the document of a call, once.
    pub(super) async fn send(
        &mut self,
        document: &[u8],
        until: Instant,
    ) -> Result<Value, AttemptError> {
        let answer = self.connection.post(document, usize::MAX, until).await?;
        match xmlrpc::parse_response(&answer) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(AttemptError::Fault(fault)),
            Err(error) => {
                Err(AttemptError::Lost(format!("it answered with garbled XML-RPC: {error}")))
            }
        }
    }
}

/// The document of a call, unless it is too large for servers to accept.
pub(super) fn written(ask: &Ask<'_>) -> Result<Vec<u8>, Error> {
    let document = ask.document();
    if document.len() <= gate::BODY_BYTES_MAX { Ok(document) } else { Err(Error::TooLarge) }
}

/// Refuses values that would not arrive unchanged.
pub(super) fn check(value: &Value) -> Result<(), Error> {
    match value {
        Value::String(text) => check_text(text),
        Value::Array(elements) => elements.iter().try_for_each(check),
        Value::Struct(members) => members.iter().try_for_each(|(name, value)| {
            check_text(name)?;
            check(value)
        }),
        Value::Int(_)
        | Value::Boolean(_)
        | Value::Double(_)
        | Value::Base64(_)
        | Value::DateTime(_) => Ok(()),
    }
}

pub(super) fn check_text(text: &str) -> Result<(), Error> {
    if text.chars().all(is_xml) { Ok(()) } else { Err(Error::Unfit) }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::sync::mpsc::Sender;
    use std::thread;
    use std::time::Duration;

    use smol::block_on;

    use super::*;
    use crate::dial;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A server whose host is looked up as a test tells.
    fn server(deadline: Duration) -> (RemoteServer, Sender<io::Result<Vec<SocketAddr>>>) {
        let (tell, _, dialer) = dial::tests::told();
        let address = Address { host: "name.test".to_owned(), port: 1 };
        let connection = ServerConnection::with(&address, dialer);
        let limits = Limits { deadline, attempt: SHORT, ..Limits::default() };
        (RemoteServer { connection, limits }, tell)
    }

    /// A port of this machine that refuses connections.
    fn refusing() -> SocketAddr {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    #[test]
    fn a_name_server_that_does_not_answer_makes_no_call_take_longer_than_it_may() {
        let (mut server, _tell) = server(SHORT);
        let late = "name.test:1: its name was not resolved in time";
        let start = Instant::now();
        let answers = [
            block_on(server.ping()),
            block_on(server.call("ping", &[])).map(drop),
            block_on(server.version_before(after(SHORT), "a")).map(drop),
            block_on(server.host_addresses()).map(drop),
        ];
        assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
        for answer in [&answers[0], &answers[1], &answers[3]] {
            assert_eq!(*answer, Err(Error::Unreachable(late.to_owned())));
        }
        assert!(matches!(answers[2], Err(Error::Unreachable(_))), "{:?}", answers[2]);
    }

    #[test]
    fn a_call_to_one_server_uses_its_whole_time_for_a_slow_look_up() {
        let (mut server, tell) = server(LONG);
        let address = refusing();
        let tells = thread::spawn(move || {
            thread::sleep(4 * SHORT);
            tell.send(Ok(vec![address])).unwrap();
        });
        let answer = block_on(server.ping());
        let Err(Error::Refused(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.contains(&format!("cannot be reached at {address}")), "{reason}");
        tells.join().unwrap();
    }
}
