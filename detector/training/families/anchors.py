"""Anchors: the boxes that a dense detector corrects, sized by the data, and their codes.

Owns where they are, how large, and the code of a box against its anchor: (dx / width, dy / height,
log width ratio, log height ratio), Faster R-CNN's (Ren et al. 2015, section 3.1.2). All of an image's
anchors are listed level by level, row by row, shape by shape.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Tensors = Any  # TensorFlow ships no types
DEFAULT_SIZES = tuple(4 * 2 ** (part / 3) for part in range(3))  # Lin et al. 2017, section 4
DEFAULT_RATIOS = (0.5, 1.0, 2.0)
_SIZE_LIMITS = (0.75, 8.0)  # in strides: smaller ones hide between cells, larger ones overlap without end
_LOW_QUANTILE = 0.05
_RATIO_QUANTILES = (1 / 6, 3 / 6, 5 / 6)
_LONGEST = 5.0  # of ratios: what lies beyond is an annotation's slip
_LOG_LIMIT = math.log(1000 / 16)  # keeps exp in range, as Detectron does


@dataclass(frozen=True)
class AnchorGrid:
    """Which anchors a square canvas has.

    ``sizes`` are the sides of square anchors in strides of their level; ``aspect_ratios`` are height / width
    at the same area. An anchor has its centre in the middle of its cell.
    """

    canvas_px: int
    levels: tuple[int, ...]
    sizes: tuple[float, ...] = DEFAULT_SIZES
    aspect_ratios: tuple[float, ...] = DEFAULT_RATIOS

    @property
    def shapes_per_cell(self) -> int:
        """Count the anchors of one cell."""
        return len(self.sizes) * len(self.aspect_ratios)

    def list_anchors(self) -> FloatArray:
        """List all anchors, boxes_yxyx_px float32 [A, 4]; some reach over the canvas's edge.

        >>> AnchorGrid(32, (4,), (1.0,), (1.0,)).list_anchors()[1].tolist()
        [0.0, 16.0, 16.0, 32.0]
        """
        return np.concatenate([self._list_level(level) for level in self.levels])

    def _list_level(self, level: int) -> FloatArray:
        stride = 2**level
        steps = (np.arange(math.ceil(self.canvas_px / stride)) + 0.5) * stride
        centres = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 2)
        sides = np.array(
            [
                (stride * size * math.sqrt(ratio), stride * size / math.sqrt(ratio))
                for ratio in self.aspect_ratios
                for size in self.sizes
            ]
        )
        corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
        return corners.reshape(-1, 4).astype(np.float32)


def fit_sizes(boxes_wh_norm: FloatArray, canvas_px: int, finest: int) -> tuple[float, ...]:
    """Choose three sizes, an octave from the small boxes of the data up, in strides of the finest level.

    ``boxes_wh_norm`` float32 [N, 2] are (width, height) in fractions of the canvas; N may be 0, which gives
    the published sizes. Coarser levels double them, so the number of anchors doesn't depend on the data.

    >>> [round(size, 2) for size in fit_sizes(np.full((9, 2), 0.25, np.float32), 96, 3)]
    [3.0, 3.78, 4.76]
    """
    sides = np.sqrt(_keep_boxes(boxes_wh_norm).prod(axis=1)) * canvas_px
    if len(sides) == 0:
        return DEFAULT_SIZES
    smallest = float(np.clip(np.quantile(sides, _LOW_QUANTILE) / 2**finest, *_SIZE_LIMITS))
    return tuple(smallest * 2 ** (part / 3) for part in range(3))


def fit_aspect_ratios(boxes_wh_norm: FloatArray) -> tuple[float, ...]:
    """Choose three ratios height / width: the middles of the data's thirds.

    >>> fit_aspect_ratios(np.array([[0.2, 0.1]] * 3 + [[0.1, 0.1]] * 3 + [[0.1, 0.2]] * 3, np.float32))
    (0.5, 1.0, 2.0)
    """
    kept = _keep_boxes(boxes_wh_norm)
    if len(kept) == 0:
        return DEFAULT_RATIOS
    logs = np.clip(np.log(kept[:, 1] / kept[:, 0]), -math.log(_LONGEST), math.log(_LONGEST))
    return tuple(round(float(np.exp(log)), 3) for log in np.quantile(logs, _RATIO_QUANTILES))


def encode_boxes(boxes_yxyx_px: Tensors, anchors_yxyx_px: Tensors) -> Tensors:
    """Turn boxes [..., 4] into their codes against anchors of the same shape; sides must be above 0."""
    centres, sides = _measure(boxes_yxyx_px)
    anchor_centres, anchor_sides = _measure(anchors_yxyx_px)
    shifts = (centres - anchor_centres) / anchor_sides
    ratios = tf.math.log(sides / anchor_sides)
    return tf.concat([shifts[..., ::-1], ratios[..., ::-1]], axis=-1)


def decode_boxes(codes: Tensors, anchors_yxyx_px: Tensors) -> Tensors:
    """Turn codes [..., 4] back into boxes_yxyx_px of the same shape."""
    anchor_centres, anchor_sides = _measure(anchors_yxyx_px)
    centres = codes[..., 1::-1] * anchor_sides + anchor_centres
    sides = tf.exp(tf.minimum(codes[..., :1:-1], _LOG_LIMIT)) * anchor_sides
    return tf.concat([centres - sides / 2, centres + sides / 2], axis=-1)


def _measure(boxes_yxyx_px: Tensors) -> tuple[Tensors, Tensors]:
    low, high = boxes_yxyx_px[..., :2], boxes_yxyx_px[..., 2:]
    return (low + high) / 2, high - low


def _keep_boxes(boxes_wh_norm: FloatArray) -> FloatArray:
    boxes = np.asarray(boxes_wh_norm, np.float32).reshape(-1, 2)
    return boxes[(boxes > 0).all(axis=1)]
