//! Runs that are expected to fail: processes end and are started anew, without their memory, and more of them than a
//! minority. They show that the checks see what they are there to see.

use crate::plan::Plan;
use crate::run::run;

#[test]
fn when_processes_lose_their_memory_the_loss_is_found() {
    let failures: Vec<String> = (0..200)
        .filter_map(|seed| run(&Plan::of_relaunches(seed), false, |_| 0).err())
        .map(|failure| failure.message)
        .collect();
    let found = |what: &str| failures.iter().any(|message| message.contains(what));
    assert!(found("lacks a committed entry"), "found only: {failures:#?}");
    assert!(found("has two leaders"), "found only: {failures:#?}");
}
