//! The HTTP side: takes connections, hands calls to the driver, and writes back its answers.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
use std::rc::Rc;

use async_io::{Async, Timer};
use smol::LocalExecutor;
use smol::channel::Sender;
use smol::future;
use smol::net::TcpStream;

use super::http::{self, Status};
use super::input::Input;
use super::timing::{ACCEPT_PAUSE, HALF_CLOSED_GRACE};
use crate::protocol;
use crate::raft::CallId;
use crate::xmlrpc;

/// What every connection shares.
pub(super) struct Reception {
    inbox: Sender<Input>,
    last_call: Cell<u64>,
}

impl Reception {
    pub(super) fn new(inbox: Sender<Input>) -> Rc<Reception> {
        Rc::new(Reception { inbox, last_call: Cell::new(0) })
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
                    let serving = Rc::clone(&self).serve(stream.into());
                    executor.spawn(serving).detach();
                }
                // The connection broke before it was taken, or the process is out of descriptors: it may get better.
                Err(error) => {
                    log::debug!("a connection could not be accepted: {error}");
                    Timer::after(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(self: Rc<Reception>, stream: TcpStream) {
        if let Err(error) = self.converse(stream).await {
            log::debug!("a connection ended: {error:#}");
        }
    }

    /// Answers the requests of one connection, one after another.
    async fn converse(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        while let Some(request) = http::receive(&stream).await? {
            let (status, document) = if request.is_post {
                let Some(document) = self.answer(&request.body, hang_up(&stream)).await? else {
                    return Ok(());
                };
                (Status::Ok, document)
            } else {
                (Status::MethodNotAllowed, Vec::new())
            };
            http::respond(&mut stream, status, document, request.closes).await?;
            if request.closes {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The answer to a document; `None` if the caller is `gone` before it comes.
    async fn answer(
        &self,
        document: &[u8],
        gone: impl Future<Output = ()>,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let (method, call) = match protocol::read_call(document) {
            Ok(asked) => asked,
            Err(fault) => return Ok(Some(xmlrpc::write_fault(&fault))),
        };
        let id = self.next_call();
        let (answer, answered) = smol::channel::bounded(1);
        self.inbox.send(Input::Call { id, method, call, answer }).await?;
        let answered = async { Ok(Some(answered.recv().await?)) };
        let gone = async {
            gone.await;
            self.inbox.send(Input::HangUp(id)).await?;
            Ok(None)
        };
        future::or(answered, gone).await
    }

    fn next_call(&self) -> CallId {
        self.last_call.set(self.last_call.get() + 1);
        CallId(self.last_call.get())
    }
}

/// Waits until a caller that waits for its answer is gone.
async fn hang_up(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) => {
            Timer::after(HALF_CLOSED_GRACE).await;
        }
        // It sends its next request already, so it is there.
        Ok(_) => future::pending().await,
        Err(_) => {}
    }
}
