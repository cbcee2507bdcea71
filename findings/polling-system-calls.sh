#!/bin/sh
# polling 3.11.0 from crates.io, the poller of async-io and smol, on Linux, counted by strace.
#
# A wait that finds nothing and may not block takes five system calls, not one: it sets a timer (timerfd_settime),
# registers the timer (epoll_ctl), waits (epoll_pwait), clears the notification (read) and registers it again
# (epoll_ctl). So a loop that looks at its sockets often pays five times for each look.
#
# Seen, the calls in 1000 such waits:
#     epoll_ctl 2000, epoll_pwait 1000, read 1000, timerfd_settime 1000
set -eu
command -v strace > /dev/null || { echo "strace is missing: apt-get install strace" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mkdir src
cat > Cargo.toml <<'END_OF_MANIFEST'
[package]
name = "example"
version = "0.0.0"
edition = "2021"

[dependencies]
polling = "=3.11.0"
END_OF_MANIFEST
cat > src/main.rs <<'END_OF_SOURCE'
use std::time::Duration;

use polling::{Events, Poller};

fn main() {
    let poller = Poller::new().unwrap();
    let mut events = Events::new();
    let waits = std::env::args().nth(1).unwrap().parse().unwrap();
    for _ in 0..waits {
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    }
}
END_OF_SOURCE
cargo build -q --target-dir target

# The number of such calls with so many waits.
calls() {
    strace -f -o "trace-$1" target/debug/example "$1"
    grep -c " $2(" "trace-$1" || true
}
seen=
for name in epoll_ctl epoll_pwait read timerfd_settime; do
    seen="$seen, $name $(($(calls 1001 "$name") - $(calls 1 "$name")))"
done
seen=${seen#, }
if [ "$seen" != "epoll_ctl 2000, epoll_pwait 1000, read 1000, timerfd_settime 1000" ]; then
    echo "changed: $seen" >&2
    exit 1
fi
echo "$seen"
