"""Checks the unit for systemd with `systemd-analyze`, and that its sandbox permits everything that a server calls."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[2]
UNIT = TESTS.parent / "configs/systemd/surfstore@.service"

sys.dont_write_bytecode = True
sys.path.insert(0, str(TESTS))
import servers  # noqa: E402  (lies in another folder)

# The greatest exposure that `systemd-analyze security` may find, from 0 to 100.
EXPOSURE_MAX = 15


def run(*command):
    """The command's stdout; an error with all its output if it fails."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ended.returncode == 0, f"exit code {ended.returncode} of {command}\n{ended.stdout}"
    return ended.stdout


def system_calls(name):
    """The system calls of a set such as `@system-service`, with those of the sets that it contains."""
    if not name.startswith("@"):
        return {name}
    lines = run("systemd-analyze", "syscall-filter", name).splitlines()[1:]
    members = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(system_calls, members))


def permitted():
    """The system calls that the unit's filter permits. It has one line of permitted sets, and one of forbidden ones."""
    allow, deny = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert not allow.startswith("~") and deny.startswith("~"), (allow, deny)
    calls = [set().union(*map(system_calls, line.lstrip("~").split())) for line in (allow, deny)]
    return calls[0] - calls[1]


def called(folder):
    """The system calls of one of three servers, which has a data folder, and stores an update and a block."""
    trace = folder / "trace"
    with servers.Cluster(3, started=False) as cluster:
        # With -D, the process is that of the server, and strace ends with it.
        command = ["strace", "-D", "-f", "-o", trace, servers.SCRIPT, cluster.config, "0"]
        environment = {**os.environ, "SURFSTORE_DATA_DIR": str(folder / "data")}
        cluster.processes[0] = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        servers.eventually(lambda: cluster.answers(0), servers.CALL_SECONDS, "the traced server is up")
        cluster.start(1)
        cluster.start(2)
        assert cluster.proxy(cluster.leader()).updatefile("a", 1, ["h"]) is True
        stored = lambda: cluster.proxy(0).tester_getversion("a") == 1
        servers.eventually(stored, servers.CALL_SECONDS, "the traced server has the update")
        assert cluster.proxy(0).putblock(b"block") is True
        cluster.kill(0)
    ended = "+++ killed by SIGKILL +++"
    servers.eventually(lambda: ended in trace.read_text(encoding="utf-8"), servers.CALL_SECONDS, "strace has ended")
    # The script calls the server last, in its own process.
    text = trace.read_text(encoding="utf-8")
    start = re.search(r'execve\("[^"]*/surfstore-server"', text).start()
    return set(re.findall(r"^\d+ +(\w+)\(", text[start:], re.MULTILINE))


servers.build()
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    # Systemd wants the program to exist, and it is not installed here.
    text = UNIT.read_text(encoding="utf-8")
    installed = "ExecStart=/usr/local/bin/surfstore-server "
    assert installed in text
    copy = folder / UNIT.name
    copy.write_text(text.replace(installed, f"ExecStart={servers.SCRIPT} "), encoding="utf-8")
    # Without the option, warnings do not change the exit code. Some messages never do.
    assert run("systemd-analyze", "verify", "--recursive-errors=no", copy) == ""
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", copy)
    calls = called(folder)
    assert {"fdatasync", "accept4"} <= calls, calls
    assert calls <= permitted(), f"the unit's filter forbids {calls - permitted()}"
print(run("systemd-analyze", "--version").splitlines()[0], f"permits the {len(calls)} system calls of a server")
