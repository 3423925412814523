"""The messages between a process and its limited child: one datagram each, large content in memory files.

Owns the layout. What comes from a child is JSON and plain bytes, never an object to unpickle: a decoder that
a hostile file has taken over must not reach the process that holds the model.
"""

import json
import os
import socket
from collections.abc import Callable
from enum import Enum
from typing import Any

from detector.isolation.memory_files import WrittenFiles, map_file

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
        return
    descriptor = os.memfd_create("detector", os.MFD_CLOEXEC)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        socket.send_fds(connection, [kind.value + b"+"], [descriptor])
    finally:
        os.close(descriptor)


def receive(connection: socket.socket) -> tuple[Kind, bytes]:
    """Receive what ``send`` sent. Raises ``EOFError`` when the other side has gone."""
    head, descriptor = _receive(connection)
    if descriptor is None:
        return Kind(head[:1]), head[2:]
    with open(descriptor, "rb") as file:  # noqa: PTH123 (closes the descriptor)
        file.seek(0)
        return Kind(head[:1]), file.read()


def send_item(
    connection: socket.socket,
    facts: dict[str, Any],
    buffer: Any,  # noqa: ANN401
    files: WrittenFiles,
) -> None:
    """Send an item: facts that are JSON of less than 64 KB, and a buffer of any size."""
    size = memoryview(buffer).nbytes
    number, descriptor = files.write(buffer) if size else (0, None)
    message = json.dumps([facts, number, size]).encode()
    socket.send_fds(
        connection, [Kind.ITEM.value + b"-" + message], [] if descriptor is None else [descriptor]
    )


def receive_item(
    connection: socket.socket, tell_freed: Callable[[int], object]
) -> tuple[Kind, dict[str, Any], memoryview]:
    """Receive a child's message: its kind, JSON (empty if it has none), and an item's buffer, read-only.

    ``tell_freed`` gets the number of the buffer's file when the last view of it has gone. Raises ``EOFError``
    when the child has gone, ``ValueError`` for what is no message.
    """
    head, descriptor = _receive(connection)
    try:
        kind = Kind(head[:1])
        if kind is not Kind.ITEM:
            return kind, json.loads(head[2:] or b"{}"), _EMPTY
        facts, number, size = json.loads(head[2:])
        if descriptor is None:
            return kind, facts, _EMPTY
        return kind, facts, map_file(descriptor, size, lambda: tell_freed(number))
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _receive(connection: socket.socket) -> tuple[bytes, int | None]:
    try:
        message, descriptors, _, _ = socket.recv_fds(connection, 2 * _INLINE_BYTES, 1)
    except ConnectionError as error:
        raise EOFError from error
    if not message:
        raise EOFError
    return message, descriptors[0] if descriptors else None
