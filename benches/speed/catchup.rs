//! How fast a follower catches up that missed many updates or lost its memory, and a new member of an etcd.

use crate::cluster::{Cluster, eventually};
use crate::etcd::Etcd;
use crate::figures::median;
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Report, Table};
use crate::settings::Settings;

/// How many updates a crashed follower misses. The leader still has them all in its log.
pub(crate) const MISSED: usize = 20_000;

/// How many files there are when a process starts without memory. The leader sends them as a snapshot.
const FILES: usize = 100_000;

/// A follower is lost and comes back, a crashed one in a new set each time; in turns with etcd, if there is one.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut large = Large::new();
    let mut etcd = settings.etcd.then(Etcd::start).flatten();
    let [mut restored, mut relaunched, mut holds, mut serves] = [const { Vec::new() }; 4];
    for _ in 0..settings.turns {
        restored.push(after_restore());
        relaunched.push(large.after_relaunch());
        if let Some(etcd) = &mut etcd {
            let [held, served] = etcd.rejoin(FILES).map(|time| time.as_secs_f64());
            holds.push(held);
            serves.push(served);
        }
    }
    large.cluster.check(&[&large.files]);
    let title = "A follower catches up, N = 3";
    let mut table = Table::new(title, &["", "median s", "max s", "a new process / this"]);
    let mut row = |name: &str, took: &[f64]| {
        let middle = median(took.iter().copied());
        let most = took.iter().copied().fold(0.0, f64::max);
        let ratio = median(relaunched.iter().zip(took).map(|(ours, took)| ours / took));
        let [a, b, c] = [middle, most, ratio].map(|figure| format!("{figure:.3}"));
        table.row([name.to_owned(), a, b, c]);
        (middle, ratio)
    };
    let (seconds, _) = row("from restore(), after 20,000 missed updates", &restored);
    report.at_most("catching up after restore()", seconds, 3.0, " s");
    let (seconds, _) = row("from the start of a new process, 100,000 files", &relaunched);
    report.at_most("catching up as a new process", seconds, 1.0, " s");
    if etcd.is_some() {
        row("etcd: from the start of a new member, 100,000 keys", &holds);
        let (_, ratio) = row("etcd: the same, until it takes calls", &serves);
        let name = "catching up as a new process / etcd's, until it takes calls";
        report.at_most(name, ratio, 0.33, "");
    }
    report.add(table);
}

/// The seconds that a follower takes, from `restore()`.
fn after_restore() -> f64 {
    let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", 256));
    let follower = (cluster.leader() + 1) % cluster.size();
    cluster.crash(follower);
    cluster.load(&mut files, Work::Update, 64, Until::Sent(MISSED));
    let took = cluster.level_after(Cluster::restore, follower);
    cluster.check(&[&files]);
    took.as_secs_f64()
}

/// A set with many files, each at its first version.
struct Large {
    cluster: Cluster,
    files: Files,
}

impl Large {
    fn new() -> Large {
        let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", FILES));
        cluster.load(&mut files, Work::Update, 64, Until::Sent(FILES));
        Large { cluster, files }
    }

    /// The seconds that a follower takes whose process was killed, from the start of the next one.
    fn after_relaunch(&mut self) -> f64 {
        let follower = (self.cluster.leader() + 1) % self.cluster.size();
        self.cluster.kill(follower);
        let took = self.cluster.level_after(Cluster::start_again, follower);
        eventually("all servers count", || self.cluster.counts_all());
        took.as_secs_f64()
    }
}
