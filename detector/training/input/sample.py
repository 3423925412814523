"""One picture on its canvas with its boxes, and how both are moved together.

Owns the geometry of augmentation. Every move is along the axes (mirrored, scaled, shifted), so a moved box is
exactly the box of the moved object. Coordinates are edges in pixels of the canvas: pixel n reaches from n to
n + 1. Draws no random numbers.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.boxes import FloatArray
from detector.training.input.canvases import BORDER

Pixels = NDArray[np.uint8]
Region = tuple[int, int, int, int]

MIN_VISIBLE = 0.3  # part of a box's area; of which less is left, that can't be told any more
_ALIASING_SCALE = 0.7  # bilinear sampling of every pixel's neighbours skips some below


@dataclass(frozen=True)
class Sample:
    """``pixels`` uint8 [S, S, 3], of which ``content`` (x_min, y_min, x_max, y_max) is picture, not border.

    ``boxes_xyxy_px`` float32 [N, 4] inside the content, ``class_ids`` int32 [N].
    """

    pixels: Pixels
    content: Region
    boxes_xyxy_px: FloatArray
    class_ids: NDArray[np.int32]

    @property
    def canvas(self) -> Region:
        """Give the whole canvas as a region."""
        return 0, 0, self.canvas_px, self.canvas_px

    @property
    def canvas_px(self) -> int:
        """Give the canvas's side."""
        return len(self.pixels)


@dataclass(frozen=True)
class Placement:
    """x' = scale * x + shift on each axis, (x, y); a negative scale mirrors."""

    scale_xy: tuple[float, float]
    shift_xy: tuple[float, float]

    def move_boxes(self, boxes_xyxy_px: FloatArray) -> FloatArray:
        """Move boxes float32 [N, 4]; mirrored ones get their corners in order again.

        >>> Placement((-1, 1), (10, 2)).move_boxes(np.array([[1, 0, 4, 5]], np.float32)).tolist()
        [[6.0, 2.0, 9.0, 7.0]]
        """
        corners = boxes_xyxy_px.reshape(-1, 2, 2) * np.array(self.scale_xy) + np.array(self.shift_xy)
        moved: FloatArray = np.sort(corners, axis=1).reshape(-1, 4).astype(np.float32)
        return moved


def cut_content(sample: Sample) -> Pixels:
    """Give the picture without its border: uint8 [H, W, 3], a view."""
    x_min, y_min, x_max, y_max = sample.content
    return sample.pixels[y_min:y_max, x_min:x_max]


def warp_content(sample: Sample, content: Pixels, placement: Placement, window: Region) -> Pixels:
    """Draw ``content``, the sample's picture, moved by ``placement``, as seen in a window of the canvas.

    ``window`` is (x_min, y_min, x_max, y_max); returns uint8 [y_max - y_min, x_max - x_min, 3].
    Bilinear; where it shrinks much, by area average before.
    """
    scale, shift = np.array(placement.scale_xy), np.array(placement.shift_xy)
    shift = shift + scale * np.array(sample.content[:2]) - np.array(window[:2])
    if np.abs(scale).min() < _ALIASING_SCALE:
        whole_wh = np.array(content.shape[1::-1])
        smaller_wh = np.maximum(1, np.rint(whole_wh * np.minimum(1, np.abs(scale)))).astype(int)
        content = _as_bytes(cv2.resize(content, smaller_wh.tolist(), interpolation=cv2.INTER_AREA))
        scale = scale * whole_wh / smaller_wh
    # OpenCV counts from the centres of pixels, the placement from their edges.
    centred = shift + scale / 2 - 0.5
    matrix = np.array([[scale[0], 0, centred[0]], [0, scale[1], centred[1]]])
    size_wh = (window[2] - window[0], window[3] - window[1])
    return _as_bytes(
        cv2.warpAffine(
            content, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
            borderValue=(BORDER, BORDER, BORDER),
        )
    )  # fmt: skip


def clip_boxes(boxes_xyxy_px: FloatArray, region: Region) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Cut boxes float32 [N, 4] at a region's edges; tell which keep ``MIN_VISIBLE`` of their area, bool [N].

    >>> clip_boxes(np.array([[-2, 0, 8, 10], [-9, 0, 1, 10]], np.float32), (0, 0, 20, 20))[1].tolist()
    [True, False]
    """
    low, high = np.array(region[:2] * 2, np.float32), np.array(region[2:] * 2, np.float32)
    clipped: FloatArray = np.clip(boxes_xyxy_px, low, high)
    areas, left = _compute_areas(boxes_xyxy_px), _compute_areas(clipped)
    return clipped, np.asarray((left >= MIN_VISIBLE * areas) & (left > 0))


def _compute_areas(boxes_xyxy_px: FloatArray) -> FloatArray:
    areas: FloatArray = (boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]).prod(axis=1)
    return areas


def _as_bytes(pixels: NDArray[np.generic]) -> Pixels:
    return pixels.astype(np.uint8, copy=False)
