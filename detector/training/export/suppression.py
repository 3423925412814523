"""Non-maximum suppression, the same while training measures itself and in the exported model.

Owns the steps from a family's decoded boxes to the detections of a canvas.
"""

from typing import Any

import tensorflow as tf

from detector.training.train_settings import ExportSettings

Tensors = Any  # TensorFlow ships no types

_MOST_CANDIDATES = 1000  # a picture; beyond, suppression takes longer than the network
_APART = 4.0  # decoded boxes reach less far beyond the canvas


def suppress(boxes_yxyx_norm: Tensors, scores: Tensors, options: ExportSettings) -> tuple[Tensors, ...]:
    """Keep the best of boxes that overlap within a class.

    Boxes float32 [B, L, 4], scores [B, L, C]. Returns boxes [B, D, 4], scores [B, D], classes float32 [B, D]
    from 0, int32 counts [B], with D = ``options.max_detections``; rows beyond the count are zeros. Only the
    1,000 rows with the best scores are looked at.
    """
    boxes_yxyx_norm, scores = tf.cast(boxes_yxyx_norm, tf.float32), tf.cast(scores, tf.float32)
    rows = boxes_yxyx_norm.shape[1]
    if rows is None or rows > _MOST_CANDIDATES:
        count = tf.minimum(_MOST_CANDIDATES, tf.shape(boxes_yxyx_norm)[1])
        best = tf.math.top_k(tf.reduce_max(scores, axis=-1), count, sorted=False).indices
        boxes_yxyx_norm = tf.gather(boxes_yxyx_norm, best, batch_dims=1)
        scores = tf.gather(scores, best, batch_dims=1)
    found = tf.image.combined_non_max_suppression(
        boxes_yxyx_norm[:, :, None, :],
        scores,
        max_output_size_per_class=options.max_detections,
        max_total_size=options.max_detections,
        iou_threshold=options.nms_iou,
        score_threshold=options.min_score,
        clip_boxes=False,
    )
    return found.nmsed_boxes, found.nmsed_scores, found.nmsed_classes, found.valid_detections


def suppress_one(boxes_yxyx_norm: Tensors, scores: Tensors, options: ExportSettings) -> tuple[Tensors, ...]:
    """Do what ``suppress`` does for a batch of one, by operations that TFLite has itself.

    Classes are kept apart by moving each one's boxes to a place of its own.
    """
    classes = scores.shape[-1]
    flat = tf.reshape(tf.cast(scores, tf.float32), [-1])
    best = tf.math.top_k(flat, min(_MOST_CANDIDATES, flat.shape[0]))
    own_class = best.indices % classes
    boxes = tf.gather(tf.reshape(tf.cast(boxes_yxyx_norm, tf.float32), [-1, 4]), best.indices // classes)
    apart = tf.cast(own_class, tf.float32)[:, None] * _APART
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes + apart,
        scores=best.values,
        max_output_size=options.max_detections,
        iou_threshold=options.nms_iou,
        score_threshold=options.min_score,
        pad_to_max_output_size=True,
    )
    is_found = tf.range(options.max_detections) < count
    found = (
        tf.where(is_found[:, None], tf.gather(boxes, kept), 0.0),
        tf.where(is_found, tf.gather(best.values, kept), 0.0),
        tf.where(is_found, tf.cast(tf.gather(own_class, kept), tf.float32), 0.0),
    )
    return *(part[None] for part in found), count[None]
