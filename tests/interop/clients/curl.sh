#!/bin/bash
# curl: plain, in chunks, after 100 Continue, and as HTTP/1.0, every call in each way.
set -euo pipefail
name="naïve 名.txt"

call() { # PORT METHOD PARAMS
    local body="<?xml version='1.0'?><methodCall><methodName>surfstore.$2</methodName><params>$3</params></methodCall>"
    curl -sS -m 10 "${way[@]}" -H 'Content-Type: text/xml' --data-binary "$body" "http://localhost:$1/RPC2"
}
expect() { grep -qF -- "$2" <<<"$1" || { echo "${way[*]}: $1: no $2" >&2; exit 1; }; }
update() {
    call "$1" updatefile "<param><value>$name</value></param><param><value><int>$2</int></value></param><param><value>\
<array><data><value>h1</value><value><int>2</int></value></data></array></value></param>"
}
fault() { expect "$1" "<name>faultCode</name><value><int>$2</int>"; }
truth() { expect "$1" "<boolean>$2</boolean>"; }

all_calls() { # VERSION
    leader=
    for port in "${ports[@]}"; do truth "$(call "$port" ping "")" 1; done
    until [ -n "$leader" ]; do
        for port in "${ports[@]}"; do ! grep -qF "<boolean>1" <<<"$(call "$port" isLeader "")" || leader=$port; done
    done
    follower=${ports[0]}
    [ "$follower" != "$leader" ] || follower=${ports[1]}
    truth "$(update "$leader" "$1")" 1
    truth "$(update "$leader" "$1")" 0
    expect "$(call "$leader" getfileinfomap "")" "<name>$name</name>"
    expect "$(call "$leader" tester_getversion "<param><value>$name</value></param>")" "<int>$1</int>"
    fault "$(update "$follower" "$1")" 2
    truth "$(call "$leader" crash "")" 1
    fault "$(update "$leader" "$1")" 1
    truth "$(call "$leader" restore "")" 1
    truth "$(call "$leader" isCrashed "")" 0
}

ports=("$@")
way=(--http1.1) && all_calls 1
way=(-H 'Transfer-Encoding: chunked') && all_calls 2
way=(-H 'Expect: 100-continue') && all_calls 3
way=(--http1.0) && all_calls 4
curl --version | cut -d ' ' -f 1,2 | head -n 1
