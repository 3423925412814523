"""COCO's average precision of an exported model on drawn pictures that it has not seen.

Owns the translation of drawn examples and a SavedModel's outputs to pycocotools, which computes the
metric and is a development dependency.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from detector.annotations.shapes import SHAPE_NAMES, seed_generator
from detector.training.drawn import Example, draw_examples


def measure_drawn_ap(saved_model: Path, *, seed: int, pictures: int) -> tuple[float, float]:
    """Measure AP (mean over IoU .50 to .95) and AP50 on ``pictures`` drawn for validation from ``seed``.

    The pictures go through the SavedModel's own signature at their own sizes, one by one.
    Raises ``ModuleNotFoundError`` where pycocotools is not installed.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detect = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for number, example in enumerate(draw_examples(seed_generator("validation", seed), pictures), 1):
        height, width = example.pixels.shape[:2]
        images.append({"id": number, "height": height, "width": width})
        annotations += _list_truth(example, number)
        outputs = detect(input_tensor=tf.constant(example.pixels[None]))
        detections += _list_found(outputs, number, (height, width))
    if not detections:  # pycocotools can't load none
        return 0.0, 0.0
    annotations = [{**annotation, "id": key} for key, annotation in enumerate(annotations, 1)]
    categories = [{"id": key, "name": name} for key, name in enumerate(SHAPE_NAMES, 1)]
    # pycocotools prints its progress and its table, and nothing turns that off.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def _list_truth(example: Example, number: int) -> list[dict[str, Any]]:
    listed = []
    for box, class_id in zip(example.boxes_yxyx_norm, example.class_ids, strict=True):
        x, y, width, height = _convert_to_xywh_px(box, example.pixels.shape[:2])
        truth = {"image_id": number, "category_id": int(class_id), "bbox": [x, y, width, height]}
        listed.append({**truth, "area": width * height, "iscrowd": 0})
    return listed


def _list_found(outputs: Any, number: int, image_hw: tuple[int, int]) -> list[dict[str, Any]]:  # noqa: ANN401
    count = int(outputs["num_detections"][0])
    rows = zip(
        outputs["detection_boxes"][0, :count].numpy(),
        outputs["detection_classes"][0, :count].numpy(),
        outputs["detection_scores"][0, :count].numpy(),
        strict=True,
    )
    return [
        {
            "image_id": number,
            "category_id": int(class_id),
            "bbox": _convert_to_xywh_px(box, image_hw),
            "score": float(score),
        }
        for box, class_id, score in rows
    ]


def _convert_to_xywh_px(box_yxyx_norm: np.ndarray, image_hw: tuple[int, ...]) -> list[float]:
    y_min, x_min, y_max, x_max = (box_yxyx_norm * np.array(image_hw * 2)).tolist()
    return [x_min, y_min, x_max - x_min, y_max - y_min]
