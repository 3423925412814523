"""FCOS's locations: which of them answers for which box, and back from answers to boxes.

Owns the geometry of Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection" (ICCV 2019), with
centre sampling as in its 2020 journal version. A *location* is the centre of one cell of a feature map; all
levels' locations are listed row by row, finest level first. Knows nothing of a network.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BOX_CHANNELS = 5  # four distances and the centerness


@dataclass(frozen=True)
class LocationGrid:
    """The locations of a square canvas.

    ``levels`` are exponents of the strides, consecutive; an object belongs to the first level that reaches
    its farthest side, ``reach_strides`` strides far, the last level without end; a location answers for a
    box only within ``centre_radius`` strides of its centre.
    """

    class_count: int
    canvas_px: int
    levels: tuple[int, ...]
    reach_strides: float = 8.0
    centre_radius: float = 1.5

    def list_points(self) -> tuple[FloatArray, FloatArray]:
        """List (y, x) in pixels of the canvas, float32 [L, 2], and strides float32 [L, 1]."""
        points, strides = [], []
        for level in self.levels:
            steps = (np.arange(math.ceil(self.canvas_px / 2**level), dtype=np.float32) + 0.5) * 2**level
            grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
            points.append(grid)
            strides.append(np.full((len(grid), 1), 2**level, np.float32))
        return np.concatenate(points), np.concatenate(strides)

    def list_reaches_px(self) -> tuple[FloatArray, FloatArray]:
        """List how near and how far the farthest side of a location's box may be: float32 [L, 1] each."""
        _, strides = self.list_points()
        first, last = 2 ** self.levels[0], 2 ** self.levels[-1]
        highest = np.where(strides == last, np.inf, strides * self.reach_strides).astype(np.float32)
        lowest = np.where(strides == first, 0, strides / 2 * self.reach_strides).astype(np.float32)
        return lowest, highest


def encode_locations(boxes_yxyx_norm: Any, class_ids: Any, grid: LocationGrid) -> Any:  # noqa: ANN401 (tensors)
    """Say what every location should answer for the boxes of a batch.

    Boxes float32 [B, M, 4] in fractions of the canvas, class_ids int [B, M] from 1, 0 for padding. Returns
    float32 [B, L, class_count + 5]: the class one-hot (all 0: background), the four distances (top, left,
    bottom, right) in strides, the centerness. A location inside several boxes answers for the smallest
    (section 3.1 of the paper). A long box thinner than the stride of its level may lie between locations and
    then has none, as in the paper.

    >>> grid = LocationGrid(class_count=2, canvas_px=16, levels=(3, 4))
    >>> boxes, class_ids = np.array([[[0.0, 0.0, 0.5, 0.5]]], np.float32), np.array([[2]])
    >>> encode_locations(boxes, class_ids, grid)[0, 0].numpy().tolist()
    [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 1.0]
    """
    points, strides = grid.list_points()
    lowest, highest = grid.list_reaches_px()
    boxes = ops.expand_dims(ops.cast(boxes_yxyx_norm, "float32") * grid.canvas_px, 1)  # [B, 1, M, 4]
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    sides = ops.concatenate(
        [points[None, :, None] - boxes[..., :2], boxes[..., 2:] - points[None, :, None]], axis=-1
    )  # [B, L, M, 4]
    near = ops.max(ops.abs(points[None, :, None] - centres), axis=-1) < grid.centre_radius * strides
    farthest = ops.max(sides, axis=-1)
    fits = near & (ops.min(sides, axis=-1) > 0) & (farthest > lowest) & (farthest <= highest)
    fits = fits & (ops.expand_dims(class_ids, 1) > 0)
    areas = ops.where(fits, ops.prod(boxes[..., 2:] - boxes[..., :2], axis=-1), np.inf)
    chosen = ops.argmin(areas, axis=-1)  # [B, L]
    positive = ops.any(fits, axis=-1)
    own = tf.gather(sides, chosen, batch_dims=2)
    own_class = ops.where(positive, tf.gather(ops.cast(class_ids, "int32"), chosen, batch_dims=1), 0)
    classes = ops.one_hot(own_class - 1, grid.class_count, dtype="float32")
    own = ops.where(ops.expand_dims(positive, -1), own, 0)
    low, high = ops.minimum(own[..., :2], own[..., 2:]), ops.maximum(own[..., :2], own[..., 2:])
    centerness = ops.sqrt(ops.prod(low / ops.maximum(high, 1e-6), axis=-1, keepdims=True))
    return ops.concatenate([classes, own / strides, centerness], axis=-1)


def decode_locations(outputs: Any, grid: LocationGrid) -> tuple[Any, Any]:  # noqa: ANN401 (tensors)
    """Turn outputs [B, L, class_count + 5] into boxes and scores, before any suppression.

    Returns boxes_yxyx_norm float32 [B, L, 4] in fractions of the canvas, not clipped, and scores float32
    [B, L, class_count] in 0..1: the square root of class probability times centerness (as in the journal
    version), which orders the same and keeps scores of good boxes high.
    """
    points, strides = grid.list_points()
    distances = outputs[..., -5:-1] * strides
    boxes = ops.concatenate([points - distances[..., :2], points + distances[..., 2:]], axis=-1)
    scores = ops.sqrt(ops.sigmoid(outputs[..., :-5]) * ops.sigmoid(outputs[..., -1:]))
    return boxes / grid.canvas_px, scores
