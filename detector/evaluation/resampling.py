"""Average precision and counts of the same images, each taken another number of times: the bootstrap.

Owns the draws and the figures on them. An image drawn twice is two images with the same detections, so its
verdicts are counted twice; nothing is matched again. Source: Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, percentile intervals. Refuses to make random numbers of its own: a Generator is an argument.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.average_precision import COCO_RECALLS, compute_envelope
from detector.evaluation.matches import ClassMatches
from detector.evaluation.truth import FloatArray, IntArray

CountArray = NDArray[np.int32]
DrawArray = NDArray[np.int16]

# Measured: as much as a core's cache holds; ten times more takes several times as long.
_CELLS_AT_ONCE = 200_000
_LEAST_WIDTH = 8


def draw_image_counts(image_count: int, resamples: int, random: np.random.Generator) -> DrawArray:
    """Draw ``image_count`` images with replacement, ``resamples`` times: int16 [I, B], how often each came.

    >>> draw_image_counts(5, 3, np.random.default_rng(0)).sum(axis=0).tolist()
    [5, 5, 5]
    """
    drawn = random.integers(image_count, size=(image_count, resamples), dtype=np.int64)
    cells = np.bincount((drawn * resamples + np.arange(resamples)).ravel(), minlength=image_count * resamples)
    return cells.reshape(image_count, resamples).astype(np.int16)


def compute_interval(values: FloatArray, confidence: float) -> tuple[float, float]:
    """Compute the percentile interval of the values [B] that are numbers; (NaN, NaN) where none is.

    >>> compute_interval(np.arange(5.0), 0.5)
    (1.0, 3.0)
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resample_ap(matches: ClassMatches, image_counts: DrawArray) -> FloatArray:
    """Compute COCO's average precision of one class: float64 [T, B]; NaN where no object counts.

    ``image_counts`` int16 [I, B] says how often each image stands in each of B resamples. The same as to copy
    images and evaluate them anew, save for equal scores inside one image, whose copies COCO would interleave.
    """
    columns = []
    for counts in _cut_resamples(matches, image_counts):
        truth_counts = count_objects(matches, counts)
        weights, total = _weigh(matches, counts)
        steps = [
            _count_steps(matches, row, np.flatnonzero(matches.right[row]), weights, total)
            for row in range(len(matches.right))
        ]
        columns.append(np.stack([_compute_ap(found, kept, truth_counts) for found, kept in steps]))
    return np.concatenate(columns, axis=1)


def count_objects(matches: ClassMatches, image_counts: DrawArray) -> IntArray:
    """Count the objects to find in each resample: int64 [B]."""
    images = np.flatnonzero(matches.truth_counts)
    return matches.truth_counts[images] @ image_counts[images]


def resample_counts(
    matches: ClassMatches, ends: IntArray, image_counts: DrawArray
) -> tuple[CountArray, CountArray]:
    """Count right detections, and all that count, down to each of ``ends``: int32 [K, B] each.

    ``ends`` int64 [K] are rows of the matches with a right detection at or above them; the first threshold of
    IoU is taken. ``image_counts`` as in ``resample_ap``.
    """
    steps = [
        _count_steps(matches, 0, ends, *_weigh(matches, counts))
        for counts in _cut_resamples(matches, image_counts)
    ]
    found, kept = zip(*steps, strict=True)
    return np.concatenate(found, axis=1), np.concatenate(kept, axis=1)


def _cut_resamples(matches: ClassMatches, image_counts: DrawArray) -> Iterator[DrawArray]:
    width = max(_LEAST_WIDTH, _CELLS_AT_ONCE // max(len(matches.scores), 1))
    for begin in range(0, image_counts.shape[1], width):
        yield np.ascontiguousarray(image_counts[:, begin : begin + width])


def _weigh(matches: ClassMatches, counts: DrawArray) -> tuple[DrawArray, CountArray]:
    weights = counts.take(matches.image_rows, axis=0)
    return weights, np.cumsum(weights, axis=0, dtype=np.int32)


def _count_steps(
    matches: ClassMatches, iou_row: int, ends: IntArray, weights: DrawArray, total: CountArray
) -> tuple[CountArray, CountArray]:
    right = np.flatnonzero(matches.right[iou_row])
    uncounted = np.flatnonzero(~(matches.right[iou_row] | matches.wrong[iou_row]))
    found = _sum_above(weights[right], np.searchsorted(right, ends, side="right"))
    if not len(uncounted):
        return found, total[ends]
    return found, total[ends] - _sum_above(weights[uncounted], np.searchsorted(uncounted, ends, side="right"))


def _sum_above(weights: DrawArray, places: IntArray) -> CountArray:
    sums = np.zeros((len(weights) + 1, weights.shape[1]), np.int32)
    np.cumsum(weights, axis=0, dtype=np.int32, out=sums[1:])
    return sums[places]


def _compute_ap(found: CountArray, kept: CountArray, truth_counts: IntArray) -> FloatArray:
    envelope = compute_envelope(found / np.maximum(kept, 1))
    recall = found / np.maximum(truth_counts, 1)
    reached = np.searchsorted(COCO_RECALLS, recall, side="right")
    shares = np.diff(reached, axis=0, prepend=0)
    ap = (shares * envelope).sum(axis=0) / len(COCO_RECALLS)
    return np.where(truth_counts > 0, ap, np.nan)
