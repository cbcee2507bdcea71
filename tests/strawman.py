#!/usr/bin/env python3
"""The "strawman" testing strategy of the assignment, step by step: `python3 tests/strawman.py`.

It starts five servers as anybody would, one by one, calls them as a grader does, and crashes their leaders. With `--kill`
it ends the leaders' processes instead. It prints each step and what came of it. The exit code is 0 if every step did what
the assignment says.
"""

import sys
import time

from servers import ELECTION_SECONDS, Cluster, build

# As long as servers without a majority are watched: longer than an election may take.
WATCHED_SECONDS = ELECTION_SECONDS + 1

ordinals = ["first", "second", "third", "fourth", "fifth"]
wrong = 0


def step(what, did, right):
    """Prints a step, and whether what came of it is right."""
    global wrong
    wrong += not right
    print(f"{'ok   ' if right else 'WRONG'} {what}: {did}", flush=True)


def leaders(cluster):
    """The servers that say they lead, for people."""
    found = cluster.leaders()
    return " and ".join(f"server {leader} leads" for leader in found) or "nobody leads"


def stays(cluster, expected):
    """Whether these servers, and no others, lead for as long as they are watched."""
    deadline = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < deadline:
        if cluster.leaders() != expected:
            return False
        time.sleep(0.05)
    return True


def main(kill):
    build()
    with Cluster(5, started=False) as cluster:
        for server in (0, 1):
            cluster.start(server)
            right = stays(cluster, [])
            step(f"the {ordinals[server]} server starts, and no leader is elected", leaders(cluster), right)
        cluster.start(2)
        leader = cluster.leader()
        step("the third server starts, and one of the three is elected", leaders(cluster), True)
        for server in (3, 4):
            cluster.start(server)
        right = stays(cluster, [leader])
        step("the fourth and the fifth start, and the leader stays", leaders(cluster), right)
        for turn in range(2):
            cluster.kill(leader) if kill else cluster.crash(leader)
            began, gone = time.monotonic(), leader
            leader = cluster.leader()
            took = time.monotonic() - began
            did = f"{leaders(cluster)} after {took:.2f} s"
            what = f"the {ordinals[turn]} leader {'is killed' if kill else 'crashes'}, and another is elected within 5 s"
            step(what, did, took <= ELECTION_SECONDS and leader != gone)
        cluster.kill(leader) if kill else cluster.crash(leader)
        right = stays(cluster, [])
        step("the third leader goes as well, and two of five elect nobody", leaders(cluster), right)
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--kill"]):
        sys.exit("usage: python3 tests/strawman.py [--kill]")
    sys.exit(main(sys.argv[1:] == ["--kill"]))
