//! The HTTP side: takes connections, hands calls to the driver, and writes back its answers.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use rustix::io::Errno;
use smol::channel::Sender;
use smol::net::TcpStream;
use smol::{LocalExecutor, future};

use super::answers::Several;
use super::aside::Desk;
use super::connection::Connection;
use super::document::{Document, Held};
use super::housekeeping::House;
use super::http::{Head, Heads};
use super::input::Input;
use crate::gate::{self, Gate, Method, Progress, Refusal};
use crate::monitor::{Monitor, Page};
use crate::protocol::{self, Asked, Call, fault};
use crate::raft::CallId;
use crate::xmlrpc::{self, Fault};

/// How long the listener pauses when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What every connection shares.
pub(super) struct Reception {
    house: Rc<House>,
    inbox: Sender<Input>,
    answers: Held,
    monitor: Rc<RefCell<Monitor>>,
    heads: Heads,
    desk: Desk,
    /// The host under which this server is configured.
    own_host: String,
    last_call: Cell<u64>,
}

impl Reception {
    pub(super) fn new(
        house: Rc<House>,
        inbox: Sender<Input>,
        answers: Held,
        monitor: Rc<RefCell<Monitor>>,
        own_host: &str,
    ) -> Rc<Reception> {
        Rc::new(Reception {
            house,
            inbox,
            answers,
            monitor,
            heads: Heads::default(),
            desk: Desk::default(),
            own_host: own_host.to_owned(),
            last_call: Cell::new(0),
        })
    }

    /// Takes connections, without end. Each has a task of its own: what happens to it happens to it alone.
    pub(super) async fn listen(
        self: Rc<Reception>,
        listener: Async<TcpListener>,
        executor: Rc<LocalExecutor<'static>>,
    ) -> anyhow::Result<Infallible> {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Where all places are taken by calls that are being answered, it is closed.
                    if let Some(place) = Place::take(&self.house, stream.into()) {
                        executor.spawn(Rc::clone(&self).serve(place)).detach();
                    }
                    // However many come at once, those that are here get their turns.
                    future::yield_now().await;
                }
                Err(error) => {
                    log::debug!("a connection could not be accepted: {error}");
                    if is_want_of_room(&error) {
                        self.house.make_room();
                    }
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(self: Rc<Reception>, place: Place) {
        if let Err(error) = self.converse(&place).await {
            log::debug!("a connection ended: {error:#}");
        }
    }

    /// Answers the requests of one connection, one after another.
    async fn converse(&self, place: &Place) -> anyhow::Result<()> {
        let connection = &place.connection;
        connection.set_up()?;
        let mut gate = Gate::new(&self.own_host);
        let refusal = loop {
            break match gate.next() {
                Ok(Progress::Request(request)) if request.method == Method::Post => {
                    let closes = request.close;
                    let asked = self.read(connection, request).await;
                    // What was read is held until then.
                    place.hold(gate.buffered());
                    let goes_on = self.answer(connection, asked, closes).await?;
                    if goes_on { continue } else { return Ok(()) }
                }
                Ok(Progress::Request(request)) => {
                    let page = self.monitor.borrow().page(&request.target, Instant::now());
                    let Some(page) = page else { break no_page(request.method) };
                    let goes_on = self.show(connection, &request, &page).await?;
                    if goes_on { continue } else { return Ok(()) }
                }
                Ok(Progress::Continue) => {
                    connection.send(gate::CONTINUE, []).await?;
                    continue;
                }
                Ok(Progress::NeedMore) => {
                    let bytes = connection.receive(gate.phase()).await?;
                    gate.push(&bytes);
                    if connection.has_ended() {
                        TOO_SLOW.response()
                    } else if bytes.is_empty() {
                        return Ok(());
                    } else if !place.hold(gate.buffered()) {
                        TOO_MUCH.response()
                    } else {
                        continue;
                    }
                }
                Err(refusal) => refusal.response(),
            };
        };
        drop(gate);
        place.hold(0);
        connection.send(&refusal, []).await?;
        Ok(connection.linger().await?)
    }

    /// What a request asks for.
    async fn read(&self, connection: &Connection, request: gate::Request) -> Result<Asked, Fault> {
        connection.may_half_close.set(request.may_half_close);
        // It is here as a whole, so its caller is late with nothing.
        connection.wait(self.next_call());
        let is_read = self.heads.read(&request).await;
        is_read.map_err(|error| fault::internal(&format!("{error:#}")))?;
        let document = request.body;
        self.desk.aside(document.len(), move || protocol::read_call(&document)).await
    }

    /// Answers one call. Whether the connection goes on.
    async fn answer(
        &self,
        connection: &Connection,
        asked: Result<Asked, Fault>,
        closes: bool,
    ) -> anyhow::Result<bool> {
        let Some(answer) = self.call(connection, asked).await? else { return Ok(false) };
        // The status is 200 whatever the document says: many clients cannot read a fault with another status.
        let (content_type, length) = ("text/xml", answer.len());
        let head = self.heads.write(Head { status: 200, content_type, length, closes }).await?;
        send(connection, &head, answer.pieces(), closes).await
    }

    /// The answer to what a document asks for; `None` if the caller is gone before it comes.
    async fn call(
        &self,
        connection: &Connection,
        asked: Result<Asked, Fault>,
    ) -> anyhow::Result<Option<Arc<Document>>> {
        let Ok((method, Ok(Call::Several(calls)))) = asked else {
            return self.ask(connection, asked).await;
        };
        let asked_at = Instant::now();
        let mut several = Several::new(&self.answers);
        for asked in calls {
            let Some(answer) = self.ask(connection, asked).await? else { return Ok(None) };
            several.push(answer);
        }
        let answer = several.write();
        // Whatever came of its calls, each of which is counted as well.
        self.monitor.borrow_mut().answered(method.name, asked_at.elapsed(), false);
        Ok(Some(answer))
    }

    /// Has the driver answer one call.
    async fn ask(
        &self,
        connection: &Connection,
        asked: Result<Asked, Fault>,
    ) -> anyhow::Result<Option<Arc<Document>>> {
        let (method, call) = match asked {
            Ok(asked) => asked,
            Err(fault) => {
                self.monitor.borrow_mut().not_understood();
                return Ok(Some(self.fault(&fault)));
            }
        };
        let asked_at = Instant::now();
        if call.as_ref().is_ok_and(Call::is_from_peer) {
            self.house.keep_for_peer(connection);
        }
        let mut waiting = None;
        if call.as_ref().is_ok_and(Call::may_wait) {
            waiting = self.house.let_wait();
            if waiting.is_none() {
                return Ok(Some(self.fault(&fault::busy("too many calls wait"))));
            }
        }
        let id = self.next_call();
        let (answer, answered) = oneshot::channel();
        connection.wait(id);
        self.inbox.send(Input::Call { id, method, call, answer }).await?;
        // The driver drops what it would answer with once it hears that the caller is gone.
        let answer = answered.await.ok();
        drop(waiting);
        if let Some(answer) = &answer {
            let (took, is_fault) = (asked_at.elapsed(), answer.is_fault());
            self.monitor.borrow_mut().answered(method.name, took, is_fault);
        }
        Ok(answer)
    }

    /// Shows a page. Whether the connection goes on.
    async fn show(
        &self,
        connection: &Connection,
        request: &gate::Request,
        page: &Page,
    ) -> anyhow::Result<bool> {
        let Page { status, content_type, ref body } = *page;
        let (length, closes) = (body.len(), request.close);
        let head = self.heads.write(Head { status, content_type, length, closes }).await?;
        let body = if request.method == Method::Head { "" } else { body };
        send(connection, &head, [body.as_bytes()], closes).await
    }

    fn fault(&self, fault: &Fault) -> Arc<Document> {
        Document::new(xmlrpc::write_fault(fault), &self.answers)
    }

    fn next_call(&self) -> CallId {
        self.last_call.set(self.last_call.get() + 1);
        CallId(self.last_call.get())
    }
}

/// Whether a connection could not be accepted because the process or the system has too many. Others fail by themselves:
/// the caller may have given up before its turn came, which is no reason to send another away.
fn is_want_of_room(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| wants.contains(&error))
}

/// Sends a response, and ends the connection if it `closes`. Whether it goes on.
async fn send<'b>(
    connection: &Connection,
    head: &'b [u8],
    body: impl IntoIterator<Item = &'b [u8]>,
    closes: bool,
) -> anyhow::Result<bool> {
    connection.send(head, body).await?;
    if closes {
        connection.linger().await?;
    }
    Ok(!closes)
}

/// Said to a caller whose request has taken longer than it may.
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request took too long" };

/// Said to a caller whose request finds too many others under way.
const TOO_MUCH: Refusal =
    Refusal { status: 503, reason: "too many bytes of requests are under way" };

/// The response to a request for a page that there is not.
fn no_page(method: Method) -> Vec<u8> {
    let mut response = Refusal {
        status: 404,
        reason: "the pages are /status, /metrics, /healthz and /readyz; calls are sent by POST",
    }
    .response();
    if method == Method::Head
        && let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n")
    {
        response.truncate(end + 4);
    }
    response
}

/// A connection's place in the house, given back when its task ends, however it ends.
struct Place {
    house: Rc<House>,
    id: u64,
    connection: Rc<Connection>,
    held: Cell<usize>,
}

impl Place {
    fn take(house: &Rc<House>, stream: TcpStream) -> Option<Place> {
        let (id, connection) = house.admit(stream)?;
        Some(Place { house: Rc::clone(house), id, connection, held: Cell::new(0) })
    }

    /// Notes how many bytes of a request are held for the connection. Whether there is room for them.
    fn hold(&self, bytes: usize) -> bool {
        self.house.hold(self.held.replace(bytes), bytes)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hold(0);
        self.house.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_want_of_room_sends_an_idle_caller_away() {
        let is_want = |error: Errno| is_want_of_room(&error.into());
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_want(error), "{error}");
        }
        for error in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::NETDOWN, Errno::INTR] {
            assert!(!is_want(error), "{error}");
        }
        assert!(!is_want_of_room(&io::ErrorKind::Other.into()));
    }
}
