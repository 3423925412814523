"""In which order an epoch shows the examples, and how often each.

Owns the shuffle and the balance of classes. Draws from the generator that it is given alone.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Factors = NDArray[np.float64]


def compute_repeat_factors(labels: Sequence[Collection[int]]) -> Factors:
    """Compute how often each example is to be shown, at least once: float64 [N].

    ``labels`` are the class_ids in each example. Repeat-factor sampling of Gupta, Dollar and Girshick, LVIS
    (CVPR 2019), section 4: the largest sqrt(t / f) of an example's classes, f being the part of the examples
    that a class is in. Their t of .001 is for a thousand classes in a hundred thousand pictures and never
    matters in small sets; here t is the median of all f.

    >>> compute_repeat_factors([{1}, {1}, {1}, {1, 2}]).round(2).tolist()
    [1.0, 1.0, 1.0, 1.58]
    """
    counts: dict[int, int] = {}
    for own in labels:
        for label in set(own):
            counts[label] = counts.get(label, 0) + 1
    middle = float(np.median(list(counts.values()))) if counts else 1.0
    repeats = {label: max(1.0, np.sqrt(middle / count)) for label, count in counts.items()}
    return np.array([max((repeats[label] for label in own), default=1.0) for own in labels])


def count_shown(factors: Factors) -> int:
    """Count the pictures of one epoch: the sum of the factors, rounded."""
    return max(1, round(float(factors.sum())))


def draw_order(factors: Factors, generator: np.random.Generator) -> NDArray[np.intp]:
    """Draw one epoch's positions, shuffled: intp [count_shown].

    Each example is there as often as its factor says, rounded up or down by chance (systematic sampling, so
    that the sum stays the same).
    """
    shown = count_shown(factors)
    reached = np.cumsum(factors) * (shown / factors.sum())
    marks = np.minimum(np.arange(shown) + generator.random(), reached[-1] * (1 - 1e-12))
    chosen: NDArray[np.intp] = np.searchsorted(reached, marks, side="right")
    return generator.permutation(np.minimum(chosen, len(factors) - 1))
