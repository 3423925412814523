"""Export of a trained model to the contract of the TF Object Detection API's SavedModels.

Owns the signature, the letterbox before the network and the suppression after it, whatever the family
of the network. The exported model takes pictures of any size, one size a batch, and needs no code of
this project to run.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

Tensors = Any  # TensorFlow ships no types
Decode = Callable[[Tensors], tuple[Tensors, Tensors]]

MAX_DETECTIONS = 100
_NMS_IOU = 0.6
_LOWEST_SCORE = 0.01


def export_saved_model(model: Tensors, decode: Decode, *, canvas_px: int, out: Path) -> None:
    """Write ``model`` as a SavedModel folder with one signature, ``serving_default``.

    ``model`` is an uncompiled Keras model (a compiled one would carry its optimizer's slots) from float32
    [B, canvas_px, canvas_px, 3] in -1..1 to outputs that ``decode`` turns into boxes_yxyx_norm [B, L, 4]
    of the canvas and scores [B, L, C]. The signature takes ``input_tensor`` uint8 [B, H, W, 3], RGB,
    and gives float32 detection_boxes [B, 100, 4] as (y_min, x_min, y_max, x_max) in fractions of the
    picture, detection_scores and detection_classes [B, 100], classes from 1, num_detections [B].
    Raises ``ValueError`` for a compiled model.
    """
    if model.compiled:
        raise ValueError(f"model {model.name} is compiled: build it again and give it the weights")

    def detect(input_tensor: Tensors) -> dict[str, Tensors]:
        boxes, scores = decode(model(letterbox_pictures(input_tensor, canvas_px), training=False))
        found = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            scores,
            max_output_size_per_class=MAX_DETECTIONS,
            max_total_size=MAX_DETECTIONS,
            iou_threshold=_NMS_IOU,
            score_threshold=_LOWEST_SCORE,
            clip_boxes=False,
        )
        return {
            "detection_boxes": _move_to_source(found.nmsed_boxes, tf.shape(input_tensor)[1:3], canvas_px),
            "detection_scores": found.nmsed_scores,
            "detection_classes": found.nmsed_classes + 1,
            "num_detections": tf.cast(found.valid_detections, tf.float32),
        }

    module = tf.Module()
    module.model = model
    pictures = tf.TensorSpec([None, None, None, 3], tf.uint8, name="input_tensor")
    module.detect = tf.function(detect, input_signature=[pictures], autograph=False)
    tf.saved_model.save(module, str(out), signatures={"serving_default": module.detect})


def letterbox_pictures(pictures: Tensors, canvas_px: int) -> Tensors:
    """Fit pictures of one size into a square canvas, with the geometry of ``boxes.compute_letterbox``.

    Pictures uint8 [B, H, W, 3]. Returns float32 [B, canvas_px, canvas_px, 3] in -1..1, scaled bilinearly
    with antialiasing; the border is 0, which is mid-grey.
    """
    content_hw, top_left = _measure_letterbox(tf.shape(pictures)[1:3], canvas_px)
    content = tf.image.resize(tf.cast(pictures, tf.float32), content_hw, antialias=True) / 127.5 - 1.0
    padded = tf.image.pad_to_bounding_box(content, top_left[0], top_left[1], canvas_px, canvas_px)
    return tf.ensure_shape(padded, [None, canvas_px, canvas_px, 3])


def write_label_map(names: Mapping[int, str], path: Path) -> None:
    """Write a label map in the TF Object Detection API's pbtxt format: class_id (from 1) to name."""
    items = [f"item {{\n  id: {key}\n  name: {json.dumps(names[key])}\n}}\n" for key in sorted(names)]
    path.write_text("".join(items), encoding="utf-8")


def _measure_letterbox(source_hw: Tensors, canvas_px: int) -> tuple[Tensors, Tensors]:
    # In double precision and rounded half to even, as Python does: the same pixels as the NumPy geometry.
    source = tf.cast(source_hw, tf.float64)
    scaled = tf.round(source * tf.reduce_min(canvas_px / source))
    content_hw = tf.clip_by_value(tf.cast(scaled, tf.int32), 1, canvas_px)
    return content_hw, (canvas_px - content_hw) // 2


def _move_to_source(boxes_yxyx_norm: Tensors, source_hw: Tensors, canvas_px: int) -> Tensors:
    content_hw, top_left = _measure_letterbox(source_hw, canvas_px)
    content = tf.cast(tf.tile(content_hw, [2]), tf.float32)
    offset = tf.cast(tf.tile(top_left, [2]), tf.float32)
    return tf.clip_by_value((boxes_yxyx_norm * canvas_px - offset) / content, 0.0, 1.0)
