"""Memory files that carry pixels from a child to its parent, used again and again.

Owns both sides. New pages for each picture cost more than all else in handing one over, so the child writes
into a file that the parent has done with. The parent looks at what it's given: a decoder that a hostile file
has taken over must not reach the process that holds the model.
"""

import fcntl
import mmap
import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any

_KEPT_BYTES = 32 * 1024**2  # of files that wait in one child to be written again


class WrittenFiles:
    """The child's side: files by number, each with the parent, or free."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}  # descriptors
        self._free: list[int] = []
        self._free_bytes = 0
        self._next = 0

    def write(self, content: Any) -> tuple[int, int]:  # noqa: ANN401 (a buffer)
        """Write a buffer into a free file; give the file's number and descriptor."""
        number = self._take()
        descriptor, rest, done = self._files[number], memoryview(content).cast("B"), 0
        while done < len(rest):
            done += os.pwrite(descriptor, rest[done:], done)
        return number, descriptor

    def take_back(self, numbers: Iterable[int]) -> None:
        """Learn that the parent has done with these; what is too much to keep is freed."""
        for number in numbers:
            size = os.fstat(self._files[number]).st_size
            if self._free_bytes + size > _KEPT_BYTES:
                os.close(self._files.pop(number))
            else:
                self._free.append(number)
                self._free_bytes += size

    def _take(self) -> int:
        if self._free:
            number = self._free.pop()
            self._free_bytes -= os.fstat(self._files[number]).st_size
            return number
        self._next += 1
        self._files[self._next] = os.memfd_create("detector", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        return self._next


def map_file(descriptor: int, size: int, tell_freed: Callable[[], object]) -> memoryview:
    """Give the first ``size`` bytes of a file, read-only; its descriptor isn't needed any more.

    ``tell_freed`` is called, in any thread, when the last view has gone. Raises ``ValueError`` for a file
    that is not what was announced: its child can't be trusted.
    """
    try:  # a file made shorter would end this process
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        if not 0 < size <= os.fstat(descriptor).st_size:
            raise ValueError("the decoder's pixels are fewer than it said")
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        mapped = mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ)
    except OSError as error:  # sealed against sealing, or of a kind that isn't sealed
        raise ValueError("the decoder's pixels can't be sealed") from error
    weakref.finalize(mapped, tell_freed).atexit = False
    return memoryview(mapped)
