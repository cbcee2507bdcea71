//! Runs that are expected to fail: processes end and are started anew without their memory, but under the incarnation
//! of their predecessors, so that nobody notices. They show that the checks see what they are there to see.

use crate::plan::Plan;
use crate::recovery;
use crate::run::run;
use crate::shrink::{shrunk, told};

#[test]
fn when_processes_lose_their_memory_unnoticed_the_loss_is_found() {
    let failures: Vec<String> = (0..200)
        .filter_map(|seed| run(&Plan::of_unnoticed_relaunches(seed), false, |_| 0).err())
        .map(|failure| failure.message)
        .collect();
    let found = |what: &str| failures.iter().any(|message| message.contains(what));
    assert!(found("lacks a committed entry"), "found only: {failures:#?}");
    assert!(found("has two leaders"), "found only: {failures:#?}");
}

#[test]
fn a_failing_run_is_shrunk_to_a_short_one_that_fails_alike_and_is_told_alike() {
    let fails = |plan: &Plan| run(plan, false, recovery::check).is_err();
    for plan in (0..200).map(Plan::of_unnoticed_relaunches).filter(fails).take(5) {
        let failure = run(&plan, false, recovery::check).expect_err("it fails again");
        let (short, alike) = shrunk(&plan);
        assert!(short.steps.len() <= 30, "{} steps are left of {plan:?}", short.steps.len());
        assert!(alike.place == failure.place, "{alike:?} is not {failure:?}");
        let story = told(&plan);
        assert!(story.contains("step ") && story.contains("SEED="), "{story}");
        assert!(story == told(&plan), "the story is another one the second time");
    }
}
