"""Everything that an evaluation found, as data: what a page, a terminal and MLflow show.

Owns the record and its JSON. Computes nothing, opens no files; imports neither a decoder nor TensorFlow, so
that ``reports`` may read it.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detector.evaluation.coco import CocoFigures
from detector.evaluation.comparison import Comparison
from detector.evaluation.confusion import Confusion
from detector.evaluation.curves import BestThreshold, Curve
from detector.evaluation.matching import ClassCounts, ImageCounts
from detector.evaluation.voc import VocFigures


@dataclass(frozen=True, eq=False)
class ClassReport:
    """One class: figures 0 to 1, None where no object counts; ``counts`` are at the report's thresholds."""

    class_id: int
    label: str
    objects: int
    uncounted_objects: int
    detections: int
    coco: CocoFigures
    voc: VocFigures
    open_images_ap: float | None
    counts: ClassCounts
    curve: Curve
    threshold: BestThreshold | None


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """One detector on one labelled set.

    ``iou_threshold`` and ``score_thresholds`` (class id to score) are those of ``counts``, ``images`` (worst
    first) and ``confusion``. ``comparison`` is None where there was no champion to compare with.
    """

    image_count: int
    object_count: int
    uncounted_object_count: int
    detection_count: int
    iou_threshold: float
    score_thresholds: dict[int, float]
    coco: CocoFigures
    voc: VocFigures
    open_images_ap: float | None
    classes: tuple[ClassReport, ...]
    confusion: Confusion
    images: tuple[ImageCounts, ...]
    comparison: Comparison | None = None

    def to_json(self, *, indent: int | None = None) -> str:
        """Write the report as strict JSON: arrays as lists, what is no number as null."""
        return json.dumps(_to_plain(asdict(self)), indent=indent, allow_nan=False, ensure_ascii=False)


def _to_plain(value: Any) -> Any:  # noqa: ANN401 (anything that a field may hold)
    if isinstance(value, np.ndarray):
        return _to_plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
