//! The event loop: the one task that owns the service. It passes inputs to the service and carries out its actions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use oneshot::Sender;
use smol::channel::Receiver;
use smol::future;

use super::alarm::Alarm;
use super::disk::DataFolder;
use super::message::Message;
use super::peer::Peer;
use super::{offload, process};
use crate::raft::{CallId, Save, ServerId};
use crate::service::{Action, Document, Input, Service};

/// How long messages are handled one after another before all other tasks have their turn.
const TURN: Duration = Duration::from_millis(1);

/// The event loop, with everything that it needs to carry out the service's actions.
pub(super) struct EventLoop {
    peers: BTreeMap<ServerId, Peer>,
    /// Where the answers to the calls in progress go.
    callers: BTreeMap<CallId, Sender<Arc<Document>>>,
    /// The data folder, if there is one.
    disk: Option<DataFolder>,
    /// The changes for it that have come together in this turn, as one.
    unsaved: Option<Save>,
}

impl EventLoop {
    pub(super) fn new(peers: BTreeMap<ServerId, Peer>, disk: Option<DataFolder>) -> EventLoop {
        EventLoop { peers, callers: BTreeMap::new(), disk, unsaved: None }
    }

    /// Runs the service forever.
    ///
    /// # Errors
    ///
    /// If the data folder cannot be written to any more, or a lane to a peer has ended.
    ///
    /// # Panics
    ///
    /// If the core finds one of its invariants broken.
    pub(super) async fn run(
        mut self,
        (mut service, mut actions): (Service, Vec<Action>),
        inbox: Receiver<Message>,
    ) -> anyhow::Result<Infallible> {
        let mut alarm = Alarm::new();
        let mut ticked = false;
        let mut now = Instant::now();
        let mut turn_from = now;
        loop {
            actions.into_iter().for_each(|action| self.perform(action));
            let has_more = service.has_more();
            let is_over = has_more || TURN <= now.duration_since(turn_from);
            if self.unsaved.is_some() && (is_over || inbox.is_empty()) {
                self.hand_over();
            }
            if is_over {
                // All other tasks, such as the lanes, run first.
                future::yield_now().await;
                turn_from = Instant::now();
            }
            let message = if has_more {
                // Messages and ticks alternate, so that neither delays the other for long.
                let waiting = if ticked { inbox.try_recv().ok() } else { None };
                waiting.unwrap_or(Message::Input(Input::Tick))
            } else {
                let tick = async {
                    match service.deadline() {
                        Some(deadline) => alarm.until(deadline).await,
                        None => future::pending().await,
                    }
                    Ok(Message::Input(Input::Tick))
                };
                future::or(tick, inbox.recv()).await?
            };
            ticked = matches!(message, Message::Input(Input::Tick));
            now = Instant::now();
            let input = match message {
                Message::Call { id, asked, since, answer } => {
                    self.callers.insert(id, answer);
                    Input::Call { id, asked, since }
                }
                Message::HangUp(id) => {
                    // Without the sender, the task of its connection ends.
                    self.callers.remove(&id);
                    Input::HangUp(id)
                }
                Message::Get { request, answer } => {
                    // The connection may have ended in the meantime.
                    let _ = answer.send(service.page(&request, process::figures, now));
                    actions = Vec::new();
                    continue;
                }
                Message::Input(input) => input,
                Message::DiskFailed(error) => return Err(error),
                Message::LaneEnded => bail!("a lane to a peer has ended"),
            };
            (service, actions) = service.handle(now, input);
        }
    }

    /// Hands the changes that have come together to the thread of the disk. Waking it for each costs more than they do.
    fn hand_over(&mut self) {
        if let Some((disk, save)) = self.disk.as_ref().zip(self.unsaved.take()) {
            disk.save(save);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send { to, request } => {
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.send(request);
                }
            }
            Action::Answer { id, document } => {
                if let Some(caller) = self.callers.remove(&id) {
                    // If the caller disconnects at this moment, it misses the answer.
                    let _ = caller.send(document);
                }
            }
            Action::Save(save) => {
                self.unsaved = Some(match self.unsaved.take() {
                    Some(before) => before.then(save),
                    None => save,
                });
            }
            Action::SaveSnapshot(snapshot) => {
                self.hand_over();
                if let Some(disk) = &self.disk {
                    disk.save_snapshot(snapshot);
                }
            }
            Action::Disconnect => self.peers.values_mut().for_each(Peer::disconnect),
            Action::Discard(discarded) => offload::free(discarded),
            Action::Log(level, line) => log::log!(level, "{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use smol::LocalExecutor;

    use super::*;
    use crate::config::Config;
    use crate::raft::{Cluster, Compaction, Incarnation, Origin};
    use crate::service::{AnswerBudget, HeldBytes, Settings};

    #[test]
    fn other_tasks_have_their_turn_while_many_messages_wait() {
        let settings = Settings {
            cluster: Cluster::new(ServerId(0), 2).unwrap(),
            config: Config::parse("M: 2\nmetadata0: localhost:1\nmetadata1: localhost:2").unwrap(),
            origin: Origin::Memory(Incarnation(1)),
            compaction: Compaction::default(),
            rng: Default::default(),
            waiting_max: 1,
            budget: AnswerBudget::default(),
            requests: HeldBytes::default(),
            memory_max: usize::MAX,
        };
        let started = Service::start(settings, Instant::now());
        let (inbox, messages) = smol::channel::unbounded();
        // More than can be handled in one turn.
        (0..1_000_000).for_each(|id| inbox.try_send(Message::HangUp(CallId(id))).unwrap());
        let executor = LocalExecutor::new();
        let _loop = executor.spawn(EventLoop::new(BTreeMap::new(), None).run(started, messages));
        let waiting = executor.spawn(async move { inbox.len() });
        let waiting = smol::block_on(executor.run(waiting));
        assert!((1..1_000_000).contains(&waiting), "{waiting} messages wait");
    }
}
