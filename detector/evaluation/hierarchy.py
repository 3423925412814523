"""Classes above classes: a football helmet is a helmet too.

Owns the expansion of boxes and labels upwards, for metrics that judge each class with all below it. Refuses a
hierarchy that runs in a circle. Source: Open Images challenge, "labels hierarchy handling"; the TF Object
Detection API's oid_hierarchical_labels_expansion.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detector.errors import EvaluationError
from detector.evaluation.results import ImageResult
from detector.evaluation.truth import ImageTruth, IntArray

Parents = Mapping[int, Sequence[int]]


def expand_truth(truth: ImageTruth, parents: Parents) -> ImageTruth:
    """Add to each box one of the same place for each class above its own.

    ``parents`` gives the class ids right above a class id. A labelled class with a box is there, and so are
    those above it; a labelled class without one isn't, and neither are those below it.
    """
    ancestors = _list_ancestors(parents)
    rows, class_ids = _expand_classes(truth.class_ids, ancestors)
    labelled = truth.labelled_class_ids
    if labelled is not None:
        absent = set(labelled.tolist()) - set(truth.class_ids.tolist())
        below = {child for child, above in ancestors.items() if absent & set(above)}
        labelled = np.union1d(np.union1d(labelled, class_ids), np.array(sorted(below), np.int64))
    return replace(
        truth,
        boxes_xyxy_px=truth.boxes_xyxy_px[rows],
        class_ids=class_ids,
        difficult=truth.difficult[rows],
        crowd=truth.crowd[rows],
        ignore=truth.ignore[rows],
        labelled_class_ids=labelled,
    )


def expand_result(result: ImageResult, parents: Parents) -> ImageResult:
    """Add to each detection one of the same place and score for each class above its own.

    For detectors that name the lowest class only; the challenge expects its participants to have done so.
    """
    rows, class_ids = _expand_classes(result.class_ids, _list_ancestors(parents))
    return replace(
        result, boxes_xyxy_px=result.boxes_xyxy_px[rows], scores=result.scores[rows], class_ids=class_ids
    )


def _expand_classes(class_ids: IntArray, ancestors: Mapping[int, list[int]]) -> tuple[IntArray, IntArray]:
    pairs = [
        (row, expanded)
        for row, class_id in enumerate(class_ids.tolist())
        for expanded in (class_id, *ancestors.get(class_id, ()))
    ]
    rows, expanded_ids = np.array(pairs, np.int64).reshape(-1, 2).T
    return rows, expanded_ids


def _list_ancestors(parents: Parents) -> dict[int, list[int]]:
    return {class_id: sorted(_climb(class_id, parents, (class_id,))) for class_id in parents}


def _climb(class_id: int, parents: Parents, path: tuple[int, ...]) -> set[int]:
    above = set()
    for parent in parents.get(class_id, ()):
        if parent in path:
            raise EvaluationError(f"class {parent} stands above itself in the hierarchy: break the circle")
        above |= {parent} | _climb(parent, parents, (*path, parent))
    return above
