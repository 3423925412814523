"""A limited child process at work: requests in, items out, until the other side goes.

Owns the limits that a child puts on itself and what it tells of an error. Runs only in a process that
``zygote`` forked.
"""

import ctypes
import json
import os
import pickle
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from detector.errors import MediaError, TooMuchMemoryError, UnexpectedMediaError
from detector.isolation.memory_files import WrittenFiles
from detector.isolation.wire import Kind, receive, send, send_item
from detector.redaction import make_safe

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of mallopt(3)
_KEPT_BYTES = 64 * 1024**2
_BUSY_EVERY_S = 0.5
_ITEMS_AHEAD = 2  # one is on its way while the next is made

Item = tuple[dict[str, Any], Any]  # small JSON facts, and a buffer of any size


class Service(Protocol):
    """What a child does; it travels there once, by pickle."""

    def serve(self, request: Any, tell_busy: Callable[[], None]) -> Iterator[Item]:  # noqa: ANN401
        """Answer a request by items; ``tell_busy`` says that work goes on, as often as it likes."""


def run_child(connection: socket.socket, parent_pid: int, memory_bytes: int) -> None:
    """Take a service, then serve requests one after the other, until the other side closes."""
    _limit(parent_pid, memory_bytes)
    with suppress(EOFError):
        service: Service = pickle.loads(receive(connection)[1])  # noqa: S301 (from the parent, which is trusted)
        files = WrittenFiles()
        while True:
            kind, content = receive(connection)
            if kind is Kind.REQUEST:
                request, freed = pickle.loads(content)  # noqa: S301
                files.take_back(freed)
                _answer(connection, service, request, files)
            else:  # an item of the last request has been taken
                files.take_back(json.loads(content))


def _limit(parent_pid: int, memory_bytes: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    # glibc has it. Memory given back to the system after each picture comes back as page faults.
    if hasattr(libc, "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    if os.getppid() != parent_pid:  # it went before it could be watched
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the customer's picture
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + memory_bytes
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )
    with suppress(OSError):  # where memory runs out, the kernel should take this one
        Path("/proc/self/oom_score_adj").write_text("1000")


def _answer(connection: socket.socket, service: Service, request: Any, files: WrittenFiles) -> None:  # noqa: ANN401
    told = 0.0

    def tell_busy() -> None:
        nonlocal told
        if time.monotonic() - told > _BUSY_EVERY_S:
            send(connection, Kind.BUSY)
            told = time.monotonic()

    ahead = 0
    try:
        for facts, buffer in service.serve(request, tell_busy):
            send_item(connection, facts, buffer, files)
            ahead += 1
            while ahead >= _ITEMS_AHEAD:
                files.take_back(json.loads(receive(connection)[1]))
                ahead -= 1
    except EOFError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a decoder raises is this file's row)
        send(connection, Kind.END, json.dumps(_describe(error)).encode())
    else:
        send(connection, Kind.END, b"{}")


def _describe(error: Exception) -> dict[str, Any]:
    if _is_about_memory(error):
        explained: MediaError = TooMuchMemoryError(
            "decoding took more memory than decode_memory_bytes allows"
        )
    elif isinstance(error, MediaError):
        explained = error
    else:
        explained = UnexpectedMediaError(make_safe(f"{type(error).__name__}: {error}")[:500])
    return {
        "error_class": explained.error_class(),
        "message": str(explained),
        "width_px": explained.width_px,
        "height_px": explained.height_px,
    }


def _is_about_memory(error: BaseException | None) -> bool:
    # Decoders have their own words for it; ours for "damaged" hold the decoder's error as their cause.
    while error is not None:
        if isinstance(error, MemoryError) or "insufficient memory" in str(error).lower():
            return True
        error = error.__cause__
    return False
