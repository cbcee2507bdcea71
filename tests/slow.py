"""A crowd of callers that are as slow as can be: a byte a second each, in heads, in bodies, and reading answers.

Whoever is dropped for it comes again. The module knows the bytes of requests, and nothing of what is measured meanwhile.
"""

import socket
import threading

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"

# What each member begins with; the readers ask for more than sockets take.
BEGINNINGS = (
    (90, lambda ask: b"P"),
    (90, lambda ask: HEAD + b"Content-Length: 1000000\r\n\r\n<"),
    (20, lambda ask: ask * 128),
)

SIZE = sum(count for count, _ in BEGINNINGS)


class SlowCrowd:
    """Comes with the `with` block, which `ask` tells the request to be answered at length, and leaves with it."""

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
        """A connection on which the beginning is sent."""
        member = socket.create_connection(("localhost", self.port))
        member.settimeout(1)
        try:
            member.sendall(beginning)
        except OSError:
            pass  # it was dropped already, and is made anew with the next byte
        return member

    def dawdle(self):
        """A byte of each a second, spread over the second."""
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
