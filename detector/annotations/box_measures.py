"""How large and how long the boxes are, and whether the anchors of common detectors meet them.

Owns the measures and the anchors. Refuses boxes without area: they are problems, not measures.

The anchors are RetinaNet's (Lin et al., Focal Loss for Dense Object Detection, 2017), which the TF Object
Detection API's and the model garden's configurations share: levels 3 to 7, sides of 4 times the stride times
1, 2^(1/3) and 2^(2/3), and the aspect ratios 1:2, 1:1 and 2:1.
"""

import numpy as np
from numpy.typing import NDArray

from detector.annotations.box_table import BoxTable
from detector.annotations.dataset_report import QUANTILES, AnchorFit, Measure

MIN_ANCHOR_IOU = 0.5
_SIDES_PX = np.array([4 * 2.0**level * 2 ** (octave / 3) for level in range(3, 8) for octave in range(3)])
_BLOCK = 1 << 14
_RATIOS = np.array([0.5, 1.0, 2.0])


def measure_boxes(table: BoxTable) -> tuple[Measure, ...]:
    """Compute quantiles of width, height, side (square root of the area), relative side and aspect ratio.

    The relative side is of the picture's own side, the square root of its area, of pictures of known size.
    """
    rows = table.has_area
    wh_px, picture_side_px = table.wh_px[rows], np.sqrt(table.size_wh_px.prod(axis=1))[table.owner[rows]]
    side_px = np.sqrt(wh_px.prod(axis=1))
    known = picture_side_px > 0
    relative = side_px[known] / picture_side_px[known]
    return (
        _measure("width", "px", wh_px[:, 0]),
        _measure("height", "px", wh_px[:, 1]),
        _measure("side", "px", side_px),
        _measure("relative_side", "of the picture", relative),
        _measure("aspect_ratio", "width / height", wh_px[:, 0] / wh_px[:, 1]),
    )


def fit_anchors(table: BoxTable, *, canvas_px: int) -> AnchorFit:
    """Count the boxes that no anchor overlaps by ``MIN_ANCHOR_IOU`` when it lies centred on the box.

    Pictures are scaled until their longer side is ``canvas_px``; boxes of pictures of unknown size, and
    without area, are left out.
    """
    longer_px = table.size_wh_px.max(axis=1, initial=0)[table.owner]
    rows = table.has_area & (longer_px > 0)
    scale = canvas_px / longer_px[rows]
    wh_px = table.wh_px[rows] * scale[:, None]
    blocks = np.split(
        wh_px, range(_BLOCK, len(wh_px), _BLOCK)
    )  # what is computed of a block stays in the cache
    unmatched = np.concatenate([_compute_best_iou(block) for block in blocks]) < MIN_ANCHOR_IOU
    side_px = np.sqrt(wh_px.prod(axis=1))
    shares = [
        float(chosen.mean()) if len(chosen) else 0.0
        for chosen in (
            unmatched,
            unmatched & (side_px < _SIDES_PX[0]),
            unmatched & (side_px > _SIDES_PX[-1]),
        )
    ]
    return AnchorFit(
        canvas_px,
        _find_range(_SIDES_PX),
        _find_range(_RATIOS),
        MIN_ANCHOR_IOU,
        int(rows.sum()),
        *(round(share, 4) for share in shares),
    )


def _find_range(values: NDArray[np.float64]) -> tuple[float, float]:
    return round(float(values.min()), 1), round(float(values.max()), 1)


def _compute_best_iou(wh_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute for each (width, height) [N, 2] the best IoU with an anchor on the same centre, float64 [N]."""
    best = np.zeros(len(wh_px))
    area = wh_px.prod(axis=1)
    for side in _SIDES_PX:
        for ratio in _RATIOS:
            anchor_wh = side * np.array([np.sqrt(ratio), 1 / np.sqrt(ratio)])
            intersection = np.minimum(wh_px, anchor_wh).prod(axis=1)
            best = np.maximum(best, intersection / (area + side**2 - intersection))
    return best


def _measure(name: str, unit: str, values: NDArray[np.float64]) -> Measure:
    found = np.quantile(values, QUANTILES).tolist() if len(values) else []
    return Measure(name, unit, tuple(float(f"{value:.4g}") for value in found))
