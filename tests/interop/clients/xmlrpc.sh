#!/bin/bash
# xmlrpc-c's own program, which sends no arrays: one hash in the list's place is stored as a list of one.
set -euo pipefail
export LC_ALL=C.UTF-8
ports=("$@")
name="naïve 名.txt"

call() { xmlrpc "http://localhost:$1/RPC2" "surfstore.$2" "${@:3}" 2>&1 || true; }

leader=
until [ -n "$leader" ]; do
    for port in "${ports[@]}"; do ! grep -qF "Boolean: TRUE" <<<"$(call "$port" isLeader)" || leader=$port; done
done

expect() { grep -qF -- "$2" <<<"$1" || { echo "$1: no $2" >&2; exit 1; }; }
expect "$(call "$leader" updatefile "s/$name" i/1 s/h1)" "Boolean: TRUE"
expect "$(call "$leader" updatefile "s/$name" i/1 s/h1)" "Boolean: FALSE"
expect "$(call "$leader" updatefile s/ints i/1 i/1)" "Boolean: TRUE"
map=$(call "$leader" getfileinfomap)
# It shows bytes beyond ASCII as escapes.
expect "$map" 'na\xc3\xafve \xe5\x90\x8d.txt'
expect "$map" "String: 'h1'"
expect "$map" "Integer: 1"
expect "$(call "$leader" tester_getversion "s/$name")" "Integer: 1"

follower=${ports[0]}
[ "$follower" != "$leader" ] || follower=${ports[1]}
fault=$(call "$follower" updatefile "s/$name" i/2 s/h2)
expect "$fault" "fault code 2"
expect "$fault" "not the leader"
expect "$(call "$leader" crash)" "Boolean: TRUE"
fault=$(call "$leader" updatefile "s/$name" i/2 s/h2)
expect "$fault" "fault code 1"
expect "$fault" "isCrashed"
for port in "${ports[@]}"; do expect "$(call "$port" ping)" "Boolean: TRUE"; done
expect "$(call "$leader" restore)" "Boolean: TRUE"
expect "$(call "$leader" isCrashed)" "Boolean: FALSE"
echo "xmlrpc of xmlrpc-c $(xmlrpc-c-config --version)"
