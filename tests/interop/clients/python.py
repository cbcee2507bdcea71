"""Python's own xmlrpc.client."""
import sys
import time
import xmlrpc.client

NAME = "naïve 名.txt"
servers = [xmlrpc.client.ServerProxy(f"http://localhost:{port}/RPC2").surfstore for port in sys.argv[1:]]


def fault_code(call, *params):
    try:
        call(*params)
    except xmlrpc.client.Fault as fault:
        return fault.faultCode
    raise AssertionError("no fault")


assert all(server.ping() is True for server in servers)
while not (leaders := [server for server in servers if server.isLeader()]):
    time.sleep(0.05)
leader = leaders[0]
follower = next(server for server in servers if server is not leader)
assert leader.updatefile(NAME, 1, ["h1", 2]) is True
assert leader.updatefile(NAME, 1, ["h1", 2]) is False
assert leader.getfileinfomap() == {NAME: [1, ["h1", 2]]}
assert leader.tester_getversion(NAME) == 1
assert fault_code(follower.updatefile, NAME, 2, []) == 2
assert leader.crash() is True
assert fault_code(leader.updatefile, NAME, 2, []) == 1
assert leader.restore() is True
assert leader.isCrashed() is False
print("xmlrpc.client of Python", sys.version.split()[0])
