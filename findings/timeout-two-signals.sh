#!/bin/sh
# Debian's coreutils 9.1-1: timeout, seen by strace 6.1-0.1.
#
# When the time is over, timeout sends SIGTERM to the program and then to its own process group, in which the program is
# too. So the program is sent the signal twice. Often the second one comes while the first is pending, and counts as
# one; otherwise a program that stops gently at the first signal and at once at the second does the latter.
#
# Seen, with the number of the program as N:
#     kill(N, SIGTERM) = 0
#     kill(0, SIGTERM) = 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

apt-get download -qq -o APT::Sandbox::User=root coreutils=9.1-1 strace=6.1-0.1 libunwind8=1.6.2-3
for package in *.deb; do
    dpkg-deb -x "$package" .
done
export LD_LIBRARY_PATH="$folder/usr/lib/x86_64-linux-gnu"

usr/bin/strace -f -e trace=kill -e signal=none -o trace usr/bin/timeout 0.2 sleep 60 || [ $? = 124 ]
sent=$(sed -n 's/^[0-9]* *kill(\([0-9]*\), SIGTERM) *= 0$/\1/p' trace)
set -- $sent
if [ $# != 2 ] || [ "$1" = 0 ] || [ "$2" != 0 ]; then
    echo "changed: SIGTERM is sent to these processes and groups:" "$@" >&2
    exit 1
fi
echo "kill(N, SIGTERM) = 0"
echo "kill(0, SIGTERM) = 0"
