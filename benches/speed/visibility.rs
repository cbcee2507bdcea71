//! Whether every follower shows an update right after it was acknowledged.

use std::time::{Duration, Instant};

use surfstore::gate::write_post;
use surfstore::protocol::{Answer, Ask};
use surfstore::value::Value;
use surfstore::xmlrpc::parse_response;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::files::document;
use crate::report::{Report, Table};
use crate::settings::Settings;

const UPDATES: i64 = 1000;
const NAME: &str = "visible";

/// After each update, asks all followers at once, again and again until all show it.
pub(crate) fn measure(report: &mut Report, _: &Settings) {
    let mut cluster = Cluster::start(5);
    let leader = cluster.leader();
    let connect = |id: usize| Connection::to(cluster.addresses[id].port);
    let mut client = connect(leader);
    let mut followers: Vec<_> = (0..5).filter(|id| *id != leader).map(connect).collect();
    let hashes = Value::from(["hash".into()]);
    let ask = write_post("localhost", &Ask::Version(NAME).document());
    let mut late = Vec::new();
    for version in 1..=UPDATES {
        let update = write_post("localhost", &Ask::Update(NAME, version, &hashes).document());
        assert_eq!(client.call(&update), document(&Answer::Boolean(true)).as_bytes());
        let answered = Instant::now();
        let mut last_missing = None;
        loop {
            followers.iter_mut().for_each(|follower| follower.send(&ask));
            let shown = followers.iter_mut().map(|follower| version_in(&follower.answer()));
            if shown.min() == Some(version) {
                break;
            }
            last_missing = Some(answered.elapsed());
        }
        late.extend(last_missing);
    }
    let seen = 100.0 * (1.0 - late.len() as f64 / UPDATES as f64);
    let last = late.iter().max().map_or(0.0, Duration::as_secs_f64) * 1e3;
    let title = "An acknowledged update at all four followers, N = 5";
    let mut table = Table::new(title, &["updates", "seen at once", "last seen missing after"]);
    table.row([UPDATES.to_string(), format!("{seen:.1} %"), format!("{last:.1} ms")]);
    report.add(table);
    report.at_least("acknowledged updates that every follower shows at once", seen, 99.0, " %");
    report.at_most("an acknowledged update is missing at a follower", last, 100.0, " ms");
}

/// The version that the document answers with.
fn version_in(document: &[u8]) -> i64 {
    match parse_response(document) {
        Ok(Ok(Value::Int(version))) => version,
        other => panic!("a version was asked for: {other:?}"),
    }
}
