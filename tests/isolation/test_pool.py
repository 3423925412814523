"""Limited child processes: whatever happens in one is the error of the request it served."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from detector.errors import (
    DecoderCrashedError,
    DecoderTimedOutError,
    TooManyPixelsError,
    TooMuchMemoryError,
    UnexpectedMediaError,
)


def find_pid(pool):
    """Give the process that answers now."""
    return next(iter(list(pool.call(("say", 1, 0)))))[0]["pid"]


def count_open_files():
    """Count this process's descriptors."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wait_until(condition):
    """Wait for something that is about to be."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_items_come_in_order_with_their_buffers(make_pool):
    """Facts and buffers, from none to larger than any datagram; the buffers outlive the next ones."""
    for size in (0, 10, 300_000):
        items = list(make_pool().call(("say", 5, size)))
        assert [facts["number"] for facts, _ in items] == [0, 1, 2, 3, 4]
        assert [bytes(buffer) for _, buffer in items] == [bytes([number]) * size for number in range(5)]


def test_a_buffer_is_read_only(make_pool):
    """Nobody writes into what the child still has."""
    ((_, buffer),) = make_pool().call(("say", 1, 4096))
    with pytest.raises(ValueError, match="read-only"):
        np.frombuffer(buffer, np.uint8)[0] = 1


def test_memory_files_are_used_again(make_pool):
    """One that nobody looks at any more serves the next item, whatever its size; those looked at don't."""
    pool = make_pool()
    for size in (100_000, 3_000_000, 10):
        assert [bytes(buffer) for _, buffer in pool.call(("say", 3, size))] == [
            bytes([number]) * size for number in range(3)
        ]
    assert next(iter(pool.call(("tell files",))))[0]["files"] <= 3
    kept = [buffer for _ in range(3) for _, buffer in pool.call(("say", 2, 50))]
    assert [bytes(buffer) for buffer in kept] == [bytes([0]) * 50, bytes([1]) * 50] * 3


def test_memory_files_are_not_kept_beyond_a_limit(make_pool):
    """What was needed once for large pictures is freed."""
    pool = make_pool()
    kept = [buffer for _, buffer in pool.call(("say", 6, 10_000_000))]
    assert len(kept) == 6
    del kept
    assert next(iter(pool.call(("tell files",))))[0]["files"] == 3


def test_a_child_that_announces_more_than_it_sends_is_ended(make_pool):
    """Reading beyond the file would end this process."""
    pool = make_pool()
    before = find_pid(pool)
    with pytest.raises(ValueError, match="fewer than it said"):
        list(pool.call(("lie",)))
    assert find_pid(pool) != before


@pytest.mark.parametrize("trash", [b"B-", b"I-[", b"?", b"I-[{}, 1, 5]", b'I-[{}, 1, "x"]'])
def test_trash_from_a_child_leaves_nothing_open(make_pool, trash):
    """Files sent with messages that should have none, or that are no messages, are closed."""
    pool = make_pool()
    find_pid(pool)
    before = count_open_files()
    for _ in range(5):
        with suppress(ValueError, TypeError):
            list(pool.call(("send trash", trash)))
    assert count_open_files() <= before


def test_a_child_can_t_shorten_what_it_sent(make_pool):
    """The file is sealed: whoever reads it would be ended by SIGBUS."""
    (_, buffer), (facts, _) = make_pool().call(("shrink later",))
    assert facts == {"tries": ["refused"]}
    assert bytes(buffer) == bytes([1]) * 100_000


def test_large_requests_arrive(make_pool):
    """An image's bytes are a request, too."""
    ((facts, _),) = make_pool().call(("count", b"x" * 3_000_000))
    assert facts == {"bytes": 3_000_000}


def test_a_child_serves_many_requests(make_pool):
    """Processes are kept."""
    pool = make_pool()
    assert len({find_pid(pool) for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("order", "word"), [("segfault", "SIGSEGV"), ("abort", "SIGABRT"), ("leave", "exit code 7")]
)
def test_a_crash_is_its_request_s_error(make_pool, order, word):
    """Named, and the next request is served by another process."""
    pool = make_pool()
    before = find_pid(pool)
    with pytest.raises(DecoderCrashedError, match=word):
        list(pool.call((order,)))
    assert find_pid(pool) != before


def test_what_an_earlier_request_broke_is_not_blamed_on_the_next(make_pool):
    """A request that meets a broken child is tried again in a fresh one."""
    pool = make_pool()
    assert list(pool.call(("break",))) == []
    assert len(list(pool.call(("say", 3, 8)))) == 3


def test_items_before_a_crash_are_kept_once(make_pool):
    """After an item nothing is tried again: it would come twice."""
    items = make_pool().call(("segfault later",))
    next(items)
    with pytest.raises(DecoderCrashedError):
        next(items)


def test_a_killed_child_may_be_tried_again(make_pool):
    """SIGKILL comes from outside, so another night may go well."""
    with pytest.raises(UnexpectedMediaError, match="killed"):
        list(make_pool().call(("be killed",)))


def test_a_spinning_child_is_ended(make_pool):
    """It's gone, and the next request is served."""
    pool = make_pool(timeout_s=1)
    before = find_pid(pool)
    with pytest.raises(DecoderTimedOutError, match="decode_timeout_s = 1 s"):
        list(pool.call(("spin",)))
    assert not psutil.pid_exists(before)
    assert find_pid(pool) != before


def test_work_that_goes_on_is_no_hang(make_pool):
    """Saying so counts; three seconds of it pass a limit of one."""
    ((_, buffer),) = make_pool(timeout_s=1).call(("work", 15))
    assert bytes(buffer) == b"done"


def test_the_memory_limit_holds(make_pool):
    """An eater is told so, and its process serves on."""
    pool = make_pool(memory_bytes=200 * 1024**2)
    with pytest.raises(TooMuchMemoryError, match="decode_memory_bytes"):
        list(pool.call(("eat",)))
    assert len(list(pool.call(("say", 2, 10)))) == 2


def test_media_errors_keep_their_class_and_size(make_pool):
    """As they were raised."""
    with pytest.raises(TooManyPixelsError, match="too many") as caught:
        list(make_pool().call(("refuse",)))
    assert (caught.value.width_px, caught.value.height_px) == (3, 4)


def test_unforeseen_errors_are_told(make_pool):
    """By class and text."""
    with pytest.raises(UnexpectedMediaError, match="ValueError: unforeseen"):
        list(make_pool().call(("raise",)))


def test_no_core_file_is_written(make_pool):
    """It would hold the picture."""
    ((facts, _),) = make_pool().call(("tell limits",))
    assert facts == {"core": 0}


def test_an_answer_that_nobody_wants_ends_its_child(make_pool):
    """What is left of it must not be taken for the next answer."""
    pool = make_pool()
    items = pool.call(("say", 50, 10))
    pid = next(items)[0]["pid"]
    items.close()
    assert find_pid(pool) != pid


def test_threads_have_children_of_their_own(make_pool):
    """Many requests at once, each with its own answer."""
    pool, found = make_pool(), {}

    def ask(number):
        found[number] = [bytes(buffer) for _, buffer in pool.call(("say", 20, 1000 * number))]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 7)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(found[n] == [bytes([k]) * 1000 * n for k in range(20)] for n in range(1, 7))


def test_a_lost_starter_is_begun_anew(make_pool):
    """When the process that children are forked from is killed, they end, and others come."""
    pool = make_pool()
    child = find_pid(pool)
    starter = psutil.Process(child).parent()
    starter.kill()
    assert wait_until(lambda: not psutil.pid_exists(child))
    with pytest.raises(UnexpectedMediaError, match="killed"):
        find_pid(pool)
    assert find_pid(pool) != child


def test_children_end_with_a_killed_parent(make_pool, tmp_path):
    """A kill -9 of the worker leaves no process behind, not even a spinning one."""
    script = textwrap.dedent("""
        import sys, threading
        sys.path.insert(0, sys.argv[1])
        import hostile_service
        from detector.isolation.pool import ChildPool
        pool = ChildPool(hostile_service.Hostile(), timeout_s=600, memory_bytes=2**30, modules=["hostile_service"])
        (facts, _), = pool.call(("say", 1, 0))
        print(facts["pid"], flush=True)
        list(pool.call(("spin",)))
    """)
    make_pool()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        starter = psutil.Process(child).ppid()
        time.sleep(0.3)
        os.kill(parent.pid, signal.SIGKILL)
    assert wait_until(lambda: not psutil.pid_exists(child) and not psutil.pid_exists(starter))
