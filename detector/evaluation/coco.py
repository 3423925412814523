"""COCO's twelve figures, of all classes and of each, as pycocotools computes them.

Owns the way from flat columns to faster-coco-eval and back (why that library: docs/decisions/0005). Boxes
that are difficult or to be ignored get an area outside every range, which is how COCO leaves a box uncounted;
crowds are its own. The size of an object is the area of its box, since there is no mask.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.sample import Sample
from detector.evaluation.truth import FloatArray

_UNCOUNTED_AREA = -1.0
_AREAS = ("all", "small", "medium", "large")
_MOST_DETECTIONS = (1, 10, 100)
_IOU_50, _IOU_75 = 0, 5


@dataclass(frozen=True)
class CocoFigures:
    """Average precision and recall, 0 to 1; None where no object counts.

    ``ap`` is the mean over IoU .5, .55, ... .95 with at most 100 detections of a class in an image, ``ar_1``
    and ``ar_10`` allow so many. Small is below 32 x 32 pixels, large above 96 x 96.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


def compute_coco(sample: Sample) -> tuple[CocoFigures, dict[int, CocoFigures]]:
    """Compute the figures of all classes together, and of each by class id.

    Together is the mean over the classes that have objects, as COCO takes it.
    """
    if not len(sample.truth.image_rows):
        nothing = CocoFigures(*[None] * len(fields(CocoFigures)))
        return nothing, dict.fromkeys(sample.class_ids.tolist(), nothing)
    precision, recall = _accumulate(sample)
    each = {
        int(class_id): _read_figures(precision[:, :, [row]], recall[:, [row]])
        for row, class_id in enumerate(sample.class_ids)
    }
    return _read_figures(precision, recall), each


def _accumulate(sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Compute COCO's precision [T, R, C, A, D] and recall [T, C, A, D]; -1 where no object counts."""
    from faster_coco_eval import (
        COCO,
        COCOeval_faster,
    )  # loads OpenCV, which a reader of reports can do without

    shell: dict[str, Any] = {
        "images": [
            {"id": number, "width": width, "height": height}
            for number, (width, height) in enumerate(sample.sizes_wh.tolist(), 1)
        ],
        "categories": [{"id": number} for number in range(1, len(sample.class_ids) + 1)],
    }
    evaluation = COCOeval_faster(
        COCO(shell | {"annotations": _list_objects(sample)}),
        COCO(shell | {"annotations": _list_detections(sample)}),
        "bbox",
    )
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"])


def _list_objects(sample: Sample) -> list[dict[str, Any]]:
    truth = sample.truth
    sides = truth.boxes_xyxy_px[:, 2:] - truth.boxes_xyxy_px[:, :2]
    areas = np.where(truth.difficult | truth.ignore, _UNCOUNTED_AREA, sides.prod(axis=1))
    columns = (
        truth.image_rows + 1,
        truth.class_rows + 1,
        _to_xywh(truth.boxes_xyxy_px),
        areas,
        truth.crowd * 1,
    )
    names = ("image_id", "category_id", "bbox", "area", "iscrowd")
    return _list_rows(names, columns)


def _list_detections(sample: Sample) -> list[dict[str, Any]]:
    # The library breaks ties of score by the order in an image, and our rows are already best first.
    results = sample.results
    boxes_xywh = _to_xywh(results.boxes_xyxy_px)
    areas = boxes_xywh[:, 2] * boxes_xywh[:, 3]
    columns = (results.image_rows + 1, results.class_rows + 1, boxes_xywh, areas, results.scores)
    return _list_rows(("image_id", "category_id", "bbox", "area", "score"), columns)


def _list_rows(names: tuple[str, ...], columns: tuple[NDArray[Any], ...]) -> list[dict[str, Any]]:
    rows = zip(*(column.tolist() for column in columns), strict=True)
    # From 1: COCO takes an object of id 0 for no object.
    return [dict(zip(names, row, strict=True), id=number) for number, row in enumerate(rows, 1)]


def _to_xywh(boxes_xyxy_px: FloatArray) -> FloatArray:
    return np.concatenate([boxes_xyxy_px[:, :2], boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]], axis=1)


def _read_figures(precision: FloatArray, recall: FloatArray) -> CocoFigures:
    most = len(_MOST_DETECTIONS) - 1
    return CocoFigures(
        _mean(precision[..., 0, most]),
        _mean(precision[_IOU_50, ..., 0, most]),
        _mean(precision[_IOU_75, ..., 0, most]),
        *(_mean(precision[..., area, most]) for area in range(1, len(_AREAS))),
        *(_mean(recall[..., 0, allowed]) for allowed in range(len(_MOST_DETECTIONS))),
        *(_mean(recall[..., area, most]) for area in range(1, len(_AREAS))),
    )


def _mean(values: FloatArray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
