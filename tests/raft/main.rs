//! The core, one event at a time, through its public interface: the claims of the Raft paper that constrain code, and
//! this project's additional claims.

mod appends;
mod commits;
mod everybody;
mod figures;
mod founding;
mod histories;
mod hurry;
mod identity;
mod persistence;
mod prevotes;
mod reads;
mod replication;
mod rivals;
mod roles;
mod rosters;
mod senders;
mod snapshots;
mod updates;
