"""Verdicts on the detections of each class, in the form that curves and resampling share.

Owns the split by class and the cut at a number of detections per image. Every image may then be counted any
number of times without another look at a box: the verdicts in an image depend on that image alone.
"""

from dataclasses import dataclass

import numpy as np

from detector.evaluation.assignment import match_within_classes
from detector.evaluation.sample import Sample, rank_in_image, select_results
from detector.evaluation.truth import BoolArray, FloatArray, IntArray

COCO_IOUS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
COCO_MOST_DETECTIONS = 100


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """The detections of one class in I images, best score first: M rows, at T thresholds of IoU.

    ``image_rows`` int64 [M] and ``scores`` float64 [M]; ``right`` and ``wrong`` bool [T, M], neither where a
    detection doesn't count. ``truth_counts`` int64 [I] are the objects to find in each image.
    """

    class_id: int
    image_rows: IntArray
    scores: FloatArray
    right: BoolArray
    wrong: BoolArray
    truth_counts: IntArray


def match_classes(
    sample: Sample, iou_thresholds: tuple[float, ...], *, most_detections: int | None = None
) -> list[ClassMatches]:
    """Match by COCO's rule and split by class; one entry for each class of the sample, in its order.

    ``most_detections`` keeps so many of each class in each image, the best.
    """
    results = sample.results
    if most_detections is not None:
        results = select_results(results, rank_in_image(results, len(sample.class_ids)) < most_detections)
    assignments = match_within_classes(sample.truth, results, iou_thresholds)
    right = np.array([assignment.right for assignment in assignments])
    wrong = np.array([assignment.wrong for assignment in assignments])
    by_class = np.argsort(results.class_rows, kind="stable")
    edges = np.searchsorted(results.class_rows[by_class], np.arange(len(sample.class_ids) + 1))
    return [
        ClassMatches(
            int(class_id),
            results.image_rows[rows],
            results.scores[rows],
            right[:, rows],
            wrong[:, rows],
            _count_truth(sample, class_row),
        )
        for class_row, class_id in enumerate(sample.class_ids)
        for rows in [by_class[edges[class_row] : edges[class_row + 1]]]
    ]


def _count_truth(sample: Sample, class_row: int) -> IntArray:
    counted = sample.truth.counted & (sample.truth.class_rows == class_row)
    return np.bincount(sample.truth.image_rows[counted], minlength=len(sample.images))
