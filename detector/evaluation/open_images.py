"""The Open Images challenge's average precision at one IoU threshold, with its groups of objects.

Owns what it adds to VOC's figure of 2010: a group-of box (a crowd) counts as one object, found by its best
detection with half of that detection inside, its others count neither way; and in an image only the classes
that somebody looked for are judged. Classes above classes: ``hierarchy``. Source:
storage.googleapis.com/openimages/web/evaluation.html, and the TF Object Detection API's
OpenImagesDetectionChallengeEvaluator, where a group weighs 1.
"""

import numpy as np

from detector.evaluation.assignment import assign_to_nearest
from detector.evaluation.average_precision import compute_precision_recall, integrate_all_points, mean_figures
from detector.evaluation.overlaps import Overlaps, find_overlaps, keep_overlaps
from detector.evaluation.sample import Sample, TruthColumns, select_results
from detector.evaluation.truth import BoolArray


def compute_open_images(
    sample: Sample, iou_threshold: float = 0.5
) -> tuple[float | None, dict[int, float | None]]:
    """Compute the mean AP over the classes with objects, and that of each class by its id; None without any.

    ``iou_threshold`` serves as the least IoU with an object, and as the least part of a detection in a group.
    """
    truth, results = sample.truth, select_results(sample.results, _find_judged(sample))
    overlaps = find_overlaps(truth, results, iou_threshold)
    assignment = assign_to_nearest(truth, results, overlaps, iou_threshold)
    right, in_group = _enter_groups(truth, overlaps, assignment.wrong, iou_threshold)
    right |= assignment.right
    counts = right | (assignment.wrong & ~in_group)
    objects = ~(truth.difficult | truth.ignore)
    each = {
        int(class_id): _compute_ap(
            right[counts & (results.class_rows == row)], int((objects & (truth.class_rows == row)).sum())
        )
        for row, class_id in enumerate(sample.class_ids)
    }
    return mean_figures(list(each.values())), each


def _find_judged(sample: Sample) -> BoolArray:
    """Tell which detections are of a class that was labelled in their image, or has an object there."""
    class_count = max(len(sample.class_ids), 1)
    judged = np.ones((len(sample.images), class_count), np.bool_)
    for image_row, labelled in enumerate(sample.labelled):
        if labelled is not None:
            judged[image_row, : len(sample.class_ids)] = np.isin(sample.class_ids, labelled)
    judged[sample.truth.image_rows, sample.truth.class_rows] = True
    return judged[sample.results.image_rows, sample.results.class_rows]


def _enter_groups(
    truth: TruthColumns, overlaps: Overlaps, wrong: BoolArray, least: float
) -> tuple[BoolArray, BoolArray]:
    """Give each detection that found no object the group that holds most of it: bool [M] and [M].

    The first says that it is the best of a group that counts, the second that it lies in a group.
    """
    held = truth.crowd[overlaps.truth_rows] & wrong[overlaps.result_rows] & (overlaps.ioa >= least)
    pairs = keep_overlaps(overlaps, held)
    pairs = keep_overlaps(pairs, np.lexsort((pairs.truth_rows, -pairs.ioa, pairs.result_rows)))
    in_group, best = np.zeros_like(wrong), np.zeros_like(wrong)
    members, first = np.unique(pairs.result_rows, return_index=True)
    in_group[members] = True
    groups, best_members = np.unique(pairs.truth_rows[first], return_index=True)
    best[members[best_members]] = ~(truth.difficult | truth.ignore)[groups]
    return best, in_group


def _compute_ap(right: BoolArray, truth_count: int) -> float | None:
    if not truth_count:
        return None
    return integrate_all_points(*compute_precision_recall(right, truth_count))
