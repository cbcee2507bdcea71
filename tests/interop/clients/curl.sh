#!/bin/bash
# curl: plain, in chunks, after 100 Continue, and as HTTP/1.0, every call in each way.
set -euo pipefail
ports=("$@")
name="naïve 名.txt"

call() { # PORT METHOD PARAMS
    local body="<?xml version='1.0'?><methodCall><methodName>surfstore.$2</methodName><params>$3</params></methodCall>"
    curl -sS "${way[@]}" -H 'Content-Type: text/xml' --data-binary "$body" "http://localhost:$1/RPC2"
}
update() { # PORT NAME VERSION HASHES
    call "$1" updatefile "<param><value>$2</value></param><param><value><int>$3</int></value></param>
        <param><value><array><data>$4</data></array></value></param>"
}
find_leader() {
    while true; do
        for port in "${ports[@]}"; do
            if [[ $(call "$port" isLeader "") == *"<boolean>1"* ]]; then echo "$port"; return; fi
        done
    done
}

expect() { [[ $1 == *"$2"* ]] || { echo "${way[*]}: $1: no $2" >&2; exit 1; }; }
expect_truth() { expect "$1" "<boolean>$2</boolean>"; }
expect_fault() { # ANSWER CODE TEXT
    expect "$1" "<fault><value><struct><member><name>faultCode</name><value><int>$2</int></value></member>"
    expect "$1" "<name>faultString</name><value><string>$3"
}

all_calls() { # VERSION
    local leader follower=${ports[0]}
    leader=$(find_leader)
    [ "$follower" != "$leader" ] || follower=${ports[1]}
    local strings="<value>h1</value><value><string>h2</string></value>"
    expect_truth "$(update "$leader" "$name" "$1" "$strings")" 1
    expect_truth "$(update "$leader" "$name" "$1" "$strings")" 0
    expect_truth "$(update "$leader" ints "$1" "<value><int>1</int></value><value><i4>2</i4></value>")" 1
    local stored="<value><array><data><value><int>$1</int></value><value><array><data>"
    local map
    map=$(call "$leader" getfileinfomap "")
    expect "$map" "<name>$name</name>$stored<value><string>h1</string></value><value><string>h2</string></value>"
    expect "$map" "<name>ints</name>$stored<value><int>1</int></value><value><int>2</int></value>"
    expect "$(call "$leader" tester_getversion "<param><value>$name</value></param>")" "<int>$1</int>"
    expect_fault "$(update "$follower" "$name" "$1" "")" 2 "not the leader"
    expect_truth "$(call "$leader" crash "")" 1
    expect_fault "$(update "$leader" "$name" "$1" "")" 1 "isCrashed"
    for port in "${ports[@]}"; do expect_truth "$(call "$port" ping "")" 1; done
    expect_truth "$(call "$leader" restore "")" 1
    expect_truth "$(call "$leader" isCrashed "")" 0
}

way=(--http1.1) && all_calls 1
way=(-H 'Transfer-Encoding: chunked') && all_calls 2
way=(-H 'Expect: 100-continue') && all_calls 3
way=(--http1.0) && all_calls 4
curl --version | cut -d ' ' -f 1,2 | head -n 1
