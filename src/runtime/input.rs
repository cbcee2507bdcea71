//! What the connections and the lanes hand to the driver.

use std::sync::Arc;

use oneshot::Sender;

use super::document::Document;
use crate::protocol::{Call, Method};
use crate::raft::{CallId, Event};
use crate::xmlrpc::Fault;

/// What happens to the driver.
pub(super) enum Input {
    /// A call came in; its answer is a document.
    Call {
        /// Names the call.
        id: CallId,
        /// The method that was called.
        method: &'static Method,
        /// The call, or what is wrong with its parameters.
        call: Result<Call, Fault>,
        /// Where the answer goes.
        answer: Sender<Arc<Document>>,
    },
    /// The caller is gone.
    HangUp(CallId),
    /// What a lane to a peer has to tell the core.
    Core(Event),
}
