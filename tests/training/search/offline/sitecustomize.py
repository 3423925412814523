"""Python imports this at its start, where it's on the path: sockets reach nothing but the machine itself.

What is tried is written into the file that ``ASKED_OF_NETWORK`` names.
"""

import os
import socket

_connect, _look_up = socket.socket.connect, socket.getaddrinfo
_OWN = {"127.0.0.1", "::1", "localhost"}


def _refuse(what):
    with open(os.environ.get("ASKED_OF_NETWORK", os.devnull), "a") as file:  # noqa: PTH123
        file.write(f"{what}\n")
    raise OSError(f"no network in tests: {what}")


def connect(self, address):
    """Connect to this machine only."""
    if isinstance(address, tuple) and address[0] not in _OWN:
        _refuse(address)
    return _connect(self, address)


def look_up(host, *arguments, **named):
    """Look up this machine's name only."""
    if host not in _OWN:
        _refuse(host)
    return _look_up(host, *arguments, **named)


socket.socket.connect, socket.getaddrinfo = connect, look_up
