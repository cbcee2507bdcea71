"""Python's own xmlrpc.client."""
import sys
import time
import xmlrpc.client

ports = sys.argv[1:]
name = "naïve 名.txt"

servers = [xmlrpc.client.ServerProxy(f"http://localhost:{port}/RPC2").surfstore for port in ports]
while not (leaders := [server for server in servers if server.isLeader()]):
    time.sleep(0.05)
leader = leaders[0]

assert leader.updatefile(name, 1, ["h1", "h2"]) is True
assert leader.updatefile(name, 1, ["h1", "h2"]) is False  # The next version would be 2.
assert leader.getfileinfomap() == {name: [1, ["h1", "h2"]]}

assert leader.updatefile("ints", 1, [1, 2]) is True
assert leader.getfileinfomap() == {name: [1, ["h1", "h2"]], "ints": [1, [1, 2]]}
assert leader.tester_getversion(name) == 1


def expect_fault(server, code, text):
    try:
        server.updatefile(name, 2, ["h3"])
    except xmlrpc.client.Fault as fault:
        assert fault.faultCode == code and fault.faultString.startswith(text), fault
    else:
        raise AssertionError("no fault")


expect_fault(servers[1 if leader is servers[0] else 0], 2, "not the leader")
assert leader.crash() is True
expect_fault(leader, 1, "isCrashed")
assert all(server.ping() is True for server in servers)
assert leader.restore() is True
assert leader.isCrashed() is False
print("xmlrpc.client of Python", sys.version.split()[0])
