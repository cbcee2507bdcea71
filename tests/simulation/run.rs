//! One run of a plan, and many of them on all cores.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::marks::Marks;
use crate::network::{MILLISECOND, Network, SECOND};
use crate::plan::Plan;
use crate::recovery;
use crate::world::World;

/// What a run that went well, or a set of them, amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) marks: Marks,
    pub(crate) runs: u64,
    /// How much time passed in the world, and how much of it under faults, in microseconds.
    time: u64,
    faulty: u64,
    /// How many steps the servers took.
    events: u64,
    /// How many leaders were elected.
    elections: u64,
    /// How often all servers lost power at once.
    power_losses: u64,
    /// How many elections after the faults took longer than they should, and how long the longest took.
    pub(crate) late: u64,
    longest: u64,
}

/// A run that found something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What is wrong, and where that was found.
    pub(crate) message: String,
    pub(crate) place: String,
    /// When, in microseconds.
    pub(crate) time: u64,
    /// What happened, if that was wanted.
    pub(crate) trace: Vec<String>,
}

/// What becomes of a run.
pub(crate) type Outcome = Result<Report, Failure>;

/// Runs a plan: first the faults, then `afterwards`, which returns how long the election took.
pub(crate) fn run(plan: &Plan, traced: bool, afterwards: fn(&mut World) -> u64) -> Outcome {
    let network = Network::healthy(plan.size, 2 * MILLISECOND);
    let begun = quietly(|| World::bounded(plan.seed, network, plan.size, plan.limits));
    let failed_at_once = |(message, place)| Failure { message, place, time: 0, trace: Vec::new() };
    let mut world = begun.map_err(failed_at_once)?;
    world.losses = plan.losses;
    world.trace = traced.then(Vec::new);
    let done = quietly(|| {
        world.suffer(plan);
        afterwards(&mut world)
    });
    let longest = done.map_err(|(message, place)| Failure {
        message,
        place,
        time: world.now,
        trace: world.trace.take().unwrap_or_default(),
    })?;
    Ok(Report {
        marks: world.marks,
        runs: 1,
        time: world.now,
        faulty: plan.time,
        events: world.events,
        elections: world.history.elections() as u64,
        power_losses: world.disks.failures_of_all,
        late: u64::from(recovery::ELECTION_MAX < longest),
        longest,
    })
}

/// Runs the plans of many seeds on all cores; of those that fail, the one with the smallest seed is returned.
///
/// Which seeds are run before the first failure stops them differs, but all smaller ones are: they were begun before.
pub(crate) fn run_all(seeds: Range<u64>, planned: fn(u64) -> Plan) -> Result<Report, Plan> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let work = || {
        let (mut total, mut failing) = (Report::none(), None);
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seeds.end <= seed {
                break;
            }
            let plan = planned(seed);
            match run(&plan, false, recovery::check) {
                Ok(report) => total.add(&report),
                Err(_) => {
                    failed.store(true, Ordering::Relaxed);
                    failing = Some(plan);
                }
            }
        }
        (total, failing)
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("runs catch panics")).collect()
    });
    let mut total = Report::none();
    results.iter().for_each(|(report, _)| total.add(report));
    let failing = results.into_iter().filter_map(|(_, failing)| failing);
    failing.min_by_key(|plan| plan.seed).map_or(Ok(total), Err)
}

impl Report {
    fn none() -> Report {
        let marks = Marks::new();
        Report {
            marks,
            runs: 0,
            time: 0,
            faulty: 0,
            events: 0,
            elections: 0,
            power_losses: 0,
            late: 0,
            longest: 0,
        }
    }

    fn add(&mut self, other: &Report) {
        self.marks.add(&other.marks);
        self.runs += other.runs;
        self.time += other.time;
        self.faulty += other.faulty;
        self.events += other.events;
        self.elections += other.elections;
        self.power_losses += other.power_losses;
        self.late += other.late;
        self.longest = self.longest.max(other.longest);
    }

    /// The figures, for people.
    pub(crate) fn summary(&self, start: Instant) -> String {
        let wall = start.elapsed().as_secs_f64();
        let simulated = (self.time / SECOND) as f64;
        format!(
            "{} runs: {simulated} s simulated ({} s under faults), {} events, \
             {} losses of power of all servers, {} elections, {} later than 5 s after the faults, \
             longest {:.2} s; {wall:.1} s of wall time, {:.0} x real time",
            self.runs,
            self.faulty / SECOND,
            self.events,
            self.power_losses,
            self.elections,
            self.late,
            self.longest as f64 / SECOND as f64,
            simulated / wall,
        )
    }
}

thread_local! {
    /// Whether panics on this thread are expected, and are to be told of only to whoever catches them.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Does something that may panic; then it says nothing but returns the message and the place.
pub(crate) fn quietly<T>(action: impl FnOnce() -> T) -> Result<T, (String, String)> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                let place = info.location().map(|place| place.to_string()).unwrap_or_default();
                PLACE.replace(place);
            } else {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    QUIET.set(false);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        (text.unwrap_or_default(), PLACE.take())
    })
}
