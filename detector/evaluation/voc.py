"""Pascal VOC's average precision at one IoU threshold, by the rule of 2010 to 2012 and by that of 2007.

Owns the figure; the matching is ``assign_to_nearest``. A detection of a difficult box counts neither way, and
so does one of a box to be ignored or inside a crowd, which VOC doesn't know. Source: The PASCAL VOC
challenge, IJCV 2010, section 4.2; the development kit's VOCevaldet.m.
"""

from dataclasses import dataclass

import numpy as np

from detector.evaluation.assignment import Assignment, assign_to_nearest
from detector.evaluation.average_precision import (
    compute_precision_recall,
    integrate_all_points,
    integrate_eleven_points,
    mean_figures,
)
from detector.evaluation.overlaps import Overlaps, find_overlaps
from detector.evaluation.sample import Sample
from detector.evaluation.truth import BoolArray


@dataclass(frozen=True)
class VocFigures:
    """Average precision, 0 to 1; None where no object counts: below all points, and at eleven recalls."""

    ap: float | None
    ap_eleven_points: float | None


def compute_voc(sample: Sample, iou_threshold: float = 0.5) -> tuple[VocFigures, dict[int, VocFigures]]:
    """Compute the mean over the classes with objects, and the figures of each class by its id."""
    overlaps = find_overlaps(sample.truth, sample.results, iou_threshold)
    assignment = assign_to_nearest(sample.truth, sample.results, overlaps, iou_threshold)
    wrong = assignment.wrong & ~_lie_in_crowds(sample, overlaps, iou_threshold)
    each = {
        int(class_id): _compute_class(sample, assignment, wrong, row)
        for row, class_id in enumerate(sample.class_ids)
    }
    return VocFigures(
        mean_figures([figures.ap for figures in each.values()]),
        mean_figures([figures.ap_eleven_points for figures in each.values()]),
    ), each


def _lie_in_crowds(sample: Sample, overlaps: Overlaps, least: float) -> BoolArray:
    inside = np.zeros(len(sample.results.scores), np.bool_)
    inside[overlaps.result_rows[sample.truth.crowd[overlaps.truth_rows] & (overlaps.ioa >= least)]] = True
    return inside


def _compute_class(sample: Sample, assignment: Assignment, wrong: BoolArray, row: int) -> VocFigures:
    truth_count = int((sample.truth.counted & (sample.truth.class_rows == row)).sum())
    if not truth_count:
        return VocFigures(None, None)
    counts = (sample.results.class_rows == row) & (assignment.right | wrong)
    precision, recall = compute_precision_recall(assignment.right[counts], truth_count)
    return VocFigures(integrate_all_points(precision, recall), integrate_eleven_points(precision, recall))
