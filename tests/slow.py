"""A crowd of callers that are as slow as possible: a byte a second each, in heads, in bodies, and reading answers.

A caller that is dropped connects again. The module knows only the bytes of requests, not what is measured meanwhile.
"""

import socket
import threading

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"

# What each member sends first; the readers ask for more than sockets buffer.
BEGINNINGS = (
    (90, lambda ask: b"P"),
    (90, lambda ask: HEAD + b"Content-Length: 1000000\r\n\r\n<"),
    (20, lambda ask: ask * 128),
)

SIZE = sum(count for count, _ in BEGINNINGS)


class SlowCrowd:
    """Exists during the `with` block. `ask` is the request that gets a long answer."""

    def __init__(self, port, ask):
        self.port, self.ask = port, ask
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.dawdle, daemon=True)

    def __enter__(self):
        self.members = [[begin(self.ask), self.join(begin(self.ask))] for count, begin in BEGINNINGS for _ in range(count)]
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for _, member in self.members:
            member.close()

    def join(self, beginning):
        """A connection on which the first bytes are sent."""
        member = socket.create_connection(("localhost", self.port))
        member.settimeout(1)
        try:
            member.sendall(beginning)
        except OSError:
            pass  # it was dropped already, and is made again with the next byte
        return member

    def dawdle(self):
        """Sends a byte of each per second, spread over the second."""
        while True:
            for place in self.members:
                if self.over.wait(1 / SIZE):
                    return
                beginning, member = place
                try:
                    if beginning.startswith(HEAD) or len(beginning) == 1:
                        member.sendall(b"x")
                    elif not member.recv(1):
                        raise ConnectionError
                except OSError:
                    member.close()
                    place[1] = self.join(beginning)
