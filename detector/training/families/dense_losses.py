"""Losses of dense detectors: focal loss of classes and generalised IoU of distances.

Owns the formulas. Focal loss: Lin et al., "Focal Loss for Dense Object Detection" (ICCV 2017), alpha .25,
gamma 2. GIoU: Rezatofighi et al., "Generalized Intersection over Union" (CVPR 2019).
"""

from typing import Any

import keras
from keras import ops

_TINY = 1e-7


def compute_focal(wanted: Any, logits: Any) -> Any:  # noqa: ANN401 (tensors)
    """Compute the focal loss of one-hot classes, 0 or 1, [..., C] against logits [..., C]; summed."""
    focal = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True, reduction=None
    )
    return ops.sum(focal(wanted[..., None], logits[..., None]))


def compute_giou(distances_a: Any, distances_b: Any) -> Any:  # noqa: ANN401 (tensors)
    """Compute GIoU, -1 to 1, of boxes given as distances [..., 4] (top, left, bottom, right) from one point.

    >>> import numpy as np
    >>> one = np.array([1.0, 1.0, 1.0, 1.0], np.float32)
    >>> float(compute_giou(one, one * 2))
    0.25
    """
    # From one point, minima of distances make the intersection and maxima the hull.
    shared, hull = ops.minimum(distances_a, distances_b), ops.maximum(distances_a, distances_b)
    intersection = _area(shared)
    union = _area(distances_a) + _area(distances_b) - intersection
    enclosing = _area(hull)
    return intersection / (union + _TINY) - (enclosing - union) / (enclosing + _TINY)


def _area(distances: Any) -> Any:  # noqa: ANN401 (tensors)
    return (distances[..., 0] + distances[..., 2]) * (distances[..., 1] + distances[..., 3])
