"""Many items through one function: order, progress, what is raised."""

import os
from functools import partial

import pytest

from detector.annotations.parallel import map_in_order
from detector.errors import DetectorError


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_results_come_in_order_and_progress_ends_at_the_total(workers):
    """Alone or in processes."""
    calls = []
    results = map_in_order(
        partial(pow, 2), range(1_001), workers=workers, progress=lambda *call: calls.append(call)
    )
    assert list(results) == [2**n for n in range(1_001)]
    assert calls == [(500, 1_001), (1_000, 1_001), (1_001, 1_001)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_function_raises_is_raised_here(workers):
    """Nothing is swallowed on the way."""
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_order(int, ["1", "x"] * 400, workers=workers))


def test_a_process_that_is_killed_says_what_to_do():
    """As the kernel does when memory is short: what each process here unpickles makes it end itself."""
    with pytest.raises(DetectorError, match="workers=1"):
        list(map_in_order(os._exit, [1] * 501, workers=2))
