//! The requests between the servers while no client calls: with and without a leader, with some servers crashed or
//! dead.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::report::{Report, Table};
use crate::settings::Settings;

const SIZES: [usize; 3] = [3, 5, 10];

/// How long a set is watched, and the window for the mean.
const WATCHED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(5);

/// The time between two looks at a set.
const PAUSE: Duration = Duration::from_millis(100);

/// How servers are lost.
#[derive(Clone, Copy)]
enum Lost {
    Crashed,
    Dead,
}

/// How servers are lost, and whether the others keep a leader. With a leader, as many are lost as possible; without,
/// one more, the leader included.
const CASES: [(&str, Option<(Lost, bool)>); 5] = [
    ("all up", None),
    ("as many crashed as possible", Some((Lost::Crashed, true))),
    ("as many dead as possible", Some((Lost::Dead, true))),
    ("no leader, a majority crashed", Some((Lost::Crashed, false))),
    ("no leader, a majority dead", Some((Lost::Dead, false))),
];

/// Measures each case with sets of every size, from the moment of the loss.
pub(crate) fn measure(report: &mut Report, _: &Settings) {
    let head = ["requests/s, busiest", "N = 3", "N = 5", "N = 10"];
    let mut table = Table::new("Requests between servers without calls", &head);
    let mut most = 0.0_f64;
    for (name, loss) in CASES {
        let rates = SIZES.map(|size| busiest(size, loss));
        let [three, five, ten] = rates.map(|rate| format!("{rate:.1}"));
        table.row([name.to_owned(), three, five, ten]);
        most = rates.into_iter().fold(most, f64::max);
    }
    report.add(table);
    report.at_most("requests that an idle server receives from its peers", most, 10.0, "/s");
}

/// The maximum rate of requests from peers that any server receives over any window.
fn busiest(size: usize, loss: Option<(Lost, bool)>) -> f64 {
    let mut cluster = Cluster::start(size);
    let leader = cluster.leader();
    let mut up: Vec<_> = (0..size).collect();
    if let Some((lost, is_led)) = loss {
        let followers = up.iter().copied().filter(|id| *id != leader);
        let gone: Vec<_> = match is_led {
            true => followers.take((size - 1) / 2).collect(),
            false => [leader].into_iter().chain(followers.take((size - 1) / 2)).collect(),
        };
        for id in gone {
            match lost {
                Lost::Crashed => {
                    cluster.crash(id);
                }
                Lost::Dead => {
                    cluster.kill(id);
                    up.retain(|other| *other != id);
                }
            }
        }
    }
    let began = Instant::now();
    let mut samples = vec![Vec::new(); size];
    while began.elapsed() < WATCHED {
        for id in &up {
            let requests = cluster.status(*id).peer_requests;
            samples[*id].push((began.elapsed(), requests));
        }
        thread::sleep(PAUSE);
    }
    samples.iter().map(|samples| busiest_window(samples)).fold(0.0, f64::max)
}

/// The maximum rate over any window.
fn busiest_window(samples: &[(Duration, i64)]) -> f64 {
    let mut most = 0.0_f64;
    for (index, (begin, before)) in samples.iter().enumerate() {
        let end = samples[index..].iter().find(|(end, _)| WINDOW <= *end - *begin);
        if let Some((end, after)) = end {
            most = most.max((after - before) as f64 / (*end - *begin).as_secs_f64());
        }
    }
    most
}
