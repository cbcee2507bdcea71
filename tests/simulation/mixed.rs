//! Sets in which only some servers have disks, and a server that has missed who replaces another one.

use surfstore::raft::{Member, ServerId};

use crate::network::{MILLISECOND, Network, SECOND};
use crate::plan::Limits;
use crate::run::quietly;
use crate::world::World;

const ZERO: ServerId = ServerId(0);
const ONE: ServerId = ServerId(1);
const TWO: ServerId = ServerId(2);

/// Server 1 has a disk. It is replaced, and server 0 is cut off before it learns who replaces it. Servers 1 and 2
/// commit an update. Then server 1 loses power and server 2, which has no disk, is relaunched. A majority of those who
/// count still remembers: server 0, and the disk of server 1, which has the update.
fn replaced_unseen(disks: u16) -> World {
    let limits = Limits { disks, ..Limits::default() };
    let started = |seed| {
        let mut world = World::bounded(seed, Network::healthy(3, 2 * MILLISECOND), 3, limits);
        world.run_for(5 * SECOND);
        world
    };
    let worlds = (0..).map(started);
    let mut world = worlds.into_iter().find(|world| world.leader() == Some(TWO)).expect("one");
    world.lose_disk(ONE);
    world.launch(ONE);
    let replaced = Member { id: ONE, incarnation: world.process(ONE) };
    while !world.server(TWO).log().roster().expect("it leads").names(replaced) {
        world.run_for(50);
    }
    world.network.cut_where(|from, to| from == 0 || to == 0);
    world.run_for(SECOND / 2);
    world.update(TWO, "a", 1, 0);
    world.run_for(SECOND / 2);
    assert!(world.server(TWO).files().version("a") == 1, "the update is committed");
    assert!(!world.server(ZERO).log().roster().expect("it has a log").names(replaced));
    world.lose_power(ONE);
    assert!(world.may_lose(TWO), "a majority remembers");
    world.end(TWO);
    world.launch(TWO);
    world.network.mend();
    world
}

#[test]
fn a_server_with_a_disk_waits_for_one_that_its_roster_does_not_name() {
    let mut world = replaced_unseen(0b011);
    world.run_for(20 * SECOND);
    assert!(world.leader().is_none(), "nobody can know what the disk of server 1 has");
    world.launch(ONE);
    world.run_for(10 * SECOND);
    let leader = world.leader().expect("it is back");
    assert!(world.server(leader).files().version("a") == 1, "the update is kept");
}

/// Not promised: a server without a disk takes the end of server 1 for the loss of all that it knew.
#[test]
fn a_server_without_a_disk_does_not_wait_for_a_disk_of_which_it_has_not_heard() {
    let mut world = replaced_unseen(0b010);
    let (found, _) = quietly(|| world.run_for(20 * SECOND)).expect_err("the update is lost");
    assert!(found.contains("lacks a committed entry"), "{found}");
}
