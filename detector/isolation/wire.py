"""The messages between a process and its limited child: one datagram each, large content in memory files.

Owns the layout. What comes from a child is JSON and plain bytes, never an object to unpickle: a decoder that
a hostile file has taken over must not reach the process that holds the model.
"""

import json
import mmap
import os
import socket
from enum import Enum
from typing import Any

_INLINE_BYTES = 64 * 1024  # of a datagram, whose limit is some 200 KB
_EMPTY = memoryview(b"")


class Kind(Enum):
    """What a message is: its first byte."""

    REQUEST = b"R"
    TAKEN = b"T"  # the parent has taken an item
    BUSY = b"B"  # the child goes on
    ITEM = b"I"
    END = b"E"


def send(connection: socket.socket, kind: Kind, content: bytes = b"") -> None:
    """Send a message whose content may be large."""
    if len(content) <= _INLINE_BYTES:
        connection.send(kind.value + b"-" + content)
    else:
        _send_file(connection, kind.value + b"+", content)


def receive(connection: socket.socket) -> tuple[Kind, bytes]:
    """Receive what ``send`` sent. Raises ``EOFError`` when the other side has gone."""
    head, attached = receive_with_buffer(connection)
    content = bytes(attached) if head[1:2] == b"+" else head[2:]
    return Kind(head[:1]), content


def send_item(connection: socket.socket, facts: dict[str, Any], buffer: Any) -> None:  # noqa: ANN401 (a buffer)
    """Send an item: JSON of less than 64 KB, and a buffer of any size."""
    _send_file(connection, Kind.ITEM.value + b"-" + json.dumps(facts).encode(), buffer)


def read_item(message: bytes) -> dict[str, Any]:
    """Read the JSON of an item or end."""
    facts: dict[str, Any] = json.loads(message[2:])
    return facts


def receive_with_buffer(connection: socket.socket) -> tuple[bytes, memoryview]:
    """Receive any message, and what is attached to it: read-only, its memory freed with the last view.

    Raises ``EOFError`` when the other side has gone.
    """
    try:
        message, descriptors, _, _ = socket.recv_fds(connection, 2 * _INLINE_BYTES, 1)
    except ConnectionError as error:
        raise EOFError from error
    if not message:
        raise EOFError
    if not descriptors:
        return message, _EMPTY
    try:
        size = os.fstat(descriptors[0]).st_size
        if not size:
            return message, _EMPTY
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        return message, memoryview(mmap.mmap(descriptors[0], size, flags=flags, prot=mmap.PROT_READ))
    finally:
        os.close(descriptors[0])


def _send_file(connection: socket.socket, head: bytes, content: Any) -> None:  # noqa: ANN401 (a buffer)
    descriptor = os.memfd_create("detector", os.MFD_CLOEXEC)
    try:
        rest = memoryview(content).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        socket.send_fds(connection, [head], [descriptor])
    finally:
        os.close(descriptor)
