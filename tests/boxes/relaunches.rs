//! Processes that end and are restarted while the network is cut, so that not every server sees it. A process that has
//! forgotten what it acknowledged must not help a server that lacks it.

use support::client::{Pending, hash};
use support::wait::{PATIENCE, SEVERAL_ELECTIONS, holds_for, wait_until};

use crate::network::Network;
use crate::outcomes::{assert_lost, assert_not_stale};
use crate::way::Way;

/// Opens all directions, and checks that the file has that version, as it was acknowledged, and that all servers
/// continue from it.
#[track_caller]
fn goes_on(network: &Network, name: &str, version: i64) {
    let files = network.settle();
    assert_eq!(files[name], (version, hash(&format!("{name} {version}"))));
    network.await_whole();
    network.one(&network.running(), name, version + 1);
}

#[test]
fn a_stale_leader_confirms_nothing_with_a_follower_that_was_relaunched_while_it_was_cut_off() {
    let (mut network, old) = Network::led(3);
    let others = network.others(old);
    network.isolate(&[old]);
    let (new, _) = network.leader_among(&others);
    let third = 3 - old - new;
    network.agree(new, &others, "a", 1);

    // Of the servers that acknowledged it, one process ends, and the next one meets only the old leader.
    network.set_both((new, third), &Way::Cut);
    network.relaunch(&[third]);
    network.set_both((old, third), &Way::Open);
    let before = network.at(old).state().last_log.0;
    let update = network.begin_update(old, "a", 1);
    let read = network.at(old).begin("surfstore.getfileinfomap", &[]);
    wait_until(PATIENCE, "the relaunched server has the old leader's log, and the update", || {
        before < network.at(third).state().last_log.0
    });
    holds_for(SEVERAL_ELECTIONS, "a guest's answers confirm nothing and elect no leader", || {
        [&update, &read].into_iter().all(Pending::is_blocked) && !network.at(third).is_leader()
    });
    assert_eq!(network.at(old).ids("guests"), [third]);

    network.heal();
    assert_not_stale(read.answer(PATIENCE), "a", 1);
    assert_lost(&update.answer(PATIENCE));
    goes_on(&network, "a", 1);
}

#[test]
fn a_relaunched_follower_elects_no_server_that_lacks_what_its_former_process_had_acknowledged() {
    let (mut network, leader) = Network::led(3);
    let [relaunched, behind] = network.others(leader)[..] else { panic!("there are three") };
    network.isolate(&[behind]);
    network.agree(leader, &[leader, relaunched], "a", 1);
    network.isolate(&[leader]);
    network.relaunch(&[relaunched]);
    network.set_both((relaunched, behind), &Way::Open);
    wait_until(
        PATIENCE,
        "a server without the update cannot be elected without the leader",
        || network.at(behind).ids("waitsFor") == [leader],
    );
    holds_for(SEVERAL_ELECTIONS, "no server is elected", || {
        network.leaders_among(&[relaunched, behind]).is_empty()
    });
    goes_on(&network, "a", 1);
}

#[test]
fn a_leader_that_was_relaunched_while_its_followers_are_cut_off_waits_for_them_and_founds_nothing()
{
    let (mut network, leader) = Network::led(3);
    let others = network.others(leader);
    network.agree(leader, &network.running(), "a", 1);
    network.isolate(&network.running());
    network.relaunch(&[leader]);
    holds_for(SEVERAL_ELECTIONS, "it is not a majority alone", || network.leaders().is_empty());
    network.split(&[&[leader, others[0]]]);
    wait_until(PATIENCE, "the server with the update cannot be elected without the other", || {
        network.at(others[0]).ids("waitsFor") == [others[1]]
    });
    holds_for(SEVERAL_ELECTIONS, "no server is elected", || network.leaders().is_empty());
    goes_on(&network, "a", 1);
}
