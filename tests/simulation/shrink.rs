//! A failing run made short: fewer steps, a smaller cluster, less time, and the same failure.
//!
//! This is delta debugging: parts of the list of steps are left out, first large ones, then single steps, as long as
//! the run fails at the same place.

use crate::plan::{Plan, Step};
use crate::recovery;
use crate::run::{Failure, run};

/// How many runs are spent on it.
const RUNS_MAX: usize = 20_000;

/// How many events of the failing run are told of.
const TOLD_MAX: usize = 30;

struct Shrinker {
    plan: Plan,
    failure: Failure,
    runs: usize,
}

/// The shortest plan found that fails as this one does, and its failure.
pub(crate) fn shrunk(plan: &Plan) -> (Plan, Failure) {
    let failure = run(plan, false, recovery::check).expect_err("a failing plan fails again");
    let mut shrinker = Shrinker { plan: plan.clone(), failure, runs: 0 };
    loop {
        let before = shrinker.measure();
        shrinker.shorten();
        shrinker.shrink_cluster();
        shrinker.leave_out_steps();
        if shrinker.measure() == before {
            return (shrinker.plan, shrinker.failure);
        }
    }
}

impl Shrinker {
    fn measure(&self) -> (usize, u8, u64) {
        (self.plan.steps.len(), self.plan.size, self.plan.time)
    }

    /// Keeps the plan if it fails at the same place.
    fn accepts(&mut self, plan: Plan) -> bool {
        self.runs += 1;
        if RUNS_MAX < self.runs {
            return false;
        }
        let Err(failure) = run(&plan, false, recovery::check) else { return false };
        let same = failure.place == self.failure.place;
        if same {
            (self.plan, self.failure) = (plan, failure);
        }
        same
    }

    /// Nothing after the failure matters, and perhaps nothing after the last step.
    fn shorten(&mut self) {
        let last = self.plan.steps.last().map_or(0, |step| step.at);
        for time in [self.failure.time, last, self.plan.time / 2] {
            if time < self.plan.time {
                let mut plan = Plan { time, ..self.plan.clone() };
                plan.steps.retain(|step| step.at <= time);
                self.accepts(plan);
            }
        }
    }

    fn shrink_cluster(&mut self) {
        for size in 1..self.plan.size {
            if self.accepts(Plan { size, ..self.plan.clone() }) {
                return;
            }
        }
    }

    fn leave_out_steps(&mut self) {
        let mut chunk = self.plan.steps.len().div_ceil(2);
        while 0 < chunk {
            let mut start = 0;
            while start < self.plan.steps.len() {
                let mut plan = self.plan.clone();
                plan.steps.drain(start..plan.steps.len().min(start + chunk));
                if !self.accepts(plan) {
                    start += chunk;
                }
            }
            chunk /= 2;
        }
    }
}

/// What is told of a failing run: its end, and the line that repeats it.
pub(crate) fn told(plan: &Plan) -> String {
    let (plan, failure) = shrunk(plan);
    let traced = run(&plan, true, recovery::check).expect_err("a failing plan fails again");
    assert!(traced.message == failure.message, "a run differs when it is traced");
    let skipped = traced.trace.len().saturating_sub(TOLD_MAX);
    let end = &traced.trace[skipped..];
    let told = |step: &Step| {
        format!("{:>11.6} s  step {}: {:?}", step.at as f64 / 1e6, step.number, step.action)
    };
    let steps: Vec<String> = plan.steps.iter().map(told).collect();
    let kept: Vec<String> = plan.steps.iter().map(|step| step.number.to_string()).collect();
    format!(
        "{} ({})\n\nThe shortest run found, {} servers and {} steps:\n{}\n\nIts end, after {skipped} events:\n{}\n\n\
         SEED={} SIZE={} UNTIL={} KEEP={} cargo test --release --test simulation whatever_fails",
        failure.message,
        failure.place,
        plan.size,
        plan.steps.len(),
        steps.join("\n"),
        end.join("\n"),
        plan.seed,
        plan.size,
        plan.time,
        kept.join(","),
    )
}
