"""What the tests have at both ends of a proxy, with a limit to every wait."""

import socket
import time
from contextlib import contextmanager

LONGEST_WAIT = 10


class Upstream:
    """A server whose side of each connection the test holds."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LONGEST_WAIT)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def accept(self):
        """Its side of the next connection."""
        return ready(self.listener.accept()[0])

    def stop(self):
        self.listener.close()


def connect(address):
    """Connects, or raises what came in place of a connection."""
    return ready(socket.create_connection(address, timeout=LONGEST_WAIT))


def ready(connection):
    connection.settimeout(LONGEST_WAIT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection, count):
    """The next so many bytes, or fewer if the connection was closed after them."""
    received = b""
    while len(received) < count:
        more = connection.recv(count - len(received))
        if not more:
            break
        received += more
    return received


def ending(connection):
    """How it ended: "FIN" or "RST". What comes before that is passed over."""
    try:
        while connection.recv(65536):
            pass
        return "FIN"
    except ConnectionResetError:
        return "RST"


def is_silent(connection, seconds):
    """Whether nothing comes, nor an end, for so long."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
        return False
    except TimeoutError:
        return True
    finally:
        connection.settimeout(LONGEST_WAIT)


@contextmanager
def takes_at_least(seconds):
    """What is done within takes that long."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took >= seconds, "it took %.3f s" % took
