"""Starts and ends sets of servers for `contract.py`, `strawman.py` and `interop/run`.

Servers run as anybody would run them: `run-server.sh CONFIG ID`, a process each, on localhost. The module knows how to
find out who leads, and nothing of what the servers should answer.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(ROOT, "run-server.sh")

# Below the ports that systems give to outgoing connections, which might use one of these by chance.
PORTS = range(20000, 32000)

# How long a leader may take to be elected.
ELECTION_SECONDS = 5

# How long any other call may take before it counts as hanging.
CALL_SECONDS = 10

# How long to wait for the answer of a call that should block.
BLOCKED_SECONDS = 1.5


def build():
    """Lets the script build the server, by a start that is refused, so that later timings contain no build."""
    refused = subprocess.run([SCRIPT, os.devnull, "0"], stderr=subprocess.PIPE, check=False)
    if refused.returncode != 2:
        sys.exit(refused.stderr.decode(errors="replace"))


def eventually(condition, seconds, what):
    """The first true value that `condition` returns; fails with `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class Transport(xmlrpc.client.Transport):
    """The usual transport, with a timeout for each call."""

    def __init__(self, seconds, **kwargs):
        super().__init__(**kwargs)
        self.seconds = seconds

    def make_connection(self, host):
        connection = super().make_connection(host)
        connection.timeout = self.seconds
        return connection


def free_ports(count):
    """Ports that are free, in both loopback families."""
    found = []
    for port in random.sample(PORTS, len(PORTS)):
        if all(is_free(family, host, port) for family, host in LOOPBACKS):
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"there are no {count} free ports in {PORTS}")


LOOPBACKS = [(socket.AF_INET, "127.0.0.1")]
if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
    LOOPBACKS.append((socket.AF_INET6, "::1"))


def is_free(family, host, port):
    """Whether a server could listen there now."""
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


class Cluster:
    """A set of servers, ended with the `with` block or by `stop`."""

    def __init__(self, count, started=True):
        self.ports = free_ports(count)
        self.folder = tempfile.TemporaryDirectory()
        self.config = os.path.join(self.folder.name, "config.txt")
        with open(self.config, "w", encoding="ascii") as config:
            config.write(f"M: {count}\n")
            for number, port in enumerate(self.ports):
                config.write(f"metadata{number}: localhost:{port}\n")
        self.processes = {}
        try:
            for server in self if started else ():
                self.start(server)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __iter__(self):
        return iter(range(len(self.ports)))

    def start(self, server):
        """Starts a server and waits until it answers."""
        arguments = [SCRIPT, self.config, str(server)]
        self.processes[server] = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(lambda: self.answers(server), CALL_SECONDS, f"server {server} is up")

    def answers(self, server):
        """Whether the server answers calls; an error if its process has ended."""
        code = self.processes[server].poll()
        assert code is None, f"server {server} ended with exit code {code}"
        try:
            return self.proxy(server).ping()
        except ConnectionError:
            return False

    def kill(self, server):
        """Ends a server's process, which loses its memory."""
        process = self.processes.pop(server)
        process.kill()
        process.wait()

    def stop(self):
        """Ends all servers."""
        for server in list(self.processes):
            self.kill(server)
        self.folder.cleanup()

    def host(self, server):
        """The server's address as the configuration names it."""
        return f"localhost:{self.ports[server]}"

    def proxy(self, server, seconds=CALL_SECONDS):
        """A separate proxy, because a proxy serves one thread at a time."""
        uri = f"http://{self.host(server)}"
        return xmlrpc.client.ServerProxy(uri, transport=Transport(seconds)).surfstore

    def leaders(self):
        """The servers that say they lead."""
        return [server for server in self.processes if self.proxy(server).isLeader()]

    def leader(self):
        """The one server that leads, once all others that are up follow it."""
        return eventually(self.settled, ELECTION_SECONDS, "one leader that the others follow")[0]

    def settled(self):
        """The list of the one leader, if there is one that every server that is up knows."""
        states = [self.proxy(server).status() for server in self.processes]
        known = {state["leader"] for state in states if state["role"] != "crashed"}
        leaders = [state["id"] for state in states if state["role"] == "leader"]
        return leaders if known == {self.host(leader) for leader in leaders} and len(known) == 1 else []

    def followers(self):
        """The servers that are up and do not lead."""
        leader = self.leader()
        return [server for server in self.processes if server != leader and not self.proxy(server).isCrashed()]

    def crash(self, *servers):
        """Crashes servers."""
        for server in servers:
            assert self.proxy(server).crash() is True

    def restore(self, *servers):
        """Restores servers; all of them if none is named."""
        for server in servers or self.processes:
            assert self.proxy(server).restore() is True


# A script that is killed by a signal still ends its servers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
