//! The messages of the connections and lanes to the event loop.

use std::sync::Arc;
use std::time::Instant;

use oneshot::Sender;

use crate::monitor::{Page, PageRequest};
use crate::protocol::Asked;
use crate::raft::CallId;
use crate::service::{Document, Input};
use crate::xmlrpc::Fault;

/// A message to the event loop.
pub(super) enum Message {
    /// A call, whose answer is a document.
    Call {
        /// Identifies the call.
        id: CallId,
        /// What its document asks for.
        asked: Result<Asked, Fault>,
        /// When it had been decoded.
        since: Instant,
        /// Receives the answer.
        answer: Sender<Arc<Document>>,
    },
    /// The caller has disconnected.
    HangUp(CallId),
    /// A GET of a page.
    Get {
        /// Which page.
        request: PageRequest,
        /// Receives the page, if there is one.
        answer: Sender<Option<Page>>,
    },
    /// An input to the service as it is, such as the outcome of a request to a peer.
    Input(Input),
    /// The data folder cannot be written to any more.
    DiskFailed(anyhow::Error),
    /// A lane to a peer has ended, which must never happen.
    LaneEnded,
}
