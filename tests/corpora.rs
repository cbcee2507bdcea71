//! The fuzzer's saved corpora, replayed: every input that once reached new code still keeps the claims, and quickly.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "fuzz/targets.rs"]
mod targets;

/// How long one input may take, on a machine that does other things besides and in a build without optimisation.
const INPUT_MAX: Duration = Duration::from_secs(2);

fn replay(corpus: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the sources") {
        let path = entry.expect("the corpus can be listed").path();
        let bytes = fs::read(&path).expect("an input can be read");
        let begun = Instant::now();
        // A panic is shown with the input that brought it about.
        let kept = std::panic::catch_unwind(|| target(&bytes));
        assert!(kept.is_ok(), "{} breaks a claim", path.display());
        assert!(begun.elapsed() < INPUT_MAX, "{} takes {:?}", path.display(), begun.elapsed());
        replayed += 1;
    }
    assert!(10 <= replayed, "{} holds {replayed} inputs, and was more", folder.display());
}

#[test]
fn saved_connections_pass_the_gate_as_they_should() {
    replay("gate", targets::gate);
}

#[test]
fn saved_documents_are_written_as_they_are_read() {
    replay("xml", targets::xml);
}

#[test]
fn saved_messages_break_no_server() {
    replay("peers", targets::peers);
}
