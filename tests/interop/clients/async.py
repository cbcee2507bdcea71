"""aiohttp-xmlrpc."""
import asyncio
import importlib.metadata
import sys

import aiohttp
from aiohttp_xmlrpc.client import ServerProxy
from aiohttp_xmlrpc.exceptions import XMLRPCError

ports = sys.argv[1:]
name = "naïve 名.txt"


async def all_calls(session):
    servers = [ServerProxy(f"http://localhost:{port}/RPC2", client=session).surfstore for port in ports]
    while not (leaders := [server for server in servers if await server.isLeader()]):
        await asyncio.sleep(0.05)
    leader = leaders[0]

    assert await leader.updatefile(name, 1, ["h1", "h2"]) is True
    assert await leader.updatefile(name, 1, ["h1", "h2"]) is False
    assert await leader.updatefile("ints", 1, [1, 2]) is True
    assert await leader.getfileinfomap() == {name: [1, ["h1", "h2"]], "ints": [1, [1, 2]]}
    assert await leader.tester_getversion(name) == 1
    # The library removes blanks from both ends of a string, but not of a name.
    assert await leader.updatefile(" a ", 1, [" h "]) is True
    assert (await leader.getfileinfomap())[" a "] == [1, ["h"]]

    await expect_fault(next(server for server in servers if server is not leader), 2, "not the leader")
    assert await leader.crash() is True
    await expect_fault(leader, 1, "isCrashed")
    for server in servers:
        assert await server.ping() is True
    assert await leader.restore() is True
    assert await leader.isCrashed() is False


async def expect_fault(server, code, text):
    try:
        await server.updatefile(name, 2, ["h3"])
    except XMLRPCError as fault:
        assert fault.code == code and fault.message.startswith(text), fault
    else:
        raise AssertionError("no fault")


async def main():
    assert aiohttp.client.DEFAULT_TIMEOUT.total == 300
    # Wait for a majority as long as it takes.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        await all_calls(session)
    versions = [importlib.metadata.version(package) for package in ("aiohttp-xmlrpc", "aiohttp")]
    print("aiohttp-xmlrpc {} on aiohttp {}".format(*versions))


asyncio.run(main())
