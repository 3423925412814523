"""Anchors of the model garden's detectors: sizes from the settings or from the data, and where they are.

Owns the choice and the boxes. The garden spaces its sizes in even steps of an octave; here every size may be
any, because its models take the boxes as they are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from official.vision.ops import anchor

from detector.training.train_settings import AnchorSettings

FloatArray = NDArray[np.float32]
_FIRST_SIZES = 2.0 ** np.arange(0, 4.01, 0.25)  # in strides of the finest level
_RATIO_SHARES = (1 / 6, 1 / 2, 5 / 6)
_SMALLEST_SIDE = 1e-3
_USUAL_RATIOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Anchors:
    """Anchors of each cell: every size, in strides of the level, with every aspect ratio (height / width)."""

    sizes: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    levels: tuple[int, int]
    canvas_px: int

    @property
    def per_cell(self) -> int:
        """Count the anchors of one cell."""
        return len(self.sizes) * len(self.aspect_ratios)

    def list_boxes(self) -> dict[str, Any]:
        """List the boxes by level ("3", ...): float32 [H, W, 4 A], (y_min, x_min, y_max, x_max) in pixels."""
        parts = [self._place(size) for size in self.sizes]
        return {level: tf.concat([part[level] for part in parts], axis=-1) for level in parts[0]}

    def _place(self, size: float) -> dict[str, Any]:
        # The garden's ratio is width / height.
        ratios = [1 / ratio for ratio in self.aspect_ratios]
        placed: dict[str, Any] = anchor.Anchor(
            *self.levels,
            num_scales=1,
            aspect_ratios=ratios,
            anchor_size=size,
            image_size=(self.canvas_px, self.canvas_px),
        ).multilevel_boxes
        return placed


def choose_anchors(
    settings: AnchorSettings,
    boxes_wh_norm: FloatArray,
    *,
    levels: tuple[int, int],
    canvas_px: int,
    octaves: int,
    default_size: float,
) -> Anchors:
    """Choose anchors: the settings' where given, else those that overlap the training boxes best.

    ``boxes_wh_norm`` float32 [N, 2], (width, height) in fractions of the canvas. Without settings a cell has
    ``octaves`` sizes in even steps, from the first size whose anchors of all levels have the highest mean
    IoU with the boxes, and the ratios at a sixth, half and five sixths of the boxes'; without boxes, the
    garden's ``default_size`` and ratios.
    """
    sides = boxes_wh_norm * canvas_px
    sides = sides[(sides > _SMALLEST_SIDE).all(axis=-1)]
    ratios = settings.aspect_ratios or _choose_ratios(sides)
    steps = 2.0 ** (np.arange(octaves) / octaves)
    sizes = settings.sizes
    if sizes is None:
        first = _choose_first(sides, steps, ratios, levels) if len(sides) else default_size
        sizes = [float(size) for size in first * steps]
    return Anchors(tuple(sizes), tuple(ratios), levels, canvas_px)


def _choose_ratios(sides: FloatArray) -> list[float]:
    if not len(sides):
        return list(_USUAL_RATIOS)
    ratios = np.quantile(sides[:, 1] / sides[:, 0], _RATIO_SHARES)
    return [round(float(ratio), 3) for ratio in ratios]


def _choose_first(
    sides: FloatArray, steps: NDArray[np.float64], ratios: Sequence[float], levels: tuple[int, int]
) -> float:
    strides = 2.0 ** np.arange(levels[0], levels[1] + 1)
    fits = [_measure_fit(sides, np.outer(strides, first * steps).ravel(), ratios) for first in _FIRST_SIZES]
    return float(_FIRST_SIZES[int(np.argmax(fits))])


def _measure_fit(sides: FloatArray, anchor_px: NDArray[np.float64], ratios: Sequence[float]) -> float:
    """Measure the mean over boxes of the IoU with the best anchor around the same centre."""
    roots = np.sqrt(np.asarray(ratios))
    widths, heights = (anchor_px[:, None] / roots).ravel(), (anchor_px[:, None] * roots).ravel()
    shared = np.minimum(sides[:, :1], widths) * np.minimum(sides[:, 1:], heights)
    union = (sides[:, :1] * sides[:, 1:]) + widths * heights - shared
    return float((shared / union).max(axis=1).mean())
