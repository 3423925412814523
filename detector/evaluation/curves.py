"""Precision and recall at every score, and the score threshold at which F1 is best.

Owns the curve of each class and the choice of its threshold, with intervals by the bootstrap over images.
Matching is COCO's, at one IoU threshold. Draws nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.evaluation.matches import ClassMatches
from detector.evaluation.resampling import (
    DrawArray,
    compute_interval,
    count_objects,
    draw_image_counts,
    resample_counts,
)
from detector.evaluation.truth import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of one class with detections kept down to each of K scores, highest score first.

    float64 [K] each. Only scores of right detections stand here: between two of them recall stays and
    precision falls. ``precision`` is that of these detections, no envelope. No rows where nothing was found.
    """

    class_id: int
    scores: FloatArray
    precision: FloatArray
    recall: FloatArray


@dataclass(frozen=True)
class BestThreshold:
    """The score threshold (inclusive) of a class at which F1 is best, the higher of two equal ones.

    ``low`` and ``high``: the interval of the threshold that other images like these would have given, by
    ``confidence``; ``f1_low`` and ``f1_high``: that of F1 at this very threshold. ``images`` with objects of
    the class and ``objects`` tell how much it rests on.
    """

    class_id: int
    threshold: float
    low: float
    high: float
    f1: float
    f1_low: float
    f1_high: float
    precision: float
    recall: float
    images: int
    objects: int
    confidence: float


def compute_curve(matches: ClassMatches, *, most_points: int | None = None) -> Curve:
    """Compute the curve of one class at the first IoU threshold; at most so many points, evenly by rank."""
    ends = _find_score_ends(matches)
    if most_points is not None and len(ends) > most_points:
        ends = ends[np.linspace(0, len(ends) - 1, most_points).round().astype(np.int64)]
    found, kept = (counts[:, 0] for counts in resample_counts(matches, ends, _take_once(matches)))
    objects = max(int(matches.truth_counts.sum()), 1)
    return Curve(matches.class_id, matches.scores[ends], found / np.maximum(kept, 1), found / objects)


def choose_thresholds(
    classes: Sequence[ClassMatches],
    *,
    random: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[int, BestThreshold]:
    """Choose the threshold with the best F1 for each class that was found at all, by class id.

    The images are drawn once for all classes. A class without objects or without a right detection has no
    threshold: no score is better than another.
    """
    if not classes:
        return {}
    image_counts = draw_image_counts(len(classes[0].truth_counts), resamples, random)
    return {
        matches.class_id: _choose_threshold(matches, image_counts, confidence)
        for matches in classes
        if matches.right[0].any()
    }


def _choose_threshold(matches: ClassMatches, image_counts: DrawArray, confidence: float) -> BestThreshold:
    ends = _find_score_ends(matches)
    scores = matches.scores[ends]
    objects = int(matches.truth_counts.sum())
    found, kept = (counts[:, 0] for counts in resample_counts(matches, ends, _take_once(matches)))
    f1 = 2 * found / (kept + objects)
    best = int(f1.argmax())
    drawn_best, drawn_f1 = _resample_f1(matches, ends, best, image_counts)
    return BestThreshold(
        matches.class_id,
        float(scores[best]),
        *compute_interval(np.where(drawn_best >= 0, scores[drawn_best], np.nan), confidence),
        float(f1[best]),
        *compute_interval(drawn_f1, confidence),
        precision=float(found[best] / kept[best]),
        recall=float(found[best] / objects),
        images=int((matches.truth_counts > 0).sum()),
        objects=objects,
        confidence=confidence,
    )


def _resample_f1(
    matches: ClassMatches, ends: IntArray, chosen: int, image_counts: DrawArray
) -> tuple[IntArray, FloatArray]:
    """Find the best of K ends in each resample, int64 [B], -1 without one, and F1 at the chosen one [B]."""
    found, kept = resample_counts(matches, ends, image_counts)
    objects = count_objects(matches, image_counts)
    f1 = 2 * found / np.maximum(kept + objects, 1)
    best = np.where(found[-1] > 0, f1.argmax(axis=0), -1)
    return best, np.where(objects > 0, f1[chosen], np.nan)


def _find_score_ends(matches: ClassMatches) -> IntArray:
    """Find the last row of each run of equal scores that holds a right detection: int64 [K], ascending."""
    found_scores = matches.scores[matches.right[0]]
    return np.unique(np.searchsorted(-matches.scores, -found_scores, side="right") - 1)


def _take_once(matches: ClassMatches) -> DrawArray:
    return np.ones((len(matches.truth_counts), 1), np.int16)
