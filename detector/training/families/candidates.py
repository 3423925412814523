"""The best boxes of a canvas before suppression: what a dense detector has too many of."""

from typing import Any

import tensorflow as tf

Tensors = Any  # TensorFlow ships no types
MOST_CANDIDATES = 1000


def keep_candidates(boxes: Tensors, scores: Tensors, most: int = MOST_CANDIDATES) -> tuple[Tensors, Tensors]:
    """Keep the boxes with the highest score of any class.

    Boxes [B, L, 4] and scores [B, L, C], L known. Returns both with min(L, ``most``) of them, best first
    where some had to go. Suppression takes far longer over all anchors of a large canvas.
    """
    if boxes.shape[1] <= most:
        return boxes, scores
    kept = tf.math.top_k(tf.reduce_max(scores, axis=-1), most).indices
    return tf.gather(boxes, kept, batch_dims=1), tf.gather(scores, kept, batch_dims=1)
