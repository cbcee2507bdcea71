#!/bin/bash
# xmlrpc-c's own program.
set -euo pipefail
export LC_ALL=C.UTF-8
name="naïve 名.txt"

call() { xmlrpc "http://localhost:$1/RPC2" "surfstore.$2" "${@:3}" 2>&1 || true; }
expect() { grep -qF -- "$2" <<<"$1" || { echo "$1: no $2" >&2; exit 1; }; }
update() { call "$1" updatefile "s/$name" i/1 "array/(s/h1,i/2)"; }

leader=
for port in "$@"; do expect "$(call "$port" ping)" "Boolean: TRUE"; done
until [ -n "$leader" ]; do
    for port in "$@"; do ! grep -qF "Boolean: TRUE" <<<"$(call "$port" isLeader)" || leader=$port; done
done
follower=$1
[ "$follower" != "$leader" ] || follower=$2
expect "$(update "$leader")" "Boolean: TRUE"
expect "$(update "$leader")" "Boolean: FALSE"
stored=$(call "$leader" getfileinfomap)
# It shows bytes beyond ASCII as escapes.
expect "$stored" 'na\xc3\xafve'
expect "$stored" h1
expect "$(call "$leader" tester_getversion "s/$name")" 1
expect "$(update "$follower")" "fault code 2"
expect "$(call "$leader" crash)" "Boolean: TRUE"
expect "$(update "$leader")" "fault code 1"
expect "$(call "$leader" restore)" "Boolean: TRUE"
expect "$(call "$leader" isCrashed)" "Boolean: FALSE"
echo "xmlrpc of xmlrpc-c $(xmlrpc-c-config --version)"
