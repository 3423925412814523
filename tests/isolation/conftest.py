"""A service that does to its process what hostile files do to decoders."""

import pytest

from detector.isolation.pool import ChildPool

_MODULE = '''
import ctypes, os, signal, socket, sys, time
from pathlib import Path
from detector.errors import TooManyPixelsError

def find_memory_files():
    """Give the descriptors of this process's memory files."""
    found = [entry for entry in Path("/proc/self/fd").glob("*") if entry.is_symlink()]
    return [int(entry.name) for entry in found if "memfd" in os.readlink(entry)]

class Hostile:
    """Answers by its own orders; a broken one breaks at the next request."""

    broken = False

    def serve(self, request, tell_busy):
        word, *more = request
        if self.broken or word == "segfault":
            ctypes.string_at(0)
        if word == "say":
            for number in range(more[0]):
                yield {"number": number, "pid": os.getpid()}, bytes([number % 256]) * more[1]
        elif word == "segfault later":
            yield {"pid": os.getpid()}, b""
            ctypes.string_at(0)
        elif word == "break":
            self.broken = True
        elif word == "abort":
            os.abort()
        elif word == "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "leave":
            os._exit(7)
        elif word == "spin":
            while True:
                pass
        elif word == "work":
            for _ in range(more[0]):
                time.sleep(0.2)
                tell_busy()
            yield {}, b"done"
        elif word == "eat":
            held = []
            while True:
                held.append(bytearray(16 * 1024 * 1024))
        elif word == "refuse":
            raise TooManyPixelsError("too many", width_px=3, height_px=4)
        elif word == "raise":
            raise ValueError("unforeseen")
        elif word == "tell limits":
            import resource
            yield {"core": resource.getrlimit(resource.RLIMIT_CORE)[0]}, b""
        elif word == "count":
            yield {"bytes": len(more[0])}, b""
        elif word == "tell files":
            yield {"files": len(find_memory_files())}, b""
        elif word == "lie":
            os.pwrite = lambda descriptor, content, offset: len(content)
            yield {}, b"nothing of this is written"
        elif word == "send trash":
            def send_trash(connection, facts, buffer, files):
                socket.send_fds(connection, [more[0]], [os.open("/dev/null", os.O_RDONLY)])
            sys.modules["detector.isolation.child"].send_item = send_trash
            yield {}, b""
        elif word == "shrink later":
            yield {}, bytes([1]) * 100_000
            time.sleep(1)  # for the parent to take it
            tries = []
            for descriptor in find_memory_files():
                try:
                    os.ftruncate(descriptor, 0)
                except PermissionError:
                    tries.append("refused")
            yield {"tries": tries}, b""
'''


@pytest.fixture
def make_pool(tmp_path, monkeypatch):
    """Give a maker of pools of the hostile service; they end with the test."""
    (tmp_path / "hostile_service.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import hostile_service

    pools = []

    def make(*, timeout_s=20, memory_bytes=1024**3):
        pools.append(
            ChildPool(
                hostile_service.Hostile(),
                timeout_s=timeout_s,
                memory_bytes=memory_bytes,
                modules=["hostile_service"],
            )
        )
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
