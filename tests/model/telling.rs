//! Actions in words, for the path to a failure.

use surfstore::raft::{LogIndex, Position, ServerId};

use crate::logs::held;
use crate::model::Model;
use crate::network::{place, told_entry};
use crate::state::{Action, ENDED, State};

impl Model {
    /// The action in words, and every server that it changed.
    pub(crate) fn tell(&self, before: &State, action: Action, after: Option<&State>) -> String {
        let told = match action {
            Action::Deliver(message) => format!("{}", self.steps.message(message)),
            Action::Fail(message) => {
                format!("{} (its sender gives up)", self.steps.message(message))
            }
            Action::Timeout(id, timer) => format!("{timer:?} ends at {}", id.0),
            Action::Disconnect(id, peer) => {
                format!(
                    "{} learns that the connections of {} have closed",
                    id.0, peer.incarnation.0
                )
            }
            Action::Stand(id, asked) => format!("{} stands, having asked {asked:#b}", id.0),
            Action::GoOn(id) => format!("{} does what it has left to do", id.0),
            Action::Update(id) => format!("an update at {}", id.0),
            Action::Read(id) => format!("a read at {}", id.0),
            Action::Crash(id) => format!("{} crashes", id.0),
            Action::Restore(id) => format!("{} is restored", id.0),
            Action::Sync(id, number) => {
                format!("the disk of {} has all up to change {number}", id.0)
            }
            Action::LosePower(loss) => {
                let told = loss.iter().enumerate().filter_map(|(id, kept)| Some((id, (*kept)?)));
                let told = told.map(|(id, kept)| format!("{id} with {kept} more changes"));
                format!("power is lost: {} on disk", told.collect::<Vec<_>>().join(", "))
            }
            Action::End(id) => format!("the process of {} ends", id.0),
            Action::Launch(id) => format!("{} is launched again", id.0),
            Action::Relaunch(id) => format!("the process of {} ends; it is launched again", id.0),
        };
        let Some(after) = after else { return format!("{told}   FAILS") };
        let pairs = before.servers.iter().zip(&after.servers).enumerate();
        let changed: Vec<_> = pairs
            .filter(|(_, (before, after))| before != after && **after != ENDED)
            .map(|(id, (_, after))| self.tell_server(ServerId(id as u8), *after))
            .collect();
        let stalls = if before.stalled < after.stalled { " (its disk stalls)" } else { "" };
        format!("{told}{stalls}   {}", changed.join("; "))
    }

    fn tell_server(&self, id: ServerId, number: u32) -> String {
        let server = &self.steps.local(number).server;
        let status = server.status();
        let log: Vec<_> = held(server.log()).map(|(_, entry)| told_entry(entry)).collect();
        let dropped = match server.log().last_included() {
            Position { index: LogIndex(0), .. } => String::new(),
            last => format!("after {} ", place(last)),
        };
        format!(
            "{} as {}: {} t{} log {}[{}] commit {}",
            id.0,
            status.incarnation.0,
            status.role.as_str(),
            status.current_term.0,
            dropped,
            log.join(", "),
            status.commit_index.0
        )
    }
}
