"""The contract with callers, tested with Python's own `xmlrpc.client` alone: run with `python3 tests/contract.py`.

Each test is a claim about servers that run as separate processes. Needs Python 3.8 or newer.
"""

import concurrent.futures
import http.client
import sys
import threading
import time
import unittest
from base64 import b64encode
from hashlib import sha256
from xmlrpc.client import Binary, DateTime, Fault, MultiCall, ServerProxy, dumps, loads

sys.dont_write_bytecode = True

from servers import BLOCKED_SECONDS, ELECTION_SECONDS, Cluster, build, eventually

CRASHED, NOT_LEADER, OUTCOME_UNKNOWN = 1, 2, 3
NOT_WELL_FORMED, NOT_XML_RPC, NO_SUCH_METHOD, WRONG_PARAMETERS = -32700, -32600, -32601, -32602

# How long a call that does not wait may take.
AT_ONCE = 0.5

CANONICAL = """
    surfstore.ping surfstore.isLeader surfstore.isCrashed surfstore.crash surfstore.restore surfstore.updatefile
    surfstore.getfileinfomap surfstore.tester_getversion surfstore.requestVote surfstore.appendEntries
    surfstore.installSnapshot surfstore.getblock surfstore.putblock surfstore.hasblocks surfstore.status
    system.listMethods system.methodSignature system.methodHelp system.multicall
""".split()


def pending(call, *arguments):
    """The future answer of a call that a separate thread waits for."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(call(*arguments))
        except Exception as error:  # any exception is the outcome
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class Contract(unittest.TestCase):
    """Claims about one set of three servers, all up and following one leader when a test begins."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3)
        cls.addClassCleanup(cls.cluster.stop)

    def setUp(self):
        self.cluster.restore()
        self.leader = self.cluster.leader()
        self.followers = self.cluster.followers()
        self.at_leader = self.cluster.proxy(self.leader)
        self.at_follower = self.cluster.proxy(self.followers[0])

    def refused(self, code, beginning, call, *arguments):
        """Asserts that the call ends with this fault."""
        with self.assertRaises(Fault) as raised:
            call(*arguments)
        self.is_fault(raised.exception, code, beginning)

    def is_fault(self, fault, code, beginning):
        self.assertIsInstance(fault, Fault)
        self.assertEqual(fault.faultCode, code, fault)
        self.assertTrue(fault.faultString.startswith(beginning), fault)

    def blocked(self, at, *calls):
        """Starts calls of methods of a server, each a tuple, and asserts that none of them is answered."""
        before = self.cluster.proxy(at).status()["waitingCalls"]
        futures = [pending(getattr(self.cluster.proxy(at, 60), call[0]), *call[1:]) for call in calls]
        self.assertEqual(concurrent.futures.wait(futures, BLOCKED_SECONDS).done, set())
        self.assertEqual(self.cluster.proxy(at).status()["waitingCalls"] - before, len(calls))
        return futures

    def versions(self, name):
        return [self.cluster.proxy(server).tester_getversion(name) for server in self.cluster]


class Names(Contract):
    """How methods are called."""

    def server(self, path="", **options):
        return ServerProxy(f"http://{self.cluster.host(self.leader)}{path}", **options)

    def test_every_path_serves(self):
        for path in ("", "/", "/RPC2", "/surfstore"):
            self.assertIs(self.server(path).surfstore.ping(), True, path)

    def test_the_prefix_and_the_case_do_not_matter(self):
        server = self.server()
        for name in ("ping", "isLeader", "restore"):
            for spelling in (name, name.lower(), name.upper()):
                for called in (spelling, "surfstore." + spelling, "SURFSTORE." + spelling):
                    self.assertIs(getattr(server, called)(), True, called)
        for called in ("isCrashed", "surfstore.iscrashed", "SurfStore.ISCRASHED"):
            self.assertIs(getattr(server, called)(), False, called)
        for version, called in enumerate(("updatefile", "surfstore.updateFile", "SURFSTORE.UPDATEFILE"), 1):
            self.assertIs(getattr(server, called)("names", version, ["h"]), True, called)
        for called in ("tester_getversion", "surfstore.Tester_GetVersion", "getversion", "surfstore.getVersion"):
            self.assertEqual(getattr(server, called)("names"), 3, called)
        for name in ("getfileinfomap", "getfileinfo", "getfileinfos", "getFileInfoMap"):
            for called in (name, "surfstore." + name):
                self.assertEqual(getattr(server, called)()["names"], [3, ["h"]], called)
        for called in ("hasblocks", "surfstore.hasBlocks"):
            self.assertEqual(getattr(server, called)([]), [], called)
        for called in ("status", "surfstore.Status"):
            self.assertEqual(getattr(server, called)()["id"], self.leader, called)

    def test_the_listed_methods_are_the_canonical_ones(self):
        for called in ("system.listMethods", "SYSTEM.LISTMETHODS"):
            self.assertEqual(sorted(getattr(self.server(), called)()), sorted(CANONICAL))

    def test_signatures_and_help_tell_the_truth(self):
        system = self.server().system
        self.assertEqual(system.methodSignature("surfstore.updatefile"), [["boolean", "string", "int", "array"]])
        self.assertEqual(system.methodSignature("surfstore.tester_getversion"), [["int", "string"]])
        self.assertEqual(system.methodSignature("surfstore.getfileinfomap"), [["struct"]])
        self.assertEqual(system.methodSignature("getblock"), [["base64", "string"]])
        for name in CANONICAL:
            self.assertEqual(len(system.methodSignature(name)), 1, name)
            self.assertTrue(system.methodHelp(name), name)
        for method in (system.methodSignature, system.methodHelp):
            self.refused(NO_SUCH_METHOD, "no method", method, "surfstore.nothing")

    def test_a_method_that_does_not_exist_is_said_so(self):
        server = self.server()
        for called in ("nothing", "surfstore.nothing", "surfstore.surfstore.ping", "other.ping", "system.ping", "pin", "pings"):
            self.refused(NO_SUCH_METHOD, "no method", getattr(server, called))
            self.refused(NO_SUCH_METHOD, "no method", getattr(self.server(allow_none=True), called), None, [{}])

    def test_a_multicall_makes_its_calls_in_order_and_raises_each_ones_own_fault(self):
        calls = MultiCall(self.server())
        calls.surfstore.updatefile("multicall", 1, ["h"])
        calls.updatefile("multicall", 1, [])
        calls.nonsense()
        calls.tester_getversion("multicall")
        calls.getfileinfomap()
        answers = calls()
        self.assertEqual([answers[0], answers[1], answers[3]], [True, False, 1])
        self.refused(NO_SUCH_METHOD, "no method", answers.__getitem__, 2)
        self.assertEqual(answers[4]["multicall"], [1, ["h"]])

    def test_every_option_of_the_proxy_serves(self):
        for options in ({"use_builtin_types": True}, {"use_datetime": True}, {"allow_none": True}, {"encoding": "utf-8"}):
            surfstore = self.server(**options).surfstore
            version = surfstore.tester_getversion("option") + 1
            self.assertIs(surfstore.updatefile("option", version, ["h\xe4"]), True, options)
            self.assertEqual(surfstore.getfileinfomap()["option"], [version, ["h\xe4"]], options)

    def test_wrong_parameters_are_refused_and_change_nothing(self):
        server = self.at_leader
        before = server.getfileinfomap()
        for name in CANONICAL:
            parameters = self.server().system.methodSignature(name)[0][1:]
            method = getattr(self.server(), name)
            self.refused(WRONG_PARAMETERS, "wrong parameters", method, *["a"] * (len(parameters) + 1))
            if parameters:
                self.refused(WRONG_PARAMETERS, "wrong parameters", method)
        for arguments in ((1, 1, []), ("a", "1", []), ("a", 1.5, []), ("a", True, []), ([], 1, []), ("a", [1], [])):
            self.refused(WRONG_PARAMETERS, "wrong parameters", server.updatefile, *arguments)
        self.refused(WRONG_PARAMETERS, "wrong parameters", server.tester_getversion, 7)
        self.refused(WRONG_PARAMETERS, "wrong parameters", server.requestVote, {"term": 9})
        self.refused(WRONG_PARAMETERS, "wrong parameters", server.appendEntries, {"term": "x", "entries": 1})
        self.assertEqual(server.getfileinfomap(), before)
        self.assertIs(server.isLeader(), True)

    def test_an_update_of_more_than_4_mib_is_refused(self):
        update = self.at_leader.updatefile
        self.refused(WRONG_PARAMETERS, "wrong parameters", update, "large", 1, ["h" * (4 << 20)])
        self.assertIs(update("large", 1, ["h" * 64] * 40_000), True)
        self.assertIs(update("large", 2, [0]), True)


class Connections(Contract):
    """The transport below the calls."""

    def post(self, body, path="/RPC2"):
        connection = http.client.HTTPConnection(self.cluster.host(self.leader), timeout=10)
        self.addCleanup(connection.close)
        connection.request("POST", path, body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        return response.status, response.read()

    def test_every_outcome_has_status_200(self):
        for body, code in (
            (dumps((), "surfstore.ping"), None),
            (dumps((), "surfstore.nothing"), NO_SUCH_METHOD),
            (dumps((1,), "surfstore.ping"), WRONG_PARAMETERS),
            (dumps((None,), "surfstore.tester_getversion", allow_none=True), WRONG_PARAMETERS),
            (dumps((True,), methodresponse=True), NOT_XML_RPC),
            ("<methodCall>", NOT_WELL_FORMED),
            ("hello", NOT_WELL_FORMED),
            ("", NOT_WELL_FORMED),
        ):
            status, answer = self.post(body)
            self.assertEqual(status, 200, body)
            if code is None:
                self.assertEqual(loads(answer), ((True,), None))
            else:
                with self.assertRaises(Fault) as raised:
                    loads(answer)
                self.assertEqual(raised.exception.faultCode, code, body)

    def test_a_boolean_is_written_as_a_digit(self):
        self.assertIn(b"<boolean>1</boolean>", self.post(dumps((), "isLeader"))[1])
        self.assertIn(b"<boolean>0</boolean>", self.post(dumps((), "isCrashed"))[1])

    def test_one_connection_serves_call_after_call_faults_included(self):
        server = ServerProxy(f"http://{self.cluster.host(self.followers[0])}")
        transport = server("transport")
        self.assertIs(server.surfstore.ping(), True)
        socket = transport._connection[1].sock
        self.assertIsNotNone(socket)
        for _ in range(20):
            self.assertIs(server.surfstore.ping(), True)
            self.refused(NOT_LEADER, "not the leader", server.surfstore.getfileinfomap)
            self.refused(NO_SUCH_METHOD, "no method", server.surfstore.nothing)
        self.assertIs(transport._connection[1].sock, socket)

    def test_an_idle_connection_stays_open(self):
        self.assertIs(self.at_leader.ping(), True)
        time.sleep(3)
        self.assertIs(self.at_leader.updatefile("idle", 1, []), True)

    def test_a_proxy_outlives_its_server(self):
        server = self.followers[0]
        proxy = ServerProxy(f"http://{self.cluster.host(server)}").surfstore
        self.assertIs(proxy.ping(), True)
        self.assertIs(self.at_leader.updatefile("outlives", 1, ["h"]), True)
        self.cluster.kill(server)
        with self.assertRaises(ConnectionError):
            proxy.ping()
        self.cluster.start(server)
        self.assertIs(proxy.ping(), True)
        eventually(lambda: proxy.tester_getversion("outlives") == 1, 5, "the new process has what the old one had")

    def test_clients_that_call_at_once_are_all_answered(self):
        def update_twenty(name):
            server = self.cluster.proxy(self.leader)
            return [server.updatefile(name, version, [name]) for version in range(1, 21)]

        futures = [pending(update_twenty, f"at once {client}") for client in range(20)]
        for future in futures:
            self.assertEqual(future.result(30), [True] * 20)
        files = self.at_leader.getfileinfomap()
        for client in range(20):
            self.assertEqual(files[f"at once {client}"], [20, [f"at once {client}"]])


class Files(Contract):
    """What is stored, and what is refused."""

    def update(self, name, version, hashes):
        return self.at_leader.updatefile(name, version, hashes)

    def file(self, name):
        return self.at_leader.getfileinfomap()[name]

    def test_only_the_next_version_is_taken(self):
        for version in (0, 2, -1, 2**31 - 1, -(2**31)):
            self.assertIs(self.update("next", version, ["h"]), False)
        self.assertNotIn("next", self.at_leader.getfileinfomap())
        self.assertIs(self.update("next", 1, ["h1"]), True)
        for version in (0, 1, 3):
            self.assertIs(self.update("next", version, ["h"]), False)
        self.assertEqual(self.file("next"), [1, ["h1"]])
        self.assertIs(self.update("next", 2, ["h2"]), True)
        self.assertEqual(self.file("next"), [2, ["h2"]])

    def test_a_version_beyond_32_bits_is_refused_by_the_client_itself(self):
        with self.assertRaises(OverflowError):
            self.update("beyond", 2**31, [])

    def test_a_deleted_file_stays_in_the_map_and_goes_on_counting(self):
        for tombstone in (["0"], [0], "0", 0):
            name = f"deleted with {tombstone!r}"
            self.assertIs(self.update(name, 1, ["h"]), True)
            self.assertIs(self.update(name, 2, tombstone), True)
            self.assertEqual(self.file(name), [2, tombstone])
            self.assertIs(self.update(name, 1, ["h"]), False)
            self.assertIs(self.update(name, 3, ["again"]), True)
            self.assertEqual(self.file(name), [3, ["again"]])

    def test_a_whole_double_serves_as_a_version(self):
        for version in (1.0, 2.0):
            self.assertIs(self.update("double", version, ["h"]), True)
        self.assertEqual(self.file("double"), [2, ["h"]])
        self.assertIs(type(self.file("double")[0]), int)

    def test_elements_keep_their_type_and_value(self):
        for number, hashes in enumerate((
            [],
            ["abc", "", " a ", "<&>", "\xe4\u20ac\U0001f600", "a\nb\tc"],
            [1, 2, 3, 0, -1, 2**31 - 1, -(2**31)],
            [True, False, 1, 0],
            [0.5, -1e20, 3.0],
            [Binary(b"\x00\xff<"), Binary(b"")],
            ["a", 1, True, 1.5, Binary(b"b"), DateTime("19980717T14:08:55"), ["nested", [1]], {"key": "value"}],
            ["h" * 64] * 1000,
        )):
            self.assertIs(self.update(f"typed {number}", 1, hashes), True)
            stored = self.file(f"typed {number}")
            self.assertEqual(stored, [1, hashes])
            self.assertEqual([type(element) for element in stored[1]], [type(element) for element in hashes])

    def test_bytes_and_tuples_serve_as_elements_and_lists(self):
        self.assertIs(self.update("bytes", 1, (b"b1", bytearray(b"b2"))), True)
        self.assertEqual(self.file("bytes"), [1, [Binary(b"b1"), Binary(b"b2")]])
        builtin = ServerProxy(f"http://{self.cluster.host(self.leader)}", use_builtin_types=True)
        self.assertEqual(builtin.surfstore.getfileinfomap()["bytes"], [1, [b"b1", b"b2"]])

    def test_a_scalar_in_the_lists_place_is_stored_as_that_scalar(self):
        for number, lone in enumerate(("h", "", "0", 0, 7, True, 1.5, Binary(b"h"), DateTime("19980717T14:08:55"))):
            self.assertIs(self.update(f"lone {number}", 1, lone), True)
            self.assertEqual(self.file(f"lone {number}"), [1, lone])

    def test_none_is_refused_by_the_client_or_else_by_the_server(self):
        for arguments in ((None, 1, []), ("none", None, []), ("none", 1, None), ("none", 1, [None])):
            with self.assertRaises(TypeError):
                self.update(*arguments)
            server = ServerProxy(f"http://{self.cluster.host(self.leader)}", allow_none=True)
            self.refused(WRONG_PARAMETERS, "", server.surfstore.updatefile, *arguments)
        self.assertEqual(self.versions("none"), [0, 0, 0])

    def test_names_are_any_characters_compared_as_they_are(self):
        names = [
            "a", "A", "a ", " a", "", " ", "  a\t", "\n", "\xe4", "a\u0308", "\U0001f600", "\U0001f468\u200d\U0001f469",
            "\u4e2d\u6587.txt", "../../etc", "../..", "]]>", "]]&gt;", "<", "<a&b>", "&amp;", "\"'", "tab\tand\nline", "\x7f",
            "\ufffd", "n" * 4096, "\xe4" * 2048, "status", "0",
        ]
        for name in names:
            self.assertIs(self.update(name, 1, [name]), True, repr(name))
        files = self.at_leader.getfileinfomap()
        for name in names:
            self.assertEqual(files[name], [1, [name]], repr(name))
            self.assertEqual(self.versions(name), [1, 1, 1], repr(name))

    def test_a_name_of_more_than_4_kib_is_refused(self):
        for name in ("n" * 4097, "\xe4" * 2048 + "n", "n" * (1 << 20)):
            self.refused(WRONG_PARAMETERS, "wrong parameters", self.update, name, 1, [])
        self.assertLessEqual(max(len(name.encode()) for name in self.at_leader.getfileinfomap()), 4096)

    def test_a_carriage_return_is_given_back_as_one(self):
        # Python sends it unescaped, which XML reads as a line feed, unless it is sent as bytes.
        self.assertIs(self.update(Binary(b"cr\r\n\r"), 1, []), True)
        self.assertEqual(self.file("cr\r\n\r"), [1, []])
        self.assertIs(self.update("cr\r\n\r", 1, []), True)
        self.assertEqual(self.file("cr\n\n"), [1, []])

    def test_characters_that_no_answer_could_carry_are_refused(self):
        for character in ("\x00", "\x01", "\x1b", "\ufffe"):
            # Python writes them unescaped, so the document is broken as well as the name.
            with self.assertRaises(Fault) as raised:
                self.update(f"control {character}", 1, [])
            self.assertIn(raised.exception.faultCode, (WRONG_PARAMETERS, NOT_WELL_FORMED, -32702))
            self.refused(WRONG_PARAMETERS, "wrong parameters", self.update, Binary(character.encode()), 1, [])
        self.assertFalse([name for name in self.at_leader.getfileinfomap() if name.startswith("control")])

    def test_an_update_is_seen_at_every_follower_right_after_it(self):
        for version in range(1, 51):
            self.assertIs(self.update("seen", version, [version]), True)
            eventually(lambda: self.versions("seen") == [version] * 3, 0.1, f"version {version} everywhere")

    def test_an_unknown_file_has_version_0_everywhere(self):
        self.assertEqual(self.versions("unknown"), [0, 0, 0])

    def test_a_map_of_many_files_is_read_whole(self):
        def update_all(client):
            server = self.cluster.proxy(self.leader)
            for number in range(client, 1000, 10):
                self.assertIs(server.updatefile(f"many {number}", 1, [f"{number}" * 16] * 10), True)

        for future in [pending(update_all, client) for client in range(10)]:
            future.result(30)
        files = self.at_leader.getfileinfomap()
        for number in range(1000):
            self.assertEqual(files[f"many {number}"], [1, [f"{number}" * 16] * 10])


class Blocks(Contract):
    """The block store of each server."""

    def test_blocks_are_kept_under_their_sha_256_where_they_were_put(self):
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        for server in self.cluster:
            proxy = self.cluster.proxy(server)
            self.assertEqual(proxy.hasblocks([digest]), [])
            self.refused(WRONG_PARAMETERS, "wrong parameters", proxy.getblock, digest)
            self.assertIs(proxy.putblock(Binary(b"abc")), True)
            self.assertEqual(proxy.getblock(digest), Binary(b"abc"))
            self.assertEqual(proxy.hasblocks(["x", digest, "y", digest]), [digest, digest])

    def test_a_block_is_found_by_the_bytes_that_its_name_stands_for(self):
        content = next(content for content in map(b"%d".__mod__, range(10_000)) if sha256(content).digest()[0] == 0)
        digest = sha256(content)
        text = b64encode(digest.digest()).decode()
        names = [digest.hexdigest(), digest.hexdigest().upper(), f"{int(digest.hexdigest(), 16):x}",
                 text, text.rstrip("="), Binary(digest.digest())]
        self.assertIs(self.at_leader.putblock(Binary(content)), True)
        for name in names:
            self.assertEqual(self.at_leader.getblock(name), Binary(content), name)
        self.assertEqual(self.at_leader.hasblocks(names), names)


class Crashes(Contract):
    """Servers that do not lead, and servers that are crashed."""

    def test_a_follower_names_the_leader_it_refers_to(self):
        beginning = f"not the leader: {self.cluster.host(self.leader)}"
        self.refused(NOT_LEADER, beginning, self.at_follower.updatefile, "refer", 1, ["h"])
        self.refused(NOT_LEADER, beginning, self.at_follower.getfileinfomap)
        self.assertEqual(self.versions("refer"), [0, 0, 0])

    def test_a_follower_answers_all_else(self):
        for call, answer in (("ping", True), ("isLeader", False), ("isCrashed", False), ("restore", True)):
            self.assertIs(getattr(self.at_follower, call)(), answer, call)
        self.assertEqual(self.at_follower.status()["role"], "follower")
        self.assertEqual(self.at_follower.status()["leader"], self.cluster.host(self.leader))
        self.assertIs(self.at_leader.restore(), True)
        self.assertIs(self.at_leader.isLeader(), True)

    def test_a_crashed_server_answers_as_the_table_says(self):
        self.assertIs(self.at_leader.updatefile("table", 1, ["h"]), True)
        for server in (self.at_follower, self.at_leader):
            self.assertIs(server.putblock(Binary(b"table")), True)
            for _ in range(2):
                self.assertIs(server.crash(), True)
            self.assertIs(server.ping(), True)
            self.assertIs(server.isLeader(), False)
            self.assertIs(server.isCrashed(), True)
            self.assertEqual(server.tester_getversion("table"), 1)
            self.assertEqual(server.status()["role"], "crashed")
            for call, *arguments in (
                ("updatefile", "table", 2, ["h"]),
                ("updatefile", "nonsense"),
                ("getfileinfomap",),
                ("getfileinfomap", "nonsense"),
                ("requestVote", {}),
                ("requestVote", 1, "nonsense"),
                ("appendEntries", {"term": 1_000_000}),
                ("appendEntries",),
                ("installSnapshot", 1, "nonsense"),
                ("getblock", "x"),
                ("putblock", Binary(b"x")),
                ("hasblocks", []),
            ):
                self.refused(CRASHED, "isCrashed", getattr(server, call), *arguments)
            self.assertIs(server.isCrashed(), True)

    def test_a_crashed_server_keeps_its_version_and_its_term_and_catches_up_after_restore(self):
        self.assertIs(self.at_leader.updatefile("catch up", 1, ["h"]), True)
        term = self.at_follower.status()["term"]
        self.assertIs(self.at_follower.crash(), True)
        for version in range(2, 12):
            self.assertIs(self.at_leader.updatefile("catch up", version, ["h"]), True)
            self.assertEqual(self.at_follower.tester_getversion("catch up"), 1)
        self.assertEqual(self.at_follower.status()["term"], term)
        self.assertIs(self.at_follower.restore(), True)
        self.assertIs(self.at_follower.isCrashed(), False)
        self.assertIs(self.at_follower.isLeader(), False)
        eventually(lambda: self.at_follower.tester_getversion("catch up") == 11, 3, "the restored server has caught up")
        self.assertEqual(self.cluster.leader(), self.leader)
        self.assertEqual(self.at_follower.status()["term"], term)

    def test_the_requests_of_peers_are_counted_at_a_crashed_server_too(self):
        self.assertIs(self.at_follower.crash(), True)
        before = self.at_follower.status()["peerRequests"]
        eventually(lambda: before < self.at_follower.status()["peerRequests"], 5, "another heartbeat")

    def test_a_leader_that_crashed_is_a_follower_when_it_is_restored(self):
        self.assertIs(self.at_leader.crash(), True)
        self.assertIs(self.at_leader.isLeader(), False)
        self.assertNotEqual(self.cluster.leader(), self.leader)
        self.assertIs(self.at_leader.restore(), True)
        self.assertIs(self.at_leader.isLeader(), False)
        self.refused(NOT_LEADER, "not the leader", self.at_leader.getfileinfomap)
        self.assertNotEqual(self.cluster.leader(), self.leader)

    def test_what_was_acknowledged_outlives_the_crash_of_every_server(self):
        self.assertIs(self.at_leader.updatefile("outlives", 1, ["h"]), True)
        self.cluster.crash(*self.cluster)
        self.assertEqual(self.versions("outlives"), [1, 1, 1])
        self.cluster.restore()
        at_leader = self.cluster.proxy(self.cluster.leader())
        self.assertEqual(at_leader.getfileinfomap()["outlives"], [1, ["h"]])


class NoMajority(Contract):
    """A leader without a majority: which calls wait, for how long, and how they end."""

    def setUp(self):
        super().setUp()
        self.name = self.id()
        self.assertIs(self.at_leader.updatefile(self.name, 1, ["h1"]), True)
        self.cluster.crash(*self.followers)

    def test_calls_wait_until_a_majority_is_back_and_are_then_answered(self):
        update, refused, read = self.blocked(
            self.leader,
            ("updatefile", self.name, 2, ["h2"]),
            ("updatefile", self.name, 7, ["h7"]),
            ("getfileinfomap",),
        )
        self.assertIs(self.at_leader.isLeader(), True)
        self.assertEqual(self.versions(self.name), [1, 1, 1])
        self.cluster.restore(self.followers[0])
        self.assertIs(update.result(3), True)
        self.assertIs(refused.result(3), False)
        self.assertIn(read.result(3)[self.name], ([1, ["h1"]], [2, ["h2"]]))
        self.assertIs(self.at_leader.isLeader(), True)
        self.assertEqual(self.at_leader.getfileinfomap()[self.name], [2, ["h2"]])

    def test_the_leader_goes_on_leading_and_the_other_calls_are_answered(self):
        self.blocked(self.leader, ("updatefile", self.name, 2, ["h2"]))
        self.assertIs(self.at_leader.isLeader(), True)
        self.assertIs(self.at_leader.ping(), True)
        self.assertEqual(self.at_leader.tester_getversion(self.name), 1)
        self.assertIs(self.at_leader.putblock(Binary(b"block")), True)

    def test_a_client_that_gives_up_learns_the_truth_later(self):
        impatient = self.cluster.proxy(self.leader, seconds=1)
        for call in (("updatefile", self.name, 2, ["h2"]), ("getfileinfomap",)):
            began = time.monotonic()
            with self.assertRaises(OSError):  # a timeout; its class depends on the Python version
                getattr(impatient, call[0])(*call[1:])
            self.assertLess(time.monotonic() - began, 1 + AT_ONCE)
        self.cluster.restore()
        # The update that timed out may take effect or not; the next calls show which.
        later = self.at_leader.updatefile(self.name, 2, ["later"])
        self.assertEqual(self.at_leader.getfileinfomap()[self.name], [2, ["later"] if later else ["h2"]])
        eventually(lambda: self.versions(self.name) == [2] * 3, 3, "all servers agree")

    def test_a_crash_of_the_leader_ends_what_waits_there_at_once(self):
        update, read = self.blocked(self.leader, ("updatefile", self.name, 2, ["h2"]), ("getfileinfomap",))
        self.assertIs(self.at_leader.crash(), True)
        self.is_fault(update.exception(AT_ONCE), OUTCOME_UNKNOWN, "outcome unknown: this server is crashed")
        self.is_fault(read.exception(AT_ONCE), CRASHED, "isCrashed")

    def test_an_update_that_no_majority_ever_held_vanishes(self):
        (update,) = self.blocked(self.leader, ("updatefile", self.name, 2, ["lost"]))
        self.assertIs(self.at_leader.crash(), True)
        self.is_fault(update.exception(AT_ONCE), OUTCOME_UNKNOWN, "outcome unknown")
        self.cluster.restore(*self.followers)
        at_leader = self.cluster.proxy(self.cluster.leader())
        self.assertEqual(at_leader.getfileinfomap()[self.name], [1, ["h1"]])
        self.assertIs(at_leader.updatefile(self.name, 2, ["kept"]), True)
        self.cluster.restore(self.leader)
        eventually(lambda: self.versions(self.name) == [2, 2, 2], 3, "the restored server agrees")
        self.assertEqual(at_leader.getfileinfomap()[self.name], [2, ["kept"]])

    def test_a_server_that_does_not_lead_refers_at_once_all_the_same(self):
        self.cluster.restore(self.followers[0])
        self.cluster.crash(self.leader)
        for call in (("updatefile", self.name, 2, ["h"]), ("getfileinfomap",)):
            began = time.monotonic()
            self.refused(NOT_LEADER, "not the leader", getattr(self.at_follower, call[0]), *call[1:])
            self.assertLess(time.monotonic() - began, AT_ONCE)


class Majorities(unittest.TestCase):
    """How many servers are needed."""

    def test_a_lone_server_leads_itself(self):
        with Cluster(1) as cluster:
            server = cluster.proxy(cluster.leader())
            self.assertIs(server.updatefile("alone", 1, ["h"]), True)
            self.assertEqual(server.getfileinfomap(), {"alone": [1, ["h"]]})
            cluster.crash(0)
            self.assertIs(server.isLeader(), False)
            cluster.restore(0)
            self.assertEqual(cluster.proxy(cluster.leader()).getfileinfomap(), {"alone": [1, ["h"]]})

    def test_two_of_two_and_three_of_four_are_needed(self):
        for servers, spare in ((2, 0), (4, 1)):
            with self.subTest(servers=servers), Cluster(servers) as cluster:
                leader, followers = cluster.leader(), cluster.followers()
                cluster.crash(*followers[:spare])
                self.assertIs(cluster.proxy(leader).updatefile("file", 1, ["h"]), True)
                cluster.crash(followers[spare])
                read = pending(cluster.proxy(leader, 60).getfileinfomap)
                with self.assertRaises(concurrent.futures.TimeoutError):
                    read.result(BLOCKED_SECONDS)
                cluster.restore(followers[spare])
                self.assertEqual(read.result(3), {"file": [1, ["h"]]})

    def test_of_five_leaders_that_crash_one_after_another_two_are_replaced_and_the_third_is_not(self):
        with Cluster(5) as cluster:
            for version in (1, 2):
                leader = cluster.leader()
                self.assertIs(cluster.proxy(leader).updatefile("file", version, ["h"]), True)
                cluster.crash(leader)
                eventually(cluster.leaders, ELECTION_SECONDS, "a new leader")
            leader = cluster.leader()
            self.assertEqual(cluster.proxy(leader).getfileinfomap(), {"file": [2, ["h"]]})
            cluster.crash(leader)
            deadline = time.monotonic() + ELECTION_SECONDS
            while time.monotonic() < deadline:
                self.assertEqual(cluster.leaders(), [], "two of five elect no leader")
                time.sleep(0.1)
            cluster.restore(leader)
            self.assertEqual(cluster.proxy(cluster.leader()).getfileinfomap(), {"file": [2, ["h"]]})


if __name__ == "__main__":
    build()
    # Without warnings about open connections: a proxy closes its own when it is collected.
    unittest.main(warnings="ignore")
