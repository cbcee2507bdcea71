"""Checks `/metrics` with Prometheus's own parser for Python."""
import importlib.metadata
import json
import sys
import time
import urllib.request
import xmlrpc.client

from prometheus_client.parser import text_string_to_metric_families

ports = sys.argv[1:]


def page(port, name):
    with urllib.request.urlopen(f"http://localhost:{port}/{name}") as response:
        return response.headers["content-type"], response.read().decode()


def metrics(port):
    """The families by name, and the values of those without labels."""
    content_type, text = page(port, "metrics")
    assert content_type == "text/plain; version=0.0.4", content_type
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {sample.name: sample.value for family in families.values() for sample in family.samples if not sample.labels}
    return families, values


servers = {port: xmlrpc.client.ServerProxy(f"http://localhost:{port}/RPC2").surfstore for port in ports}
while not (leaders := [port for port in ports if servers[port].isLeader()]):
    time.sleep(0.05)
leader = leaders[0]
# A server that was late for the first election is brought in by an additional entry, which no client requested.
while servers[leader].status()["roster"] != [0, 1, 2]:
    time.sleep(0.05)
for version in (1, 2, 3):
    assert servers[leader].updatefile("a", version, []) is True
follower = next(port for port in ports if port != leader)
assert servers[follower].crash() is True

families, values = metrics(leader)
kinds = {
    "term": "gauge", "has_leader": "gauge", "is_leader": "gauge", "has_majority": "gauge", "crashed": "gauge", "commit_index": "gauge",
    "applied_index": "gauge", "last_log_index": "gauge", "log_entries": "gauge", "pending_calls": "gauge", "leader_changes": "counter",
    "elections_started": "counter", "peer_requests": "counter", "peer_failures": "counter", "info": "gauge",
    "members": "gauge", "guests": "gauge", "waits_for": "gauge", "other_histories": "gauge", "doubled": "gauge",
}
for name, kind in kinds.items():
    assert families[f"surfstore_raft_{name}"].type == kind, name
    assert families[f"surfstore_raft_{name}"].documentation, name
assert values["surfstore_raft_is_leader"] == values["surfstore_raft_has_leader"] == 1
assert values["surfstore_raft_has_majority"] == 1
entries = values["surfstore_raft_log_entries"]
assert values["surfstore_raft_commit_index"] == values["surfstore_raft_applied_index"] == entries >= 4, values
assert servers[leader].status()["lastLogIndex"] == values["surfstore_raft_last_log_index"] == entries
assert values["surfstore_raft_members"] == 3 and values["surfstore_raft_guests"] == 0
assert values["surfstore_raft_leader_changes_total"] >= 1

matches = [sample.value for sample in families["surfstore_raft_peer_match_index"].samples]
assert len(matches) == 2 and max(matches) == entries, matches
silences = [sample.value for sample in families["surfstore_raft_peer_silence_seconds"].samples]
assert len(silences) == 2 and 0 <= min(silences) < 5, silences

assert 0 <= time.time() + 1 - values["process_start_time_seconds"] < 600
# The kernel tells hundredths of a second, and a young server may have used less than one.
assert 0 <= values["process_cpu_seconds_total"] < 600
assert 1 << 20 < values["process_resident_memory_bytes"] < 1 << 30
assert 10 < values["process_open_fds"] < values["process_max_fds"]

assert values["surfstore_durable"] == values["surfstore_disk_bytes"] == 0
assert families["surfstore_disk_sync_duration_seconds"].type == "histogram"
assert values["surfstore_disk_sync_duration_seconds_count"] == 0

durations = families["surfstore_rpc_duration_seconds"]
assert durations.type == "histogram"
updates = [sample for sample in durations.samples if sample.labels.get("method") == "surfstore.updatefile"]
buckets = [sample.value for sample in updates if sample.name.endswith("_bucket")]
assert buckets == sorted(buckets) and buckets[-1] == 3, buckets
assert {sample.name.rsplit("_", 1)[1]: sample.value for sample in updates if sample.name.endswith("_count")} == {"count": 3}

assert metrics(follower)[1]["surfstore_raft_crashed"] == 1
status = json.loads(page(follower, "status")[1])
assert status == {**servers[follower].status(), **{name: status[name] for name in ("uptimeSeconds", "lastHeardMilliseconds", "peerRequests")}}
print("prometheus-client", importlib.metadata.version("prometheus-client"))
