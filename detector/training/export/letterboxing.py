"""The letterbox inside exported models: ``detector.boxes``'s geometry as TensorFlow operations.

Owns both ways: pictures onto the canvas, boxes back to the picture.
"""

from typing import Any

import tensorflow as tf

Tensors = Any  # TensorFlow ships no types

BORDER = 127.0  # mid-grey, as training's canvases have it


def letterbox_pictures(pictures: Tensors, canvas_px: int) -> Tensors:
    """Fit pictures of one size into a square canvas, with the geometry of ``boxes.compute_letterbox``.

    Pictures uint8 [B, H, W, 3]. Returns float32 [B, canvas_px, canvas_px, 3], 0 to 255, scaled bilinearly
    with antialiasing; the border is ``BORDER``.
    """
    content_hw, top_left = _measure_letterbox(tf.shape(pictures)[1:3], canvas_px)
    content = tf.image.resize(tf.cast(pictures, tf.float32), content_hw, antialias=True) - BORDER
    padded = tf.image.pad_to_bounding_box(content, top_left[0], top_left[1], canvas_px, canvas_px)
    return tf.ensure_shape(padded + BORDER, [None, canvas_px, canvas_px, 3])


def move_to_source(boxes_yxyx_norm: Tensors, source_hw: Tensors, canvas_px: int) -> Tensors:
    """Move boxes float32 [B, D, 4] from fractions of the canvas to those of the picture, clipped to it."""
    content_hw, top_left = _measure_letterbox(source_hw, canvas_px)
    content = tf.cast(tf.tile(content_hw, [2]), tf.float32)
    offset = tf.cast(tf.tile(top_left, [2]), tf.float32)
    return tf.clip_by_value((boxes_yxyx_norm * canvas_px - offset) / content, 0.0, 1.0)


def _measure_letterbox(source_hw: Tensors, canvas_px: int) -> tuple[Tensors, Tensors]:
    # In double precision and rounded half to even, as Python does: the same pixels as the NumPy geometry.
    source = tf.cast(source_hw, tf.float64)
    scaled = tf.round(source * tf.reduce_min(canvas_px / source))
    content_hw = tf.clip_by_value(tf.cast(scaled, tf.int32), 1, canvas_px)
    return content_hw, (canvas_px - content_hw) // 2
