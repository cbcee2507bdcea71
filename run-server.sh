#!/bin/sh
# Starts one server of a set in the foreground: run-server.sh CONFIG ID
#
# Builds the release binary first if it is missing or older than its sources. If it is current, cargo is not needed.
set -eu

# A caller may have closed stderr, and a redirection to a closed stream would end the script.
(: >&2) || exec 2>/dev/null

say() {
    echo "surfstore-server: $*" >&2
}

if [ $# -eq 1 ] && { [ "$1" = --help ] || [ "$1" = -h ]; }; then
    echo "usage: run-server.sh CONFIG ID"
    echo
    echo "Runs one server of the set in the file CONFIG, in the"
    echo "foreground. ID is its number, counted from 0."
    echo
    echo "It keeps its state in the folder that SURFSTORE_DATA_DIR"
    echo "names or, without that variable, in memory only."
    exit 0
fi

# Checked here as well as by the server, so that the error does not have to wait for a build.
if [ $# -ne 2 ]; then
    say "wrong number of arguments; usage: run-server.sh CONFIG ID" \
        "(the configuration file, and the number of this server, counted from 0)"
    exit 2
fi

# The folder of the script itself, whatever links lead to it.
script=$0
while [ -L "$script" ]; do
    link=$(readlink -- "$script")
    case $link in
        /*) script=$link ;;
        *) script=$(dirname -- "$script")/$link ;;
    esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$script")" && pwd -P)

# A relative folder is relative to the caller's folder, as for cargo itself.
target=${CARGO_TARGET_DIR:-$root/target}
# Cargo puts what it builds for another target into a folder of that name, even if it is this machine's own.
triple=${CARGO_BUILD_TARGET:-}
triple=${triple##*/}
binary=$target/${triple:+${triple%.json}/}release/surfstore-server

# Whether a source was changed, added or removed since the file in $1 was written.
sources_changed_since() {
    [ -n "$(find "$root/src" "$root"/Cargo.* -newer "$1" 2>/dev/null | head -n 1)" ]
}

build() {
    mkdir -p -- "$target"
    # Its modification time is the moment before the build.
    stamp=$(mktemp "$target/run-server.XXXXXX")
    # If several servers are started at once, one cargo builds and the others wait for its lock.
    cargo build --release --locked --bin surfstore-server \
        --manifest-path "$root/Cargo.toml" --target-dir "$target" >&2 || {
        status=$?
        rm -f -- "$stamp"
        say "the build failed: cargo ended with exit code $status"
        exit 1
    }
    # If cargo finds nothing to do, the binary keeps its old time, and every start would call cargo. If a source was
    # changed during the build, the binary may lack the change, and the next start must notice. In every other case the
    # time stays as it is, because cargo considers a binary outdated if it is older than its libraries.
    if [ -z "$(find "$binary" -newer "$stamp" 2>/dev/null)" ] || sources_changed_since "$stamp"; then
        touch -c -r "$stamp" -- "$binary"
    fi
    rm -f -- "$stamp"
}

if [ ! -x "$binary" ] || sources_changed_since "$binary"; then
    if command -v cargo >/dev/null; then
        build
    elif [ -x "$binary" ]; then
        say "warning: $binary is older than its sources, and there is no cargo to rebuild it"
    else
        say "$binary is missing, and there is no cargo to build it; install Rust from https://rustup.rs"
        exit 1
    fi
fi

# With glibc, this returns the memory of large requests to the system once they are answered. By default glibc keeps
# more and more of it, because it raises its threshold for large blocks to the size of any that is freed, up to 32 MiB.
MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-131072}
export MALLOC_MMAP_THRESHOLD_

# Replaces this shell, so that a signal reaches the server itself.
exec "$binary" "$@"
