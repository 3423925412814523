"""Which detection is given to which object: the rules of COCO and of Pascal VOC.

Owns the two rules and the verdict on each detection that follows. Knows nothing of scores but the order of
the rows; computes no figure.
"""

from dataclasses import dataclass

import numpy as np

from detector.evaluation.overlaps import Overlaps, find_overlaps, keep_overlaps
from detector.evaluation.sample import ResultColumns, TruthColumns
from detector.evaluation.truth import BoolArray, IntArray

_HARDLY_LESS = 1 - 1e-10  # COCO's own slack, so that a threshold of 1 can be reached


@dataclass(frozen=True, eq=False)
class Assignment:
    """What became of each of M detections: at most one object, at most one verdict.

    ``truth_rows`` int64 [M] is the object that it was given, -1 for none. ``right`` bool [M]: it found an
    object that counts. ``wrong`` bool [M]: it found none. Neither: it found one that doesn't count.
    """

    truth_rows: IntArray
    right: BoolArray
    wrong: BoolArray


def assign_greedily(
    truth: TruthColumns, results: ResultColumns, overlaps: Overlaps, iou_threshold: float
) -> Assignment:
    """Give each detection, best score first, the free object that it overlaps most (COCO).

    ``overlaps`` reach down to ``iou_threshold`` at least, which is inclusive. Objects that count come before
    those that don't, the later of two equal ones first; a crowd is never used up, and its measure is IoA.
    Source: pycocotools, COCOeval.evaluateImg.
    """
    overlap = np.where(truth.crowd[overlaps.truth_rows], overlaps.ioa, overlaps.iou)
    enough = overlap >= min(iou_threshold, _HARDLY_LESS)
    pairs, overlap = keep_overlaps(overlaps, enough), overlap[enough]
    uncounted = ~truth.counted[pairs.truth_rows]
    order = np.lexsort((-pairs.truth_rows, -overlap, uncounted, pairs.result_rows))
    given = _take_in_turn(keep_overlaps(pairs, order), truth.crowd, len(results.scores))
    return _judge(given, truth)


def assign_to_nearest(
    truth: TruthColumns, results: ResultColumns, overlaps: Overlaps, iou_threshold: float
) -> Assignment:
    """Give each detection the one object that it overlaps most; a second detection of it is wrong (VOC).

    Crowds are left out: whoever knows a use for them treats them first. Source: the VOC development kit,
    VOCevaldet.m; its boxes are inclusive pixels, ours are edges, so nothing is added to a side.
    """
    enough = (overlaps.iou >= iou_threshold) & ~truth.crowd[overlaps.truth_rows]
    pairs = keep_overlaps(overlaps, enough)
    pairs = keep_overlaps(pairs, np.lexsort((pairs.truth_rows, -pairs.iou, pairs.result_rows)))
    nearest = np.full(len(results.scores), -1, np.int64)
    rows, first = np.unique(pairs.result_rows, return_index=True)
    nearest[rows] = pairs.truth_rows[first]
    first_of_object = np.zeros(len(nearest), np.bool_)
    first_of_object[np.unique(nearest, return_index=True)[1]] = True  # rows are in the order of scores
    assignment = _judge(nearest, truth)
    free = first_of_object | ~assignment.right
    return _judge(np.where(free, nearest, -1), truth)


def match_within_classes(
    truth: TruthColumns, results: ResultColumns, iou_thresholds: tuple[float, ...]
) -> list[Assignment]:
    """Assign greedily at each threshold, detections and objects of one class; one search for overlaps."""
    overlaps = find_overlaps(truth, results, min(*iou_thresholds, _HARDLY_LESS))
    return [assign_greedily(truth, results, overlaps, threshold) for threshold in iou_thresholds]


def _take_in_turn(pairs: Overlaps, crowd: BoolArray, result_count: int) -> IntArray:
    given = [-1] * result_count
    taken: set[int] = set()
    crowds = set(np.flatnonzero(crowd).tolist())
    for result_row, truth_row in zip(pairs.result_rows.tolist(), pairs.truth_rows.tolist(), strict=True):
        if given[result_row] < 0 and truth_row not in taken:
            given[result_row] = truth_row
            if truth_row not in crowds:
                taken.add(truth_row)
    return np.array(given, np.int64)


def _judge(truth_rows: IntArray, truth: TruthColumns) -> Assignment:
    found = truth_rows >= 0
    right = found.copy()
    right[found] = truth.counted[truth_rows[found]]
    return Assignment(truth_rows, right, ~found)
