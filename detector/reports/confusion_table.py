"""A confusion matrix that fits on a page: the classes with most mistakes, the others together.

Owns the choice of classes and the shade of each cell. Counts nothing anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detector.evaluation.confusion import Confusion

MAX_CLASSES = 24
_OTHERS, _BACKGROUND = "all others", "background"


@dataclass(frozen=True)
class ConfusionTable:
    """``counts[row][column]`` by ``names``, background last; ``shares`` are of the row's sum, 0 to 1."""

    names: list[str]
    counts: list[list[int]]
    shares: list[list[float]]


def shrink_confusion(
    confusion: Confusion, name_class: Callable[[int], str], *, most: int = MAX_CLASSES
) -> ConfusionTable:
    """Keep the ``most`` classes with most mistakes, or with most objects where there are fewer mistakes.

    Classes without any count are left out. The rest is added up as one more class, whose diagonal holds what
    any two of them were taken for.
    """
    counts = confusion.counts
    background = len(confusion.class_ids)
    totals = (counts.sum(axis=0) + counts.sum(axis=1))[:background]
    mistakes = totals - 2 * counts.diagonal()[:background]
    ranked = np.lexsort((np.arange(background), -totals, -mistakes))
    ranked = ranked[totals[ranked] > 0]
    kept = np.sort(ranked[:most])
    place = np.full(background + 1, len(kept))  # the others, or nobody
    place[kept] = np.arange(len(kept))
    has_others = len(ranked) > most
    place[background] = len(kept) + has_others
    names = [name_class(int(confusion.class_ids[row])) for row in kept]
    names += [_OTHERS] * has_others + [_BACKGROUND]
    table = np.zeros((len(names), len(names)), np.int64)
    np.add.at(table, (place[:, None], place[None, :]), counts)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return ConfusionTable(names, table.tolist(), shares.tolist())
