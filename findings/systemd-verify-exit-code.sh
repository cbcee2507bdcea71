#!/bin/sh
# Debian's systemd 252.39-1~deb12u2: systemd-analyze verify.
#
# A unit with an option that systemd wants to be removed passes or fails depending on the level at which systemd logs
# this. By default such messages never change the exit code. With --recursive-errors=no or yes, the deprecated
# KillMode=none makes it 1. The obsolete StandardOutput=syslog leaves it at 0 in every mode, because its message has the
# level notice. It is printed all the same. So a check must also require that nothing is printed.
#
# Seen (line of the unit, --recursive-errors, exit code, start of the output):
#     KillMode=none          (none)  0  Unit uses KillMode=none. This is unsafe, …
#     KillMode=none          no      1  Unit uses KillMode=none. This is unsafe, …
#     KillMode=none          yes     1  Unit uses KillMode=none. This is unsafe, …
#     StandardOutput=syslog  (none)  0  Standard output type syslog is obsolete, …
#     StandardOutput=syslog  no      0  Standard output type syslog is obsolete, …
#     StandardOutput=syslog  yes     0  Standard output type syslog is obsolete, …
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=252.39-1~deb12u2
apt-get download -qq -o APT::Sandbox::User=root "systemd=$version" "libsystemd-shared=$version"
for package in *.deb; do
    dpkg-deb -x "$package" .
done

# The units that every service needs come with the package too.
export SYSTEMD_UNIT_PATH="$folder:$folder/lib/systemd/system"
LD_LIBRARY_PATH=$(dirname "$(find "$folder" -name 'libsystemd-shared-*')")
export LD_LIBRARY_PATH
analyze=usr/bin/systemd-analyze
$analyze --version | grep -F "$version"

# Prints the exit code, and fails if it or the warning differs.
expect() { # LINE OPTION CODE WARNING
    printf '[Service]\nExecStart=/bin/true\n%s\n' "$1" > example.service
    code=0
    $analyze verify ${2:+--recursive-errors=$2} "$folder/example.service" > output 2>&1 || code=$?
    if [ "$code" != "$3" ] || ! grep -q "$4" output; then
        echo "changed: exit code $code of verify with $1 and ${2:-no option}:" >&2
        cat output >&2
        exit 1
    fi
    echo "$1  ${2:-(none)}  $code"
}

expect KillMode=none "" 0 "This is unsafe"
expect KillMode=none no 1 "This is unsafe"
expect KillMode=none yes 1 "This is unsafe"
expect StandardOutput=syslog "" 0 "is obsolete"
expect StandardOutput=syslog no 0 "is obsolete"
expect StandardOutput=syslog yes 0 "is obsolete"
