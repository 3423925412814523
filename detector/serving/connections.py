"""Connections held to their bounds: how many, how long a request may take to come in, how large its head is.

Owns what uvicorn leaves open: a client that sends a head for ever, byte by byte, or never reads its answer.
Refuses by closing; there is nobody there to read an answer.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD_BYTES = 32 * 1024
_GRACE_S = 5  # the address answers 408 first


def build_protocol(*, max_connections: int, receive_timeout_s: float) -> type[HttpToolsProtocol]:
    """Build the protocol that uvicorn makes one of for each connection."""
    bounds = {"max_connections": max_connections, "limit_s": receive_timeout_s + _GRACE_S}
    return type("BoundedProtocol", (_BoundedProtocol,), bounds)


class _BoundedProtocol(HttpToolsProtocol):
    """One connection within its bounds."""

    max_connections = 0
    limit_s = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()
        if len(self.connections) > self.max_connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data) if self._in_head else 0
        super().data_received(data)
        if self._in_head and self._head_bytes > _MOST_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._set_deadline()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # trailers, which nobody here reads
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0
        self._end_deadline()
        if self.cycle.response_complete and not self.transport.is_closing():
            # Answered before its body was here: uvicorn has unset its own timer since.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_deadline()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_deadline()

    def _set_deadline(self) -> None:
        self._end_deadline()
        self._deadline = self.loop.call_later(self.limit_s, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
