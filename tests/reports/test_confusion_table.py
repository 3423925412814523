"""A confusion matrix that fits: nothing lost by putting classes together."""

import numpy as np

from detector.evaluation.confusion import Confusion
from detector.reports.confusion_table import shrink_confusion

COUNTS = np.array([[5, 1, 0, 2], [0, 7, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
CONFUSION = Confusion(np.array([1, 4, 9]), COUNTS)


def name(class_id):
    """Name a class."""
    return f"c{class_id}"


def test_classes_without_a_count_are_left_out():
    """The rest stands as it was, background last; shares are of the row."""
    table = shrink_confusion(CONFUSION, name)
    assert table.names == ["c1", "c4", "background"]
    assert table.counts == [[5, 1, 2], [0, 7, 0], [1, 0, 0]]
    assert table.shares[0] == [5 / 8, 1 / 8, 2 / 8]


def test_those_with_most_mistakes_stay():
    """The others are added up: no count is lost."""
    table = shrink_confusion(CONFUSION, name, most=1)
    assert table.names == ["c1", "all others", "background"]
    assert table.counts == [[5, 1, 2], [0, 7, 0], [1, 0, 0]]
    counts = np.random.default_rng(0).integers(0, 5, (9, 9))
    shrunk = shrink_confusion(Confusion(np.arange(1, 9), counts), name, most=3)
    assert np.sum(shrunk.counts) == counts.sum()
    assert len(shrunk.names) == 5


def test_nothing_is_a_table_of_nothing():
    """No class, no count."""
    assert shrink_confusion(Confusion(np.zeros(0, np.int64), np.zeros((1, 1), np.int64)), name).counts == [
        [0]
    ]
