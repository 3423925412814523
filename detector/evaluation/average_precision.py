"""Precision, recall and the areas below their curve that are called average precision.

Owns the three ways to measure that area. Refuses nothing; where no object counts, the figure is NaN.
"""

import numpy as np

from detector.evaluation.truth import BoolArray, FloatArray

# Not arange / 100: 35 * 0.01 is a little above 0.35, and whether 7 of 20 reach it is part of COCO's figure.
COCO_RECALLS = np.linspace(0.0, 1.0, 101)
ELEVEN_RECALLS = np.arange(11) / 10  # here 3 of 10 reach .3, as the VOC authors meant


def compute_precision_recall(right: BoolArray, truth_count: int) -> tuple[FloatArray, FloatArray]:
    """Compute precision and recall after each detection: float64 [M] each.

    ``right`` bool [M], best score first, without the detections that don't count. ``truth_count`` is above 0.

    >>> precision, recall = compute_precision_recall(np.array([True, False, True]), 4)
    >>> precision.round(2).tolist(), recall.tolist()
    ([1.0, 0.5, 0.67], [0.25, 0.25, 0.5])
    """
    found = np.cumsum(right)
    return found / np.arange(1, len(right) + 1), found / truth_count


def compute_envelope(precision: FloatArray) -> FloatArray:
    """Replace each precision by the best at the same or a higher recall: [M] or [M, B], along the first axis.

    >>> compute_envelope(np.array([0.5, 1.0, 0.25])).tolist()
    [1.0, 1.0, 0.25]
    """
    envelope: FloatArray = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return envelope


def integrate_all_points(precision: FloatArray, recall: FloatArray) -> float:
    """Compute the area below the envelope (VOC 2010 to 2012, Open Images).

    >>> integrate_all_points(np.array([1.0, 0.5, 2 / 3]), np.array([0.5, 0.5, 1.0]))
    0.8333333333333333
    """
    return float(np.sum(np.diff(recall, prepend=0.0) * compute_envelope(precision)))


def integrate_eleven_points(precision: FloatArray, recall: FloatArray) -> float:
    """Compute the mean of the envelope at recalls 0, .1, ... 1 (VOC 2007).

    >>> integrate_eleven_points(np.array([1.0]), np.array([0.5]))
    0.5454545454545454
    """
    places = np.searchsorted(recall, ELEVEN_RECALLS, side="left")
    envelope = np.append(compute_envelope(precision), 0.0)
    return float(envelope[places].mean())


def mean_figures(figures: list[float | None]) -> float | None:
    """Compute the mean of the figures that there are; None without one.

    >>> mean_figures([1.0, None, 0.5])
    0.75
    """
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None
