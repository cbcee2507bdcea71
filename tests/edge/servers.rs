//! The servers that receive the bytes.

use std::sync::{Arc, Mutex, Weak};

use support::client::TRUE;
use support::harness::Cluster;

/// The server that tests share as long as any of them uses it.
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// The leader of a set of one, for tests that leave no trace at it.
pub(crate) fn shared() -> Arc<Cluster> {
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::led(1).0);
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// Checks that every server answers, and that no part of one has panicked.
#[track_caller]
pub(crate) fn assert_unharmed(cluster: &Cluster) {
    for id in cluster.running() {
        assert_eq!(cluster.at(id).another().call("surfstore.ping", &[]), TRUE);
        let written = cluster.written(id, "stderr");
        assert!(!written.contains("panicked"), "server {id} wrote:\n{written}");
    }
}
