"""A request's body: read whole, within its bounds of size and time, and within what all bodies may hold.

Owns 408, 413 and the memory that bodies take together. Refuses by the announced
length before a byte is read.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from detector.serving.refusals import Refusal, refuse_busy, refuse_request


class BodyReader:
    """Reads bodies for one server. Asked in the event loop's thread."""

    def __init__(self, *, max_bytes: int, total_bytes: int, timeout_s: float) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._total_bytes = max(total_bytes, max_bytes)
        self._timeout_s = timeout_s

    @contextmanager
    def hold(self, request: Request) -> Iterator["HeldBody"]:
        """Give the request's body to read; what it takes counts until the block ends. Raises ``Refusal``."""
        announced = _read_length(request)
        if announced > self._max_bytes:
            raise self._refuse_size()
        held = HeldBody(self, request)
        try:
            held.reserve(announced)
            yield held
        finally:
            self.held_bytes -= held.reserved

    async def read(self, held: "HeldBody") -> bytes:
        """Read a held body to its end. Raises ``Refusal``: 408, 413, 429, or 499 when the client has gone."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._read(held)
        except TimeoutError:
            raise Refusal(
                408, "Timeout", f"the body wasn't here after {self._timeout_s:g} s", {"Connection": "close"}
            ) from None
        except ClientDisconnect:
            raise Refusal(499, "Disconnected", "the client has gone") from None

    async def _read(self, held: "HeldBody") -> bytes:
        body = bytearray()
        async for chunk in held.request.stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._refuse_size()
            if len(body) > held.reserved:
                held.reserve(len(body) - held.reserved)
        return bytes(body)

    def reserve(self, nbytes: int) -> None:
        """Count bytes of a body, or raise the 429 that there is no room for them."""
        if self.held_bytes + nbytes > self._total_bytes:
            raise refuse_busy("too many bytes of other requests are waiting; try again")
        self.held_bytes += nbytes

    def _refuse_size(self) -> Refusal:
        return Refusal(413, "BodyTooLarge", f"the body has more than {self._max_bytes:,} bytes")


class HeldBody:
    """A body that is counted while it's in memory."""

    def __init__(self, reader: BodyReader, request: Request) -> None:
        self.request = request
        self.reserved = 0
        self._reader = reader

    def reserve(self, nbytes: int) -> None:
        """Count ``nbytes`` more."""
        self._reader.reserve(nbytes)
        self.reserved += nbytes

    async def read(self) -> bytes:
        """Read it to its end."""
        return await self._reader.read(self)


def _read_length(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise refuse_request("Content-Length is no number")
    return int(length[:20])
