"""Which class was taken for which: the confusion matrix, background included.

Owns one matrix. Its diagonal is the count of right detections; only what is left over, wrong detections and
missed objects, is then matched across classes, so that a horse found as a horse is never also taken for its
rider.
"""

from dataclasses import dataclass

import numpy as np

from detector.evaluation.assignment import assign_greedily
from detector.evaluation.matching import Matching
from detector.evaluation.overlaps import find_overlaps
from detector.evaluation.sample import TruthColumns, select_results
from detector.evaluation.truth import IntArray


@dataclass(frozen=True, eq=False)
class Confusion:
    """``counts`` int64 [C + 1, C + 1]: rows are the object's class, columns the detection's, background last.

    ``class_ids`` int64 [C] name the rows and columns. The last row are detections of nothing, the last column
    objects that nothing found; background on background is 0.
    """

    class_ids: IntArray
    counts: IntArray


def compute_confusion(matching: Matching) -> Confusion:
    """Count what every detection and every object of a matching was taken for."""
    truth, results, assignment = matching.sample.truth, matching.results, matching.assignment
    background = len(matching.sample.class_ids)
    missed, wrong = np.flatnonzero(matching.missed), np.flatnonzero(assignment.wrong)
    left_truth, left_results = _select_truth(truth, missed), select_results(results, wrong)
    overlaps = find_overlaps(left_truth, left_results, matching.iou_threshold, across_classes=True)
    mistaken = assign_greedily(left_truth, left_results, overlaps, matching.iou_threshold)
    unfound = np.ones(len(missed), np.bool_)
    unfound[mistaken.truth_rows[mistaken.right]] = False
    nothing = np.array(background)
    pairs = [
        (truth.class_rows[assignment.truth_rows[assignment.right]], results.class_rows[assignment.right]),
        (left_truth.class_rows[mistaken.truth_rows[mistaken.right]], left_results.class_rows[mistaken.right]),
        (nothing, left_results.class_rows[mistaken.wrong]),
        (left_truth.class_rows[unfound], nothing),
    ]
    counts = np.zeros((background + 1, background + 1), np.int64)
    for rows, columns in pairs:
        np.add.at(counts, (rows, columns), 1)
    return Confusion(matching.sample.class_ids, counts)


def _select_truth(truth: TruthColumns, rows: IntArray) -> TruthColumns:
    return TruthColumns(
        truth.image_rows[rows],
        truth.class_rows[rows],
        truth.boxes_xyxy_px[rows],
        truth.difficult[rows],
        truth.crowd[rows],
        truth.ignore[rows],
    )
