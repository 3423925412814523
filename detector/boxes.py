"""Box formats, letterbox geometry and IoU, on NumPy alone.

A box array says its format and unit in its name: ``boxes_yxyx_norm`` is float [N, 4] as
(y_min, x_min, y_max, x_max) in fractions of the image, ``boxes_xyxy_px`` is (x_min, y_min, x_max,
y_max) in pixels. Every leading shape [..., 4] is accepted. Pixels are never touched here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Letterbox:
    """How an image was scaled, aspect kept, and centred on a canvas.

    ``source_hw`` and ``canvas_hw`` are (height, width) in pixels; ``content_hw`` is the scaled
    image inside the canvas, its top left corner at (``top``, ``left``).
    """

    source_hw: tuple[int, int]
    canvas_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int


def compute_letterbox(source_hw: tuple[int, int], canvas_hw: tuple[int, int]) -> Letterbox:
    """Fit an image of ``source_hw`` into ``canvas_hw``, aspect kept, centred, at least one pixel.

    >>> compute_letterbox((100, 200), (96, 96))
    Letterbox(source_hw=(100, 200), canvas_hw=(96, 96), content_hw=(48, 96), top=24, left=0)
    """
    scale = min(canvas_hw[0] / source_hw[0], canvas_hw[1] / source_hw[1])
    height = min(canvas_hw[0], max(1, round(source_hw[0] * scale)))
    width = min(canvas_hw[1], max(1, round(source_hw[1] * scale)))
    top, left = (canvas_hw[0] - height) // 2, (canvas_hw[1] - width) // 2
    return Letterbox(source_hw, canvas_hw, (height, width), top, left)


def convert_canvas_to_source(boxes_yxyx_norm: FloatArray, letterbox: Letterbox) -> FloatArray:
    """Move boxes from fractions of the canvas to fractions of the source image.

    Boxes float32 [..., 4] in and out; what lies in the border comes out below 0 or above 1.

    >>> letterbox = compute_letterbox((100, 200), (96, 96))
    >>> convert_canvas_to_source(np.array([0.25, 0.0, 0.75, 1.0], np.float32), letterbox).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    offset = np.array([letterbox.top, letterbox.left] * 2, np.float32)
    content = np.array(letterbox.content_hw * 2, np.float32)
    canvas = np.array(letterbox.canvas_hw * 2, np.float32)
    moved: FloatArray = ((boxes_yxyx_norm * canvas - offset) / content).astype(np.float32)
    return moved


def convert_xyxy_to_yxyx(boxes_xyxy: FloatArray) -> FloatArray:
    """Swap the axes of corner boxes [..., 4]; its own inverse, any unit.

    >>> convert_xyxy_to_yxyx(np.array([1, 2, 3, 4], np.float32)).tolist()
    [2.0, 1.0, 4.0, 3.0]
    """
    return boxes_xyxy[..., [1, 0, 3, 2]]


def convert_xywh_to_yxyx(boxes_xywh: FloatArray) -> FloatArray:
    """Turn (x_min, y_min, width, height) boxes [..., 4] into (y_min, x_min, y_max, x_max), any unit.

    >>> convert_xywh_to_yxyx(np.array([1, 2, 3, 4], np.float32)).tolist()
    [2.0, 1.0, 6.0, 4.0]
    """
    x_min, y_min, width, height = np.moveaxis(boxes_xywh, -1, 0)
    return np.stack([y_min, x_min, y_min + height, x_min + width], axis=-1)


def normalise_yxyx_px(boxes_yxyx_px: FloatArray, image_hw: tuple[int, int]) -> FloatArray:
    """Divide pixel boxes [..., 4] by the image's (height, width).

    >>> normalise_yxyx_px(np.array([10, 20, 50, 100], np.float32), (100, 200)).tolist()
    [0.10000000149011612, 0.10000000149011612, 0.5, 0.5]
    """
    return (boxes_yxyx_px / np.array(image_hw * 2, np.float32)).astype(np.float32)


def compute_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Compute the intersection over union of every pair: [N, 4] and [M, 4] give float32 [N, M].

    Corner boxes of one order and unit; boxes without area have IoU 0 with everything.

    >>> one, half = np.array([[0, 0, 2, 2]], np.float32), np.array([[0, 0, 2, 1]], np.float32)
    >>> compute_iou(one, half).tolist()
    [[0.5]]
    """
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=-1)
    area_a = np.clip(boxes_a[:, 2:] - boxes_a[:, :2], 0, None).prod(axis=-1)
    area_b = np.clip(boxes_b[:, 2:] - boxes_b[:, :2], 0, None).prod(axis=-1)
    union = area_a[:, None] + area_b[None, :] - intersection
    iou: FloatArray = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0).astype(
        np.float32
    )
    return iou
