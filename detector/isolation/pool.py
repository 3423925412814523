"""A pool of limited child processes: what crashes, hangs or eats memory there is one request's error.

Owns the children's lives: started when first needed, one request at a time each, replaced when lost. Needs
Linux. Safe in threads; as many requests run at once as threads ask.
"""

import json
import pickle
import signal
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any

from detector.errors import (
    DecoderCrashedError,
    DecoderTimedOutError,
    MediaError,
    UnexpectedMediaError,
    find_media_error,
)
from detector.isolation.child import Service
from detector.isolation.starter import Starter, find_starter
from detector.isolation.wire import Kind, receive_item, send

_TRIES = 2  # what an earlier file has broken in a child must not be blamed on the next


class ChildPool:
    """Children that answer the requests of one service.

    ``timeout_s``: how long a child may say nothing; ``memory_bytes``: what it may map beyond what it begins
    with; ``modules``: what children need, imported once before they are forked.
    """

    def __init__(
        self, service: Service, *, timeout_s: float, memory_bytes: int, modules: Sequence[str]
    ) -> None:
        self._service = pickle.dumps(service)
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._starter = find_starter(tuple(modules))
        self._idle: LifoQueue[_Child] = LifoQueue()

    def call(self, request: Any, *, allowance_s: float = 0) -> Iterator[tuple[dict[str, Any], memoryview]]:  # noqa: ANN401
        """Give the items of a child's answer: facts, and a read-only buffer that lives as long as its views.

        ``allowance_s`` is added to the time that the child may take to say something first. Raises the
        ``MediaError`` that the service raised; ``DecoderCrashedError`` when two children in a row end by a
        signal without an item, or one after an item; ``DecoderTimedOutError``, ``TooMuchMemoryError``;
        ``UnexpectedMediaError`` when a child is killed from outside.
        """
        for attempt in range(1, _TRIES + 1):
            given = 0
            child = self._take()
            try:
                for item in child.ask(request, self._timeout_s, allowance_s):
                    given += 1
                    yield item
            except EOFError:
                status = child.bury(self._starter)
                if status == -signal.SIGKILL:
                    raise UnexpectedMediaError(
                        "the decoder's process was killed: is the machine short of memory?"
                    ) from None
                if given or attempt == _TRIES:
                    raise DecoderCrashedError(f"the decoder crashed on it: {_name(status)}") from None
            except TimeoutError:
                child.bury(self._starter)
                raise DecoderTimedOutError(
                    f"the decoder did nothing for decode_timeout_s = {self._timeout_s:g} s"
                ) from None
            except BaseException:  # the caller has left, or what came is no message
                child.bury(self._starter)
                raise
            else:
                failure = child.failure
                self._idle.put(child)
                if failure:
                    raise _build_error(**failure)
                return

    def close(self) -> None:
        """End the children that nobody waits for."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().bury(self._starter)

    def _take(self) -> "_Child":
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._start()

    def _start(self) -> "_Child":
        try:
            pid, connection = self._starter.fork(self._memory_bytes)
        except OSError as error:
            raise UnexpectedMediaError(f"no process can be started to decode in: {error.strerror}") from error
        send(connection, Kind.REQUEST, self._service)
        return _Child(pid, connection)


class _Child:
    """The handle of one child."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self._pid, self._connection = pid, connection
        self._freed: deque[int] = deque()  # its memory files that nobody here looks at any more
        self.failure: dict[str, Any] = {}  # what the last answer ended with

    def ask(
        self,
        request: Any,  # noqa: ANN401
        timeout_s: float,
        allowance_s: float,
    ) -> Iterator[tuple[dict[str, Any], memoryview]]:
        """Send a request, give the items. Raises ``EOFError`` or ``TimeoutError`` when the child is lost."""
        self._connection.settimeout(timeout_s + allowance_s)
        try:
            send(self._connection, Kind.REQUEST, pickle.dumps((request, self._take_freed())))
        except ConnectionError as error:
            raise EOFError from error
        while True:
            kind, facts, buffer = receive_item(self._connection, self._freed.append)
            self._connection.settimeout(timeout_s)
            if kind is Kind.END:
                self.failure = facts
                return
            if kind is Kind.ITEM:
                yield facts, buffer
                del buffer  # one that the caller doesn't keep is free now
                with suppress(ConnectionError):  # the next receive tells
                    send(self._connection, Kind.TAKEN, json.dumps(self._take_freed()).encode())

    def _take_freed(self) -> list[int]:
        return [self._freed.popleft() for _ in range(len(self._freed))]

    def bury(self, starter: Starter) -> int:
        """End it if it hasn't ended by itself, and give its status."""
        self._connection.close()
        return starter.end(self._pid)


def _build_error(error_class: str, message: str, width_px: int | None, height_px: int | None) -> MediaError:
    return find_media_error(error_class)(message, width_px=width_px, height_px=height_px)


def _name(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit code {status}"
