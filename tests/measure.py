"""Measures sets of servers that run as real processes, and reports for each figure whether it keeps its bar.

    election    how long there is no leader after the leader's crash, five servers
    traffic     how many requests a server receives from its peers while there are no calls
    latency     one client's updates, one after another, against ping, three servers
    catchup     how long a follower that was crashed during 20,000 updates takes to catch up
    idle        what five idle servers use
    visibility  whether every follower shows an update right after it was acknowledged
    attack      what a crowd of slow callers costs the others: the p99 of a client's pings and updates, with and without

Needs Python 3.8 or newer and, for `idle`, Linux. Other work on the machine shows in the figures. Ends with exit code 1
if a bar is missed.
"""

import argparse
import math
import os
import socket
import sys
import threading
import time
from xmlrpc.client import dumps, loads

sys.dont_write_bytecode = True

from servers import CALL_SECONDS, Cluster, build, eventually
from slow import SIZE, SlowCrowd

HASHES = [f"{number:064x}" for number in range(3)]

# The window for the mean of the traffic, and how long it is watched, in seconds.
WINDOW, WATCHED = 5, 10


class Client:
    """A keep-alive connection, with as little Python as possible between the caller and the server."""

    def __init__(self, cluster, server):
        self.socket = socket.create_connection(("localhost", cluster.ports[server]), CALL_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers = self.socket.makefile("rb")

    def send(self, request):
        """Sends a request that `post` made, with one write."""
        self.socket.sendall(request)

    def receive(self):
        """The document that answers it."""
        length = 0
        while True:
            line = self.answers.readline()
            assert line, "the server closed the connection"
            if line == b"\r\n":
                return self.answers.read(length)
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)

    def call(self, method, *arguments):
        """A call's answer."""
        self.send(post(method, *arguments))
        return loads(self.receive())[0][0]

    def timed(self, request):
        """How long the answer takes, in seconds; it must be true."""
        began = time.perf_counter()
        self.send(request)
        answer = self.receive()
        took = time.perf_counter() - began
        assert b"<boolean>1</boolean>" in answer, answer
        return took

    def close(self):
        self.answers.close()
        self.socket.close()


def post(method, *arguments):
    """The HTTP request of a call."""
    body = dumps(arguments, "surfstore." + method).encode()
    head = f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def percentile(values, percent):
    """The smallest value that is at least as large as `percent` of the values."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


class Table:
    """The figures, printed as they are measured."""

    missed = 0

    def row(self, what, figure, bar="", kept=True):
        verdict = "" if not bar else "kept" if kept else "MISSED"
        self.missed += not kept
        print(f"{what:<52} {figure:>14}  {bar:<12} {verdict}".rstrip(), flush=True)


def election(table, times):
    """Crashes the leader, waits for another, restores the old one, and repeats."""
    took = []
    with Cluster(5) as cluster:
        clients = {server: Client(cluster, server) for server in cluster}
        for _ in range(times):
            old = cluster.leader()
            others = [server for server in cluster if server != old]
            began = time.monotonic()
            clients[old].call("crash")
            eventually(lambda: any(clients[server].call("isLeader") for server in others), 30, "a new leader")
            took.append(time.monotonic() - began)
            clients[old].call("restore")
    median, longest = percentile(took, 50), max(took)
    table.row(f"election, N = 5, {times} times: median", f"{median:.3f} s", "<= 1.0 s", median <= 1)
    table.row("election: p99", f"{percentile(took, 99):.3f} s")
    table.row("election: longest", f"{longest:.3f} s", "<= 5 s", longest <= 5)


def traffic(table):
    """Watches sets of servers without calls: with a leader and without, all up, some crashed, some dead."""
    for size in (3, 5, 10):
        most_lost = (size - 1) // 2
        for what, lost, kill, with_leader in (
            ("all up", 0, False, True),
            ("as many crashed as can be", most_lost, False, True),
            ("as many dead as can be", most_lost, True, True),
            ("no leader, a majority crashed", most_lost + 1, False, False),
            ("no leader, a majority dead", most_lost + 1, True, False),
        ):
            with Cluster(size) as cluster:
                leader = cluster.leader()
                followers = [server for server in cluster if server != leader]
                gone = followers[:lost] if with_leader else [leader] + followers[: lost - 1]
                for server in gone:
                    (cluster.kill if kill else cluster.crash)(server)
                rate = busiest(cluster)
            table.row(f"traffic, N = {size}, {what}", f"{rate:.1f} RPC/s", "<= 10 RPC/s", rate <= 10)


def busiest(cluster):
    """The maximum rate of requests from peers at any server over any window, from the first moment on."""
    clients = {server: Client(cluster, server) for server in cluster.processes}
    samples = {server: [] for server in clients}
    ends = time.monotonic() + WATCHED
    while time.monotonic() < ends:
        for server, client in clients.items():
            samples[server].append((time.monotonic(), client.call("status")["peerRequests"]))
        time.sleep(0.1)
    return max(
        (after - before) / (end - begin)
        for seen in samples.values()
        for begin, before in seen
        for end, after in seen
        if WINDOW <= end - begin < WINDOW + 0.3
    )


def latency(table, times):
    """Updates and pings in turn over one connection."""
    with Cluster(3) as cluster:
        client = Client(cluster, cluster.leader())
        ping = post("ping")
        updates = [post("updatefile", "latency", version, HASHES) for version in range(1, times + 1)]
        pings, updated = [], []
        for update in updates:
            pings.append(client.timed(ping))
            updated.append(client.timed(update))
    for what, took in (("ping", pings), ("update", updated)):
        median, late = percentile(took, 50), percentile(took, 99)
        table.row(f"latency, N = 3, {times} times: {what}, median", f"{median * 1e6:.0f} us")
        table.row(f"latency: {what}, p99", f"{late * 1e6:.0f} us")
    ratio = percentile(updated, 50) / percentile(pings, 50)
    table.row("latency: update / ping, medians", f"{ratio:.2f}", "<= 5", ratio <= 5)


def catchup(table, updates, clients=16):
    """Crashes a follower, updates files by many clients at once, restores the follower."""
    with Cluster(3) as cluster:
        leader = cluster.leader()
        follower = next(server for server in cluster if server != leader)
        cluster.crash(follower)
        began = time.monotonic()
        update_all(cluster, leader, updates, clients)
        table.row(f"catchup: {updates} updates by {clients} clients", f"{updates / (time.monotonic() - began):.0f} /s")
        goal = Client(cluster, leader).call("status")["commitIndex"]
        asked = Client(cluster, follower)
        assert asked.call("status")["lastApplied"] <= goal - updates, "the follower was crashed during the updates"
        began = time.monotonic()
        asked.call("restore")
        eventually(lambda: goal <= asked.call("status")["lastApplied"], 60, "the follower has caught up")
        took = time.monotonic() - began
    table.row("catchup, N = 3: from restore to level", f"{took:.3f} s", "<= 3 s", took <= 3)


def update_all(cluster, leader, updates, clients):
    """Divides the updates among clients, each with its own file."""
    done = []

    def run(number):
        client = Client(cluster, leader)
        for version in range(1, updates // clients + 1):
            client.timed(post("updatefile", f"file {number}", version, HASHES))
        done.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == clients, "every client's updates were accepted"


def idle(table, seconds=20):
    """Reads what the processes used from /proc."""
    with Cluster(5) as cluster:
        cluster.leader()
        before = {server: cpu_seconds(process.pid) for server, process in cluster.processes.items()}
        time.sleep(seconds)
        shares, sizes = [], []
        for server, process in cluster.processes.items():
            shares.append((cpu_seconds(process.pid) - before[server]) / seconds * 100)
            sizes.append(resident_mib(process.pid))
    table.row("idle, N = 5: CPU of all five", f"{sum(shares):.2f} %", "<= 1 %", sum(shares) <= 1)
    table.row("idle: CPU of the busiest server", f"{max(shares):.2f} %")
    table.row("idle: memory of the largest server", f"{max(sizes):.1f} MiB", "<= 15 MiB", max(sizes) <= 15)


def cpu_seconds(pid):
    """The CPU time of the process, in nanoseconds: clock ticks are too coarse for so little."""
    nanoseconds = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as schedstat:
            nanoseconds += int(schedstat.read().split()[0])
    return nanoseconds / 1e9


def resident_mib(pid):
    """The memory of the process."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def visibility(table, times):
    """After each update asks all followers at once, and those that do not show it again until they do."""
    late = []
    with Cluster(5) as cluster:
        leader = cluster.leader()
        client = Client(cluster, leader)
        followers = [Client(cluster, server) for server in cluster if server != leader]
        ask = post("tester_getversion", "visible")
        for version in range(1, times + 1):
            client.timed(post("updatefile", "visible", version, HASHES))
            answered = time.monotonic()
            waits = followers
            while True:
                for follower in waits:
                    follower.send(ask)
                waits = [follower for follower in waits if loads(follower.receive())[0][0] < version]
                if not waits:
                    break
                if not late or late[-1][0] != version:
                    late.append((version, 0))
                late[-1] = (version, time.monotonic() - answered)
    seen = 100 * (times - len(late)) / times
    longest = max((delay for _, delay in late), default=0)
    table.row(f"visibility, N = 5, {times} updates: seen at once", f"{seen:.1f} %", ">= 99 %", 99 <= seen)
    table.row("visibility: last seen missing after", f"{longest * 1e3:.1f} ms", "<= 100 ms", longest <= 0.1)


def attack(table, rounds, seconds=3):
    """Without the crowd and with it in turn, over one connection, because machines are noisy."""
    with Cluster(3) as cluster:
        leader = cluster.leader()
        client = Client(cluster, leader)
        client.timed(post("updatefile", "large", 1, ["x" * 1024] * 256))
        versions = iter(range(1, sys.maxsize))
        pairs = []
        for _ in range(rounds):
            without = late(client, versions, seconds)
            with SlowCrowd(cluster.ports[leader], post("getfileinfomap")):
                time.sleep(1)
                pairs.append((without, late(client, versions, seconds)))
            time.sleep(1)
    for what in ("ping", "update"):
        ratio = percentile([during[what] / without[what] for without, during in pairs], 50)
        for when, number in (("without", 0), ("with", 1)):
            figure = percentile([pair[number][what] for pair in pairs], 50)
            table.row(f"attack: {what}, p99, {when} {SIZE} slow callers", f"{figure * 1e6:.0f} us")
        table.row(f"attack: {what}, p99 with / without, {rounds} pairs", f"{ratio:.2f}", "<= 2", ratio <= 2)


def late(client, versions, seconds):
    """The p99 of pings and of updates in turn."""
    took = {"ping": [], "update": []}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        took["ping"].append(client.timed(post("ping")))
        took["update"].append(client.timed(post("updatefile", "late", next(versions), HASHES)))
        time.sleep(0.001)
    return {what: percentile(times, 99) for what, times in took.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures = {
        "election": lambda table: election(table, options.elections),
        "traffic": traffic,
        "latency": lambda table: latency(table, options.calls),
        "catchup": lambda table: catchup(table, options.updates),
        "idle": idle,
        "visibility": lambda table: visibility(table, options.calls),
        "attack": lambda table: attack(table, options.rounds),
    }
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="what to measure; everything by default")
    parser.add_argument("--elections", type=int, default=100, help="how many leaders to crash (default: 100)")
    parser.add_argument("--calls", type=int, default=1000, help="how many updates to time or to look up (default: 1000)")
    parser.add_argument("--updates", type=int, default=20_000, help="how many updates to catch up with (default: 20000)")
    parser.add_argument("--rounds", type=int, default=9, help="how many pairs of runs with and without an attack (default: 9)")
    options = parser.parse_args()
    for unknown in set(options.measures) - set(measures):
        parser.error(f"there is no measure {unknown!r}; there are {', '.join(measures)}")
    build()
    table = Table()
    for name in options.measures or measures:
        measures[name](table)
    sys.exit(1 if table.missed else 0)


if __name__ == "__main__":
    main()
