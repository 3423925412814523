"""Many small files through one function, on all cores when there are many of them.

Owns the processes, the chunks, the order of the results and the progress. Refuses functions that can't be
sent to another process.
"""

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import forkserver
from typing import TypeVar

from detector.errors import DetectorError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

_FEW_ITEMS = 16_000  # below, starting processes takes longer than the work
_CHUNK_ITEMS = 500
_PRELOADED = "detector.annotations."
_OWN_CHUNKS = 16  # worked off here while the processes start


def map_in_order(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Give ``function(item)`` of every item, in order; ``progress(done, total)`` is called now and then.

    ``workers`` None takes a process for each core when there are thousands of items, else none; 1 takes none.
    ``function`` is a module's own or a ``partial`` of one. What it raises is raised here; a process that is
    killed raises ``DetectorError``.
    """
    for results in map_chunks(partial(_apply, function), items, workers=workers, progress=progress):
        yield from results


def map_chunks(
    function: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Give ``function(some items)`` of all items, some hundred at a time; the rest is as in ``map_in_order``.

    What comes from another process should be a few large things: each object costs time to send.
    """
    if workers is None:
        workers = _count_cores() if len(items) >= _FEW_ITEMS else 1
    chunks = [items[start : start + _CHUNK_ITEMS] for start in range(0, len(items), _CHUNK_ITEMS)]
    done = 0
    for result, chunk in zip(_map_chunks(function, chunks, workers), chunks, strict=True):
        yield result
        done += len(chunk)
        if progress is not None:
            progress(done, len(items))


def _map_chunks(
    function: Callable[[Sequence[Item]], Result], chunks: list[Sequence[Item]], workers: int
) -> Iterator[Result]:
    if workers <= 1 or len(chunks) <= 1:
        yield from map(function, chunks)
        return
    # A fork of this process would copy the locks of Spark's and OpenCV's threads in whatever state they are.
    # The server's forks don't; what it has loaded before them, they needn't load each for itself.
    multiprocessing.set_forkserver_preload([name for name in sys.modules if name.startswith(_PRELOADED)])
    forkserver.ensure_running()
    own = min(_OWN_CHUNKS, len(chunks) // 4)
    yield from map(function, chunks[:own])
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(min(workers, len(chunks)), context, gc.disable) as pool:
        try:
            yield from pool.map(function, chunks[own:])
        except BrokenProcessPool as error:
            message = "a process that read annotations was killed: give the machine more memory, or workers=1"
            raise DetectorError(message) from error


def _apply(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _count_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
