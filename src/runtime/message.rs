//! What the connections and the lanes tell the event loop.

use std::sync::Arc;

use oneshot::Sender;

use crate::monitor::Page;
use crate::protocol::Asked;
use crate::raft::CallId;
use crate::service::{Document, Input};
use crate::xmlrpc::Fault;

/// What comes in.
pub(super) enum Message {
    /// A call, whose answer is a document.
    Call {
        /// Names the call.
        id: CallId,
        /// What its document asks for.
        asked: Result<Asked, Fault>,
        /// Where the answer goes.
        answer: Sender<Arc<Document>>,
    },
    /// The caller is gone.
    HangUp(CallId),
    /// A GET of a page.
    Get {
        /// The page.
        target: String,
        /// Where the page goes, if there is one.
        answer: Sender<Option<Page>>,
    },
    /// The outcome of a request to a peer.
    Peer(Input),
    /// A lane to a peer has ended, which it never should.
    LaneEnded,
}
