"""Which anchor answers for which object.

Owns matching by IoU, as RetinaNet does (Lin et al. 2017, section 4), with one change: an object's best anchor
answers for it however small their IoU, so that no object goes without. Padding matches nothing.
"""

from typing import Any

import tensorflow as tf

from detector.training.families.anchors import encode_boxes

Tensors = Any  # TensorFlow ships no types
BACKGROUND = 0
IGNORED = -1
POSITIVE_IOU = 0.5
NEGATIVE_IOU = 0.4


def encode_anchors(
    boxes_yxyx_px: Tensors, class_ids: Tensors, anchors_yxyx_px: Tensors
) -> dict[str, Tensors]:
    """Say what every anchor should answer.

    Boxes float32 [B, M, 4] and class_ids int32 [B, M] from 1, 0 for padding; anchors [A, 4]. Returns
    ``class_ids`` int32 [B, A]: the object's, 0 for background, -1 for anchors between the two thresholds,
    which no loss looks at; ``codes`` float32 [B, A, 4]: of the object's box, zeros where there is none.
    """

    def encode_one(inputs: tuple[Tensors, Tensors]) -> tuple[Tensors, Tensors]:
        return _encode_canvas(*inputs, anchors_yxyx_px)

    # One canvas at a time: all pairs of anchors and objects of a batch would take gigabytes.
    matched, codes = tf.map_fn(
        encode_one, (boxes_yxyx_px, class_ids), fn_output_signature=(tf.int32, tf.float32)
    )
    return {"class_ids": matched, "codes": codes}


def _encode_canvas(boxes: Tensors, class_ids: Tensors, anchors: Tensors) -> tuple[Tensors, Tensors]:
    real = class_ids > 0
    # Padding gets a unit box, whose code is finite, and no overlap with anything.
    boxes = tf.where(real[:, None], boxes, tf.constant([0.0, 0.0, 1.0, 1.0]))
    iou = tf.where(real[None, :], compute_iou(anchors, boxes), -1.0)
    chosen, best = tf.argmax(iou, axis=1, output_type=tf.int32), tf.reduce_max(iou, axis=1)
    forced = _find_forced(iou, real)
    chosen = tf.where(forced >= 0, forced, chosen)
    positive = (best >= POSITIVE_IOU) | (forced >= 0)
    ignored = ~positive & (best >= NEGATIVE_IOU)
    matched = tf.where(positive, tf.gather(class_ids, chosen), tf.where(ignored, IGNORED, BACKGROUND))
    codes = encode_boxes(tf.gather(boxes, chosen), anchors)
    return matched, tf.where(positive[:, None], codes, 0.0)


def _find_forced(iou: Tensors, real: Tensors) -> Tensors:
    # For each anchor [A] the object whose best anchor it is, or -1; of several, the one it overlaps most.
    best_anchors = tf.argmax(iou, axis=0, output_type=tf.int32)
    is_best = tf.range(tf.shape(iou)[0])[:, None] == best_anchors[None, :]
    claims = tf.where(is_best & real[None, :], iou, -1.0)
    claimed = tf.argmax(claims, axis=1, output_type=tf.int32)
    return tf.where(tf.reduce_max(claims, axis=1) > 0, claimed, -1)


def compute_iou(boxes_a: Tensors, boxes_b: Tensors) -> Tensors:
    """Compute IoU float32 [A, B] of boxes_yxyx [A, 4] and [B, 4], in any one unit."""
    low = tf.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = tf.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    area_a, area_b = (tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (boxes_a, boxes_b))
    return tf.math.divide_no_nan(shared, area_a[:, None] + area_b[None, :] - shared)
