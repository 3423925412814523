"""The order of an epoch and the balance of its classes."""

import numpy as np
import pytest

from detector.training.input.order import compute_repeat_factors, count_shown, draw_order


def test_rare_classes_are_shown_more_often():
    """Class 1 is in all of 9 pictures, 2 in 4, 3 in 1: t = 4/9, so 3 is repeated by sqrt(4), 2 and 1 aren't."""
    labels = [{1}] * 5 + [{1, 2}] * 3 + [{1, 2, 3}]
    assert compute_repeat_factors(labels).tolist() == [1] * 8 + [2]


def test_background_is_shown_once():
    """Nothing in it is rare."""
    assert compute_repeat_factors([set(), {1}, {1}]).tolist() == [1, 1, 1]
    assert compute_repeat_factors([set()]).tolist() == [1]


def test_without_balance_an_epoch_is_a_permutation():
    """Each once, in another order each time."""
    factors = np.ones(50)
    first, second = (draw_order(factors, np.random.default_rng(seed)) for seed in range(2))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()


def test_fractions_are_rounded_by_chance_and_the_sum_stays():
    """A factor of 1.5 gives 1 or 2, 1.5 on average; the epoch's length never changes."""
    factors = np.array([1.5, 1.0, 1.5, 1.0, 2.25])
    counts = np.zeros((400, 5))
    for seed in range(400):
        order = draw_order(factors, np.random.default_rng(seed))
        assert len(order) == count_shown(factors) == 7
        counts[seed] = np.bincount(order, minlength=5)
    assert set(np.unique(counts[:, 0])) == {1, 2}
    assert counts.mean(axis=0) == pytest.approx(factors * 7 / 7.25, abs=0.1)
