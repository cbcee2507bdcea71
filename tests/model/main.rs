//! Explicit-state model checking of the core: every state that a small cluster can reach, and every required property
//! in each of them.
//!
//! It runs the shipped core. Its steps are pure, so a breadth-first search can try everything that may happen next in
//! every state, until nothing new is found. The messages ever sent are a set from which any may be delivered at any
//! time, again and again or never: this covers unbounded loss, duplication and reordering. Terms, calls, crashes and
//! heartbeats are bounded; each search states its bounds (see `configurations`).
//!
//! Every search must find exactly the stated number of states, and reach the stated situations, so that a change that
//! reduces the coverage fails. `docs/model-checking.md` describes the rest.

mod clearing;
mod configurations;
mod disks;
mod elections;
mod history;
mod hurry;
mod invariants;
mod logs;
mod marks;
mod model;
mod network;
mod power;
mod search;
mod snapshots;
mod state;
mod steps;
mod table;
mod telling;

use configurations::{Bounds, Configuration};
use search::{Found, Search};

/// Searches, and requires what the configuration says.
#[allow(clippy::print_stderr)]
fn check(name: &str, configuration: &Configuration) -> Found {
    let found = Search::run(configuration.bounds);
    eprintln!("{name}: {found}");
    let missing = found.marks.missing(configuration.marks);
    assert!(missing.is_empty(), "{name} never reached {missing:?}");
    let (now, before) = (found.states, configuration.states);
    assert!(now == before, "{name} has other states than before: {now}, not {before}");
    found
}

/// Searches with all messages kept, and shows that the rules by which the network is kept small would have lost
/// nothing: the servers reach the same states.
fn check_and_compare(name: &str, configuration: &Configuration) {
    let all = check(name, configuration);
    let cleared = Search::run(Bounds { clearing: true, ..configuration.bounds });
    assert!(cleared.states < all.states, "{name} is not searched with all messages");
    assert!(cleared.views == all.views, "clearing the network of {name} loses states");
    assert!(cleared.local.0 == all.local.0, "clearing the network of {name} loses server states");
}

#[test]
fn a_server_alone_keeps_every_promise() {
    check("alone", &configurations::ALONE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_keep_every_promise_also_without_a_majority() {
    check("pair", &configurations::PAIR);
    check("pair without a majority", &configurations::PAIR_WITHOUT_MAJORITY);
}

#[test]
fn entries_that_come_one_by_one_are_committed_by_the_rule() {
    check("pair with large update", &configurations::PAIR_WITH_LARGE_UPDATE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn messages_of_older_terms_break_no_promise() {
    check_and_compare("pair with all messages", &configurations::PAIR_WITH_ALL_MESSAGES);
    check_and_compare("founding with all messages", &configurations::FOUNDING_WITH_ALL_MESSAGES);
    check_and_compare("trio with all messages", &configurations::TRIO_WITH_ALL_MESSAGES);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn messages_of_ended_processes_break_no_promise() {
    check_and_compare("relaunch with all messages", &configurations::RELAUNCH_WITH_ALL_MESSAGES);
    check_and_compare(
        "trio relaunch with all messages",
        &configurations::TRIO_RELAUNCH_WITH_ALL_MESSAGES,
    );
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn appends_that_fail_break_no_promise() {
    check_and_compare("pair with failures", &configurations::PAIR_WITH_FAILURES);
    check("trio with failures", &configurations::TRIO_WITH_FAILURES);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn elections_step_by_step_break_no_promise() {
    check_and_compare("pair with free elections", &configurations::PAIR_WITH_FREE_ELECTIONS);
    check("trio with free elections", &configurations::TRIO_WITH_FREE_ELECTIONS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn closed_connections_break_no_promise() {
    check_and_compare("pair with hints", &configurations::PAIR_WITH_HINTS);
    check("trio with hints", &configurations::TRIO_WITH_HINTS);
    let in_three_terms = &configurations::TRIO_WITH_HINTS_IN_THREE_TERMS;
    check("trio with hints in three terms", in_three_terms);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_found_a_history_and_keep_every_promise() {
    check("trio", &configurations::TRIO);
    check("founding with crash", &configurations::FOUNDING_WITH_CRASH);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_when_one_crashes() {
    check("trio with crash", &configurations::TRIO_WITH_CRASH);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_in_three_terms() {
    check("trio in three terms", &configurations::TRIO_IN_THREE_TERMS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_to_writers() {
    check("trio with updates", &configurations::TRIO_WITH_UPDATES);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_to_readers() {
    check("trio with read", &configurations::TRIO_WITH_READ);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn four_servers_keep_every_promise() {
    check("four", &configurations::FOUR);
    check("founding of four", &configurations::FOUNDING_OF_FOUR);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_keep_what_is_left_when_they_are_relaunched() {
    check("pair relaunched", &configurations::PAIR_RELAUNCHED);
    check("founding relaunched", &configurations::FOUNDING_RELAUNCHED);
    check("pair ended", &configurations::PAIR_ENDED);
    check("pair ended step by step", &configurations::PAIR_ENDED_STEP_BY_STEP);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_when_one_is_relaunched() {
    check("trio relaunched", &configurations::TRIO_RELAUNCHED);
    check("trio relaunched step by step", &configurations::TRIO_RELAUNCHED_STEP_BY_STEP);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn four_servers_keep_every_promise_when_one_is_relaunched() {
    check("four relaunched", &configurations::FOUR_RELAUNCHED);
}

#[test]
fn a_server_alone_that_drops_entries_keeps_every_promise() {
    check("cut alone", &configurations::CUT_ALONE);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_that_drop_entries_keep_every_promise_when_they_are_relaunched() {
    check("cut pair relaunched", &configurations::CUT_PAIR_RELAUNCHED);
    check("cut pair in pieces", &configurations::CUT_PAIR_IN_PIECES);
    check("cut pair with failures", &configurations::CUT_PAIR_WITH_FAILURES);
    let with_all_messages = &configurations::CUT_PAIR_WITH_ALL_MESSAGES;
    check_and_compare("cut pair with all messages", with_all_messages);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_that_drop_entries_keep_every_promise() {
    check("cut founding", &configurations::CUT_FOUNDING);
    check("cut trio with updates", &configurations::CUT_TRIO_WITH_UPDATES);
    check("cut trio with crash", &configurations::CUT_TRIO_WITH_CRASH);
    check("cut trio in three terms", &configurations::CUT_TRIO_IN_THREE_TERMS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_that_drop_entries_keep_every_promise_when_one_is_relaunched() {
    check("cut trio relaunched", &configurations::CUT_TRIO_RELAUNCHED);
}

#[test]
#[ignore = "takes a minute of a free core"]
fn three_servers_that_drop_entries_of_longer_logs_keep_every_promise() {
    let with_updates = &configurations::CUT_TRIO_IN_THREE_TERMS_WITH_UPDATES;
    check("cut trio in three terms with updates", with_updates);
    check("cut trio with longer log", &configurations::CUT_TRIO_WITH_LONGER_LOG);
    check("cut trio in pieces", &configurations::CUT_TRIO_IN_PIECES);
}

#[test]
fn a_server_alone_that_loses_its_power_keeps_every_promise() {
    check("alone on disk", &configurations::ALONE_ON_DISK);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_that_lose_their_power_keep_every_promise() {
    check("pair on disk", &configurations::PAIR_ON_DISK);
    check("pair on disk with crash", &configurations::PAIR_ON_DISK_WITH_CRASH);
    check("founding on disk", &configurations::FOUNDING_ON_DISK);
    check("founding on slow disks", &configurations::FOUNDING_ON_SLOW_DISKS);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_that_both_lose_their_power_keep_every_promise() {
    check("pair out of power", &configurations::PAIR_OUT_OF_POWER);
    check("founding out of power", &configurations::FOUNDING_OUT_OF_POWER);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn two_servers_that_drop_entries_and_lose_their_power_keep_every_promise() {
    check("cut pair on disk", &configurations::CUT_PAIR_ON_DISK);
    check("cut founding on disk", &configurations::CUT_FOUNDING_ON_DISK);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_that_lose_their_power_keep_every_promise() {
    check("trio on disk", &configurations::TRIO_ON_DISK);
    check("trio out of power", &configurations::TRIO_OUT_OF_POWER);
    check("cut trio on disk", &configurations::CUT_TRIO_ON_DISK);
    check("cut trio out of power", &configurations::CUT_TRIO_OUT_OF_POWER);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn messages_from_before_a_loss_of_power_break_no_promise() {
    let pair = &configurations::PAIR_ON_DISK_WITH_ALL_MESSAGES;
    check_and_compare("pair on disk with all messages", pair);
    let founding = &configurations::FOUNDING_ON_DISK_WITH_ALL_MESSAGES;
    check_and_compare("founding on disk with all messages", founding);
    let slow = &configurations::FOUNDING_ON_SLOW_DISKS_WITH_ALL_MESSAGES;
    check_and_compare("founding on slow disks with all messages", slow);
    let trio = &configurations::TRIO_OUT_OF_POWER_WITH_ALL_MESSAGES;
    check_and_compare("trio out of power with all messages", trio);
}

#[test]
#[ignore = "takes a minute of a free core"]
fn three_servers_that_lose_their_power_keep_every_promise_to_a_writer() {
    check("trio on disk with update", &configurations::TRIO_ON_DISK_WITH_UPDATE);
    check("trio out of power with update", &configurations::TRIO_OUT_OF_POWER_WITH_UPDATE);
    check("trio founding on disk", &configurations::TRIO_FOUNDING_ON_DISK);
}

#[test]
#[ignore = "takes ten seconds"]
fn three_servers_found_a_history_while_one_is_relaunched() {
    check("trio founding relaunched", &configurations::TRIO_FOUNDING_RELAUNCHED);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn three_servers_keep_every_promise_when_one_ends() {
    check("trio ended", &configurations::TRIO_ENDED);
}

#[test]
#[ignore = "takes a minute of a free core"]
fn three_servers_found_a_history_and_keep_every_promise_to_a_writer() {
    check("trio with update", &configurations::TRIO_WITH_UPDATE);
}

#[test]
#[ignore = "takes ten seconds"]
fn two_servers_keep_every_promise_whatever_fails() {
    check("pair with everything", &configurations::PAIR_WITH_EVERYTHING);
}

#[test]
#[ignore = "takes a minute of a free core"]
fn four_servers_keep_every_promise_to_a_writer_when_one_is_relaunched() {
    check("four relaunched with update", &configurations::FOUR_RELAUNCHED_WITH_UPDATE);
}
